"""What stands in the way of training on a dataset: too few pictures, conditions that cannot be told apart, no scale."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from sorby.conditions import Condition
from sorby.data.dataset import Dataset
from sorby.doctor.finding import Finding
from sorby.doctor.micrographs import FEW
from sorby.metrics.record import LEAST_IMAGES

FEW_PATCHES = 100
"""A discriminator knows so few by heart within minutes."""
DECADES = 2.0
ONE = 0.95
"""Correlation from which two conditions are one to a generator."""


def examine(data: Dataset) -> Iterator[Finding]:
    """Findings about a dataset."""
    yield of_number(data)
    yield of_held_out(data)
    yield of_scale(data)
    yield from of_conditions(data)


def of_number(data: Dataset) -> Finding:
    """Whether there is enough to learn from."""
    train = data.split("train")
    text = f"{len(train)} training patches of {len(train.parents)} micrographs"
    if len(train) >= FEW_PATCHES and len(train.parents) > FEW:
        return Finding("number", "ok", text)
    remedy = "prepare more micrographs or smaller patches; else a pretrained discriminator (--preset laptop-64), "
    return Finding(
        "number", "warn", f"{text} are few, and training may collapse: {remedy}--symmetry, or sorby transfer"
    )


def of_held_out(data: Dataset) -> Finding:
    """Whether scores can be taken against what training has not seen."""
    if num := sum(patch.split == "held-out" for patch in data.patches):
        return Finding("held out", "ok", f"{num} patches")
    text = "no micrograph is held out, so that a copier would score best: prepare again with --held-out 0.1"
    return Finding("held out", "warn", text)


def of_scale(data: Dataset) -> Finding:
    """Whether all patches have one pixel size."""
    sizes = {patch.pixel_size_um for patch in data.patches}
    if data.pixel_size_um:
        return Finding("scale", "ok", f"{data.pixel_size_um:.4g} µm a pixel")
    if sizes == {None}:
        text = "no pixel size, so that nothing can be measured in µm: prepare again with --pixel-size-um"
    else:
        text = "pixel sizes differ, so that a generator would mix magnifications: prepare again with --um-per-px"
    return Finding("scale", "warn", text)


def of_conditions(data: Dataset) -> Iterator[Finding]:
    """Whether a generator can learn each condition, and tell it from the others."""
    if not data.space.conditions:
        yield Finding("conditions", "ok", "none; --labels and --condition of sorby prepare bring them in")
        return
    troubles = [text for condition in data.space.conditions for text in _troubles(condition, data)]
    troubles += _tied(data)
    for text in troubles:
        yield Finding("conditions", "warn", text)
    if not troubles:
        yield Finding("conditions", "ok", "; ".join(condition.describe() for condition in data.space.conditions))


def _troubles(condition: Condition, data: Dataset) -> Iterator[str]:
    name = condition.name
    counts = Counter(patch.conditions[name] for patch in data.patches)
    value, num = min(counts.items(), key=lambda item: item[1])
    if len(counts) == 1:
        yield f"{name} is {value} throughout, so that nothing can be learnt of it: leave it out"
    elif condition.kind == "class" and num < LEAST_IMAGES:
        yield f"{name} {value} has {num} patches, fewer than the {LEAST_IMAGES} that scores need: add micrographs of it"
    elif condition.kind == "linear" and _decades(condition) >= DECADES:
        yield (
            f"{name} goes from {condition.low:g} to {condition.high:g}, where a linear scale knows the largest "
            f"alone: prepare again with --condition {name}:{condition.unit or ''}:log"
        )


def _decades(condition: Condition) -> float:
    """How many powers of ten the values of a number span; 0 where some are not positive."""
    low, high = condition.low or 0.0, condition.high or 0.0
    return float(np.log10(high / low)) if low > 0 else 0.0


def _tied(data: Dataset) -> Iterator[str]:
    """Pairs of conditions that change together: two numbers, or two classes of which each tells the other."""
    numbers = [condition for condition in data.space.conditions if condition.kind != "class"]
    columns = {c.name: np.array([c.scaled(patch.conditions[c.name]) for patch in data.patches]) for c in numbers}
    for one, other in combinations([name for name, column in columns.items() if column.std() > 0], 2):
        together = abs(float(np.corrcoef(columns[one], columns[other])[0, 1]))
        if together >= ONE:
            yield (
                f"{one} and {other} change together (correlation {together:.2f}), so that no generator can tell them "
                "apart: leave one out, or add micrographs where they differ"
            )

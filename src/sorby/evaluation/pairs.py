"""Real pictures, and as many generated ones under the same conditions: to be looked at side by side, or told apart."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from sorby.card import GeneratorCard
from sorby.data.dataset import Dataset
from sorby.errors import ConfigError
from sorby.evaluation.conditions import same_kinds
from sorby.generator import Generator, Values
from sorby.metrics.sets import ImageSet, of_dataset, of_generator
from sorby.micrograph import same_size


class Pairs(NamedTuple):
    """Both sides, in random order; a generated picture is of the condition of the real one at its place."""

    real: ImageSet
    generated: ImageSet
    places: Int[np.ndarray, " n"]
    """Of the real pictures in their dataset."""
    notes: tuple[str, ...]


def pairs_of(
    generator: Generator,
    data: Dataset,
    seeds: Sequence[int],
    *,
    rng: np.random.Generator,
    condition: Values | None = None,
    truncation: float = 1.0,
    names: tuple[str, str] = ("generator", "data"),
) -> Pairs:
    """A real picture of `data` and a generated one for each seed, the real ones of as many micrographs as there are.

    Of one condition, or without it as in the data. Where there are fewer real pictures than seeds, so many of each.
    Raises `ConfigError` for a condition that one of the two has not.
    """
    alike = bool(generator.card.space.dim) and same_kinds(generator.card.space, data.space)
    if condition is not None and not alike:
        raise ConfigError(f"{' and '.join(names)} do not have the same conditions: leave the condition out.")
    eligible, notes = _eligible(generator, data, condition, alike, names)
    order = spread_over(data.parent_of, rng)
    places = order[eligible[order]][: len(seeds)]
    if len(places) < len(seeds):
        notes.append(f"There are only {len(places)} such real pictures: so many of each side.")
    asked: list[Values | None] = [condition] * len(places)
    if condition is None and alike:
        asked = [data.patches[int(place)].conditions for place in places]
    fakes = of_generator(generator, list(seeds[: len(places)]), asked, name=names[0], truncation=truncation)
    return Pairs(of_dataset(data, names[1]).subset(places, name=names[1]), fakes, places, tuple(notes))


def spread_over(parents: Int[np.ndarray, " n"], rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """All places in random order: first one of each parent, then a second one of those that have it, and so on."""
    order = rng.permutation(len(parents))
    _, of, counts = np.unique(parents[order], return_inverse=True, return_counts=True)
    grouped = np.argsort(of, kind="stable")
    turn = np.empty(len(parents), np.int64)
    turn[grouped] = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.argsort(turn, kind="stable")]


def other_scale(card: GeneratorCard, data: Dataset, *, learnt_from: bool) -> str:
    """Why lengths in pictures of a generator and of a dataset are not compared; "" where they may be.

    `learnt_from` says that the dataset is what the generator learnt from: a pixel is then the same, known or not.
    """
    if card.size != data.size:
        return f"the pictures are of different sizes, {card.size} and {data.size} px"
    if learnt_from:
        return ""
    if card.pixel_size_um is None or data.pixel_size_um is None:
        return "the pixel size of one side is unknown or mixed"
    if not same_size(card.pixel_size_um, data.pixel_size_um):
        return f"the pixel sizes differ, {card.pixel_size_um:g} and {data.pixel_size_um:g} µm"
    return ""


def _eligible(
    generator: Generator, data: Dataset, condition: Values | None, alike: bool, names: tuple[str, str]
) -> tuple[Bool[np.ndarray, " n"], list[str]]:
    """Which real pictures may be shown, and notes. Raises `ConfigError` where none may."""
    notes = []
    if condition is not None:
        generator.card.space.encode(condition)  # refuses what cannot be drawn
        eligible = (data.conditions() == data.space.encode(condition)).all(axis=1)
        if not eligible.any():
            raise ConfigError(
                f"{names[1]} has no picture of {data.space.tell(condition)} on this side: choose another."
            )
    elif alike:
        eligible = _drawable(generator, data)
        if not eligible.any():
            raise ConfigError(f"{names[0]} can draw none of the conditions of {names[1]}: choose another dataset.")
        if left := int((~eligible).sum()):
            notes.append(f"{left} real pictures are of classes that {names[0]} cannot draw: left out.")
    else:
        eligible = np.ones(len(data), bool)
        if generator.card.space.dim or data.space.dim:
            notes.append("The two sides do not have the same conditions: each is shown as its own data are.")
    return eligible, notes


def _drawable(generator: Generator, data: Dataset) -> Bool[np.ndarray, " n"]:
    """Which pictures are of a condition that the generator can draw."""
    _, first, of = np.unique(data.conditions(), axis=0, return_index=True, return_inverse=True)
    able = []
    for place in first:
        try:
            generator.card.space.encode(data.patches[int(place)].conditions)
            able.append(True)
        except ConfigError:
            able.append(False)
    return np.array(able)[of.ravel()]

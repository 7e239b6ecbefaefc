"""Whether a generator knows its training pictures by heart, and projects them better than held-out ones.

A generator that keeps its training pictures draws each of them again; one that learnt what they have in common comes as
near to pictures that it never saw. They are projected with their noise held still: noise is drawn anew for each picture
of a training, so that memory is in w and the weights, and noise that is fitted shows any picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float, Int
from matplotlib import rc_context
from matplotlib.figure import Figure

from sorby.data.dataset import Dataset
from sorby.errors import DataError
from sorby.report.plots import GENERATED, REAL, STYLE, svg_file
from sorby.untrusted import csv_of

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Side:
    """Projected patches of one side of the split."""

    name: str
    files: tuple[str, ...]
    parents: tuple[str, ...]
    """The micrograph of each patch, or the group of overlapping ones."""
    distances: Float[np.ndarray, " n"]
    """Between each patch and its projection."""

    def by_parent(self) -> Float[np.ndarray, " m"]:
        """Mean distance of each micrograph: patches of one are alike, and do not count as several."""
        parents = np.array(self.parents)
        return np.array([self.distances[parents == parent].mean() for parent in dict.fromkeys(self.parents)])


@dataclass(frozen=True)
class Memorisation:
    """Held-out against training pictures."""

    training: float
    """Median distance of the patches."""
    held_out: float
    p: float
    """Of a Mann-Whitney test over micrographs: to see held-out ones projected this much worse by chance."""
    effect: float
    """Probability that a held-out micrograph is projected worse than a training one: 0.5 where nothing is memorised."""

    def tell(self) -> str:
        """For people."""
        how = "better" if self.p < SIGNIFICANT else "no better"
        numbers = f"median distance {self.training:.3f} against {self.held_out:.3f}, p = {self.p:.2g}"
        return f"training pictures are projected {how} than held-out ones ({numbers}, effect {self.effect:.2f})"


def memorisation(training: Side, held_out: Side) -> Memorisation:
    """Test whether held-out micrographs are projected worse.

    Raises `DataError` for a side of fewer than two micrographs, of which nothing can be said.
    """
    sides = [side.by_parent() for side in (held_out, training)]
    for side, means in zip((held_out, training), sides, strict=True):
        if len(means) < 2:
            raise DataError(
                f"There are patches of {len(means)} {side.name} micrograph, expected 2 or more: raise --num."
            )
    U, p = scipy.stats.mannwhitneyu(sides[0], sides[1], alternative="greater")
    effect = float(U) / (len(sides[0]) * len(sides[1]))
    return Memorisation(float(np.median(training.distances)), float(np.median(held_out.distances)), float(p), effect)


def spread_over_parents(dataset: Dataset, num: int, *, seed: int) -> Int[np.ndarray, " m"]:
    """`num` patches by chance, or all: from each micrograph one before any gives a second."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    rounds: dict[str, int] = {}
    turn = np.empty(len(dataset), dtype=np.int64)
    for index, parent in zip(order, parents_of(dataset, order), strict=True):
        turn[index] = rounds[parent] = rounds.get(parent, -1) + 1
    return order[np.argsort(turn[order], kind="stable")][:num]


def parents_of(dataset: Dataset, indices: Int[np.ndarray, " m"]) -> tuple[str, ...]:
    """What may be alike for another reason than memory: overlapping fields of view, or one micrograph."""
    patches = [dataset.patches[int(index)] for index in indices]
    return tuple(patch.group or patch.parent for patch in patches)


def table(sides: Sequence[Side]) -> str:
    """One row a patch, as CSV."""
    rows = [
        (side.name, name, parent, f"{distance:.6g}")
        for side in sides
        for name, parent, distance in zip(side.files, side.parents, side.distances, strict=True)
    ]
    return csv_of([("split", "file", "parent", "distance"), *rows])


def figure(training: Side, held_out: Side) -> bytes:
    """Share of the micrographs projected to within a distance, of both sides, as SVG."""
    with rc_context(STYLE):
        drawn = Figure(figsize=(4.4, 2.6), layout="constrained")
        axis = drawn.subplots()
        for side, colour in ((training, REAL), (held_out, GENERATED)):
            axis.ecdf(side.by_parent(), color=colour, label=f"{side.name}, {len(side.by_parent())} micrographs")
        axis.set(xlabel="perceptual distance of a micrograph from its projection", ylabel="share of micrographs")
        axis.legend()
        return svg_file(drawn)

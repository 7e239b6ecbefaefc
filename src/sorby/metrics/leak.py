"""Whether generated pictures show the augmentations that the discriminator saw.

With a high probability of augmentation a generator may learn to draw turned, shifted or cut-out pictures (Karras et al.
2020, "Training GANs with Limited Data", section 2.2). For each kind of move there is one number of a picture which the
move changes, and a range that 99 % of real pictures keep to. A leak shows as a larger share of generated than of real
pictures beyond it. What a move does to that share is seen by moving the real pictures: where it does nothing, as
turning an isotropic structure does, no leak can be seen, and none is denied.

Patches of one micrograph are not independent. The range that a real picture is held against is that of other
micrographs, and pictures count as so many independent ones as would vary as much as the micrographs do.

An alarm says that pictures look as if moved. A generator with other faults, such as wrong grey values, raises it too,
and one kind of move may raise that of another (a cut-out changes the contrast): look at the pictures.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch
from jaxtyping import Bool, Float, Int, UInt8

from sorby.augment import FAMILIES, Augment
from sorby.errors import DataError
from sorby.metrics.multiple import holm
from sorby.metrics.traces import BLOCK, MID_GREY, Trace, Values, blockwise, traces_of

BEYOND = 0.01  # share of real pictures outside the range
ALARMS = 0.05  # probability of any false alarm, over all tests together
PART = 0.25  # share of moved pictures that has to be noticed; where it would not be, no leak is denied
FOLDS = 20  # groups of real micrographs, each held against the range of the others
LEAST_PX = 16


@dataclass(frozen=True)
class LeakTest:
    """Whether generated pictures look as if one kind of move had been done to them."""

    move: str
    statistic: str
    """The number taken of each picture, in words."""
    real_share: float
    """Share of real pictures beyond the range of other real micrographs: about 1 %."""
    generated_share: float
    """Share of generated pictures beyond the range of the real ones."""
    moved_share: float
    """Share of real pictures beyond it when all of them are moved."""
    p_value: float | None
    """How likely chance makes such shares, corrected by Holm's method for the other tests; None where not tested."""
    leaked: bool | None
    """None where it cannot be seen in these data."""
    reason: str
    """One sentence."""


class Patches(NamedTuple):
    """Pictures and the number of the micrograph that each comes from."""

    pictures: UInt8[np.ndarray, "n c s s"]
    parents: Int[np.ndarray, " n"]

    @staticmethod
    def of(pictures: UInt8[np.ndarray, "n c s s"], parents: Int[np.ndarray, " n"] | None) -> "Patches":
        """Without parents, or with a single one, each picture is its own."""
        if parents is None or len(np.unique(parents)) == 1:
            parents = np.arange(len(pictures))
        return Patches(pictures, parents)


def leaks(
    generated: UInt8[np.ndarray, "n _ _ _"],
    real: UInt8[np.ndarray, "m _ _ _"],
    *,
    parents: Int[np.ndarray, " m"],
    generated_parents: Int[np.ndarray, " n"] | None = None,
    families: Collection[str] = FAMILIES,
    rng: np.random.Generator,
) -> list[LeakTest]:
    """One result for each kind of move; the chance of a false alarm is 5 % over all of them.

    Only moves of `families`, those that the training augmented with, can have leaked: the others are left out.

    Pictures are square and of one size; colours are averaged. `parents` are the numbers of the micrographs that real
    pictures come from; patches of a single micrograph are taken as independent. Generated pictures are independent
    unless `generated_parents` says otherwise. `rng` draws the moves and groups the micrographs.
    Raises `DataError` for an empty set and for pictures of other shapes or below 16 px.
    """
    for pictures, name in ((generated, "generated"), (real, "real")):
        _check(pictures, name, size=generated.shape[2])
    sides = Patches.of(generated, generated_parents), Patches.of(real, parents)
    traces = [trace for trace in traces_of(real) if set(trace.augment.families) <= set(families)]
    tests = [_test(trace, *sides, limit=ALARMS / len(traces), rng=rng) for trace in traces]
    corrected = iter(holm([test.p_value for test in tests if test.p_value is not None]))
    return [test if test.p_value is None else _judge(test, next(corrected)) for test in tests]


def independent(beyond: Bool[np.ndarray, " n"], parents: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Number beyond and number in all of independent pictures that would say as much as these patches of `parents`.

    The effective sample size of Korn & Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24 (1998) 193-201: the binomial variance over the
    one seen between parents, less what is lost by estimating the latter from few. Never more than there are pictures.

    >>> every_second = np.array([True, False] * 8)
    >>> independent(every_second, np.arange(16))
    (7.5, 15.0)
    """
    _, owner, sizes = np.unique(parents, return_inverse=True, return_counts=True)
    share, num, num_parents = beyond.mean(), len(beyond), len(sizes)
    excess = np.bincount(owner, weights=beyond) - share * sizes
    variance = num_parents / (num_parents - 1) * np.square(excess / num).sum()
    effective = share * (1 - share) / variance if variance > 0 else num_parents
    few = scipy.stats.t.ppf(0.975, num - 1) / scipy.stats.t.ppf(0.975, num_parents - 1)
    effective = float(min(num, effective * few**2))
    return float(share * effective), effective


def _test(trace: Trace, generated: Patches, real: Patches, *, limit: float, rng: np.random.Generator) -> LeakTest:
    """The shares, the p value before correction, and whether a leak that goes unfound may be denied."""
    values, drawn = (blockwise(trace.measure, side.pictures) for side in (real, generated))
    moved = blockwise(trace.measure, _moved(real.pictures, trace.augment, rng))
    drawn_out, moved_out = (_outside(each, values, trace.tails) for each in (drawn, moved))
    by_chance = independent(_outside_others(values, real.parents, trace.tails, rng), real.parents)
    found = independent(drawn_out, generated.parents)
    natural, when_moved = by_chance[0] / by_chance[1], float(moved_out.mean())

    def noticed(part: float) -> bool:
        expected = (natural + part * (when_moved - natural)) * found[1]
        return _chance(by_chance, (expected, found[1])) < limit

    return LeakTest(
        move=trace.move,
        statistic=trace.statistic,
        real_share=natural,
        generated_share=float(drawn_out.mean()),
        moved_share=when_moved,
        p_value=_chance(by_chance, found) if noticed(1) else None,
        leaked=False if noticed(PART) else None,
        reason=f"Cannot be seen: {trace.hidden}, or the pictures are too few.",
    )


def _judge(test: LeakTest, p_value: float) -> LeakTest:
    """With the corrected p value; a leak that is not found is denied only where it would have been found."""
    leaked = True if p_value < ALARMS else test.leaked
    reason = {
        True: f"More generated pictures than real ones look moved (p = {p_value:.2g}).",
        False: f"No more generated pictures than real ones look moved (p = {p_value:.2g}).",
        None: f"The pictures are too few: a leak in {PART:.0%} of them could go unnoticed.",
    }
    return replace(test, p_value=p_value, leaked=leaked, reason=reason[leaked])


def _chance(real: tuple[float, float], generated: tuple[float, float]) -> float:
    """Probability that as few real and as many generated pictures are beyond by chance (Fisher's exact test)."""
    tiny = 1e-9  # what rounding may have done to a whole number
    real_count, real_num = math.ceil(real[0] - tiny), math.ceil(real[1] - tiny)
    count, num = math.floor(generated[0] + tiny), math.ceil(generated[1] - tiny)
    table = np.array([[count, num - count], [real_count, real_num - real_count]])
    return float(scipy.stats.fisher_exact(table, alternative="greater").pvalue)


def _outside(values: Values, of: Float[np.ndarray, " m"], tails: tuple[bool, bool]) -> Bool[np.ndarray, " n"]:
    """Which values lie outside the range of 99 % `of` others."""
    low, high = tails
    each = BEYOND / sum(tails)
    least, most = np.quantile(of, (each, 1 - each))
    return (low & (values < least)) | (high & (values > most))


def _outside_others(
    values: Values, parents: Int[np.ndarray, " n"], tails: tuple[bool, bool], rng: np.random.Generator
) -> Bool[np.ndarray, " n"]:
    """Which real values lie outside the range of other micrographs."""
    found = np.zeros(len(values), dtype=bool)
    distinct = rng.permutation(np.unique(parents))
    for group in np.array_split(distinct, min(FOLDS, len(distinct))):
        own = np.isin(parents, group)
        found[own] = _outside(values[own], values[~own], tails)
    return found


def _moved(
    pictures: UInt8[np.ndarray, "n c s s"], augment: Augment, rng: np.random.Generator
) -> UInt8[np.ndarray, "n c s s"]:
    """Do the move to every picture."""
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    blocks = (torch.from_numpy(pictures[start : start + BLOCK]) for start in range(0, len(pictures), BLOCK))
    moved = [augment(block / MID_GREY - 1, p=1, rng=chance) for block in blocks]
    return np.concatenate([((block + 1) * MID_GREY).round().clamp(0, 255).byte().numpy() for block in moved])


def _check(pictures: UInt8[np.ndarray, "n _ _ _"], name: str, *, size: int) -> None:
    if len(pictures) < 2:
        raise DataError(f"There are {len(pictures)} {name} pictures: expected at least two; give more.")
    height, width = pictures.shape[2:]
    if (height, width) != (size, size) or size < LEAST_PX:
        expected = f"squares of one size of at least {LEAST_PX} px"
        raise DataError(f"The {name} pictures have {width} x {height} px: expected {expected}; prepare them so.")

"""Two sets of images, one descriptor at a time: whether the second has the microstructure of the first.

A test that finds no difference proves nothing, so equivalence is tested: the interval of the difference must lie inside
a margin stated beforehand (two one-sided tests, Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680). Both the
mean and the spread are asked for. Patches of one micrograph are not independent, and micrographs are few: intervals
come from leaving out one whole micrograph at a time (jackknife, Miller, Ann. Math. Statist. 39 (1968) 567-582, by
cluster) and Student's t with the degrees of freedom of Welch (Biometrika 34 (1947) 28-35). `benchmarks/equivalence.py`
measures how often they err.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.special
from jaxtyping import Float, Int

MARGIN_MEAN = 0.5
"""The means may differ by half of the standard deviation among the real images ..."""
MARGIN_SPREAD = 2.0
"""... and the standard deviations by a factor of two."""
LEVEL = 0.05
"""Of each one-sided test: two of them are one interval of 90 %."""
TINY = 1e-6
ABSENT = 5.0
"""Standard deviations that a descriptor counts which the generated images have not at all."""
LEAST = 6
"""Parents on a side, for an interval. So few are seldom enough to agree, but err no more often than many."""

MOSTLY, HARDLY = 0.5, 0.1
"""Images that have a descriptor: where most real and hardly any generated ones do, that is a difference of its own."""

ENOUGH_AGREE = 0.75
"""Share of the descriptors that must agree, with none that differs, for the microstructure to agree."""

Verdict = Literal["agrees", "differs", "open"]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 90 % interval."""

    value: float
    low: float
    high: float

    def inside(self, margin: float) -> bool:
        """Whether all of it lies between -margin and margin."""
        return -margin < self.low and self.high < margin

    def outside(self, margin: float) -> bool:
        """Whether all of it lies beyond -margin or beyond margin."""
        return self.low > margin or self.high < -margin


@dataclass(frozen=True)
class Agreement:
    """What comparing one descriptor gave."""

    real_mean: float
    generated_mean: float
    shift: Interval
    """Difference of the means in standard deviations of the real images."""
    spread: Interval
    """Natural logarithm of the ratio of the standard deviations."""
    p_value: float
    """Chance that the shift or the spread comes out as far beyond its margin with both of them at their margins."""
    num_real: int
    num_generated: int
    num_parents: int
    """Micrographs that the real values come from."""

    @property
    def agrees(self) -> bool:
        """Whether both intervals lie inside their margins."""
        return self.shift.inside(MARGIN_MEAN) and self.spread.inside(math.log(MARGIN_SPREAD))


def verdicts(found: Sequence[Agreement]) -> list[Verdict]:
    """The verdict on each of the descriptors of one comparison.

    One agrees with both intervals inside their margins. Which differ is told so that the chance of any false one among
    them all is about 5 % (Holm, Scand. J. Statist. 6 (1979) 65-70): of eleven tested one by one, five of which are just
    tolerable, some would be told to differ in a third of all comparisons.
    """
    differs = 0
    ordered = sorted(range(len(found)), key=lambda i: found[i].p_value)
    while differs < len(found) and found[ordered[differs]].p_value <= LEVEL / (len(found) - differs):
        differs += 1
    shown = set(ordered[:differs])
    return ["differs" if i in shown else "agrees" if one.agrees else "open" for i, one in enumerate(found)]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Differs with one descriptor that does; agrees with three quarters that do; else open.

    >>> overall(["agrees", "agrees", "agrees", "open"]), overall(["agrees", "differs"]), overall([])
    ('agrees', 'differs', 'open')
    """
    if "differs" in verdicts:
        return "differs"
    return "agrees" if verdicts and verdicts.count("agrees") >= ENOUGH_AGREE * len(verdicts) else "open"


def agreement(
    real: Float[np.ndarray, " n"],
    real_parents: Int[np.ndarray, " n"],
    generated: Float[np.ndarray, " m"],
    generated_parents: Int[np.ndarray, " m"],
) -> Agreement | None:
    """Compare the values of one descriptor; NaN means that an image has none, and is left out.

    None where a side has values from fewer than `LEAST` parents, or where the real ones do not vary.
    """
    real_parents, real = real_parents[~np.isnan(real)], real[~np.isnan(real)]
    generated_parents, generated = generated_parents[~np.isnan(generated)], generated[~np.isnan(generated)]
    if min(len(np.unique(real_parents)), len(np.unique(generated_parents))) < LEAST or np.ptp(real) == 0:
        return None
    least = TINY * float(real.std())
    sides = _side(real, real_parents, least=least), _side(generated, generated_parents, least=least)
    shift, p_shift = _shift(*sides)
    spread, p_spread = _spread(*sides)
    return Agreement(
        real_mean=float(real.mean()),
        generated_mean=float(generated.mean()),
        shift=shift,
        spread=spread,
        p_value=min(1.0, 2 * min(p_shift, p_spread)),
        num_real=len(real),
        num_generated=len(generated),
        num_parents=len(sides[0].means),
    )


def is_lacking(
    real: Float[np.ndarray, " n"], real_parents: Int[np.ndarray, " n"], generated: Float[np.ndarray, " m"]
) -> bool:
    """Whether the generated images hardly have what most of the real ones have; NaN means that an image has none.

    Without particles there is no mean diameter to be compared, and that is not in favour of a generator. Not told
    from fewer than `LEAST` real parents or generated images: of six with a true share of a half, none has it in 1.6 %
    of the cases.

    >>> is_lacking(np.array([3.0, 2.0, 4.0, 3.0, 2.0, np.nan]), np.arange(6), np.full(6, np.nan))
    True
    """
    if min(len(np.unique(real_parents)), len(generated)) < LEAST:
        return False
    shares = [float((~np.isnan(values)).mean()) for values in (real, generated)]
    return shares[0] >= MOSTLY and shares[1] <= HARDLY


def shifts(real: Float[np.ndarray, "n q"], generated: Float[np.ndarray, "m q"]) -> Float[np.ndarray, " q"]:
    """The difference of the means of each descriptor, in standard deviations of the real images.

    NaN means that an image has none. A descriptor that no generated image has counts `ABSENT`; one that no real image
    has, or that does not vary among them, is NaN.

    >>> shifts(np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[-2.0, 9.0]]))
    array([-3., nan])
    """
    found = np.full(real.shape[1], np.nan)
    for place, (column, other) in enumerate(zip(real.T, generated.T, strict=True)):
        column, other = column[~np.isnan(column)], other[~np.isnan(other)]
        if len(column) and np.ptp(column):
            found[place] = (other.mean() - column.mean()) / column.std() if len(other) else ABSENT
    return found


def descriptor_error(shifts: Float[np.ndarray, " q"]) -> float:
    """Mean over the descriptors that have one of the size of their shift: one number to follow a training by.

    >>> descriptor_error(np.array([-3.0, np.nan, 1.0]))
    2.0
    """
    there = np.abs(shifts[~np.isnan(shifts)])
    return float(there.mean()) if len(there) else 0.0


@dataclass(frozen=True)
class _Side:
    """Mean and variance over the images of one side, and the same without each of the parents."""

    mean: float
    variance: float
    means: Float[np.ndarray, " p"]
    variances: Float[np.ndarray, " p"]
    freedom: float
    """One less than the number of equal parents that would tell as much (Kish, Survey Sampling, 1965), at least 1."""


def _side(values: Float[np.ndarray, " n"], parents: Int[np.ndarray, " n"], *, least: float) -> _Side:
    """The variance is half of the mean squared difference between two images of different parents.

    So it is not too small where the parents are few, as the variance about the mean is; with one image a parent it is
    the usual one. It counts as no less than `least` squared: values all alike give a large number and not infinity.
    """
    centre = values.mean()  # taken off first, so that the squares keep their digits
    _, place = np.unique(parents, return_inverse=True)
    count, first, second = (np.bincount(place, weights=(values - centre) ** k) for k in range(3))
    sums = np.stack([count, first, second, count**2, count * second - first**2])
    total = sums.sum(axis=1, keepdims=True)
    count, first, second, pairs_within, squares_within = np.hstack([total, total - sums])
    means = centre + first / count
    variances = (count * second - first**2 - squares_within) / (count**2 - pairs_within)
    variances = np.maximum(variances, least**2)
    freedom = max(float(total[0, 0] ** 2 / total[3, 0]) - 1, 1.0)
    return _Side(float(means[0]), float(variances[0]), means[1:], variances[1:], freedom)


def _jackknife(estimates: Float[np.ndarray, " p"]) -> float:
    """Squared standard error of an estimate near 1, from what it is without each of the parents; never quite zero."""
    return max((len(estimates) - 1) * float(np.var(estimates)), TINY**2)


def _shift(real: _Side, generated: _Side) -> tuple[Interval, float]:
    """The shift, and the chance that it comes out as far beyond the margin with the true one at it."""
    value = (generated.mean - real.mean) / math.sqrt(real.variance)
    errors = (
        _jackknife((generated.mean - real.means) / np.sqrt(real.variances)),
        _jackknife((generated.means - real.mean) / math.sqrt(real.variance)),
    )
    freedom, error = _freedom(real, generated, errors), math.sqrt(sum(errors))
    half = error * _quantile(freedom)
    return Interval(value, value - half, value + half), _chance_above((abs(value) - MARGIN_MEAN) / error, freedom)


def _spread(real: _Side, generated: _Side) -> tuple[Interval, float]:
    """The logarithm of the ratio of the standard deviations, and the chance as of the shift.

    The interval is that of a ratio of two estimates (Fieller, J. R. Stat. Soc. B 16 (1954) 175-185), of 1 / variance.
    A few micrographs without the rare, extreme one have too small a variance, and the jackknife then sees too small an
    error of it. The inverse is then too large and its error with it, and the two make up for each other.
    """
    ratio = generated.variance / real.variance
    errors = _jackknife(real.variance / real.variances), _jackknife(generated.variance / generated.variances)
    freedom = _freedom(real, generated, errors)
    of_real, of_generated = (error * _quantile(freedom) ** 2 for error in errors)
    root = math.sqrt(max(of_real + of_generated - of_real * of_generated, 0.0))
    low = max(1 - of_real, TINY) / (1 + root)  # a millionth stands for no lower end, a million for no upper one
    high = (1 + root) / max(1 - of_generated, TINY)
    interval = Interval(*(math.log(ratio * factor) / 2 for factor in (1.0, low, high)))

    def beyond(margin: float) -> float:
        return (ratio - margin) / math.hypot(ratio * math.sqrt(errors[0]), margin * math.sqrt(errors[1]))

    furthest = max(beyond(MARGIN_SPREAD**2), -beyond(MARGIN_SPREAD**-2))
    return interval, _chance_above(furthest, freedom)


def _freedom(real: _Side, generated: _Side, errors: tuple[float, float]) -> float:
    """Welch's degrees of freedom of the sum of two squared errors."""
    return sum(errors) ** 2 / (errors[0] ** 2 / real.freedom + errors[1] ** 2 / generated.freedom)


def _quantile(freedom: float) -> float:
    return float(scipy.special.stdtrit(freedom, 1 - LEVEL))


def _chance_above(t: float, freedom: float) -> float:
    return float(scipy.special.stdtr(freedom, -t))

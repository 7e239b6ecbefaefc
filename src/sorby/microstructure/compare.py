"""Two sets of images, one descriptor at a time: whether the second has the microstructure of the first.

A test that finds no difference proves nothing, so equivalence is tested: the interval of the difference must lie inside
a margin stated beforehand (two one-sided tests, Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657-680). Both the
mean and the spread are asked for. Patches of one micrograph are not independent: intervals come from drawing whole
micrographs with replacement (bootstrap by cluster, Davison & Hinkley 1997, section 3.8).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

MARGIN_MEAN = 0.5
"""The means may differ by half of the standard deviation among the real images ..."""
MARGIN_SPREAD = 2.0
"""... and the standard deviations by a factor of two."""
DRAWS = 1000
INTERVAL = 0.90
"""Two one-sided tests at 5 % are one interval of 90 %."""
TINY = 1e-6
ABSENT = 5.0
"""Standard deviations that a descriptor counts which the generated images have not at all."""
LEAST = 12
"""Parents on a side, for an interval. Drawn from so few, intervals are still somewhat short; from 20 on they hold."""

ENOUGH_AGREE = 0.75
"""Share of the descriptors that must agree, with none that differs, for the microstructure to agree."""

Verdict = Literal["agrees", "differs", "open"]
Number = float | np.ndarray


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
    num_real: int
    num_generated: int
    num_parents: int
    """Micrographs that the real values come from."""

    @property
    def verdict(self) -> Verdict:
        """Agrees with both intervals inside their margins, differs with one of them wholly outside, else is open."""
        if self.shift.outside(MARGIN_MEAN) or self.spread.outside(math.log(MARGIN_SPREAD)):
            return "differs"
        if self.shift.inside(MARGIN_MEAN) and self.spread.inside(math.log(MARGIN_SPREAD)):
            return "agrees"
        return "open"


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
    *,
    rng: np.random.Generator,
) -> Agreement | None:
    """Compare the values of one descriptor; NaN means that an image has none, and is left out.

    None where a side has values from fewer than `LEAST` parents, or where the real ones do not vary.
    """
    real_parents, real = real_parents[~np.isnan(real)], real[~np.isnan(real)]
    generated_parents, generated = generated_parents[~np.isnan(generated)], generated[~np.isnan(generated)]
    if min(len(np.unique(real_parents)), len(np.unique(generated_parents))) < LEAST or np.ptp(real) == 0:
        return None
    sides = ((real, real_parents), (generated, generated_parents))
    samples = [_resampled(values, parents, rng) for values, parents in sides]
    tails = (1 - INTERVAL) / 2
    least = TINY * float(real.std())
    shifts, spreads = (np.quantile(x, [tails, 1 - tails]).tolist() for x in _differences(*samples, least=least))
    moments = [(values.mean(), values.std()) for values, _ in sides]
    shift, spread = map(float, _differences(*moments, least=least))
    return Agreement(
        real_mean=float(real.mean()),
        generated_mean=float(generated.mean()),
        shift=Interval(shift, *shifts),
        spread=Interval(spread, *spreads),
        num_real=len(real),
        num_generated=len(generated),
        num_parents=len(np.unique(real_parents)),
    )


def descriptor_error(real: Float[np.ndarray, "n q"], generated: Float[np.ndarray, "m q"]) -> float:
    """Mean over the descriptors of the shift of their mean, in standard deviations of the real images.

    One number to follow a training by. NaN means that an image has none; a descriptor that no generated image has
    counts `ABSENT`, and one that no real image has, or that does not vary among them, does not count.

    >>> descriptor_error(np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[3.0, 9.0]]))
    2.0
    """
    shifts = []
    for column, other in zip(real.T, generated.T, strict=True):
        column, other = column[~np.isnan(column)], other[~np.isnan(other)]
        if len(column) == 0 or np.ptp(column) == 0:
            continue
        shifts.append(abs(other.mean() - column.mean()) / column.std() if len(other) else ABSENT)
    return float(np.mean(shifts)) if shifts else 0.0


def _resampled(
    values: Float[np.ndarray, " n"], parents: Int[np.ndarray, " n"], rng: np.random.Generator
) -> tuple[Number, Number]:
    """Mean and standard deviation of the values of `DRAWS` draws of as many parents, with replacement."""
    _, place = np.unique(parents, return_inverse=True)
    centre = values.mean()  # taken off first, so that the squares keep their digits
    sums = np.stack([np.bincount(place, weights=(values - centre) ** k) for k in range(3)])
    num = sums.shape[1]
    count, first, second = sums @ rng.multinomial(num, np.full(num, 1 / num), size=DRAWS).T
    mean = first / count
    return centre + mean, np.sqrt(np.maximum(second / count - mean**2, 0))


def _differences(
    real: tuple[Number, Number], generated: tuple[Number, Number], *, least: float
) -> tuple[Number, Number]:
    """Shift of the mean in real standard deviations, and logarithm of the ratio of the standard deviations.

    A standard deviation counts as no less than `least`, so that values all alike give a large number and not infinity.
    """
    (mean, sd), (generated_mean, generated_sd) = real, generated
    sd, generated_sd = np.maximum(sd, least), np.maximum(generated_sd, least)
    return (generated_mean - mean) / sd, np.log(generated_sd / sd)

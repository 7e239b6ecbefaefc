"""How one quantity follows another over conditions: slope and R², with intervals from leaving out a condition."""

import math
from collections.abc import Callable

import numpy as np
import scipy.stats
from jaxtyping import Float, Int

from sorby.metrics.record import Line, Number
from sorby.microstructure.fraction import Estimate, estimate

LEAST_CONDITIONS = 3
"""Two points lie on a line whatever they are."""
TINY = 1e-12

Values = Float[np.ndarray, " n"]


def line_of(x: Values, y: Values, conditions: Int[np.ndarray, " n"]) -> Line | None:
    """Slope of `y` over `x`, and R² about the line y = x, of points that belong to `conditions`.

    The points of a condition have much in common, so the intervals come from leaving out one condition at a time
    (jackknife, with Student's t). That of R² is taken of log(1 - R²), which never exceeds 1.
    None for fewer than three conditions, and for `x` that differs between fewer than two.
    """
    distinct = np.unique(conditions)
    if len(distinct) < LEAST_CONDITIONS or np.ptp(x) == 0:
        return None
    slope_of = _jackknife(_slope, x, y, conditions)
    unexplained = _jackknife(lambda x, y: math.log(_unexplained(x, y)), x, y, conditions)
    low, high = (None if end is None else 1 - math.exp(end) for end in (unexplained.high, unexplained.low))
    r2 = Number(value=1 - math.exp(unexplained.value), low=low, high=high)
    return Line(slope=slope_of, r2=r2, num_conditions=len(distinct))


def number(of: Estimate, *, low: float = -math.inf, high: float = math.inf) -> Number:
    """A mean with its interval, cut to what it can be at all.

    >>> number(estimate(np.array([0.2, 0.3])), low=0)
    Number(value=0.25, low=0.0, high=0.885...)
    """
    ends = [None if end is None else float(np.clip(end, low, high)) for end in (of.low, of.high)]
    return Number(value=of.value, low=ends[0], high=ends[1])


def mean_number(values: Values, *, low: float = -math.inf, high: float = math.inf) -> Number:
    """Mean of independent values with its 95 % interval, cut to what it can be at all."""
    return number(estimate(values), low=low, high=high)


def _jackknife(
    statistic: Callable[[Values, Values], float], x: Values, y: Values, conditions: Int[np.ndarray, " n"]
) -> Number:
    """Without an interval where `x` is all alike when one condition is left out."""
    value = statistic(x, y)
    kept = [conditions != left_out for left_out in np.unique(conditions)]
    if any(np.ptp(x[keep]) == 0 for keep in kept):
        return Number(value=value)
    without = [statistic(x[keep], y[keep]) for keep in kept]
    freedom = len(without) - 1
    half = float(scipy.stats.t.ppf(0.975, freedom)) * math.sqrt(freedom * np.var(without))
    return Number(value=value, low=value - half, high=value + half)


def _slope(x: Values, y: Values) -> float:
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def _unexplained(x: Values, y: Values) -> float:
    """Squared distance from y = x as a share of the squared spread of x; never quite zero."""
    return max(float(np.sum((y - x) ** 2) / np.sum((x - x.mean()) ** 2)), TINY)

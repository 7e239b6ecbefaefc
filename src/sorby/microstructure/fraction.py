"""Volume fraction from fields of view, in the manner of ASTM E562 and E1245.

The area fraction estimates the volume fraction without bias where sections and fields are taken uniformly at random
(Delesse); a section along a texture, or fields chosen by eye, are not. Fields are independent samples only if they are
of different places: patches of one micrograph make one field.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float, Shaped

from sorby.errors import DataError


@dataclass(frozen=True)
class Estimate:
    """A mean over fields with its 95 % confidence interval."""

    value: float
    low: float | None
    """None for one field, which says nothing about the spread."""
    high: float | None
    num: int
    """Fields."""
    relative_accuracy: float | None
    """Half width of the interval over the mean, as a share; None for one field or a mean of zero."""


def area_fraction(mask: Bool[np.ndarray, "h w"]) -> float:
    """Share of the pixels that are True, 0 to 1."""
    return float(mask.mean())


def by_parent(values: Float[np.ndarray, " n"], parents: Shaped[np.ndarray, " n"]) -> Float[np.ndarray, " p"]:
    """Mean of the values of each parent: the fields of one micrograph are not independent, and make one value.

    >>> by_parent(np.array([1.0, 3.0, 5.0]), np.array(["a", "a", "b"]))
    array([2., 5.])
    """
    _, place = np.unique(parents, return_inverse=True)
    return np.bincount(place, weights=values) / np.bincount(place)


def estimate(fields: Float[np.ndarray, " n"]) -> Estimate:
    """Mean over fields with the interval ± t s / sqrt(n), t of n - 1 degrees of freedom (ASTM E562, E1245).

    The interval is not cut at 0 or 1, as the standards do not. Raises `DataError` for no field or one that is not
    finite.

    >>> estimate(np.array([0.2, 0.3]))
    Estimate(value=0.25, low=-0.385..., high=0.885..., num=2, relative_accuracy=2.541...)
    """
    num = len(fields)
    if num == 0 or not np.isfinite(fields).all():
        raise DataError(f"{num} fields came, {np.isnan(fields).sum()} without a number: expected one number a field.")
    mean = float(fields.mean())
    if num == 1:
        return Estimate(value=mean, low=None, high=None, num=1, relative_accuracy=None)
    half = float(scipy.stats.t.ppf(0.975, num - 1) * fields.std(ddof=1) / math.sqrt(num))
    relative = half / abs(mean) if mean else None
    return Estimate(value=mean, low=mean - half, high=mean + half, num=num, relative_accuracy=relative)

"""What one would say of an unseen condition without a generator, from the micrographs of the conditions seen."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.interpolate import RBFInterpolator

Points = Float[np.ndarray, "c k"]


def nearest(seen: Points, unseen: Float[np.ndarray, " k"], values: Float[np.ndarray, " c"]) -> float:
    """The value at the nearest condition seen.

    >>> nearest(np.array([[0.0], [1.0]]), np.array([0.4]), np.array([5.0, 7.0]))
    5.0
    """
    return float(values[np.argmin(np.linalg.norm(seen - unseen, axis=1))])


def interpolated(seen: Points, unseen: Float[np.ndarray, " k"], values: Float[np.ndarray, " c"]) -> float:
    """The value of a spline through those at the conditions seen: piecewise linear along a line.

    Polyharmonic spline of the first degree with a linear trend (Duchon 1977), which follows any linear relation exactly
    in and beyond the data; with a constant one where the conditions seen do not span their space.

    >>> interpolated(np.array([[0.0], [1.0], [3.0]]), np.array([2.0]), np.array([5.0, 7.0, 8.0]))
    7.5
    """
    spans = np.linalg.matrix_rank(np.column_stack([np.ones(len(seen)), seen])) == seen.shape[1] + 1
    spline = RBFInterpolator(seen, values, kernel="linear", degree=1 if spans else 0)
    return round(float(spline(unseen[None])[0]), 12)


def baselines(
    points: Mapping[str, Float[np.ndarray, " k"]], means: Mapping[str, float], unseen: str, *, as_logarithm: bool
) -> tuple[float, float]:
    """Nearest and interpolated value at the condition `unseen`, from `means` at those seen.

    `points` are the conditions, encoded and so standardised. `as_logarithm` interpolates what is positive by ratios.
    """
    names = list(means)
    seen, values = np.array([points[name] for name in names], np.float64), np.array([means[name] for name in names])
    at = np.asarray(points[unseen], np.float64)
    scaled = np.log(values) if as_logarithm else values
    between = interpolated(seen, at, scaled)
    return nearest(seen, at, values), float(np.exp(between)) if as_logarithm else between

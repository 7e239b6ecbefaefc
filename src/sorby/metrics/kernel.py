"""Kernel distance between two sets of features (KID, Bińkowski et al. 2018)."""

import numpy as np
from jaxtyping import Float

ROWS = 1024  # images per block, so that memory does not grow with the number of images squared


def polynomial_kernel(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """(x . y / d + 1) ** 3."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"]) -> float:
    """Squared maximum mean discrepancy, unbiased: 0 on average for two samples of one distribution, so also negative.

    Takes every pair of images once. The published KID averages the same over random subsets of 1,000, which has the
    same expectation and a larger variance. At least two images a side.
    """
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    return _mean_of_pairs(real) + _mean_of_pairs(generated) - 2 * _sum(real, generated) / (len(real) * len(generated))


def _mean_of_pairs(x: Float[np.ndarray, "n d"]) -> float:
    """Mean kernel of two different images of one set."""
    itself = ((np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3).sum()
    return float(_sum(x, x) - itself) / (len(x) * (len(x) - 1))


def _sum(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> float:
    return float(sum(polynomial_kernel(x[i : i + ROWS], y).sum() for i in range(0, len(x), ROWS)))

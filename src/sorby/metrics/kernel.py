"""Kernel distance between two sets of features (KID, Bińkowski et al. 2018)."""

import numpy as np
from jaxtyping import Float

ROWS = 256  # images per block, so that memory does not grow with the number of images squared


def polynomial_kernel(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """(x . y / d + 1) ** 3.

    Products are taken in the precision of the features, all else in double. Rounding a product is like noise, which the
    mean over pairs takes away: KID of 1,000 images moves by 1e-10. Single precision all through moves it by 1e-7.
    """
    base = (x @ y.T).astype(np.float64)
    base /= x.shape[1]
    base += 1
    return base * base * base  # ten times faster than a power


def kernel_distance(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"]) -> float:
    """Squared maximum mean discrepancy, unbiased: 0 on average for two samples of one distribution, so also negative.

    Takes every pair of images once. The published KID averages the same over random subsets of 1,000, which has the
    same expectation and a larger variance. At least two images a side.
    """
    across = sum(polynomial_kernel(rows, generated).sum() for rows in np.split(real, range(ROWS, len(real), ROWS)))
    return float(_mean_of_pairs(real) + _mean_of_pairs(generated) - 2 * across / (len(real) * len(generated)))


def _mean_of_pairs(x: Float[np.ndarray, "n d"]) -> float:
    """Mean kernel of two different images of one set."""
    total = 0.0
    for start in range(0, len(x), ROWS):
        rows = x[start : start + ROWS]
        among = polynomial_kernel(rows, rows)
        total += among.sum() - among.trace() + 2 * polynomial_kernel(rows, x[start + ROWS :]).sum()
    return total / (len(x) * (len(x) - 1))

"""Fréchet distance between two sets of features (Heusel et al. 2017; paper A, equation 1)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class FeatureStats:
    """Mean and covariance of a set of features; the covariance as a factor, cov = root.T @ root."""

    mean: Float[np.ndarray, " d"]
    root: Float[np.ndarray, "r d"]
    num_images: int


def feature_stats(features: Float[np.ndarray, "n d"]) -> FeatureStats:
    """Mean and covariance (divisor n - 1) in double precision, of at least two images.

    The factor has min(n, d) rows: with fewer images than features the covariance is singular, and no part of the
    distance below ever inverts it or takes its root.
    """
    n, d = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    centred = (features - mean) / np.sqrt(n - 1)
    root = centred if n <= d else np.asarray(np.linalg.qr(centred, mode="r"))
    return FeatureStats(mean, root, n)


def frechet_distance(a: FeatureStats, b: FeatureStats) -> float:
    """Squared Fréchet distance between two Gaussians (Dowson & Landau 1982), >= 0.

    Biased upwards for few images: compare only values with equal `num_images`.
    """
    shift = a.mean - b.mean
    # The eigenvalues of A B are the squared singular values of root_a @ root_b.T, so that Tr sqrt(AB) is a sum of
    # singular values: real and >= 0 however few the images, where a matrix square root turns imaginary.
    roots = np.linalg.svd(a.root @ b.root.T, compute_uv=False)
    distance = shift @ shift + np.square(a.root).sum() + np.square(b.root).sum() - 2 * roots.sum()
    return float(max(distance, 0.0))

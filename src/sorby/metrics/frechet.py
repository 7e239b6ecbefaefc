"""Fréchet distance between two sets of features (Heusel et al. 2017; paper A, equation 1)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import lapack

ROWS = 1024  # images per block


@dataclass(frozen=True)
class FeatureStats:
    """Mean and covariance of a set of features; the covariance as a factor, cov = root.T @ root."""

    mean: Float[np.ndarray, " d"]
    root: Float[np.ndarray, "r d"]


def feature_stats(features: Float[np.ndarray, "n d"]) -> FeatureStats:
    """Mean and covariance (divisor n - 1) in double precision, of at least two images.

    The factor has at most min(n, d) rows: with fewer images than features the covariance is singular, and no part of
    the distance below ever inverts it or takes its root.
    """
    n, d = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    root = (features - mean) / np.sqrt(n - 1) if n <= d else _factor(_covariance(features, mean))
    return FeatureStats(mean, root)


def frechet_distance(a: FeatureStats, b: FeatureStats) -> float:
    """Squared Fréchet distance between two Gaussians (Dowson & Landau 1982), >= 0.

    Biased upwards for few images: compare only values of equal numbers of images.
    """
    shift = a.mean - b.mean
    # The eigenvalues of A B are the squared singular values of root_a @ root_b.T, so that Tr sqrt(AB) is a sum of
    # singular values: real and >= 0 however few the images, where a matrix square root turns imaginary.
    roots = np.linalg.svd(a.root @ b.root.T, compute_uv=False)
    distance = shift @ shift + np.square(a.root).sum() + np.square(b.root).sum() - 2 * roots.sum()
    return float(max(distance, 0.0))


def _covariance(features: Float[np.ndarray, "n d"], mean: Float[np.ndarray, " d"]) -> Float[np.ndarray, "d d"]:
    """Sums over some images at a time, so that there is never a copy of all features in double precision."""
    n, d = features.shape
    total = np.zeros((d, d))
    for start in range(0, n, ROWS):
        centred = features[start : start + ROWS] - mean
        total += centred.T @ centred
    return total / (n - 1)


def _factor(cov: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "r d"]:
    """Cholesky factor with pivots, which a singular covariance has too (Higham 1990), written over `cov`.

    With the covariance itself this takes half the time of a QR of the features.
    """
    upper, pivots, rank, _ = lapack.dpstrf(cov.T, overwrite_a=True)
    root = np.empty((rank, len(cov)))
    root[:, pivots - 1] = np.triu(upper)[:rank]
    return root

"""Scores from nearest neighbours.

Precision and recall are those of Kynkäänniemi et al. 2019, equations 1 to 3 (paper A, equations 2 and 3), density and
coverage those of Naeem et al. 2020, equations 3 and 4.

Around each image of a set lies a ball that reaches its k-th nearest neighbour in the same set; the balls together are
the set's manifold. All is done block by block: memory grows with the number of images and not with its square.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

ROWS = 1024  # images per block
ROUNDING = 1e-12  # of the largest squared norm: two identical images are at distance zero, whatever the block


@dataclass(frozen=True)
class NeighbourScores:
    """How two sets of images lie among each other."""

    precision: float
    """Share of generated images inside the manifold of the real ones, 0 to 1: the higher, the more believable."""
    recall: float
    """Share of real images inside the manifold of the generated ones, 0 to 1: the higher, the more varied."""
    density: float
    """Mean number of real balls that hold a generated image, over k; about 1 for equal distributions, unlimited.
    Single outliers among the real images mislead it less than precision."""
    coverage: float
    """Share of real balls that hold at least one generated image, 0 to 1."""


def neighbour_scores(
    real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, k: int = 3, k_density: int = 5
) -> NeighbourScores:
    """All four scores: the first two with `k` neighbours, the others with `k_density`, as in their papers.

    More images than neighbours are needed on both sides. Precision and recall rise as images become fewer: compare
    only values of equal numbers of images.
    """
    reach, wide_reach = radii(real, ks=(k, k_density))
    (generated_reach,) = radii(generated, ks=(k,))
    recalled, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    believable = balls = 0
    for rows, block in squared_distances(generated, real):
        inside = block <= wide_reach
        believable += int((block <= reach).any(axis=1).sum())
        balls += int(inside.sum())
        covered |= inside.any(axis=0)
        recalled |= (block <= generated_reach[rows, None]).any(axis=0)
    return NeighbourScores(
        precision=believable / len(generated),
        recall=float(recalled.mean()),
        density=balls / (k_density * len(generated)),
        coverage=float(covered.mean()),
    )


def radii(features: Float[np.ndarray, "n d"], *, ks: tuple[int, ...]) -> list[Float[np.ndarray, " n"]]:
    """Squared distance of each image to its k-th nearest other image, for each k."""
    found = [np.empty(len(features)) for _ in ks]
    for rows, block in squared_distances(features, features):
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        block.partition([k - 1 for k in ks], axis=1)
        for radius, k in zip(found, ks, strict=True):
            radius[rows] = block[:, k - 1]
    return found


def nearest(
    queries: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Index of the nearest of `others` to each query, and its distance."""
    index, squared = np.empty(len(queries), dtype=np.int64), np.empty(len(queries))
    for rows, block in squared_distances(queries, others):
        index[rows], squared[rows] = block.argmin(axis=1), block.min(axis=1)
    return index, np.sqrt(squared)


def squared_distances(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float[np.ndarray, "b m"]]]:
    """Squared Euclidean distances of blocks of rows of `x` to all of `y`, with the place of each block."""
    middle = y.mean(axis=0, dtype=np.float64)
    x, y = x - middle, y - middle
    x_norms, y_norms = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    smallest = ROUNDING * max(x_norms.max(), y_norms.max())
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        block = x_norms[rows, None] + y_norms - 2 * x[rows] @ y.T
        block[block <= smallest] = 0
        yield rows, block

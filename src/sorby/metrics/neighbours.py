"""Scores from nearest neighbours: precision and recall (Kynkäänniemi et al. 2019, equations 1 to 3; paper A, equation 2
and 3), density and coverage (Naeem et al. 2020, equations 3 and 4).

Around each image of a set lies a ball that reaches its k-th nearest neighbour in the same set; the balls together are
the set's manifold. All is done block by block: memory grows with the number of images and not with its square.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

ROWS = 1024  # images per block
ROUNDING = 1e-12  # of the largest squared norm: two identical images are at distance zero, whatever the block


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


def radii(features: Float[np.ndarray, "n d"], *, k: int) -> Float[np.ndarray, " n"]:
    """Squared distance of each image to its k-th nearest other image; more than `k` images are needed."""
    found = np.empty(len(features))
    for rows, block in squared_distances(features, features):
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        found[rows] = np.partition(block, k - 1, axis=1)[:, k - 1]
    return found


def precision(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, k: int = 3) -> float:
    """Share of generated images inside the manifold of the real ones, 0 to 1: the higher, the more believable."""
    return float(_inside(generated, real, k=k).mean())


def recall(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, k: int = 3) -> float:
    """Share of real images inside the manifold of the generated ones, 0 to 1: the higher, the more varied."""
    return float(_inside(real, generated, k=k).mean())


def density(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, k: int = 5) -> float:
    """Mean number of real balls that hold a generated image, over k: about 1 for equal distributions, not limited to 1.

    Less led astray by single outliers among the real images than precision.
    """
    reach = radii(real, k=k)
    held = sum(int((block <= reach).sum()) for _, block in squared_distances(generated, real))
    return held / (k * len(generated))


def coverage(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, k: int = 5) -> float:
    """Share of real balls that hold at least one generated image, 0 to 1."""
    return float((nearest(real, generated)[1] <= radii(real, k=k)).mean())


def nearest(
    queries: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Index of the nearest of `others` to each query, and its squared distance."""
    index, distance = np.empty(len(queries), dtype=np.int64), np.empty(len(queries))
    for rows, block in squared_distances(queries, others):
        index[rows], distance[rows] = block.argmin(axis=1), block.min(axis=1)
    return index, distance


def _inside(points: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"], *, k: int) -> Bool[np.ndarray, " n"]:
    """Whether each point lies in the manifold of `others`."""
    reach = radii(others, k=k)
    return np.concatenate([(block <= reach).any(axis=1) for _, block in squared_distances(points, others)])

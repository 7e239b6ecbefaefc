"""Scores from nearest neighbours.

Precision and recall are those of Kynkäänniemi et al. 2019, equations 1 to 3 (paper A, equations 2 and 3), density and
coverage those of Naeem et al. 2020, equations 3 and 4.

Around each image of a set lies a ball that reaches its k-th nearest neighbour in the same set; the balls together are
the set's manifold. All is done block by block: memory grows with the number of images and not with its square.

Every comparison is that of the distances in double precision, whatever the blocks. Most are settled by a matrix product
in single precision, whose rounding has a bound; only the pairs closer to the threshold than that are looked at again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

ROWS = 1024  # images per block
PAIRS = 256  # measured at once in double precision: few enough for the cache
MINIMA = 256  # groups of columns, whose smallest values bound the k-th smallest of a row


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
    for block in blocks(generated, real):
        inside = block.within(wide_reach)
        believable += int(block.within(reach).any(axis=1).sum())
        balls += int(inside.sum())
        covered |= inside.any(axis=0)
        recalled |= block.within(generated_reach[block.rows, None]).any(axis=0)
    return NeighbourScores(
        precision=believable / len(generated),
        recall=float(recalled.mean()),
        density=balls / (k_density * len(generated)),
        coverage=float(covered.mean()),
    )


def radii(features: Float[np.ndarray, "n d"], *, ks: tuple[int, ...]) -> list[Float[np.ndarray, " n"]]:
    """Squared distance of each image to its k-th nearest other image, for each k."""
    found = np.empty((max(ks), len(features)))
    for block in blocks(features, features):
        block.estimate[np.arange(len(block.estimate)), np.arange(block.rows.start, block.rows.stop)] = np.inf
        found[:, block.rows] = block.nearest(max(ks))[1].T
    return [found[k - 1] for k in ks]


def nearest(
    queries: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Index of the nearest of `others` to each query, and its distance."""
    found = [block.nearest(1) for block in blocks(queries, others)]
    index, squared = (np.concatenate(parts)[:, 0] for parts in zip(*found, strict=True))
    return index, np.sqrt(squared)


@dataclass(frozen=True, eq=False)
class Block:
    """Squared Euclidean distances of some rows of `x` to all of `y`."""

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "m d"]
    rows: slice
    estimate: Float32[np.ndarray, "b m"]
    error: float
    """What an estimate is off by at most."""

    def within(self, reach: Float[np.ndarray, "*_"]) -> Bool[np.ndarray, "b m"]:
        """Which distances are at most `reach`, which has one value a column or one a row."""
        inside = self.estimate <= (reach - self.error).astype(np.float32)
        i, j = _places(inside ^ (self.estimate <= (reach + self.error).astype(np.float32)))
        inside[i, j] = self.exact(i, j) <= np.broadcast_to(reach, inside.shape)[i, j]
        return inside

    def nearest(self, num: int) -> tuple[Int[np.ndarray, "b k"], Float[np.ndarray, "b k"]]:
        """Columns of the `num` smallest distances of each row, and those distances, smallest first."""
        # All that are truly among the nearest have an estimate of at most the num-th smallest and twice the error.
        most = _bound(self.estimate, num) + np.float32(2 * self.error)
        i, j = _places(self.estimate <= most[:, None])
        exact = self.exact(i, j)
        first = np.searchsorted(i, np.arange(len(self.estimate)))
        chosen = np.lexsort((exact, i))[first[:, None] + np.arange(num)]
        return j[chosen], exact[chosen]

    def exact(self, i: Int[np.ndarray, " p"], j: Int[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Distances in double precision: the same from `x` to `y` as from `y` to `x`, and zero of equal images."""
        squared = np.empty(len(i))
        for start in range(0, len(i), PAIRS):
            part = slice(start, start + PAIRS)
            between = self.x[self.rows.start + i[part]].astype(np.float64) - self.y[j[part]]
            squared[part] = np.einsum("pd,pd->p", between, between)
        return squared


def blocks(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> Iterator[Block]:
    """Distances of all rows of `x` to all of `y`, some rows at a time; the next block takes the memory of the last."""
    middle = y.mean(axis=0, dtype=np.float64).astype(np.float32)
    right = _with_norms(y, middle)
    estimate = np.empty((ROWS, len(y)), dtype=np.float32)
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        left = _with_norms(x[rows], middle)
        # The products of d + 2 rounded numbers are summed in any order; 16 more for what is rounded before and after.
        longest = np.sqrt(left[:, -2].max(), dtype=np.float64) + np.sqrt(right[:, -2].max(), dtype=np.float64)
        error = (x.shape[1] + 16) * 2.0**-24 * float(longest) ** 2
        left[:, :-2] *= -2
        left[:, [-2, -1]] = left[:, [-1, -2]]
        yield Block(x, y, rows, np.matmul(left, right.T, out=estimate[: len(left)]), error)


def _with_norms(
    features: Float[np.ndarray, "n d"], middle: Float32[np.ndarray, " d"]
) -> Float32[np.ndarray, "n d_and_two"]:
    """Features about `middle`, their squared norms, and ones."""
    n, d = features.shape
    found = np.ones((n, d + 2), dtype=np.float32)
    centred = np.subtract(features, middle, out=found[:, :d], casting="same_kind")
    found[:, d] = np.einsum("nd,nd->n", centred, centred, dtype=np.float64)
    return found


def _bound(block: Float32[np.ndarray, "b m"], num: int) -> Float32[np.ndarray, " b"]:
    """At least the num-th smallest value of each row, and rarely much more: that of the minima of groups of columns.

    An eighth of the time of a partition of the row.
    """
    b, m = block.shape
    size = max(m // max(MINIMA, num), 1)
    minima = block[:, : m // size * size].reshape(b, size, -1).min(axis=1)
    return np.partition(minima, num - 1, axis=1)[:, num - 1]


def _places(chosen: Bool[np.ndarray, "b m"]) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """Row and column of what is True, row by row; where that is little, in a tenth of the time of `np.nonzero`."""
    return np.divmod(np.flatnonzero(chosen), chosen.shape[1])

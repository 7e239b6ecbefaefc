"""How far a score would move with other micrographs and other generated images.

Patches of one micrograph are not independent, so whole micrographs are drawn. They are drawn without replacement, half
of them each time: in a bootstrap with replacement an image would be its own nearest neighbour and its own partner in
the kernel, which biases every score used here. The spread of the score over the halves estimates its standard error
(delete-half jackknife, Shao & Tu 1995, section 2.3: with half of the sample the factor is 1).
"""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.stats
from jaxtyping import Float, Int

METHOD = "value ± t s, s over {num} random halves of the micrographs and of the generated images"
LEAST_PARENTS = 6
NUM_HALVES = 24

Scorer = Callable[[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]], Mapping[str, float]]


def half_widths(
    score: Scorer,
    real: Float[np.ndarray, "n d"],
    real_parents: Int[np.ndarray, " n"],
    generated: Float[np.ndarray, "m d"],
    generated_parents: Int[np.ndarray, " m"],
    *,
    rng: np.random.Generator,
    least: int,
) -> dict[str, float]:
    """Half width of the 95 % interval of each score.

    Empty where a side has fewer than `LEAST_PARENTS` parents, or where its halves may have fewer than `least` images.
    """
    sides = ((real, real_parents), (generated, generated_parents))
    if any(_smallest_half(parents) < least for _, parents in sides):
        return {}
    values = [score(*(x[half_of(parents, rng)] for x, parents in sides)) for _ in range(NUM_HALVES)]
    freedom = min(NUM_HALVES, *(len(np.unique(parents)) for _, parents in sides)) - 1
    t = float(scipy.stats.t.ppf(0.975, freedom))
    return {name: t * float(np.std([v[name] for v in values], ddof=1)) for name in values[0]}


def half_of(parents: Int[np.ndarray, " n"], rng: np.random.Generator) -> Int[np.ndarray, " h"]:
    """Indices of the images of a random half of the parents, in order."""
    distinct = np.unique(parents)
    chosen = rng.permutation(distinct)[: len(distinct) // 2]
    return np.flatnonzero(np.isin(parents, chosen))


def _smallest_half(parents: Int[np.ndarray, " n"]) -> int:
    """Images in the half of the parents with the fewest; 0 where there are too few parents."""
    counts = np.sort(np.unique(parents, return_counts=True)[1])
    return int(counts[: len(counts) // 2].sum()) if len(counts) >= LEAST_PARENTS else 0

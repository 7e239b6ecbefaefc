"""Scores cheap enough to take while training."""

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from sorby.errors import DataError
from sorby.metrics.cache import cached_features
from sorby.metrics.features import extract_features, load_network
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.neighbours import neighbour_scores
from sorby.metrics.sets import ImageSet

MIN_IMAGES = 6  # a side: more than the neighbours counted
MOST_REAL = 2000


class QuickScores:
    """Scores of generated pictures against the same real ones, whose features are kept, on disk too.

    They follow a training; they are not to be quoted. Compare only scores of the same number of pictures, as FID falls
    with it: `sorby evaluate` gives scores with intervals and a floor.
    """

    def __init__(
        self,
        real: ImageSet,
        held_out: ImageSet | None = None,
        *,
        network: str = "efficientnet-lite0",
        device: torch.device | str = "cpu",
    ) -> None:
        """Take features of `real` and `held_out`, of `MOST_REAL` of each at most, always the same ones.

        Raises `DataError` for fewer than 6.
        """
        self.network = load_network(network, device=device)
        self._real = self._features(real)
        self._stats = feature_stats(self._real)
        self._held_out = None if held_out is None else self._features(held_out)
        self._held_out_stats = None if self._held_out is None else feature_stats(self._held_out)

    def __call__(self, generated: UInt8[np.ndarray, "m c h w"]) -> dict[str, float]:
        """`fid`, `kid`, `precision` and `recall` (k = 3) of at least six pictures, all finite; `held_out_fid` and
        `held_out_recall` against micrographs that nothing was trained on, where there are some.
        """
        _check(len(generated), "generated")
        features = extract_features(self.network, [generated])
        stats = feature_stats(features)
        near = neighbour_scores(self._real, features)
        scores = {
            "fid": frechet_distance(self._stats, stats),
            "kid": kernel_distance(self._real, features),
            "precision": near.precision,
            "recall": near.recall,
        }
        if self._held_out is not None and self._held_out_stats is not None:
            scores["held_out_fid"] = frechet_distance(self._held_out_stats, stats)
            scores["held_out_recall"] = neighbour_scores(self._held_out, features).recall
        return scores

    def _features(self, real: ImageSet) -> Float32[np.ndarray, "n d"]:
        _check(len(real), "real")
        return cached_features(real.at_most(MOST_REAL, seed=0), self.network)


def _check(num: int, which: str) -> None:
    if num < MIN_IMAGES:
        raise DataError(f"{num} {which} images came, scores need at least {MIN_IMAGES}: give more.")

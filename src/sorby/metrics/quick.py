"""Scores cheap enough to take while training."""

import numpy as np
import torch
from jaxtyping import UInt8

from sorby.errors import DataError
from sorby.metrics.features import extract_features, load_network
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.neighbours import neighbour_scores

MIN_IMAGES = 6  # a side: more than the neighbours counted


class QuickScores:
    """Scores of generated pictures against the same real ones, whose features are kept.

    They follow a training; they are not to be quoted. Compare only scores of the same number of pictures, as FID falls
    with it: `sorby evaluate` gives scores with intervals and a floor.
    """

    def __init__(
        self,
        real: UInt8[np.ndarray, "n c h w"],
        *,
        network: str = "efficientnet-lite0",
        max_real: int = 2000,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Take features of `real`, or of `max_real` of them drawn with `seed`; raises `DataError` for fewer than 6."""
        _check(real, "real")
        chosen = np.random.default_rng(seed).permutation(len(real))[:max_real]
        self.network = load_network(network, device=device)
        self._real = extract_features(self.network, [real[np.sort(chosen)]])
        self._stats = feature_stats(self._real)

    def __call__(self, generated: UInt8[np.ndarray, "m c h w"]) -> dict[str, float]:
        """`fid`, `kid`, `precision` and `recall` (k = 3) of at least six pictures; all finite."""
        _check(generated, "generated")
        features = extract_features(self.network, [generated])
        near = neighbour_scores(self._real, features)
        return {
            "fid": frechet_distance(self._stats, feature_stats(features)),
            "kid": kernel_distance(self._real, features),
            "precision": near.precision,
            "recall": near.recall,
        }


def _check(images: UInt8[np.ndarray, "n c h w"], which: str) -> None:
    if len(images) < MIN_IMAGES:
        raise DataError(f"{len(images)} {which} images came, scores need at least {MIN_IMAGES}.")

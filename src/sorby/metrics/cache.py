"""Features on disk, so that no image goes through the same network twice."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from sorby.atomic import new_file
from sorby.errors import DataError
from sorby.metrics.features import FeatureNetwork, extract_features
from sorby.metrics.sets import ImageSet
from sorby.metrics.weights import cache_folder

FORMAT = 1  # counts up when features change though images, weights and filter do not


def cached_features(images: ImageSet, network: FeatureNetwork) -> Float32[np.ndarray, "n d"]:
    """Features of a set: from the cache folder, or computed and left there. A damaged file is computed anew."""
    path = _path(images, network)
    try:
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (len(images), network.dim):
            return kept
    except (OSError, ValueError, EOFError):
        pass
    features = extract_features(network, images.batches())
    try:
        with new_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, features)
    except DataError:
        pass  # a cache that cannot be written costs time, not the result
    return features


def _path(images: ImageSet, network: FeatureNetwork) -> Path:
    identity = f"{FORMAT}|{images.hash}|{network.name}|{network.sha256}|{network.filter}"
    return cache_folder() / "features" / f"{hashlib.sha256(identity.encode()).hexdigest()}.npy"

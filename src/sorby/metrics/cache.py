"""Features on disk, so that no image goes through the same network twice."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from sorby.atomic import new_file
from sorby.errors import DataError
from sorby.metrics.features import FeatureNetwork, extract_features
from sorby.metrics.sets import BATCH, ImageSet
from sorby.metrics.weights import cache_folder
from sorby.team import Team

FORMAT = 1  # counts up when features change though images, weights and filter do not


def cached_features(images: ImageSet, network: FeatureNetwork) -> Float32[np.ndarray, "n d"]:
    """Features of a set: from the cache folder, or computed and left there. A damaged file is computed anew."""
    path = _path(images, network)
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)  # so that no header takes memory
        if kept.shape == (len(images), network.dim) and kept.dtype == np.float32:
            return np.array(kept)
    except (OSError, ValueError, EOFError, SyntaxError):
        pass
    features = extract_features(network, images.batches())
    _keep(features, images, network)
    return features


def shared_features(images: ImageSet, network: FeatureNetwork, team: Team) -> None:
    """Put the features of a set into the cache folder of the first process, each process having taken some of them.

    Pictures go in the same batches through the network as in one process.
    """
    if team.first(lambda: is_cached(images, network)):
        return
    starts = range(team.rank * BATCH, len(images), team.size * BATCH)
    own = (images.load(range(start, min(start + BATCH, len(images)))) for start in starts)
    found = team.all([extract_features(network, [pictures]) for pictures in own])
    batches = [found[number % team.size][number // team.size] for number in range(sum(map(len, found)))]
    if team.is_first:
        _keep(np.concatenate(batches), images, network)


def is_cached(images: ImageSet, network: FeatureNetwork) -> bool:
    """Whether the features of a set are in the cache folder."""
    return _path(images, network).is_file()


def _keep(features: Float32[np.ndarray, "n d"], images: ImageSet, network: FeatureNetwork) -> None:
    try:
        with new_file(_path(images, network)) as temporary, temporary.open("wb") as file:
            np.save(file, features)
    except DataError:
        pass  # a cache that cannot be written costs time, not the result


def _path(images: ImageSet, network: FeatureNetwork) -> Path:
    identity = f"{FORMAT}|{images.hash}|{network.name}|{network.sha256}|{network.filter}"
    return cache_folder() / "features" / f"{hashlib.sha256(identity.encode()).hexdigest()}.npy"

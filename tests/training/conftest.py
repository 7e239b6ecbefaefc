"""A tiny dataset and settings with which a run takes seconds."""

import numpy as np
import pytest

from sorby.conditions import ConditionSpace
from sorby.config import check
from sorby.data.dataset import Patch, write_dataset

TINY = {
    "network": {"size": 32, "z_dim": 16, "w_dim": 16, "channel_base": 256, "channel_max": 16},
    "batch_size": 4,
    "kimg": 0.064,
    "tick_kimg": 0.016,
    "path_length_weight": 2,
    "score_ticks": 2,
    "score_images": 16,
    "ada_kimg": 0.1,
    "r_t": 0.1,
}


TINY_CONTRAGAN = {
    **{name: value for name, value in TINY.items() if name != "path_length_weight"},
    "network": {"model": "contragan", "size": 32, "z_dim": 16, "channel_base": 128},
    "optimiser": "rmsprop",
    "n_critic": 3,
    "weight_clip": 0.009,
    "contrastive": "class",
}


def tiny_config(**changes):
    return check({**TINY, **changes})


def tiny_contragan(**changes):
    return check({**TINY_CONTRAGAN, **changes})


def disc_images(num, *, seed=0, size=32):
    """Bright discs of random place and radius on dark ground: something that can be learnt in seconds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre, r = rng.uniform(8, size - 8, (2, num, 1, 1)), rng.uniform(4, 8, (num, 1, 1))
    distance = np.hypot(x - centre[0], y - centre[1])
    return (60 + 140 * (distance < r)).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "discs.zip"
    patches = [Patch(file=f"00000/{i:03d}.png", parent=f"p{i % 12}", pixel_size_um=0.5) for i in range(48)]
    return write_dataset(path, zip(patches, disc_images(48), strict=True), space=ConditionSpace(), recipe={})


def stripe_images(num, *, seed=0, size=32):
    """Bright and dark upright stripes, half of the picture bright: nothing like discs."""
    rng = np.random.default_rng(seed)
    phase, period = rng.uniform(0, 1, (num, 1, 1)), rng.uniform(6, 10, (num, 1, 1))
    bright = (np.arange(size) / period + phase) % 1 < 0.5
    return np.broadcast_to(60 + 140 * bright, (num, size, size)).astype(np.uint8)


def labelled(path, images, labels, column):
    """A dataset with one condition, each patch of a micrograph of its own."""
    rows = [{column.partition(":")[0]: str(label)} for label in labels]
    patches = [Patch(file=f"00000/{i:03d}.png", parent=f"p{i}", conditions=row) for i, row in enumerate(rows)]
    space = ConditionSpace.from_rows(rows, [column])
    return write_dataset(path, zip(patches, images, strict=True), space=space, recipe={})


@pytest.fixture(scope="session")
def two_kinds(tmp_path_factory):
    """Discs and stripes, by class."""
    images = np.concatenate([disc_images(64), stripe_images(64)])
    path = tmp_path_factory.mktemp("data") / "kinds.zip"
    return labelled(path, images, ["discs"] * 64 + ["stripes"] * 64, "kind")


@pytest.fixture(scope="session")
def shares(tmp_path_factory):
    """Discs, with the share of the picture that they cover as a number."""
    images = [disc_images(1, seed=i)[0] for i in range(48)]
    path = tmp_path_factory.mktemp("data") / "shares.zip"
    return labelled(path, images, [f"{(image > 100).mean():.4f}" for image in images], "share:1:linear")

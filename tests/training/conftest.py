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


def tiny_config(**changes):
    return check({**TINY, **changes})


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

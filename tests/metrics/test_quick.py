import numpy as np
import pytest

from sorby.errors import DataError
from sorby.metrics.quick import QuickScores


def noise(n, *, low=0, high=256, seed=0):
    return np.random.default_rng(seed).integers(low, high, (n, 1, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def quick():
    return QuickScores(noise(24), max_real=16)


def test_the_real_images_themselves_score_best(quick):
    same, other = QuickScores(noise(16))(noise(16)), quick(noise(16, low=100, high=120, seed=1))
    assert same["fid"] == pytest.approx(0, abs=1e-3)
    assert (same["precision"], same["recall"]) == (1, 1)
    assert other["fid"] > 1
    assert other["kid"] > same["kid"]
    assert (other["precision"], other["recall"]) == (0, 0)


def test_scores_are_plain_finite_numbers_under_the_names_of_the_log(quick):
    scores = quick(noise(8, seed=2))
    assert list(scores) == ["fid", "kid", "precision", "recall"]
    assert all(type(value) is float and np.isfinite(value) for value in scores.values())


def test_the_same_seed_draws_the_same_real_images(quick):
    generated = noise(8, seed=3)
    assert quick(generated) == QuickScores(noise(24), max_real=16)(generated)
    assert quick(generated) != QuickScores(noise(24), max_real=16, seed=1)(generated)


def test_too_few_images_are_refused_by_their_number(quick):
    with pytest.raises(DataError, match="5 generated images came, scores need at least 6"):
        quick(noise(5))

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.metrics import quick as quick_module
from sorby.metrics.quick import QuickScores
from sorby.metrics.sets import ImageSet


def noise(n, *, low=0, high=256, seed=0):
    return np.random.default_rng(seed).integers(low, high, (n, 1, 16, 16), dtype=np.uint8)


def image_set(images):
    names = tuple(map(str, range(len(images))))
    return ImageSet("noise", names, np.arange(len(images)), lambda i: images[list(i)], str(images.sum()), None)


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick_module, "MOST_REAL", 16)
        return QuickScores(image_set(noise(24)))


def test_the_real_images_themselves_score_best(quick):
    same, other = QuickScores(image_set(noise(16)))(noise(16)), quick(noise(16, low=100, high=120, seed=1))
    assert same["fid"] == pytest.approx(0, abs=1e-3)
    assert (same["precision"], same["recall"]) == (1, 1)
    assert other["fid"] > 1
    assert other["kid"] > same["kid"]
    assert (other["precision"], other["recall"]) == (0, 0)


def test_scores_are_plain_finite_numbers_under_the_names_of_the_log(quick):
    scores = quick(noise(8, seed=2))
    assert list(scores) == ["fid", "kid", "precision", "recall"]
    assert all(type(value) is float and np.isfinite(value) for value in scores.values())


def test_a_copier_is_near_its_training_images_and_not_near_those_held_out():
    scores = QuickScores(image_set(noise(16)), image_set(noise(16, low=100, high=120, seed=5)))(noise(16))
    assert scores["fid"] == pytest.approx(0, abs=1e-3)
    assert scores["held_out_fid"] > 1
    assert (scores["recall"], scores["held_out_recall"]) == (1, 0)


def test_the_same_real_images_are_drawn_every_time_and_no_more_than_are_needed(quick, monkeypatch):
    monkeypatch.setattr(quick_module, "MOST_REAL", 16)
    generated = noise(8, seed=3)
    assert quick(generated) == QuickScores(image_set(noise(24)))(generated)
    assert quick(generated) != QuickScores(image_set(noise(16)))(generated)


def test_too_few_images_are_refused_by_their_number(quick):
    with pytest.raises(DataError, match="5 generated images came, scores need at least 6"):
        quick(noise(5))
    with pytest.raises(DataError, match="5 real images came, scores need at least 6"):
        QuickScores(image_set(noise(5)))

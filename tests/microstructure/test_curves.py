import numpy as np
import pytest

from sorby.microstructure.curves import CURVES, Curves, curves_of, mean_curves

SHARE = 0.6


def random_pixels(seed, shape=(64, 80)):
    return np.random.default_rng(seed).random(shape) < SHARE


@pytest.fixture(scope="module")
def means():
    """Of 60 images of pixels that know nothing of each other, each a micrograph."""
    return mean_curves([Curves(str(seed), curves_of(random_pixels(seed))) for seed in range(60)])


@pytest.mark.parametrize("name", CURVES)
def test_random_pixels_have_the_powers_of_their_share(means, name):
    """S2 is V at no distance and V² at any other; a line of r + 1 pixels lies in the phase with V to the r + 1."""
    r = np.arange(33)
    expected = SHARE ** (r + 1) if name.startswith("lineal") else np.where(r, SHARE**2, SHARE)
    error = np.array([(mean.high - mean.low) / 4 for mean in means[name]])  # two standard errors from end to middle
    assert len(means[name]) == 33
    assert error.max() < 0.003
    assert (
        np.abs([mean.value for mean in means[name]] - expected) <= 4.5 * error + 2e-4
    ).all()  # long lines are rarely seen at all


def test_stripes_along_the_rows_are_seen_along_y_alone():
    mask = np.zeros((64, 64), bool)
    mask[np.arange(64) % 16 < 4] = True
    curves = dict(zip(CURVES, curves_of(mask), strict=True))
    np.testing.assert_allclose(curves["s2_x"], 0.25)
    np.testing.assert_allclose(curves["lineal_path_x"], 0.25)
    assert curves["s2_y"][8] == 0
    np.testing.assert_allclose(curves["lineal_path_y"][:5], [16 / 64, 12 / 63, 8 / 62, 4 / 61, 0])
    assert curves["s2"][0] == 0.25


def test_each_distance_has_the_images_that_reach_so_far_and_those_of_a_parent_are_one():
    small, large = np.full((5, 3), 0.2), np.full((5, 5), 0.4)
    means = mean_curves([Curves("a", small), Curves("a", large), Curves("b", large), Curves("c", small)])
    for name in CURVES:
        assert [mean.value for mean in means[name]] == pytest.approx([0.3] * 3 + [0.4] * 2)
        assert [mean.num for mean in means[name]] == [3, 3, 3, 2, 2]


def test_the_curve_of_one_micrograph_has_no_interval():
    (first, *_) = mean_curves([Curves("a", np.full((5, 2), 0.5))])["s2"]
    assert (first.value, first.low, first.high, first.num) == (0.5, None, None, 1)

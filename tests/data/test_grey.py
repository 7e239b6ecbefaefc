import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.exposure import match_histograms
from skimage.filters import median as slow_median

from sorby.data.grey import grey_range, histogram, match, match_table, median, reference_scores, to_8bit

from .made import texture


def deep(seed: int, scale: int, offset: int = 0) -> np.ndarray:
    return (texture(seed).astype(np.uint16) * scale + offset).astype(np.uint16)


def test_the_histogram_counts_each_level():
    grey = np.array([[0, 0, 3], [65535, 3, 3]], np.uint16)
    counts = histogram(grey)
    assert len(counts) == 65536
    assert (counts[0], counts[3], counts[65535], counts.sum()) == (2, 3, 1, 6)


@pytest.mark.parametrize(("scale", "offset"), [(256, 0), (16, 0), (3, 30000)], ids=["16 bit", "12 bit", "narrow"])
def test_the_full_contrast_of_deep_data_is_kept_in_8_bits(scale, offset):
    picture = texture(0)
    low, high = np.percentile(picture, [0.1, 99.9])
    grey, clipped = to_8bit(deep(0, scale, offset), *grey_range(deep(0, scale, offset), "image"))
    expected = (picture.astype(float) - low) / (high - low) * 255
    assert np.abs(grey - expected.clip(0, 255)).max() < 4
    assert 0 < clipped <= 0.002


def test_8_bit_data_stay_as_they_are():
    grey, clipped = to_8bit(texture(0), *grey_range(texture(0), "image"))
    np.testing.assert_array_equal(grey, texture(0))
    assert clipped == 0


def test_a_stated_range_is_used_and_what_lies_outside_is_counted():
    ramp = np.arange(1000, dtype=np.uint16).reshape(20, 50)
    grey, clipped = to_8bit(ramp, *grey_range(ramp, "250:749"))
    assert (grey.ravel()[250], grey.ravel()[749], clipped) == (0, 255, 0.5)


def test_a_constant_deep_picture_does_not_divide_by_zero():
    flat = np.full((8, 8), 777, np.uint16)
    assert to_8bit(flat, *grey_range(flat, "image"))[1] == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_matching_a_picture_to_itself_changes_nothing(seed):
    grey = np.random.default_rng(seed).integers(0, 256, (17, 23), dtype=np.uint8)
    np.testing.assert_array_equal(match(grey, histogram(grey)), grey)


def test_matching_undoes_any_rising_change_of_grey_values():
    grey = texture(1)
    changed = (40 + 150 * (np.arange(256) / 255) ** 2).astype(np.uint8)[grey // 2 * 2]
    back = match(changed, histogram(grey // 2 * 2))
    share = np.mean(np.abs(back.astype(int) - grey // 2 * 2) <= 4)
    assert share > 0.99


def test_matching_agrees_with_scikit_image():
    a, b = texture(2, std=20), texture(3, std=50)
    slow = match_histograms(a, b)
    assert np.abs(match(a, histogram(b)) - slow).max() <= 1


def test_the_table_never_falls():
    table = match_table(histogram(texture(4)), histogram(texture(5, std=60)))
    assert (np.diff(table.astype(int)) >= 0).all()


def test_the_median_filter_is_the_middle_of_nine_and_0_is_none():
    grey = texture(6)
    np.testing.assert_array_equal(median(grey, 3)[1:-1, 1:-1], slow_median(grey, np.ones((3, 3)))[1:-1, 1:-1])
    np.testing.assert_array_equal(median(grey, 0), grey)


def test_the_median_filter_takes_away_single_hot_pixels():
    grey = np.full((9, 9), 100, np.uint8)
    grey[4, 4] = 255
    assert (median(grey, 3) == 100).all()


def test_the_reference_is_the_even_sharp_noiseless_image():
    evenness, sharpness, noise = [-0.1, -0.5, -0.2], [1.2, 1.0, 0.5], [0.1, 0.2, 0.4]
    assert reference_scores(np.array([evenness, sharpness, noise]).T).argmax() == 0

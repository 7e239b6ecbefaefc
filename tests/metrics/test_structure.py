import numpy as np
import pytest

from sorby.metrics.structure import grey_histogram, histogram_distance, radial_power, spectrum_distance


def waves(cycles, *, size=64, n=3):
    """Grey pictures of plane waves of so many cycles a picture, along x."""
    x = np.arange(size) / size
    row = 127 + 100 * np.cos(2 * np.pi * (cycles * x[None] + np.arange(n)[:, None] / n))
    return np.repeat(row[:, None, None, :], size, axis=2).round().astype(np.uint8)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 200, (20, 1, 32, 32), dtype=np.uint8)


def test_pictures_brighter_by_ten_are_ten_grey_levels_apart():
    assert histogram_distance(grey_histogram(noise(0)), grey_histogram(noise(0) + 10)) == pytest.approx(10)


def test_a_histogram_has_256_shares_whatever_the_pictures_hold():
    assert grey_histogram(np.array([[[[0, 0, 0, 3]]]], np.uint8)) == pytest.approx(np.r_[0.75, 0, 0, 0.25, [0] * 252])


def test_black_and_white_are_255_grey_levels_apart():
    black = np.zeros((1, 1, 4, 4), dtype=np.uint8)
    assert histogram_distance(grey_histogram(black), grey_histogram(black + 255)) == pytest.approx(255)


@pytest.mark.parametrize("cycles", [4, 9, 20])
def test_a_plane_wave_has_its_power_in_its_ring(cycles):
    assert radial_power(waves(cycles)).argmax() == cycles - 1


def test_white_noise_has_equal_power_at_all_wavelengths():
    power = radial_power(np.random.default_rng(0).integers(0, 256, (200, 1, 32, 32), dtype=np.uint8))[2:]
    assert power.max() / power.min() < 1.2
    variance, window = (256**2 - 1) / 12, 3 / 8 * 31  # the latter is the sum of squares of a Hann window of 32
    assert power.mean() == pytest.approx(variance * window**2, rel=0.02)


@pytest.mark.parametrize(("height", "width", "num"), [(32, 32, 16), (33, 33, 16), (24, 40, 12), (2, 2, 1)])
def test_the_last_ring_is_two_pixels_of_the_shorter_side(height, width, num):
    assert radial_power(np.zeros((1, 1, height, width), dtype=np.uint8)).shape == (num,)


def test_doubled_contrast_is_log_four_of_power_apart():
    a, b = radial_power(noise(0) // 2 * 2), radial_power(noise(0) // 2)
    assert spectrum_distance(a, b) == pytest.approx(np.log10(4), abs=1e-3)


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_a_ring_without_power_is_told_from_one_with_it_by_nine_decades_whatever_the_scale(scale):
    with_power, without = scale * np.array([1.0, 1.0, 1.0, 1.0]), scale * np.array([1.0, 1.0, 1.0, 0.0])
    assert spectrum_distance(with_power, without) == pytest.approx(9 / 2)
    assert spectrum_distance(without, with_power) == pytest.approx(9 / 2)
    assert spectrum_distance(1e-3 * without, with_power) == pytest.approx(np.sqrt((3 * 3**2 + 9**2) / 4), abs=1e-5)
    assert spectrum_distance(with_power, 1e-3 * without) == pytest.approx(np.sqrt((3 * 3**2 + 9**2) / 4), abs=1e-5)


def test_colours_are_averaged():
    grey = noise(1)
    np.testing.assert_allclose(radial_power(np.repeat(grey, 3, axis=1)), radial_power(grey))


def test_pictures_without_structure_do_not_divide_by_zero():
    flat = radial_power(np.full((2, 1, 16, 16), 9, dtype=np.uint8))
    assert spectrum_distance(flat, flat) == 0

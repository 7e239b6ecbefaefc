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


def test_black_and_white_are_255_grey_levels_apart():
    black = np.zeros((1, 1, 4, 4), dtype=np.uint8)
    assert histogram_distance(grey_histogram(black), grey_histogram(black + 255)) == pytest.approx(255)


@pytest.mark.parametrize("cycles", [4, 9, 20])
def test_a_plane_wave_has_its_power_in_its_ring(cycles):
    assert radial_power(waves(cycles)).argmax() == cycles - 1


def test_white_noise_has_equal_power_at_all_wavelengths():
    power = radial_power(np.random.default_rng(0).integers(0, 256, (200, 1, 32, 32), dtype=np.uint8))[2:]
    assert power.max() / power.min() < 1.2


def test_doubled_contrast_is_log_four_of_power_apart():
    a, b = radial_power(noise(0) // 2 * 2), radial_power(noise(0) // 2)
    assert spectrum_distance(a, b) == pytest.approx(np.log10(4), abs=1e-3)


def test_colours_are_averaged():
    grey = noise(1)
    np.testing.assert_allclose(radial_power(np.repeat(grey, 3, axis=1)), radial_power(grey))


def test_pictures_without_structure_do_not_divide_by_zero():
    flat = radial_power(np.full((2, 1, 16, 16), 9, dtype=np.uint8))
    assert spectrum_distance(flat, flat) == 0

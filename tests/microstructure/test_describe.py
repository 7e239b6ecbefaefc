import math

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.microstructure.describe import (
    BY_OTSU,
    QUANTITIES,
    Descriptors,
    Segmentation,
    correlation_length,
    describe,
    describe_mask,
)


def discs(*, size=256, pitch=32, radius=8.0, bright=200, dark=50):
    """A square lattice of discs, none cut by the edge."""
    y, x = np.mgrid[:size, :size] % pitch - (pitch - 1) / 2
    return np.where(np.hypot(x, y) <= radius, bright, dark).astype(np.uint8)


def test_a_lattice_of_discs_has_the_numbers_of_geometry():
    """Fraction pi r² / a², density 1 / a², chord pi r / 2, free path from V / (1 - V); a pixel grid is off by 5 %."""
    values = describe(discs(), Segmentation(smooth_px=0)).values
    fraction = math.pi * 8**2 / 32**2
    assert values.area_fraction == pytest.approx(fraction, rel=0.05)
    assert values.particle_density == pytest.approx(
        1 / 32**2, rel=0.25
    )  # corrected for the edge, as of a random window
    assert values.mean_diameter == pytest.approx(16, rel=0.02)
    assert values.mean_chord == pytest.approx(math.pi * 8 / 2, rel=0.05)
    assert values.mean_free_path == pytest.approx(values.mean_chord * (1 - fraction) / fraction, rel=0.05)
    assert values.mean_aspect_ratio == pytest.approx(1, abs=0.01)
    assert values.mean_circularity == pytest.approx(1, abs=0.05)
    assert values.axis_ratio == pytest.approx(1, abs=0.05)
    assert values.hole_density == 0


def test_the_dark_phase_is_the_rest():
    bright = describe(discs(), Segmentation(phase=-1)).values
    dark = describe(discs(), Segmentation(phase=0)).values
    assert dark.area_fraction == pytest.approx(1 - bright.area_fraction)
    assert dark.mean_chord == pytest.approx(bright.mean_free_path)


def test_the_middle_of_three_phases_can_be_measured():
    grey = np.zeros((64, 64), np.uint8)
    grey[:, :16], grey[:, 16:32], grey[:, 32:] = 20, 120, 220
    how = Segmentation(phases=3, phase=1, smooth_px=0)
    assert describe(grey, how).values.area_fraction == 0.25


def test_enlarging_twice_doubles_lengths_and_quarters_densities():
    small, large = (describe(discs(size=256 * k, pitch=32 * k, radius=8.0 * k)).values for k in (1, 2))
    for quantity in QUANTITIES:
        ratio = getattr(large, quantity.name) / (getattr(small, quantity.name) or 1)
        if quantity.name not in ("hole_density", "contrast"):
            assert ratio == pytest.approx(2.0**quantity.power, rel=0.05), quantity.name


def test_turning_by_90_degrees_changes_no_number():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    for quantity in QUANTITIES:
        turned, plain = (getattr(describe(image).values, quantity.name) for image in (np.rot90(grey), grey))
        assert turned == pytest.approx(plain), quantity.name


def test_one_grey_has_no_phases_and_the_reason_is_told():
    found = describe(np.full((32, 32), 7, np.uint8))
    assert found.values == Descriptors(contrast=0.0)
    assert "grey values" in found.reason


def test_a_given_threshold_outside_the_greys_leaves_one_phase_and_the_reason_is_told():
    found = describe(discs(), Segmentation(thresholds=(250,)))
    assert found.values.area_fraction == 0
    assert found.values.mean_chord is None
    assert found.reason == "the image holds one phase only"


def test_a_mask_is_measured_as_it_is():
    mask = discs() > 100
    assert describe_mask(mask).values.area_fraction == mask.mean()
    assert describe_mask(mask).values.contrast is None


def test_noise_of_ten_grey_levels_moves_no_number_by_much():
    noisy = (discs() + np.random.default_rng(0).normal(0, 10, (256, 256))).clip(0, 255).astype(np.uint8)
    plain, rough = describe(discs()).values, describe(noisy).values
    for name in ("area_fraction", "mean_diameter", "mean_chord", "particle_density", "correlation_length"):
        assert getattr(rough, name) == pytest.approx(getattr(plain, name), rel=0.05), name


def test_touching_discs_are_told_apart_where_asked():
    y, x = np.mgrid[:64, :96]
    grey = (200 * ((np.hypot(x - 36, y - 32) < 12) | (np.hypot(x - 58, y - 32) < 12))).astype(np.uint8)
    assert len(describe(grey).particles) == 1
    assert len(describe(grey, Segmentation(separate_px=6)).particles) == 2


def test_uneven_brightness_needs_the_local_threshold():
    grey = (discs(bright=90, dark=50) + np.linspace(0, 150, 256)).astype(np.uint8)
    fraction = math.pi * 8**2 / 32**2
    assert abs(describe(grey).values.area_fraction - fraction) > 0.15
    assert describe(grey, Segmentation(window_px=49)).values.area_fraction == pytest.approx(fraction, abs=0.06)


def test_the_correlation_length_of_random_pixels_is_below_one_and_of_stripes_grows_with_them():
    rng = np.random.default_rng(0)
    pixels = rng.random((128, 128)) < 0.5
    assert 0 < correlation_length(pixels) < 1
    blocks = [np.kron(rng.random((32, 32)) < 0.5, np.ones((k, k), bool)) for k in (4, 8)]
    one, two = map(correlation_length, blocks)
    assert two == pytest.approx(2 * one, rel=0.15)


@pytest.mark.parametrize(("changes", "said"), [({"thresholds": (1, 2)}, "2 thresholds"), ({"phase": 2}, "phase is 2")])
def test_a_segmentation_that_cannot_be_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        Segmentation(**changes)


def test_the_default_is_the_brighter_phase_by_otsu():
    assert Segmentation(phases=2, phase=-1, thresholds=(), window_px=None) == BY_OTSU


def test_sixteen_bits_give_the_numbers_of_eight():
    eight = describe(discs())
    sixteen = describe(discs().astype(np.uint16) * 257)
    for quantity in QUANTITIES:
        one, other = (getattr(found.values, quantity.name) for found in (eight, sixteen))
        assert other == pytest.approx(one, rel=0.01), quantity.name

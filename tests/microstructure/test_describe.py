import math

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.microstructure.describe import (
    BY_OTSU,
    QUANTITIES,
    Descriptors,
    Segmentation,
    comparable,
    contrast_of,
    correlation_length,
    describe,
    describe_mask,
    phase_masks,
    white_of,
)
from sorby.microstructure.particles import labelled, particles
from tests.microstructure.test_correlate import DENSITY, RADIUS, boolean_discs, union_of_two_discs


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
    assert (found.thresholds, found.particles) == ((), ())
    assert np.array_equal(found.labels, np.zeros((32, 32)))
    assert found.labels.dtype == np.int32


@pytest.mark.parametrize(("threshold", "fraction"), [(250, 0.0), (10, 1.0)])
def test_a_given_threshold_outside_the_greys_leaves_one_phase_and_the_reason_is_told(threshold, fraction):
    found = describe(discs(), Segmentation(thresholds=(threshold,)))
    assert found.values == Descriptors(area_fraction=fraction, contrast=contrast_of(discs()))
    assert found.values.contrast == pytest.approx(discs().std())
    assert (found.thresholds, found.particles) == ((threshold,), ())
    assert found.reason == "the image holds one phase only"


def squares(*places, shape=(40, 50)):
    """A mask of bars, each with its top, left, height and width."""
    mask = np.zeros(shape, bool)
    for top, left, height, width in places:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize(
    ("edges", "weights"),
    [
        # Of 40 x 50 places; clear of the edge are (40 - h - 1)(50 - w - 1).
        ("correct", {(3, 3): 2000 / (36 * 46), (4, 12): 2000 / (35 * 37)}),
        ("leave-out", {(3, 3): 1, (4, 12): 1}),
        ("keep", {(3, 3): 1, (4, 12): 1, (10, 5): 1}),
    ],
)
def test_particles_are_counted_by_the_rule_of_the_edge_and_means_are_by_their_weights(edges, weights):
    """Two whole bars, one that the edge cuts, and a speck below the least area."""
    mask = squares((10, 10, 3, 3), (20, 20, 4, 12), (0, 40, 10, 5), (35, 5, 2, 2))
    values = describe_mask(mask, Segmentation(edges=edges)).values
    total = sum(weights.values())
    diameters = {sides: 2 * math.sqrt(math.prod(sides) / math.pi) for sides in weights}
    aspect_ratios = {(3, 3): 1, (4, 12): 3, (10, 5): 2}
    circularities = {p.area_px2: p.circularity for p in particles(labelled(mask), edges="keep")}
    assert values.area_fraction == (9 + 48 + 50 + 4) / 2000
    assert values.particle_density == pytest.approx(total / 2000)
    assert values.mean_diameter == pytest.approx(sum(diameters[s] * w for s, w in weights.items()) / total)
    assert values.mean_aspect_ratio == pytest.approx(sum(aspect_ratios[s] * w for s, w in weights.items()) / total)
    expected = sum(circularities[math.prod(s)] * w for s, w in weights.items()) / total
    assert values.mean_circularity == pytest.approx(expected)


def test_a_dark_phase_has_a_hole_for_each_bright_disc():
    found = describe(discs(), Segmentation(phase=0, smooth_px=0))
    assert found.values.hole_density == 8 * 8 / 256**2
    assert found.reason == ""
    assert np.array_equal(found.labels > 0, discs() < 100)


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


def test_the_correlation_length_of_a_boolean_model_is_that_of_its_two_point_probability():
    """Phase and ground have one covariance, here that of the ground: the distance is found by trying."""
    ground = math.exp(-DENSITY * math.pi * RADIUS**2)
    r = np.linspace(0, 2 * RADIUS, 10001)
    covariance = np.exp(-DENSITY * union_of_two_discs(r)) - ground**2
    expected = r[np.argmax(covariance <= ground * (1 - ground) / math.e)]
    found = [correlation_length(boolean_discs(seed)) for seed in range(24)]
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert error < 0.1
    assert np.mean(found) == pytest.approx(expected, abs=3 * error)


def test_the_correlation_length_is_looked_for_up_to_half_of_the_image():
    half = np.arange(24) < 12
    assert 24 / 3 < correlation_length(np.tile(half, (24, 1))) < 24 / 2
    assert correlation_length(np.tile(half, (4, 1))) is None


def test_numbers_that_are_compared_have_their_lengths_as_logarithms_and_stay_otherwise():
    lengths = {"mean_chord", "mean_free_path", "correlation_length", "mean_diameter"}
    row = np.where([quantity.name in lengths for quantity in QUANTITIES], math.e**2, 0.0)
    table = np.stack([row, np.full(len(row), np.nan)])
    expected = [2.0 if quantity.name in lengths else 0.0 for quantity in QUANTITIES]
    np.testing.assert_allclose(comparable(table), [expected, [np.nan] * len(row)])


@pytest.mark.parametrize(
    ("dtype", "brightest", "white"),
    [
        (np.uint8, 9, 255),
        (np.uint8, 255, 255),
        (np.uint16, 255, 255),
        (np.uint16, 256, 4095),
        (np.uint16, 4095, 4095),
        (np.uint16, 4096, 65535),
        (np.uint16, 65535, 65535),
    ],
)
def test_white_is_the_least_full_scale_that_holds_all_greys(dtype, brightest, white):
    assert white_of(np.array([[0, brightest]], dtype)) == white


@pytest.mark.parametrize(("step", "levels"), [(10 / 255, 10), (0.001, 1)])
def test_a_threshold_is_moved_by_the_step_and_by_one_level_at_least(step, levels):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    how = Segmentation(thresholds=(99,), smooth_px=0, step=step)
    thresholds, masks = phase_masks(ramp, how, moves=(-1, 0, 1))
    assert thresholds == (99,)
    assert [mask[0].sum() for mask in masks] == [156 + levels, 156, 156 - levels]
    local = Segmentation(window_px=31, smooth_px=0, min_area_px2=1, step=step)
    grey = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    lower, unmoved, upper = phase_masks(grey, local, moves=(-1, 0, 1))[1]
    assert lower.sum() > unmoved.sum() > upper.sum()


@pytest.mark.parametrize(
    "fits",
    [{"phases": 4, "phase": -4}, {"phases": 2, "phase": -2}, {"window_px": 3}, {"phases": 4, "thresholds": (1, 2, 3)}],
)
def test_the_outermost_settings_of_a_segmentation_are_taken(fits):
    assert vars(Segmentation(**fits)).items() >= fits.items()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phases": 1}, "1 phases were asked for: expected 2 to 4"),
        ({"phases": 5}, "5 phases were asked for"),
        ({"window_px": 1}, "1 px: expected an odd number from 3"),
        ({"window_px": 30}, "30 px: expected an odd number"),
        ({"window_px": 31, "thresholds": (9,)}, "by itself: leave out thresholds and phases"),
        ({"window_px": 31, "phases": 3}, "by itself: leave out"),
        ({"thresholds": (1, 2)}, "2 thresholds came for 2 phases: expected 1"),
        ({"phase": 2}, r"phase is 2: expected 0 \(the darkest\) to 1, or -1"),
        ({"phase": -3}, "phase is -3"),
    ],
)
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

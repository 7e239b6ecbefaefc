import math

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.microstructure.correlate import mean_crossings
from sorby.microstructure.describe import QUANTITIES, Segmentation, contrast_of, describe
from sorby.microstructure.full import ALL_QUANTITIES, FullDescriptors, describe_fully, euler_density
from sorby.simulation.random_field import two_phase
from tests.microstructure.test_describe import discs
from tests.microstructure.test_lamellae import lamellae


def cones(*, size=256, pitch=64, top=250, slope=5):
    """A square lattice of cones: above a threshold t lies a disc of radius (top - t) / slope around each."""
    y, x = np.mgrid[:size, :size] % pitch - (pitch - 1) / 2
    return np.rint(top - slope * np.hypot(x, y)).clip(0).astype(np.uint8)


TEN_LEVELS = Segmentation(thresholds=(170,), smooth_px=0, step=10 / 255)
"""Discs of radius 16 in `cones`, and of 14 and 18 with the threshold a step up and down."""


@pytest.mark.parametrize(
    ("name", "of_radius", "off"),
    [
        ("area_fraction", lambda r: math.pi * r**2 / 64**2, 0.02),
        ("mean_diameter", lambda r: 2 * r, 0.02),
        ("mean_chord", lambda r: math.pi * r / 2, 0.03),
        ("boundary_density", lambda r: 2 * math.pi * r / 64**2, 0.03),
        ("mean_free_path", lambda r: (64**2 - math.pi * r**2) / (2 * r), 0.03),
    ],
)
def test_the_band_of_cones_is_that_of_discs_two_pixels_smaller_and_larger(name, of_radius, off):
    found = describe_fully(cones(), TEN_LEVELS)
    low, high = sorted((of_radius(14), of_radius(18)))
    assert getattr(found.values, name) == pytest.approx(of_radius(16), rel=off)
    assert getattr(found.band.low, name) == pytest.approx(low, rel=off)
    assert getattr(found.band.high, name) == pytest.approx(high, rel=off)


def test_the_band_of_the_fraction_holds_what_neighbouring_thresholds_give():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    found = describe_fully(ramp, Segmentation(thresholds=(99,), smooth_px=0, step=8 / 255))
    fractions = [each.area_fraction for each in (found.band.low, found.values, found.band.high)]
    assert fractions == [148 / 256, 156 / 256, 164 / 256]


def test_the_band_of_the_dark_phase_is_the_rest():
    bright = describe_fully(cones(), TEN_LEVELS).band
    dark = describe_fully(cones(), Segmentation(thresholds=(170,), phase=0, smooth_px=0, step=10 / 255)).band
    assert dark.low.area_fraction == pytest.approx(1 - bright.high.area_fraction)
    assert dark.high.area_fraction == pytest.approx(1 - bright.low.area_fraction)


def test_the_band_of_a_local_threshold_in_a_window_over_all_is_that_of_the_mean():
    grey = cones(size=64)
    local = describe_fully(grey, Segmentation(window_px=129, smooth_px=0, step=10 / 255))
    fixed = describe_fully(grey, Segmentation(thresholds=(int(grey.mean()),), smooth_px=0, step=10 / 255))
    assert local.thresholds == ()
    for one, other in ((local.band.low, fixed.band.low), (local.band.high, fixed.band.high)):
        assert one.area_fraction == pytest.approx(other.area_fraction, abs=0.01)
    assert fixed.band.high.area_fraction - fixed.band.low.area_fraction > 0.1


@pytest.mark.parametrize(
    ("grey", "threshold", "phase"), [(discs(bright=104, dark=50), 100, -1), (discs(bright=104, dark=208), 107, 0)]
)
def test_what_a_moved_threshold_leaves_without_a_value_is_not_in_the_band(grey, threshold, phase):
    """The discs are lost with the threshold a step up, if they are bright, or down, if they are dark."""
    found = describe_fully(grey, Segmentation(thresholds=(threshold,), phase=phase, smooth_px=0, step=5 / 255))
    assert found.band.low.area_fraction == 0
    assert found.band.low.boundary_density == 0
    assert found.band.low.mean_diameter == found.values.mean_diameter == found.band.high.mean_diameter


def test_what_a_moved_threshold_finds_alone_is_in_the_band_of_what_is_there_without_it():
    found = describe_fully(discs(bright=104), Segmentation(thresholds=(106,), smooth_px=0, step=5 / 255))
    assert (found.values.area_fraction, found.values.mean_diameter) == (0, None)
    assert found.band.high.area_fraction > 0.1
    assert (found.band.low.mean_diameter, found.band.high.mean_diameter) == (None, None)


@pytest.mark.parametrize(
    "how", [Segmentation(), Segmentation(phases=3, phase=1), Segmentation(window_px=31, phase=0, separate_px=5)]
)
def test_what_is_compared_is_what_describe_gives_and_lies_in_its_band(how):
    grey = np.random.default_rng(0).integers(0, 256, (64, 80)).astype(np.uint8)
    plain, full = describe(grey, how), describe_fully(grey, how)
    assert (full.thresholds, full.particles, full.reason) == (plain.thresholds, plain.particles, plain.reason)
    for quantity in QUANTITIES:
        value = getattr(full.values, quantity.name)
        assert value == getattr(plain.values, quantity.name), quantity.name
        assert getattr(full.band.low, quantity.name) <= value <= getattr(full.band.high, quantity.name)


def test_what_does_not_hang_on_the_threshold_has_no_width():
    band = describe_fully(lamellae(12, 30, noise=20.0)).band
    equal = {q.name for q in ALL_QUANTITIES if getattr(band.low, q.name) == getattr(band.high, q.name)}
    assert (
        equal
        >= {quantity.name for quantity in ALL_QUANTITIES if not quantity.of_phase}
        == {
            "contrast",
            "lamellar_spacing",
        }
    )
    assert "area_fraction" not in equal


def test_sixteen_bits_give_the_band_of_eight():
    eight, sixteen = (describe_fully(grey).band for grey in (cones(), cones().astype(np.uint16) * 257))
    for name in ("area_fraction", "mean_chord", "mean_diameter"):
        assert getattr(sixteen.low, name) == pytest.approx(getattr(eight.low, name), rel=0.02)
        assert getattr(sixteen.high, name) == pytest.approx(getattr(eight.high, name), rel=0.02)


def test_a_marked_phase_has_no_band_and_the_micrograph_its_contrast_and_lamellae():
    grey = lamellae(12, 30)
    found = describe_fully(grey, mask=discs(size=128) > 100)
    assert found.band is None
    assert found.values.area_fraction == (discs(size=128) > 100).mean()
    assert found.values.contrast == pytest.approx(grey.std())
    assert found.values.lamellar_spacing == pytest.approx(12, rel=0.01)


def test_one_grey_and_an_image_too_small_have_no_band_and_the_reason_is_told():
    for grey, said in ((np.full((32, 32), 7, np.uint8), "grey values"), (np.eye(2, dtype=np.uint8), "3 x 3")):
        found = describe_fully(grey)
        assert found.values == FullDescriptors(contrast=contrast_of(grey))
        assert (found.thresholds, found.particles, found.band) == ((), (), None)
        assert np.array_equal(found.labels, np.zeros(grey.shape))
        assert found.labels.dtype == np.int32
        assert said in found.reason


def test_an_image_of_too_few_greys_for_its_phases_keeps_its_contrast_and_its_lamellae():
    grey = lamellae(12, 30)
    found = describe_fully(grey, Segmentation(phases=3, smooth_px=0))
    assert "expected at least 3" in found.reason
    assert found.values.contrast == pytest.approx(grey.std())
    assert found.values.lamellar_spacing == pytest.approx(12, rel=0.01)


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90])
def test_lamellae_have_two_boundaries_a_spacing_and_their_spacing(angle_deg):
    values = describe_fully(lamellae(16, angle_deg, size=320)).values
    # The eight directions stand for all within 1.5 %, the number of lamellae in the image for any within 2 %.
    assert values.boundary_density == pytest.approx(2 / 16, rel=0.035)
    assert values.lamellar_spacing == pytest.approx(16, rel=0.01)


def test_islands_are_no_lamellae():
    islands = two_phase((128, 128), volume_fraction=0.3, correlation_length_px=5, rng=np.random.default_rng(0))
    assert describe_fully(np.where(islands, 200, 50).astype(np.uint8)).values.lamellar_spacing is None


def test_chord_fraction_and_boundary_agree():
    """By definition a mean chord of 4 V / (4 L_A / pi), L_A the length of the boundary per area."""
    values = describe_fully(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)).values
    assert values.boundary_density == pytest.approx(math.pi * values.area_fraction / values.mean_chord)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(6, 9), (40, 30)])
def test_the_euler_number_of_random_pixels_has_its_expectation_in_windows_of_any_size(share, shape):
    """Ground of share q, neighbours by 4, has q pixels, 2 q² sides and q⁴ squares; ours is minus that Euler number."""
    rng, q = np.random.default_rng(0), 1 - share
    samples = [euler_density(rng.random(shape) < share) for _ in range(60_000 // math.prod(shape))]
    error = np.std(samples, ddof=1) / math.sqrt(len(samples))
    assert error < 0.005
    assert np.mean(samples) == pytest.approx(-(q - 2 * q**2 + q**4), abs=4 * error)


def test_the_euler_number_counts_discs_less_holes_and_not_what_the_edge_makes():
    lattice = discs(size=256) > 100  # 8 x 8 discs, none cut
    assert euler_density(lattice) * 255**2 == pytest.approx(64)
    rolled = np.pad(np.roll(lattice, (-16, -16), (0, 1)), (0, 1), mode="wrap")  # cut in halves and quarters
    assert euler_density(rolled) * 256**2 == pytest.approx(64)
    assert euler_density(~rolled) * 256**2 == pytest.approx(-64)
    for full in (np.zeros((5, 7), bool), np.ones((5, 7), bool)):
        assert euler_density(full) == 0


def test_the_smallest_window_has_the_share_of_each_corner_pixel_and_a_line_has_none():
    """A pixel that stands alone lies in the corners of four windows, two side by side in the sides of two."""
    assert euler_density(np.array([[1, 0], [0, 0]], bool)) == 1 / 4
    assert euler_density(np.array([[1, 1], [0, 0]], bool)) == 0
    with pytest.raises(DataError, match="1 x 5 px; expected 2 x 2"):
        euler_density(np.ones((1, 5), bool))


def test_turning_by_90_degrees_changes_no_number():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    for quantity in ALL_QUANTITIES:
        turned, plain = (getattr(describe_fully(image).values, quantity.name) for image in (np.rot90(grey), grey))
        assert turned == pytest.approx(plain), quantity.name


def test_enlarging_twice_changes_further_numbers_by_their_power_of_length():
    small, large = (describe_fully(discs(size=256 * k, pitch=32 * k, radius=8.0 * k)).values for k in (1, 2))
    assert large.boundary_density == pytest.approx(small.boundary_density / 2, rel=0.05)
    assert large.euler_density == pytest.approx(small.euler_density / 4, rel=0.05)
    powers = {quantity.name: quantity.power for quantity in ALL_QUANTITIES}
    assert [powers[name] for name in ("boundary_density", "euler_density", "lamellar_spacing")] == [-1, -2, 1]


def test_an_image_of_one_phase_has_no_boundary():
    found = describe_fully(discs(), Segmentation(thresholds=(250,)))
    assert (found.values.boundary_density, found.values.euler_density) == (0, 0)
    assert mean_crossings(found.labels > 0) == 0

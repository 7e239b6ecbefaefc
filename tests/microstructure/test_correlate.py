import csv
import math

import numpy as np
import pytest
from skimage.draw import disk

from sorby.errors import DataError
from sorby.microstructure.correlate import (
    along,
    anisotropy,
    chord_lengths,
    crossings,
    lineal_path,
    radial,
    two_point,
)
from sorby.simulation.random_field import two_phase

DENSITY, RADIUS = 0.003, 7.0
"""Discs per square pixel and their radius in pixels: 37 % of the plane is covered."""


def coins(seed, shape=(14, 9), share=0.5):
    return np.random.default_rng(seed).random(shape) < share


def boolean_discs(seed, size=160):
    """Discs of one radius around the points of a Poisson process, which may overlap."""
    rng = np.random.default_rng(seed)
    side = size - 1 + 2 * RADIUS
    mask = np.zeros((size, size), dtype=bool)
    for centre in rng.uniform(-RADIUS, size - 1 + RADIUS, (rng.poisson(DENSITY * side**2), 2)):
        mask[disk(centre, RADIUS, shape=mask.shape)] = True
    return mask


@pytest.fixture(scope="module")
def boolean_models():
    return [boolean_discs(seed) for seed in range(80)]


@pytest.fixture(scope="module")
def boolean_s2(boolean_models):
    return [two_point(mask) for mask in boolean_models]


def union_of_two_discs(distance):
    half = np.arccos(np.clip(distance / (2 * RADIUS), 0, 1))
    return 2 * RADIUS**2 * (np.pi - half + np.sin(half) * np.cos(half))


def assert_mean_is(expected, samples, *, error):
    """The mean lies within 4 standard errors of what is expected, and these are no more than `error`."""
    standard_error = np.std(samples, axis=0, ddof=1) / math.sqrt(len(samples))
    assert (4 * standard_error).max() <= error
    assert (np.abs(np.mean(samples, axis=0) - expected) <= 4 * standard_error).all()


def stretched(aspect_ratio, angle_deg, seed):
    return two_phase(
        (256, 256),
        volume_fraction=0.4,
        correlation_length_px=6,
        aspect_ratio=aspect_ratio,
        angle_deg=angle_deg,
        rng=np.random.default_rng(seed),
    )


def stripes(width, period, shape=(24, 60)):
    return np.broadcast_to(np.arange(shape[1]) % period < width, shape).copy()


@pytest.mark.parametrize("shape", [(7, 8), (8, 7), (1, 9)])
@pytest.mark.parametrize("periodic", [True, False])
def test_two_point_is_the_count_over_all_pairs(shape, periodic):
    mask = coins(0, shape)
    height, width = shape
    s2 = two_point(mask, periodic=periodic)
    for down in range(-(height // 2), (height + 1) // 2):
        for right in range(-(width // 2), (width + 1) // 2):
            pairs = [
                mask[y, x] and mask[(y + down) % height, (x + right) % width]
                for y in range(height)
                for x in range(width)
                if periodic or (0 <= y + down < height and 0 <= x + right < width)
            ]
            assert s2[down, right] == sum(pairs) / len(pairs)


@pytest.mark.parametrize("side", [3, 4])
def test_two_point_of_a_checkerboard_is_a_product_of_triangular_waves(side):
    y, x = np.mgrid[: 6 * side, : 8 * side]
    s2 = two_point((y // side + x // side) % 2 == 0, periodic=True)

    def wave(shift):
        return 2 * np.abs(1 - (shift % (2 * side)) / side) - 1

    np.testing.assert_allclose(s2, (1 + wave(y) * wave(x)) / 4, atol=1e-15)


@pytest.mark.parametrize(("width", "period"), [(2, 6), (5, 10), (9, 12)])
def test_two_point_of_lamellae_is_a_triangular_wave_across_and_constant_along(width, period):
    s2 = two_point(stripes(width, period), periodic=True)
    shift = np.arange(31) % period
    across = (np.maximum(0, width - shift) + np.maximum(0, width - (period - shift))) / period
    np.testing.assert_allclose(along(s2, axis=1, max_px=30), across, atol=1e-15)
    np.testing.assert_allclose(along(s2, axis=0, max_px=12), width / period, atol=1e-15)


@pytest.mark.parametrize("periodic", [True, False])
def test_two_point_at_no_distance_is_the_area_fraction_exactly(periodic):
    mask = coins(1, (33, 50), 0.3)
    assert two_point(mask, periodic=periodic)[0, 0] == mask.mean()


def test_a_boolean_model_of_discs_has_its_analytic_two_point_probability(boolean_s2):
    ground = math.exp(-DENSITY * np.pi * RADIUS**2)
    expected = 1 - 2 * ground + np.exp(-DENSITY * union_of_two_discs(np.arange(41)))
    assert expected[0] == pytest.approx(1 - ground)
    assert expected[40] == pytest.approx((1 - ground) ** 2)
    for axis in (0, 1):
        assert_mean_is(expected, [along(s2, axis=axis, max_px=40) for s2 in boolean_s2], error=0.025)
    # The curve bends within a ring of one pixel, by less than the error: 0.004.
    assert_mean_is(expected, [radial(s2, max_px=40) for s2 in boolean_s2], error=0.025)


def test_the_radial_curve_of_lamellae_is_the_mean_over_each_ring():
    s2 = two_point(stripes(5, 10), periodic=True)
    rings = [[] for _ in range(11)]
    for down in range(-12, 12):
        for right in range(-30, 30):
            if (ring := round(math.hypot(down, right))) <= 10:
                rings[ring].append(s2[down, right])
    np.testing.assert_allclose(radial(s2, max_px=10), [np.mean(ring) for ring in rings])


def test_distances_beyond_half_of_the_image_are_refused_with_the_largest_that_fits():
    s2 = two_point(coins(0, (20, 30)))
    with pytest.raises(DataError, match="max_px is 11; expected 0 to 10"):
        radial(s2, max_px=11)
    with pytest.raises(DataError, match="expected 0 to 15"):
        along(s2, axis=1, max_px=16)
    with pytest.raises(DataError, match="expected 0 to 19"):
        lineal_path(coins(0, (20, 30)), axis=0, max_px=20)
    with pytest.raises(DataError, match="expected 0 to 10 in"):
        radial(two_point(coins(0, (21, 30))), max_px=11)
    with pytest.raises(DataError, match="expected 0 to 10 in"):
        along(two_point(coins(0, (21, 30))), axis=0, max_px=11)
    with pytest.raises(DataError, match="max_px is -1"):
        along(s2, axis=1, max_px=-1)


def test_up_to_no_distance_there_is_the_area_fraction_alone():
    mask = coins(0, (20, 30))
    s2, fraction = two_point(mask), pytest.approx([mask.mean()])
    assert radial(s2, max_px=0) == fraction
    assert along(s2, axis=1, max_px=0) == fraction
    assert lineal_path(mask, axis=0, max_px=0) == fraction


@pytest.mark.parametrize("axis", [0, 1])
def test_the_lineal_path_is_the_share_of_lines_that_lie_wholly_in_the_phase(axis):
    mask = coins(2, share=0.8)
    lines = mask if axis == 1 else mask.T
    size = lines.shape[1]
    shares = [
        np.mean([line[start : start + r + 1].all() for line in lines for start in range(size - r)]) for r in range(size)
    ]
    np.testing.assert_allclose(lineal_path(mask, axis=axis, max_px=size - 1), shares, atol=1e-15)


def test_the_lineal_path_through_the_ground_of_a_boolean_model_is_exponential(boolean_models):
    distance = np.arange(41)
    expected = np.exp(-DENSITY * (np.pi * RADIUS**2 + 2 * RADIUS * distance))
    for axis in (0, 1):
        assert_mean_is(expected, [lineal_path(~mask, axis=axis, max_px=40) for mask in boolean_models], error=0.025)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_lineal_path_meets_the_two_point_probability_at_one_pixel_and_is_below_it_farther_on(axis):
    mask = stretched(1, 0, 0)[:101, :90]
    path = lineal_path(mask, axis=axis, max_px=40)
    s2 = along(two_point(mask), axis=axis, max_px=40)
    np.testing.assert_array_equal(path[:2], s2[:2])
    assert (path <= s2).all()
    assert path[40] < s2[40]


@pytest.mark.parametrize("axis", [0, 1])
def test_the_second_difference_of_the_lineal_path_counts_the_chords(axis):
    mask = stretched(1, 0, 0)[:90, :70]
    size, num_lines = mask.shape[axis], mask.size // mask.shape[axis]
    lines = lineal_path(mask, axis=axis, max_px=size - 1) * np.arange(size, 0, -1) * num_lines
    counts = np.diff(np.append(lines, [0, 0]), 2)
    chords = np.bincount(chord_lengths(mask, axis=axis, cut_by_edge="keep"), minlength=size + 1)
    np.testing.assert_allclose(counts, chords[1:], atol=1e-9)


@pytest.mark.parametrize(("width", "period"), [(2, 6), (5, 12)])
def test_chords_across_lamellae_are_their_width_and_along_them_the_image(width, period):
    mask = stripes(width, period)
    # The last stripe of ground meets the edge, the first lamella too.
    np.testing.assert_array_equal(chord_lengths(mask, axis=1), [width] * 24 * (60 // period - 1))
    assert chord_lengths(mask, axis=0).size == 0
    np.testing.assert_array_equal(chord_lengths(mask, axis=0, cut_by_edge="keep"), [24] * (60 * width // period))


def test_chords_cut_by_either_edge_are_left_out_and_only_those():
    mask = np.array([[1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(chord_lengths(mask, axis=1), [1, 4])
    np.testing.assert_array_equal(chord_lengths(mask, axis=1, cut_by_edge="keep"), [2, 1, 1, 4, 6, 1])
    np.testing.assert_array_equal(chord_lengths(mask.T, axis=0), [1, 4])


def test_an_image_without_the_phase_has_no_chords_no_path_and_no_anisotropy():
    empty = np.zeros((10, 12), dtype=bool)
    assert chord_lengths(empty, axis=0, cut_by_edge="keep").size == 0
    assert not lineal_path(empty, axis=0, max_px=5).any()
    assert not two_point(empty).any()
    for mask in (empty, ~empty):
        assert anisotropy(mask).axis_ratio is None
        assert anisotropy(mask).direction_deg is None


def test_an_image_of_the_phase_alone_has_a_path_and_a_two_point_probability_of_one():
    full = np.ones((10, 12), dtype=bool)
    np.testing.assert_array_equal(lineal_path(full, axis=0, max_px=9), 1)
    np.testing.assert_array_equal(two_point(full), 1)


def test_a_disc_is_crossed_twice_by_the_lines_that_meet_it_in_every_direction():
    y, x = np.mgrid[:200, :200]
    disc = (y - 99.3) ** 2 + (x - 100.1) ** 2 < 60**2
    # Lines at unit distance: 120 of 200 meet it. Pairs of pixels that stick out of the image are 1 %.
    np.testing.assert_allclose(crossings(disc), 2 * 120 / 200**2, rtol=0.02)


def test_a_pixel_in_the_middle_of_nine_is_crossed_by_each_pair_that_holds_it():
    """Of 6 pairs side by side 2, of 4 by the corners 2, and of 2 a knight's move apart none."""
    root = math.sqrt(2)
    one = np.zeros((3, 3), bool)
    one[1, 1] = True
    found = crossings(one)
    np.testing.assert_allclose(found, [2 / 6, 0, 2 / 4 / root, 0, 2 / 6, 0, 2 / 4 / root, 0])


@pytest.mark.parametrize(("period", "width"), [(4, 2), (5, 1), (6, 1), (6, 2)])
def test_the_direction_of_level_lamellae_is_zero_and_not_180(period, width):
    """Rounding leaves 1e-18 of slope, either way."""
    rows = np.arange(24) % period < width
    assert anisotropy(np.tile(rows[:, None], (1, 30))).direction_deg == 0


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 135])
@pytest.mark.parametrize("stretch", [1.5, 3])
def test_anisotropy_of_a_stretched_structure_is_the_stretch_in_its_direction(stretch, angle_deg):
    found = [anisotropy(stretched(stretch, angle_deg, seed)) for seed in range(4)]
    assert np.mean([a.axis_ratio for a in found]) == pytest.approx(1 / stretch, rel=0.05)
    off = [(a.direction_deg - angle_deg + 90) % 180 - 90 for a in found]
    assert abs(np.mean(off)) < 2.5
    assert np.abs(off).max() < 8


def test_anisotropy_of_an_isotropic_structure_is_one_within_five_per_cent():
    assert np.mean([anisotropy(stretched(1, 0, seed)).axis_ratio for seed in range(4)]) == pytest.approx(1, abs=0.05)


def test_turning_the_image_by_90_degrees_turns_the_direction_and_leaves_the_ratio():
    mask = stretched(2, 30, 0)[:200, :300]
    before, after = anisotropy(mask), anisotropy(np.rot90(mask))
    assert after.axis_ratio == pytest.approx(before.axis_ratio)
    assert after.direction_deg == pytest.approx(before.direction_deg + 90)


def test_the_ground_is_as_anisotropic_as_the_phase():
    mask = stretched(2, 30, 0)
    assert anisotropy(~mask) == anisotropy(mask)


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90, 115])
def test_straight_lamellae_have_an_axis_ratio_of_zero_and_their_own_direction(angle_deg):
    y, x = np.mgrid[:200, :200]
    across = x * math.sin(math.radians(angle_deg)) + y * math.cos(math.radians(angle_deg))
    found = anisotropy(across % 13.3 < 5)
    assert found.axis_ratio < 0.02
    assert abs((found.direction_deg - angle_deg + 90) % 180 - 90) < 0.2


def test_an_image_too_small_for_the_eight_directions_is_refused():
    with pytest.raises(DataError, match="2 x 9 px; expected 3 x 3"):
        anisotropy(np.ones((2, 9), dtype=bool))


def test_the_phase_fractions_of_published_structures_are_found(shared_data):
    folder = shared_data / "mcrpy_binary"
    rows = list(csv.DictReader((folder / "labels.csv").read_text().splitlines()))
    assert len(rows) == 5
    for row in rows:
        mask = np.load(folder / row["file"]).astype(bool)
        fraction = pytest.approx(float(row["phase_fraction"]), abs=5e-5)
        assert two_point(mask)[0, 0] == fraction
        assert lineal_path(mask, axis=0, max_px=0)[0] == fraction


def test_published_structures_are_isotropic_or_not_as_they_look(shared_data):
    def ratio(name):
        return anisotropy(np.load(shared_data / "mcrpy_binary" / "images" / name).astype(bool)).axis_ratio

    assert ratio("ceramics_resized.npy") > 0.95
    assert ratio("pymks_ms_256x256_1.npy") > 0.95
    assert ratio("copolymer_resized.npy") > 0.8  # a fingerprint with somewhat more lines one way
    assert ratio("pymks_ms_256x256_2.npy") < 0.6  # drawn out sideways

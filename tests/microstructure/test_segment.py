import csv
import itertools

import numpy as np
import pytest
import tifffile

from sorby.errors import DataError
from sorby.micrograph import read_micrograph
from sorby.microstructure.fraction import area_fraction
from sorby.microstructure.segment import cleaned, local_mask, otsu, phases_of, separate


def disc(x, y, radius, *, shape=(60, 60)):
    rows, columns = np.indices(shape)
    return np.hypot(columns - x, rows - y) <= radius


def bar(angle_deg, *, half_width, half_length=40):
    rows, columns = np.indices((101, 101)) - 50
    angle = np.radians(angle_deg)
    along, across = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
    return (abs(along) <= half_length) & (abs(across) <= half_width)


def noisy(*, fractions, greys, std, rng, shape=(200, 200)):
    """Pixels of these greys in these shares, scattered, with Gaussian noise."""
    clean = rng.choice(greys, size=shape, p=fractions)
    return (clean + rng.normal(0, std, shape)).round().clip(0, 255).astype(np.uint8)


def scatter_between(grey, thresholds):
    """Variance of grey between the classes, by the definition."""
    parts = np.digitize(grey.ravel(), thresholds, right=True)
    classes = [grey.ravel()[parts == k] for k in range(len(thresholds) + 1)]
    return sum(c.size * (c.mean() - grey.mean()) ** 2 for c in classes if c.size) / grey.size


@pytest.mark.parametrize("phases", [2, 3])
def test_otsu_makes_the_scatter_between_phases_as_large_as_any_thresholds_do(phases):
    grey = np.random.default_rng(phases).integers(40, 70, (12, 12)).astype(np.uint8)
    best = max(scatter_between(grey, t) for t in itertools.combinations(range(40, 70), phases - 1))
    assert scatter_between(grey, otsu(grey, phases=phases)) == pytest.approx(best, rel=1e-5)


def test_the_shares_of_three_noisy_phases_come_back():
    fractions, greys = (0.2, 0.5, 0.3), (60, 120, 190)
    grey = noisy(fractions=fractions, greys=greys, std=10, rng=np.random.default_rng(0))
    found = np.bincount(phases_of(grey, otsu(grey, phases=3)).ravel()) / grey.size
    # 3 standard deviations are 30 grey levels, half of the smallest step: 0.3 % of pixels cross, and they are 40,000.
    np.testing.assert_allclose(found, fractions, atol=0.01)


def test_a_threshold_lies_midway_between_phases_that_are_apart():
    assert otsu(np.array([[10, 10, 20], [100, 110, 201]], np.uint8), phases=3) == (60, 155)


def test_sixteen_bit_greys_are_parted_as_eight_bit_ones():
    grey = noisy(fractions=(0.4, 0.6), greys=(80, 150), std=15, rng=np.random.default_rng(1))
    wide = (grey.astype(np.uint16) - grey.min()) * 256 + 5000
    for phases in (2, 3):
        thresholds, wide_thresholds = otsu(grey, phases=phases), otsu(wide, phases=phases)
        np.testing.assert_array_equal(phases_of(wide, wide_thresholds), phases_of(grey, thresholds))


@pytest.mark.parametrize(("grey", "phases"), [([[7, 7]], 2), ([[7, 9]], 3), ([[7, 9, 200]], 4)])
def test_fewer_greys_than_phases_are_refused(grey, phases):
    with pytest.raises(DataError, match=f"expected at least {phases}"):
        otsu(np.array(grey, np.uint8), phases=phases)


@pytest.mark.parametrize("phases", [1, 5])
def test_a_number_of_phases_out_of_reach_is_refused(phases):
    with pytest.raises(DataError, match="expected 2 to 4"):
        otsu(np.arange(64, dtype=np.uint8).reshape(8, 8), phases=phases)


def test_as_many_greys_as_phases_are_phases():
    grey = np.array([[9, 7], [200, 9]], np.uint8)
    np.testing.assert_array_equal(phases_of(grey, otsu(grey, phases=3)), [[1, 0], [2, 1]])


def test_a_grey_at_the_threshold_belongs_to_the_darker_phase():
    assert phases_of(np.array([[100, 101]], np.uint8), [100]).tolist() == [[0, 1]]


def test_a_local_threshold_finds_discs_on_a_slope_where_one_threshold_fails():
    centres = [(x, y) for x in range(10, 120, 20) for y in range(10, 120, 20)]
    discs = np.any([disc(x, y, 5, shape=(120, 120)) for x, y in centres], axis=0)
    grey = (40 + np.arange(120) + 40 * discs).astype(np.uint8)
    # 20 px is the period: the mean of the window is the slope and a constant, away from the mirrors at the edge.
    inside = np.s_[12:-12, 12:-12]
    assert ((grey > otsu(grey)[0]) != discs)[inside].mean() > 0.2
    assert ((local_mask(grey, window_px=21) != discs)[inside]).mean() == 0


@pytest.mark.parametrize("window_px", [3, 5])
@pytest.mark.parametrize(("num", "offset"), [(256, 10), (4, 0)])
def test_a_local_threshold_is_the_mean_of_the_mirrored_window_less_the_offset(window_px, num, offset):
    grey = np.random.default_rng(0).integers(0, num, (9, 11)).astype(np.uint8)
    mirrored = np.pad(grey.astype(int), window_px // 2, mode="symmetric")
    sums = np.lib.stride_tricks.sliding_window_view(mirrored, (window_px, window_px)).sum(axis=(2, 3))
    expected = (grey.astype(int) + offset) * window_px**2 > sums
    np.testing.assert_array_equal(local_mask(grey, window_px=window_px, offset=offset), expected)


def test_ground_without_contrast_has_no_specks():
    grey = np.full((64, 64), 100, np.uint8)
    grey[:20] = np.random.default_rng(0).integers(0, 256, (20, 64))
    assert not local_mask(grey, window_px=7)[24:].any()


@pytest.mark.parametrize(("window_px", "instead"), [(-1, 3), (1, 3), (2, 3), (10, 11)])
def test_a_window_without_a_middle_is_refused_with_one_that_has_one(window_px, instead):
    with pytest.raises(DataError, match=f"expected an odd number from 3; take {instead}\\.$"):
        local_mask(np.zeros((20, 20), np.uint8), window_px=window_px)


def test_touching_discs_are_cut_apart_at_their_neck():
    mask = disc(20, 30, 15, shape=(60, 70)) | disc(45, 30, 15, shape=(60, 70))
    labels = separate(mask, min_distance_px=5)
    _, left, right = np.bincount(labels.ravel())
    assert labels.max() == 2
    assert (labels > 0).sum() == mask.sum()
    assert left == right
    assert (labels[mask] == labels[30, 20]).mean() == pytest.approx(0.5)


def test_discs_of_two_sizes_are_cut_where_their_circles_meet():
    """Radii of 18 and 9 and centres 23 apart: (23² + 18² - 9²) / (2 x 23) = 16.8 from the larger centre."""
    mask = disc(24, 30, 18, shape=(60, 70)) | disc(47, 30, 9, shape=(60, 70))
    labels = separate(mask, min_distance_px=5)
    assert labels.max() == 2
    columns = np.arange(70)
    assert set(labels[:, columns < 24 + 15][mask[:, columns < 24 + 15]]) == {labels[30, 24]}
    assert set(labels[:, columns > 24 + 18][mask[:, columns > 24 + 18]]) == {labels[30, 47]}


def test_every_pixel_of_the_mask_has_a_label_also_where_it_hangs_on_by_a_corner():
    tailed = disc(20, 20, 8)
    tailed[[11, 10, 9], [21, 22, 23]] = True
    for mask in (tailed, np.random.default_rng(0).random((40, 40)) < 0.5):
        np.testing.assert_array_equal(separate(mask, min_distance_px=3) > 0, mask)


@pytest.mark.parametrize("radius", [6, 9, 12])
def test_every_disc_of_a_packing_is_found(radius):
    rng = np.random.default_rng(radius)
    centres = [(x, y) for x in range(6) for y in range(6)]
    side = 2 * radius * 7
    places = [(2 * radius * (np.array(c) + 1) + rng.uniform(-0.5, 0.5, 2)) for c in centres]
    mask = np.any([disc(*place, 1.1 * radius, shape=(side, side)) for place in places], axis=0)
    labels = separate(mask, min_distance_px=3)
    at_centres = [labels[round(y), round(x)] for x, y in places]
    assert sorted(at_centres) == list(range(1, 37))


@pytest.mark.parametrize("half_width", [0.7, 1.7, 3, 5, 8])
@pytest.mark.parametrize("min_distance_px", [1, 5])
def test_a_long_bar_stays_whole_at_any_angle(half_width, min_distance_px):
    bars = (bar(angle, half_width=half_width) for angle in range(0, 180, 9))
    assert {separate(mask, min_distance_px=min_distance_px).max() for mask in bars} == {1}


def test_centres_nearer_than_asked_for_are_one_object():
    mask = disc(20, 30, 15, shape=(60, 70)) | disc(45, 30, 15, shape=(60, 70))
    # The centres are 25 px apart, and so far their tops cannot be.
    assert separate(mask, min_distance_px=20).max() == 2
    assert separate(mask, min_distance_px=25).max() == 1


def test_specks_and_corners_in_touch_keep_their_labels():
    mask = np.zeros((9, 9), bool)
    mask[1, 1] = mask[4, 4] = mask[5, 5] = mask[8, 0] = True
    labels = separate(mask, min_distance_px=1)
    assert labels.max() == 3
    assert labels[4, 4] == labels[5, 5]
    np.testing.assert_array_equal(labels > 0, mask)


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_phase_is_one_object_or_none(value):
    labels = separate(np.full((8, 8), value), min_distance_px=3)
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == [int(value)]


def test_a_distance_of_zero_is_refused():
    with pytest.raises(DataError, match="expected 1 or more"):
        separate(disc(20, 20, 5), min_distance_px=0)


def test_specks_and_pinholes_below_the_size_go_and_the_rest_stays():
    mask = disc(20, 20, 12)
    ragged = mask.copy()
    ragged[20, 18:21] = False  # a hole of 3
    ragged[50, 40:44] = True  # a speck of 4
    ragged[55, 50:55] = True  # a speck of 5
    expected = mask.copy()
    expected[55, 50:55] = True
    np.testing.assert_array_equal(cleaned(ragged, min_area_px2=5), expected)


def test_foreground_hangs_together_at_corners_and_ground_does_not():
    diagonal = np.eye(6, dtype=bool)
    np.testing.assert_array_equal(cleaned(diagonal, min_area_px2=6), diagonal)
    np.testing.assert_array_equal(cleaned(~diagonal, min_area_px2=2), np.ones((6, 6), bool))


def superalloys(shared_data):
    """Image file, mask of large and of small gamma prime, and the row of labels.csv, for each image with a mask."""
    folder = shared_data / "ni_superalloy"
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["mask"]]
    for row in rows:
        overlay = tifffile.imread(folder / row["mask"])
        full = np.iinfo(overlay.dtype).max
        blue, red = (np.all(overlay[..., :3] == np.array(c) * full, axis=-1) for c in ((0, 0, 1), (1, 0, 0)))
        yield folder / row["file"], blue, red, row


def test_fractions_of_drawn_superalloy_phases_are_those_of_the_labels(shared_data):
    for file, blue, red, row in superalloys(shared_data):
        found = [area_fraction(blue), area_fraction(red)]
        wanted = [float(row["area_fraction_blue"]), float(row["area_fraction_red"])]
        np.testing.assert_allclose(found, wanted, atol=1e-4, err_msg=file.name)


def test_otsu_comes_within_five_percent_of_drawn_gamma_prime_where_it_differs_in_grey(shared_data):
    contrasted = {"45kx_SE_15kV-etched_0.tif", "SE_15kv_50kx_precip - untested-2_0.tif", "spot1_0d_0.tif"}
    for file, blue, red, _ in superalloys(shared_data):
        if file.name in contrasted:
            grey = read_micrograph(file).grey
            dark = grey <= otsu(grey)[0]
            assert area_fraction(dark) == pytest.approx(area_fraction(blue | red), abs=0.05)
            # By hand against by grey: most of the difference is along the outlines.
            assert (dark == (blue | red)).mean() > 0.8
            contrasted.remove(file.name)
    assert not contrasted

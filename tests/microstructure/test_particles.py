import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import perimeter_crofton, regionprops

from sorby.microstructure.particles import density_per_px2, labelled, particles, perimeters_px


def ellipse(a, b, angle_deg, *, centre=(40.0, 40.0), shape=(82, 82)):
    """Half axes in pixels; anticlockwise as seen."""
    rows, columns = np.indices(shape)
    x, up = columns - centre[0], centre[1] - rows
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return ((x * cos + up * sin) / a) ** 2 + ((up * cos - x * sin) / b) ** 2 <= 1


def only(mask, **kwargs):
    (particle,) = particles(mask.astype(int), **kwargs)
    return particle


def dumb_bell():
    rows, columns = np.indices((40, 100))
    discs = [np.hypot(columns - x, rows - 20) <= 8 for x in (15, 85)]
    return discs[0] | discs[1] | ((abs(rows - 20) <= 1) & (columns > 15) & (columns < 85))


def c_shape():
    rows, columns = np.indices((60, 60)) - 30
    radius = np.hypot(columns, rows)
    return (radius <= 25) & (radius >= 20) & ~((columns > 0) & (abs(rows) <= 8))


def blobs(seed, *, shape=(90, 120), fraction=0.2):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5)
    return field > np.quantile(field, 1 - fraction)


def row(particle):
    """What does not depend on the place or the number of a particle."""
    return replace(particle, label=0, x_px=0, y_px=0, angle_deg=0)


def by_place(found, *, x=lambda p: p.x_px, y=lambda p: p.y_px):
    return sorted(found, key=lambda p: (round(x(p), 6), round(y(p), 6)))


def assert_alike(found, wanted, *, angle):
    """Same particles but for their places, with angles mapped from `found` to `wanted`."""
    assert len(found) == len(wanted) > 10
    for one, other in zip(found, wanted, strict=True):
        assert vars(row(one)) == pytest.approx(vars(row(other)))
        if one.aspect_ratio > 1.001:
            assert (angle(one.angle_deg) - other.angle_deg + 90) % 180 - 90 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("radius", "bound"), [(5, 0.05), (10, 0.02), (30, 0.01)])
def test_a_disc_is_round_and_as_wide_as_it_is(radius, bound):
    for centre in np.random.default_rng(0).uniform(39.5, 40.5, (20, 2)):
        disc = only(ellipse(radius, radius, 0, centre=centre))
        assert disc.equivalent_diameter_px == pytest.approx(2 * radius, rel=bound)
        assert disc.circularity == pytest.approx(1, abs=2.5 * bound)
        assert disc.aspect_ratio == pytest.approx(1, abs=2 * bound)


@pytest.mark.parametrize(
    ("a", "b", "length_bound", "angle_bound"), [(30, 12, 0.012, 0.4), (20, 8, 0.02, 0.8), (12, 6, 0.04, 2)]
)
def test_an_ellipse_at_any_angle_is_measured_as_drawn(a, b, length_bound, angle_bound):
    rng = np.random.default_rng(0)
    for angle in range(0, 180, 4):
        centre = rng.uniform(39.5, 40.5, 2)
        found = only(ellipse(a, b, angle, centre=centre))
        np.testing.assert_allclose([found.major_px, found.minor_px], [2 * a, 2 * b], rtol=length_bound)
        np.testing.assert_allclose([found.x_px, found.y_px], centre, atol=0.2)
        assert abs((found.angle_deg - angle + 90) % 180 - 90) < angle_bound
        assert 0 <= found.angle_deg < 180
        # Ramanujan's circumference of an ellipse; four directions are right on average over angles alone.
        circumference = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))
        assert found.perimeter_px == pytest.approx(circumference, rel=0.04)
        assert found.circularity == pytest.approx(4 * math.pi * found.area_px2 / circumference**2, rel=0.08)


@pytest.mark.parametrize("shape", [dumb_bell, c_shape])
def test_the_fitted_ellipse_has_the_area_of_the_particle_and_scikit_images_has_not(shape):
    found, theirs = only(shape()), regionprops(shape().astype(int))[0]
    assert math.pi / 4 * found.major_px * found.minor_px == pytest.approx(found.area_px2, rel=1e-12)
    assert theirs.axis_major_length > 1.4 * found.major_px
    assert theirs.axis_minor_length > 1.4 * found.minor_px
    # The same direction and, but for a pixel's own moment, the same ratio.
    assert (found.angle_deg - (math.degrees(theirs.orientation) + 90)) % 180 == pytest.approx(0, abs=1e-6)
    assert found.aspect_ratio == pytest.approx(theirs.axis_major_length / theirs.axis_minor_length, rel=0.01)


@pytest.mark.parametrize(("width", "height", "angle"), [(9, 4, 0), (3, 8, 90), (5, 1, 0), (1, 7, 90)])
def test_the_ellipse_of_a_rectangle_has_its_ratio_of_sides(width, height, angle):
    mask = np.zeros((12, 12), bool)
    mask[2 : 2 + height, 1 : 1 + width] = True
    found = only(mask)
    # ImageJ's own formula for a rectangular selection.
    axes = 2 / math.sqrt(math.pi) * np.sort([width, height])[::-1]
    assert [found.major_px, found.minor_px, found.angle_deg] == pytest.approx([*axes, angle])


def test_a_direction_that_rounding_puts_below_zero_is_zero_and_not_180():
    """Symmetric about the horizontal, the covariance of x and y comes to -1e-17."""
    found = only(np.pad([[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 1]], 1) > 0)
    assert 0 <= found.angle_deg < 1e-9


def test_a_single_pixel_is_a_particle():
    mask = np.zeros((5, 5), bool)
    mask[3, 1] = True
    found = only(mask)
    assert (found.x_px, found.y_px, found.area_px2) == (1, 3, 1)
    assert [found.major_px, found.minor_px, found.aspect_ratio] == pytest.approx([1.12838, 1.12838, 1], rel=1e-5)
    assert found.circularity == 1  # 1.75 before it is capped: its perimeter is 2.68 px


def test_perimeters_are_scikit_images_crofton_perimeters_in_four_directions():
    labels = labelled(blobs(0))
    wanted = [perimeter_crofton(np.pad(labels == i, 1), directions=4) for i in range(1, labels.max() + 1)]
    np.testing.assert_allclose(perimeters_px(labels), wanted)


def test_perimeters_hold_for_particles_that_touch_each_other():
    tiles = np.kron(np.arange(1, 7).reshape(2, 3), np.ones((5, 5), int))
    alone = [perimeters_px((tiles == i).astype(int)) for i in range(1, 7)]
    np.testing.assert_allclose(perimeters_px(tiles), np.ravel(alone))


@pytest.mark.parametrize("angle", [0, 10, 22.5, 45, 60])
def test_the_perimeter_of_a_square_at_any_angle_is_within_the_stated_error(angle):
    rows, columns = np.indices((140, 140)) - 70
    turn = math.radians(angle)
    along, across = columns * math.cos(turn) + rows * math.sin(turn), rows * math.cos(turn) - columns * math.sin(turn)
    square = (along >= -40) & (along < 40) & (across >= -40) & (across < 40)
    (perimeter,) = perimeters_px(square.astype(int))
    assert -0.06 < perimeter / (4 * 80) - 1 < 0.03


def test_shifting_the_image_shifts_the_centres_only():
    mask = np.pad(blobs(1), 2)
    shifted = np.pad(mask, ((7, 0), (3, 0)))
    found, wanted = (particles(labelled(m), edges="keep") for m in (shifted, mask))
    assert_alike(found, wanted, angle=lambda a: a)
    np.testing.assert_allclose([[p.x_px, p.y_px] for p in found], [[p.x_px + 3, p.y_px + 7] for p in wanted])


def test_a_quarter_turn_turns_directions_by_ninety_degrees():
    mask = blobs(2)
    width = mask.shape[1]
    turned = particles(labelled(np.rot90(mask)), edges="correct")
    wanted = particles(labelled(mask), edges="correct")
    # Anticlockwise: x becomes y counted upwards, y becomes x.
    found = by_place(turned, x=lambda p: width - 1 - p.y_px, y=lambda p: p.x_px)
    assert_alike(found, by_place(wanted), angle=lambda a: a - 90)


def test_a_mirror_mirrors_directions():
    mask = blobs(3)
    mirrored = particles(labelled(mask[:, ::-1]), edges="keep")
    found = by_place(mirrored, x=lambda p: mask.shape[1] - 1 - p.x_px)
    assert_alike(found, by_place(particles(labelled(mask), edges="keep")), angle=lambda a: 180 - a)


def test_pixels_of_half_the_size_double_all_lengths_but_the_perimeter_exactly():
    labels = labelled(blobs(4))
    doubled = np.kron(labels, np.ones((2, 2), int))
    for small, large in zip(*(particles(image, edges="keep") for image in (labels, doubled)), strict=True):
        assert large.area_px2 == 4 * small.area_px2
        lengths = ("equivalent_diameter_px", "major_px", "minor_px")
        assert [getattr(large, n) for n in lengths] == pytest.approx([2 * getattr(small, n) for n in lengths])
        assert [large.aspect_ratio, large.angle_deg] == pytest.approx([small.aspect_ratio, small.angle_deg])


def test_particles_come_by_label_and_labels_may_have_gaps():
    labels = np.zeros((9, 9), int)
    labels[1:3, 1:3], labels[5:8, 5:8], labels[5, 2] = 40, 7, 9
    assert [(p.label, p.area_px2) for p in particles(labels)] == [(7, 9), (9, 1), (40, 4)]
    assert [p.label for p in particles(labels, min_area_px2=4)] == [7, 40]


def test_pixels_at_a_corner_are_one_particle():
    assert labelled(np.eye(4, dtype=bool)).max() == 1


@pytest.mark.parametrize("edges", ["correct", "leave-out", "keep"])
def test_an_image_without_particles_gives_none(edges):
    assert particles(np.zeros((5, 5), int), edges=edges) == []
    assert perimeters_px(np.zeros((5, 5), int)).size == 0
    assert density_per_px2([], shape=(5, 5)) == 0


def test_particles_at_the_edge_are_left_out_unless_kept():
    labels = np.zeros((8, 10), int)
    labels[0, 4], labels[7, 6], labels[3, 0], labels[5, 9], labels[3:5, 3:6] = 1, 2, 3, 4, 5
    assert [p.label for p in particles(labels, edges="leave-out")] == [5]
    kept = particles(labels, edges="keep")
    assert [p.touches_edge for p in kept] == [True] * 4 + [False]
    assert {p.weight for p in kept} == {1.0}


def test_over_all_places_of_the_window_a_particle_counts_once():
    particle = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 0]])
    height, width = 9, 11
    plane = np.pad(particle, ((height, height), (width, width)))
    places = np.ndindex(plane.shape[0] - height + 1, plane.shape[1] - width + 1)
    windows = (plane[y : y + height, x : x + width] for y, x in places)
    # Once in a plane of one place a pixel.
    total = sum(density_per_px2(particles(window), shape=window.shape) for window in windows)
    assert total == pytest.approx(1)


def scattered_discs(rng, *, side, radii, num):
    """Labels of discs at random on a torus, those dropped that would touch an earlier one."""
    labels = np.zeros((side, side), int)
    for number in range(1, num + 1):
        reach = rng.choice(radii) + 2
        y, x = rng.integers(side, size=2)
        offsets = np.arange(-reach, reach + 1)
        place = np.ix_((y + offsets) % side, (x + offsets) % side)
        if not labels[place].any():
            labels[place] = number * (np.hypot(*np.meshgrid(offsets, offsets)) <= reach - 2)
    return labels


def test_weights_make_density_and_mean_size_unbiased_in_random_windows():
    rng = np.random.default_rng(0)
    torus, shape = scattered_discs(rng, side=512, radii=[2, 5, 11], num=1500), (64, 48)
    areas = np.bincount(torus.ravel())[1:]
    density, mean_area = np.count_nonzero(areas) / torus.size, areas[areas > 0].mean()
    twice = np.tile(torus, (2, 2))
    windows = [twice[y : y + shape[0], x : x + shape[1]] for y, x in rng.integers(512, size=(600, 2))]

    def error_in_standard_errors(edges):
        """Of the density, and of the area per pixel that the particles of mean size would hold."""
        found = [particles(window, edges=edges) for window in windows]
        densities = np.array([density_per_px2(ps, shape=shape) for ps in found])
        held = np.array([sum(p.weight * (p.area_px2 - mean_area) for p in ps) for ps in found])
        shifts = [densities - density, held]
        return [s.mean() / (s.std(ddof=1) / math.sqrt(len(s))) for s in shifts]

    assert max(map(abs, error_in_standard_errors("correct"))) < 3
    assert max(error_in_standard_errors("leave-out")) < -10  # too few, and too small
    assert error_in_standard_errors("keep")[0] > 10  # too many

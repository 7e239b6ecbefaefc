import math

import numpy as np
import pytest
import skimage.measure

from sorby.microstructure.topology import Minkowski, betti, euler_number, minkowski, persistence

SIZE = 120


def disc(row, column, radius, size=SIZE):
    y, x = np.mgrid[:size, :size]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def ring(row, column, radius):
    return disc(row, column, radius) & ~disc(row, column, radius - 4)


def places(n):
    return [(20 + 40 * (i // 3), 20 + 40 * (i % 3)) for i in range(n)]


def random_masks():
    rng = np.random.default_rng(0)
    return [rng.random((11, 14)) < share for share in np.linspace(0, 1, 41)]


def alive(pairs, level, dimension):
    return int(((pairs.birth >= level) & (pairs.death < level) & (pairs.dimension == dimension)).sum())


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("n", [1, 4, 9])
def test_discs_are_parts_without_holes_and_rings_have_one_each(n, neighbours):
    discs = np.any([disc(*place, 12) for place in places(n)], axis=0)
    rings = np.any([ring(*place, 12) for place in places(n)], axis=0)
    assert betti(discs, neighbours=neighbours) == (n, 0)
    assert betti(~discs, neighbours=neighbours) == (1, n)
    assert betti(rings, neighbours=neighbours) == (n, n)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_nested_rings_are_a_part_and_a_hole_each(neighbours):
    nested = ring(60, 60, 50) | ring(60, 60, 35) | ring(60, 60, 20)
    assert betti(nested, neighbours=neighbours) == (3, 3)
    assert betti(nested | disc(60, 60, 5), neighbours=neighbours) == (4, 3)


def test_pixels_that_touch_by_corners_are_one_part_by_eight_neighbours_and_two_by_four():
    corners = np.eye(2, dtype=bool)
    assert betti(corners, neighbours=8) == (1, 0)
    assert betti(corners, neighbours=4) == (2, 0)
    assert (minkowski(corners).euler, minkowski(corners, neighbours=4).euler) == (1, 2)


def test_a_loop_closed_by_corners_encloses_ground_by_eight_neighbours_alone():
    diamond = np.array(
        [[0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0]], dtype=bool
    )
    assert betti(diamond, neighbours=8) == (1, 1)
    assert betti(diamond, neighbours=4) == (8, 0)


def test_ground_that_meets_the_edge_is_no_hole():
    assert betti(np.array([[1, 1, 1], [1, 0, 1], [1, 0, 1]], dtype=bool)) == (1, 0)
    assert betti(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)) == (1, 1)


@pytest.mark.parametrize(("neighbours", "dual"), [(4, 8), (8, 4)])
def test_parts_of_the_phase_are_holes_of_the_ground_by_the_dual_neighbours(neighbours, dual):
    for mask in random_masks():
        b0, b1 = betti(mask, neighbours=neighbours)
        assert betti(~np.pad(mask, 1), neighbours=dual) == (b1 + 1, b0)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_the_euler_number_is_parts_less_holes(neighbours):
    for mask in random_masks():
        b0, b1 = betti(mask, neighbours=neighbours)
        assert euler_number(mask, neighbours=neighbours) == b0 - b1
        assert skimage.measure.euler_number(mask, connectivity=1 if neighbours == 4 else 2) == b0 - b1


def test_an_empty_image_has_no_parts_and_a_full_one_a_single_one():
    empty = np.zeros((6, 7), dtype=bool)
    assert betti(empty) == (0, 0)
    assert betti(~empty) == (1, 0)
    assert minkowski(empty) == Minkowski(0, 0, 0)


@pytest.mark.parametrize("radius", [5, 12, 40])
def test_a_disc_has_its_area_its_circumference_and_euler_number_one(radius):
    found = minkowski(disc(60.2, 59.7, radius))
    assert found.area_px2 == pytest.approx(math.pi * radius**2, rel=0.02)
    assert found.perimeter_px == pytest.approx(2 * math.pi * radius, rel=0.02)
    assert found.euler == 1


@pytest.mark.parametrize("angle_deg", [0, 10, 22.5, 45, 70])
def test_the_perimeter_of_a_square_is_right_to_six_per_cent_at_any_angle(angle_deg):
    y, x = np.mgrid[:200, :200] - 99.6
    turn = np.exp(-1j * math.radians(angle_deg)) * (x + 1j * y)
    square = (np.abs(turn.real) < 60) & (np.abs(turn.imag) < 60)
    assert minkowski(square).perimeter_px == pytest.approx(4 * 120, rel=0.06)


def test_minkowski_functionals_of_separate_figures_add_up():
    figures = [disc(20, 20, 12), ring(60, 60, 15), ring(100, 30, 9)]
    apart, together = [minkowski(figure) for figure in figures], minkowski(np.any(figures, axis=0))
    assert together.area_px2 == sum(figure.area_px2 for figure in apart)
    assert together.perimeter_px == pytest.approx(sum(figure.perimeter_px for figure in apart))
    assert together.euler == sum(figure.euler for figure in apart) == 1


def test_the_lower_of_two_hills_lives_from_its_top_to_the_saddle():
    # Cones of height 200 and 150 with slope 5; halfway between their tops they have sunk to equal heights at 110.
    y, x = np.mgrid[:80, :120]
    hills = np.maximum(200 - 5 * np.hypot(y - 40, x - 38), 150 - 5 * np.hypot(y - 40, x - 64))
    pairs = persistence(np.clip(hills, 20, 255).astype(np.uint8))
    np.testing.assert_array_equal(pairs.birth, [150, 200])
    np.testing.assert_array_equal(pairs.death, [110, 20])
    np.testing.assert_array_equal(pairs.dimension, [0, 0])
    assert pairs.total(0) == 40 + 180
    assert pairs.total(1) == 0


def test_a_crater_lives_from_the_lowest_point_of_its_rim_to_its_floor():
    # A wall of height 180 around a floor at 60, with a gap in the wall that is filled up to 130.
    grey = np.full((40, 40), 10, dtype=np.uint8)
    grey[8:32, 8:32] = 180
    grey[12:28, 12:28] = 60
    grey[18:22, 28:32] = 130
    pairs = persistence(grey)
    np.testing.assert_array_equal(pairs.birth, [180, 130])
    np.testing.assert_array_equal(pairs.death, [10, 60])
    np.testing.assert_array_equal(pairs.dimension, [0, 1])
    assert pairs.total(1) == 70


@pytest.mark.parametrize("seed", range(20))
def test_features_alive_at_a_grey_level_are_the_betti_numbers_of_the_pixels_from_it_up(seed):
    grey = np.random.default_rng(seed).integers(0, 8, (13, 17), dtype=np.uint8) * np.uint8(36)
    pairs = persistence(grey)
    for level in range(int(grey.min()) + 1, 256, 12):
        assert (alive(pairs, level, 0), alive(pairs, level, 1)) == betti(grey >= level)


def test_total_persistence_is_the_area_under_the_betti_curve():
    grey = np.random.default_rng(0).integers(0, 40, (20, 20), dtype=np.uint8)
    pairs = persistence(grey)
    curve = np.array([betti(grey >= level) for level in range(int(grey.min()) + 1, 40)])
    assert (pairs.total(0), pairs.total(1)) == tuple(curve.sum(axis=0))


def test_turning_and_brightening_the_image_leave_the_lifetimes():
    grey = np.random.default_rng(1).integers(0, 200, (20, 30), dtype=np.uint8)
    for other in (np.rot90(grey), grey[:, ::-1], grey + np.uint8(55), grey.astype(np.uint16) + np.uint16(60000)):
        before, after = persistence(grey), persistence(other)
        for dimension in (0, 1):
            assert after.total(dimension) == before.total(dimension)
        assert after.birth.max() == other.max()


def test_islands_of_a_mask_live_over_the_whole_range_and_their_number_is_b0():
    mask = np.any([disc(*place, 12) for place in places(5)], axis=0)
    pairs = persistence(np.where(mask, 255, 0).astype(np.uint8))
    assert pairs.total(0) == 5 * 255
    assert pairs.birth.size == 5


def test_an_even_image_has_the_one_part_that_never_dies_and_no_lifetime():
    pairs = persistence(np.full((5, 6), 7, dtype=np.uint8))
    assert (pairs.birth, pairs.death, pairs.dimension) == ([7], [7], [0])
    assert pairs.total(0) == pairs.total(1) == 0

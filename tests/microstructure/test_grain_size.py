import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sorby.errors import DataError
from sorby.microstructure.grain_size import (
    grain_size_number,
    grain_size_number_from_density,
    grains_per_px2,
    intercept_length_px,
)

# ASTM E112-13, table 4: grain size number, grains per mm², mean intercept in µm.
TABLE = [(0, 7.75, 320.0), (1, 15.5, 226.3), (4, 124.0, 80.0), (7, 992.0, 28.3), (8, 1984.0, 20.0), (10, 7936.0, 10.0)]


def square_grid(side, *, angle_deg=0, size=600):
    """Square grains of this side, turned."""
    rows, columns = np.indices((size, size)) + 0.5
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    i, j = (np.floor(v / side).astype(int) for v in (columns * cos + rows * sin, rows * cos - columns * sin))
    return 1 + (i - i.min()) * (np.ptp(j) + 1) + (j - j.min())


def voronoi(num, *, size, rng):
    """Grains nearest to random points on a torus."""
    points = rng.random((num, 2)) * size
    pixels = np.indices((size, size)).reshape(2, -1).T + 0.5
    return 1 + cKDTree(points, boxsize=size).query(pixels)[1].reshape(size, size)


@pytest.mark.parametrize(("number", "per_mm2", "intercept_um"), TABLE)
def test_the_table_of_the_standard_comes_back(number, per_mm2, intercept_um):
    # The table rounds the intercept to 0.1 µm, which is 0.02 of G at 28.3 µm.
    assert grain_size_number(mean_intercept_mm=intercept_um / 1000) == pytest.approx(number, abs=0.02)
    assert grain_size_number_from_density(per_mm2) == pytest.approx(number, abs=0.002)


@pytest.mark.parametrize("number", [0, 3.5, 12])
def test_a_grain_size_number_is_two_to_its_power_of_grains_in_a_square_inch_at_100_times(number):
    square_inch_at_100_mm2 = (25.4 / 100) ** 2
    assert grain_size_number_from_density(2 ** (number - 1) / square_inch_at_100_mm2) == pytest.approx(number, abs=1e-3)


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_grain_size_number_of_nothing_is_refused(value):
    with pytest.raises(DataError, match=f"mean_intercept_mm is {value}: expected a number above 0"):
        grain_size_number(mean_intercept_mm=value)
    with pytest.raises(DataError, match=f"per_mm2 is {value}: expected a number above 0"):
        grain_size_number_from_density(value)


def test_the_intercept_of_a_square_grid_is_its_side_along_the_axes_and_less_by_root_two_across():
    grains = square_grid(10, size=401)  # lines of 400 steps, 40 boundaries
    assert intercept_length_px(grains, angles_deg=[0]) == pytest.approx(10)
    assert intercept_length_px(grains, angles_deg=[90]) == pytest.approx(10)
    across = intercept_length_px(square_grid(60, angle_deg=45), angles_deg=[0, 90])
    assert across == pytest.approx(60 / math.sqrt(2), rel=0.01)


def test_over_all_orientations_the_intercept_of_a_square_grid_is_pi_quarters_of_its_side():
    crossings = [1 / intercept_length_px(square_grid(60, angle_deg=angle)) for angle in np.arange(0.5, 90, 4.1)]
    assert 1 / np.mean(crossings) == pytest.approx(math.pi / 4 * 60, rel=0.01)


@pytest.mark.parametrize("angle", [0, 15, 22.5, 45])
def test_four_directions_are_within_six_percent_for_any_orientation(angle):
    found = intercept_length_px(square_grid(100, angle_deg=angle, size=1001))
    assert found == pytest.approx(math.pi / 4 * 100, rel=0.06)


def test_the_intercept_of_a_poisson_voronoi_tessellation_is_that_of_theory():
    rng = np.random.default_rng(0)
    found = [intercept_length_px(voronoi(100, size=320, rng=rng)) for _ in range(16)]
    # Boundary length 2 sqrt(N_A) per area (Meijering 1953), hence pi / (4 sqrt(N_A)) between crossings. The spread of
    # one tessellation is 1.5 %; intercepts below a step are missed, 1 % of the crossings.
    assert np.mean(found) == pytest.approx(math.pi / 4 * 32, rel=0.02)


def test_stretched_grains_are_longer_along_the_stretch():
    stretched = np.repeat(voronoi(400, size=200, rng=np.random.default_rng(1)), 3, axis=1)
    along, across = (intercept_length_px(stretched, angles_deg=[angle]) for angle in (0, 90))
    assert along / across == pytest.approx(3, rel=0.1)


def test_diagonal_directions_run_anticlockwise_as_seen():
    rising = (
        np.tile(np.arange(30), (30, 1)) + np.arange(30)[:, None]
    )  # grains along the diagonal that rises to the right
    bands = 1 + rising // 6
    assert intercept_length_px(bands, angles_deg=[45]) is None
    assert intercept_length_px(bands, angles_deg=[135]) == pytest.approx(6 / math.sqrt(2), rel=0.03)


def test_drawn_boundaries_are_crossed_once():
    drawn = square_grid(10, size=405)[:, 5:]
    drawn[:, 4::10] = 0
    undrawn = square_grid(10, size=405)[:, 5:]
    assert intercept_length_px(drawn, angles_deg=[0]) == pytest.approx(intercept_length_px(undrawn, angles_deg=[0]))


def test_a_line_that_ends_on_a_boundary_crosses_half_of_it():
    grains = np.tile([0, 1, 1, 0, 0, 2, 3, 3, 0], (2, 1))
    # 1/2 at each end, the stretch of 0 and the change from 2 to 3: three crossings in 8 steps.
    assert intercept_length_px(grains, angles_deg=[0]) == pytest.approx(8 / 3)


def test_one_grain_has_no_intercept_and_no_density():
    assert intercept_length_px(np.ones((20, 20), int)) is None
    assert grains_per_px2(np.ones((20, 20), int)) is None


def test_directions_off_the_grid_and_single_rows_are_refused():
    with pytest.raises(DataError, match="expected some of"):
        intercept_length_px(np.ones((5, 5), int), angles_deg=[30])
    with pytest.raises(DataError, match="2 pixels or more"):
        intercept_length_px(np.ones((1, 5), int))


def brick_wall(*, width, height, size):
    rows, columns = np.indices((size, size))
    course = rows // height
    return 1 + course * (size + 1) + (columns + course % 2 * (width // 2)) // width


def test_over_all_places_of_the_window_a_brick_wall_has_one_brick_per_area_of_a_brick():
    wall = brick_wall(width=6, height=4, size=40)
    windows = [wall[y : y + 20, x : x + 22] for y in range(8) for x in range(6)]
    counts = [grains_per_px2(window) for window in windows]
    assert np.mean(counts) == pytest.approx(1 / 24)
    assert np.std(counts) > 0


def test_count_and_intercepts_agree_on_equiaxed_grains():
    grains = voronoi(900, size=360, rng=np.random.default_rng(2))
    per_mm2, intercept_mm = grains_per_px2(grains) * 1000**2, intercept_length_px(grains) / 1000  # pixels of 1 µm
    # E112 ties the two for its model of grains; those of a Voronoi tessellation have 0.785 instead of 0.891 of
    # 1 / sqrt(N_A) between crossings, which is 0.36 of G.
    shift = grain_size_number(mean_intercept_mm=intercept_mm) - grain_size_number_from_density(per_mm2)
    assert shift == pytest.approx(0.36, abs=0.1)

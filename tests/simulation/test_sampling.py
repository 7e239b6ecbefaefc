import numpy as np
import pytest

from sorby.errors import ConfigError
from sorby.simulation.sampling import conditions_of, sobol
from sorby.simulation.settings import Simulator, Variable, make_settings

SIMULATOR = Simulator(
    name="oven",
    about="",
    variables=(
        Variable("temperature", "°C", "linear", 400, 600, 0, 1000),
        Variable("time", "s", "log", 10, 1000, 0.1, 1e6),
        Variable("strain", "", "linear", 0, 0, -1, 1),
    ),
    pixel_size_um=None,
    draw=lambda shape, *_: np.zeros(shape),
    plain=lambda field: field.astype(np.uint8),
    plain_rule="",
)


def drawn(**settings):
    return conditions_of(SIMULATOR, make_settings(**settings))


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_sobol_points_put_one_in_each_slice_of_each_side(dim):
    points = sobol(32, dim, seed=7)
    for column in points.T:
        assert sorted(np.floor(column * 32).astype(int)) == list(range(32))


def test_a_larger_sample_holds_the_smaller_one():
    np.testing.assert_array_equal(sobol(40, 3, seed=1)[:17], sobol(17, 3, seed=1))
    assert (sobol(8, 3, seed=1) != sobol(8, 3, seed=2)).all()


def test_a_sample_fills_its_ranges_evenly_on_their_scales():
    found = drawn(sample=64, ranges={"temperature": (450, 500)})
    temperatures, times = (np.array([c[name] for c in found]) for name in ("temperature", "time"))
    assert temperatures.min() >= 450
    assert temperatures.max() <= 500
    assert np.median(temperatures) == pytest.approx(475, abs=1)
    assert np.median(times) == pytest.approx(100, rel=0.05)  # the middle of 10 to 1000 on a scale of ratios
    assert {c["strain"] for c in found} == {0}


def test_a_grid_has_all_combinations_and_the_middle_of_the_rest():
    found = drawn(grid={"temperature": (400, 500), "strain": (0, 0.1, 0.2)})
    assert len(found) == 6
    assert {(c["temperature"], c["strain"]) for c in found} == {(t, s) for t in (400, 500) for s in (0, 0.1, 0.2)}
    assert {c["time"] for c in found} == {100}


def test_what_is_fixed_is_the_same_everywhere_and_may_lie_outside_the_usual_range():
    assert {c["temperature"] for c in drawn(sample=4, fixed={"temperature": 900})} == {900}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ranges": {"temprature": (1, 2)}}, "no condition 'temprature': did you mean temperature"),
        ({"fixed": {"tim": 1}}, "did you mean time"),
        ({"grid": {"stain": (1,)}}, "did you mean strain"),
        ({"ranges": {"temperature": (400, 1200)}}, "temperature=1200 is out of range: it goes from 0 to 1000 °C"),
        ({"grid": {"strain": (0, 3)}}, "strain=3 is out of range"),
        ({"fixed": {"time": 0}}, "time=0 is out of range"),
        ({"fixed": {"time": float("nan")}}, "time=nan is out of range"),
        ({"grid": {"time": (5, 5)}}, "give each value once"),
        ({"fixed": {"time": 20, "temperature": 500}}, "leave one to vary"),
    ],
)
def test_what_cannot_be_simulated_is_named_with_the_nearest_that_can(settings, message):
    with pytest.raises(ConfigError, match=message):
        drawn(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grid": {"time": (1, 2)}, "sample": 4}, "A grid goes without sample"),
        ({"ranges": {"time": (5, 1)}}, "LOW below HIGH"),
        ({"ranges": {"time": (1, 5)}, "fixed": {"time": 2}}, "one of them"),
        ({"size": 64, "field_size": 32}, "smaller than their pictures"),
        ({"look": "etched"}, "look"),
        ({"held_out": 1}, "held_out"),
        ({"colour": 1}, "colour"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        make_settings(**settings)

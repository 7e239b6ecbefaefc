import numpy as np
import pytest
from matplotlib.figure import Figure

from sorby.metrics.record import ByCondition, ConditionMean
from sorby.report import descriptor_plots
from tests.report.test_html import following, report


def mean(condition, real, generated, *, real_interval=None, generated_interval=None, seen=True):
    return ConditionMean(
        condition=condition,
        seen=seen,
        real_mean=real,
        real_interval=real_interval,
        generated_mean=generated,
        generated_interval=generated_interval,
        shift=None,
        num_real=20,
        num_generated=20,
        num_parents=5,
    )


def descriptor(*means):
    return ByCondition(name="a", title="area fraction", unit="µm", means=means, following=(following(),))


def test_each_condition_is_a_point_of_real_over_generated_mean_with_its_intervals():
    found = descriptor(
        mean("900 °C", 1.0, 3.0, real_interval=(0.5, 2.0), generated_interval=(2.5, 3.25)), mean("1000 °C", 2.0, 2.5)
    )
    axis = Figure().subplots()
    descriptor_plots._scatter(axis, found, descriptor_plots._looks(["900 °C", "1000 °C"]))
    points = [tuple(bars.lines[0].get_xydata()[0]) for bars in axis.containers]
    across, up = (lines.get_segments()[0] for lines in axis.containers[0].lines[2])
    assert points == [(1.0, 3.0), (2.0, 2.5)]
    np.testing.assert_allclose(across, [[0.5, 3.0], [2.0, 3.0]])
    np.testing.assert_allclose(up, [[1.0, 2.5], [1.0, 3.25]])
    assert axis.get_xlim() == axis.get_ylim()
    assert axis.get_xlim()[0] < 0.5


@pytest.mark.parametrize("num", [1, 12, 13, 40])
def test_any_number_of_conditions_is_drawn(num):
    names = [f"temperature {i} °C, $x^$" for i in range(num)]
    looks = descriptor_plots._looks(names)
    assert "image/svg" in descriptor_plots.by_condition([descriptor(*(mean(n, 1.0, 1.0) for n in names))])
    told_apart = {(look["marker"], str(look["color"])) for look in looks.values()}
    assert len(told_apart) == (num if num <= 12 else 1)


def test_an_interval_far_wider_than_the_points_does_not_set_the_scale():
    low, high = descriptor_plots._square([mean("a", 1.0, 2.0, real_interval=(-100.0, 100.0)), mean("b", 1.5, 1.0)])
    assert -1 < low < 1
    assert 2 < high < 4


def test_nothing_to_show_gives_no_figure():
    assert descriptor_plots.by_condition([]) == descriptor_plots.margins([]) == ""


def test_margins_are_drawn_also_of_what_is_infinitely_far_off():
    found = report().descriptors
    far = found[0].model_copy(update={"shift": (1e6, 1e5, 1e7), "spread": (1e-6, 1e-7, 1e-5)})
    assert "image/svg" in descriptor_plots.margins([far, *found[1:]])


def test_points_of_conditions_held_out_are_hollow():
    found = descriptor(mean("900 °C", 1.0, 3.0), mean("1000 °C", 2.0, 2.5, seen=False))
    axis = Figure().subplots()
    descriptor_plots._scatter(axis, found, descriptor_plots._looks(["900 °C", "1000 °C"]))
    faces = [bars.lines[0].get_markerfacecolor() for bars in axis.containers]
    assert faces[1] == "none" != faces[0]


def test_a_ridge_stands_on_its_line_and_peaks_where_the_values_are():
    rng = np.random.default_rng(0)
    axis = Figure().subplots()
    values = [rng.normal(1, 0.1, 200), rng.normal(3, 0.1, 200)]
    descriptor_plots._ridges(axis, values, values)
    curves = [line for line in axis.lines if len(line.get_xdata()) > 2]
    for row, peak in ((0, 1.0), (1, 3.0)):
        x, y = curves[2 * row].get_data()
        assert y.max() == pytest.approx(row, abs=1e-3)
        assert y.min() == pytest.approx(row - 0.85)
        assert x[y.argmin()] == pytest.approx(peak, abs=0.15)


def test_ridges_are_drawn_also_of_conditions_without_values():
    none, some = np.zeros(0), np.array([1.0, 2.0, 4.0])
    figure = descriptor_plots.ridges(["a", "b"], ["$x^$ 1", "2"], [[some, none], [none, none]], [[some, none]] * 2)
    assert "image/svg" in figure

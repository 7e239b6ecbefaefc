import numpy as np
import pytest

from sorby.evaluation.lines import line_of, mean_number


def test_slope_and_r2_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    x, y = rng.random(12), rng.random(12)
    line = line_of(x, y, np.arange(12))
    assert line.slope.value == pytest.approx(np.polyfit(x, y, 1)[0])
    assert line.r2.value == pytest.approx(1 - np.sum((y - x) ** 2) / np.sum((x - x.mean()) ** 2))
    assert line.num_conditions == 12


@pytest.mark.parametrize(
    ("y", "slope", "r2"),
    [
        (lambda x: x, 1, 1),
        (lambda x: np.full_like(x, x.mean()), 0, 0),
        (lambda x: x + 1, 1, 1 - 4 / 2),  # four points 1 off, and a sum of squares of 2
        (lambda x: -x, -1, -11),
    ],
    ids=["follows", "always the same", "always too much", "the wrong way"],
)
def test_slope_and_r2_of_known_lines(y, slope, r2):
    x = np.array([0.5, 1.0, 1.5, 2.0]) * np.sqrt(2 / 1.25)
    line = line_of(x, y(x), np.arange(4))
    assert line.slope.value == pytest.approx(slope)
    if y(x)[0] == -x[0]:
        r2 = 1 - 4 * np.sum(x**2) / 2
    assert line.r2.value == pytest.approx(r2, abs=1e-9)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    """Eight conditions over 0 to 1, off by 0.1 at random: slope 1, and R² 1 - 0.01 x 12."""
    rng = np.random.default_rng(1)
    slopes, r2s = [], []
    for _ in range(400):
        x = rng.random(8)
        line = line_of(x, x + rng.normal(0, 0.1, 8), np.arange(8))
        slopes.append(line.slope.low <= 1 <= line.slope.high)
        r2s.append(line.r2.low <= 1 - 0.12 <= line.r2.high)
    assert 0.91 < np.mean(slopes) < 0.985
    assert 0.91 < np.mean(r2s) < 0.985


def test_pictures_of_one_condition_do_not_count_as_many():
    """Each point ten times: neither slope nor interval changes."""
    rng = np.random.default_rng(2)
    x, y = rng.random(6), rng.random(6)
    once = line_of(x, y, np.arange(6))
    often = line_of(np.repeat(x, 10), np.repeat(y, 10), np.repeat(np.arange(6), 10))
    for name in ("value", "low", "high"):
        assert getattr(often.slope, name) == pytest.approx(getattr(once.slope, name))
        assert getattr(often.r2, name) == pytest.approx(getattr(once.r2, name))


def test_two_conditions_or_equal_values_make_no_line():
    assert line_of(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.arange(2)) is None
    assert line_of(np.zeros(5), np.arange(5.0), np.arange(5)) is None


def test_two_values_that_hang_on_one_condition_have_no_interval():
    line = line_of(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]), np.arange(3))
    assert line.slope.value == pytest.approx(1)
    assert line.slope.low is None


def test_a_share_is_cut_to_what_it_can_be():
    assert mean_number(np.array([0.0, 1.0]), low=0, high=1).model_dump() == {"value": 0.5, "low": 0.0, "high": 1.0}
    assert mean_number(np.array([0.5])).low is None

import numpy as np
import pytest

from sorby.study.baselines import baselines, interpolated, nearest


def test_on_a_line_interpolation_is_that_of_numpy():
    x, y = np.array([0.0, 0.7, 1.5, 4.0]), np.array([3.0, -1.0, 2.0, 2.5])
    for at in (0.3, 1.0, 3.9):
        assert interpolated(x[:, None], np.array([at]), y) == pytest.approx(np.interp(at, x, y))


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_a_linear_relation_is_followed_exactly_in_and_beyond_the_data(dim):
    rng = np.random.default_rng(0)
    seen, slope = rng.normal(size=(20, dim)), rng.normal(size=dim)
    for at in (seen.mean(axis=0), 5 * np.ones(dim)):
        assert interpolated(seen, at, 2 + seen @ slope) == pytest.approx(2 + at @ slope)


def test_conditions_seen_that_do_not_span_their_space_still_interpolate():
    """Two classes one-hot: their entries add up to 1; and a second variable that does not vary."""
    seen = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    assert 0 < interpolated(seen, np.array([1.0, 0.0, 0.5]), np.array([0.0, 1.0, 0.0, 1.0])) < 1
    flat = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert interpolated(flat, np.array([0.5, 1.0]), np.array([2.0, 4.0])) == pytest.approx(3)


def test_the_nearest_condition_is_nearest_in_what_was_standardised():
    seen = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert nearest(seen, np.array([0.1, 0.9]), np.array([1.0, 2.0, 3.0])) == 3.0


def test_lengths_are_interpolated_by_ratios():
    points = {name: np.array([x], np.float32) for name, x in (("a", 0.0), ("b", 2.0), ("c", 1.0))}
    means = {"a": 1.0, "b": 4.0}
    assert baselines(points, means, "c", as_logarithm=True)[1] == pytest.approx(2.0)
    assert baselines(points, means, "c", as_logarithm=False)[1] == pytest.approx(2.5)

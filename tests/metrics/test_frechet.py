import numpy as np
import pytest
import scipy.linalg

from sorby.metrics import frechet
from sorby.metrics.frechet import feature_stats, frechet_distance


def with_moments(n, mean, cov, rng):
    """Random features whose sample mean and covariance are exactly those asked for."""
    x = rng.standard_normal((n, len(mean)))
    x -= x.mean(axis=0)
    x @= np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return mean + x @ np.linalg.cholesky(cov).T


def distance(a, b):
    return frechet_distance(feature_stats(a), feature_stats(b))


def slow_distance(a, b):
    """Equation 1 of paper A as printed, with SciPy's matrix square root."""
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)


def test_the_distance_of_gaussians_that_commute_has_its_closed_form():
    rng = np.random.default_rng(0)
    a = with_moments(50, np.array([1.0, 2.0, 3.0]), np.diag([1.0, 4.0, 9.0]), rng)
    b = with_moments(70, np.array([1.0, 0.0, 4.0]), np.diag([4.0, 4.0, 1.0]), rng)
    assert distance(a, b) == pytest.approx((4 + 1) + (1 + 0 + 4))


def test_the_distance_is_that_of_the_matrix_square_root():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((60, 8)) @ rng.standard_normal((8, 8)), 1 + rng.standard_normal((40, 8))
    assert distance(a, b) == pytest.approx(slow_distance(a, b), rel=1e-8)


def test_fewer_images_than_features_give_the_distance_in_the_space_they_span():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((10, 15)), 0.5 + rng.standard_normal((10, 15))
    basis = np.linalg.qr(rng.standard_normal((100, 15)))[0]
    assert distance(a @ basis.T, b @ basis.T) == pytest.approx(distance(a, b))
    padded = np.hstack([a, np.zeros((10, 500))]), np.hstack([b, np.zeros((10, 500))])
    assert distance(*padded) == pytest.approx(distance(a, b))


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_three_images_on_a_line_have_a_closed_form_however_many_their_features(dim):
    """Variances of 1 and 4, along one axis or two at right angles, and means 3 apart."""
    a, along, across = np.zeros((3, 3, dim))
    a[:, 0], along[:, 0], across[:, 1] = [1, -1, 0], [2, -2, 0], [2, -2, 0]
    shift = np.eye(dim)[-1] * 3
    assert distance(a, along + shift) == pytest.approx(9 + (2 - 1) ** 2)
    assert distance(a, across + shift) == pytest.approx(9 + 4 + 1)


def test_single_precision_features_give_the_distance_of_double_precision():
    rng = np.random.default_rng(7)
    a, b = (1000 + rng.standard_normal((5000, 3)).astype(np.float32) for _ in range(2))
    assert distance(a, b) == pytest.approx(distance(a.astype(float), b.astype(float)), rel=1e-9)


def test_a_set_is_at_distance_zero_from_itself_however_few_its_images():
    features = np.random.default_rng(3).standard_normal((5, 2048)).astype(np.float32)
    assert distance(features, features) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dim", [2, 6])
def test_identical_images_have_a_finite_distance(dim):
    one, two = np.ones((4, dim)), np.full((3, dim), 3.0)
    assert distance(one, two) == pytest.approx(dim * 4)


def test_features_that_are_the_same_in_all_images_or_copies_of_another_feature_change_nothing_but_the_count():
    rng = np.random.default_rng(5)
    a, b = 2 * rng.standard_normal((50, 4)), 1 + rng.standard_normal((40, 4))
    dead = [np.hstack([x[:, :2], np.full((len(x), 3), 7.0), x[:, 2:]]) for x in (a, b)]
    assert distance(*dead) == pytest.approx(distance(a, b))
    twice = [np.hstack([x, x]) for x in (a, b)]
    assert distance(*twice) == pytest.approx(2 * distance(a, b))


@pytest.mark.parametrize("rows", [7, 1024])
def test_the_factor_gives_the_covariance_of_features_of_very_different_size(monkeypatch, rows):
    monkeypatch.setattr(frechet, "ROWS", rows)
    x = np.random.default_rng(6).standard_normal((30, 5)) * np.array([1e-3, 1, 1e3, 0, 1])
    root = feature_stats(x).root
    assert root.T @ root == pytest.approx(np.cov(x.T), rel=1e-12)


def test_the_order_of_images_and_of_sides_does_not_matter():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((30, 5)), rng.standard_normal((20, 5))
    assert distance(b, rng.permutation(a)) == pytest.approx(distance(a, b))

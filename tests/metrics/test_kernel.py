import numpy as np
import pytest

from sorby.metrics import kernel
from sorby.metrics.kernel import kernel_distance


def slow_distance(x, y):
    """Equation 4 of Bińkowski et al. 2018, pair by pair."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_distance_is_that_of_a_double_loop(monkeypatch):
    monkeypatch.setattr(kernel, "ROWS", 4)  # several blocks, the last one short
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 6)), 0.3 + rng.standard_normal((7, 6))
    assert kernel_distance(x, y) == pytest.approx(slow_distance(x, y))


def test_samples_of_one_distribution_are_at_distance_zero_on_average():
    rng = np.random.default_rng(1)
    values = [kernel_distance(rng.standard_normal((12, 3)), rng.standard_normal((12, 3))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_the_order_of_images_and_of_sides_does_not_matter():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((20, 5)), rng.standard_normal((10, 5))
    assert kernel_distance(y, rng.permutation(x)) == pytest.approx(kernel_distance(x, y))


def test_single_precision_features_give_the_distance_of_double_precision():
    rng = np.random.default_rng(3)
    x, y = (np.maximum(rng.standard_normal((600, 200)), 0).astype(np.float32) for _ in range(2))
    exact = kernel_distance(x.astype(float), y.astype(float))
    assert kernel_distance(x, y) == pytest.approx(exact, rel=0, abs=1e-9)
    assert abs(exact) > 1e-5

import numpy as np
import pytest
import scipy.stats

from sorby.errors import DataError
from sorby.microstructure.fraction import Estimate, area_fraction, estimate


@pytest.mark.parametrize("radius", [5, 20, 45])
def test_the_area_fraction_of_a_disc_is_pi_r_squared(radius):
    rows, columns = np.indices((100, 100))
    mask = np.hypot(rows - 50, columns - 50) <= radius
    # No more pixels are wrong than lie along the outline; far fewer, since errors cancel.
    assert area_fraction(mask) == pytest.approx(np.pi * radius**2 / 10_000, abs=0.1 * 2 * np.pi * radius / 10_000)


def test_the_area_fraction_of_a_checkerboard_is_one_half():
    assert area_fraction(np.indices((10, 10)).sum(axis=0) % 2 == 0) == 0.5


def test_the_interval_is_that_of_students_t():
    fields = np.random.default_rng(0).uniform(0.2, 0.5, 12)
    found = estimate(fields)
    low, high = scipy.stats.t.interval(0.95, 11, loc=fields.mean(), scale=scipy.stats.sem(fields))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.num == 12
    assert found.relative_accuracy == pytest.approx((high - low) / 2 / fields.mean())


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    estimates = [estimate(rng.normal(0.3, 0.05, 5)) for _ in range(2000)]
    held = np.mean([e.low <= 0.3 <= e.high for e in estimates])
    assert held == pytest.approx(0.95, abs=0.015)  # 3 standard errors of a share of 2000


def test_random_fields_of_a_microstructure_estimate_its_volume_fraction():
    rng = np.random.default_rng(1)
    whole = rng.random((400, 400)) < 0.27
    fields = np.array([area_fraction(whole[y : y + 20, x : x + 20]) for y, x in rng.integers(380, size=(40, 2))])
    found = estimate(fields)
    assert found.low < 0.27 < found.high
    assert found.relative_accuracy < 0.1


def test_one_field_has_no_interval():
    assert estimate(np.array([0.4])) == Estimate(value=0.4, low=None, high=None, num=1, relative_accuracy=None)


def test_a_mean_of_zero_has_no_relative_accuracy():
    assert estimate(np.zeros(3)) == Estimate(value=0, low=0, high=0, num=3, relative_accuracy=None)


@pytest.mark.parametrize("fields", [[], [0.2, np.nan], [np.inf, 0.1]])
def test_fields_without_a_number_are_refused(fields):
    with pytest.raises(DataError, match="expected one number a field"):
        estimate(np.array(fields))

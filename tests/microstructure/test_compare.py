import math

import numpy as np
import pytest

from sorby.microstructure.compare import Interval, agreement


def sample(rng, num_parents, *, each=10, mean=5.0, between=1.0, within=1.0):
    """Values of `each` patches of every parent, whose means differ too; total variance between² + within²."""
    parents = np.repeat(np.arange(num_parents), each)
    return mean + between * rng.normal(size=num_parents)[parents] + within * rng.normal(size=len(parents)), parents


def test_equal_populations_agree():
    rng = np.random.default_rng(0)
    found = agreement(*sample(rng, 80), *sample(rng, 400, each=1, between=0, within=math.sqrt(2)), rng=rng)
    assert found.verdict == "agrees"
    assert found.generated_mean == pytest.approx(5, abs=0.2)
    assert found.num_parents == 80


@pytest.mark.parametrize(("mean", "within"), [(6.5, math.sqrt(2)), (3.5, math.sqrt(2)), (5.0, 5.0), (5.0, 0.3)])
def test_another_mean_or_spread_differs(mean, within):
    rng = np.random.default_rng(0)
    found = agreement(*sample(rng, 80), *sample(rng, 400, each=1, mean=mean, between=0, within=within), rng=rng)
    assert found.verdict == "differs"


def test_few_micrographs_decide_nothing():
    """Twelve micrographs leave the mean uncertain by 1.6 * 0.99 / sqrt(12), nearly half a standard deviation."""
    rng = np.random.default_rng(0)
    found = agreement(
        *sample(rng, 12, between=1.4, within=0.2), *sample(rng, 400, each=1, between=0, within=math.sqrt(2)), rng=rng
    )
    assert found.verdict == "open"


def test_the_interval_holds_the_true_shift_nine_times_in_ten():
    """True shift 1 / sqrt(2) real standard deviations; 200 repeats, so 90 % within 3 standard errors of 2.1 %."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        real, generated = sample(rng, 40), sample(rng, 300, each=1, mean=6, between=0, within=math.sqrt(2))
        shift = agreement(*real, *generated, rng=rng).shift
        inside += shift.low < 1 / math.sqrt(2) < shift.high
    assert 0.83 < inside / 200 < 0.97


def test_patches_taken_for_independent_would_claim_too_much():
    rng = np.random.default_rng(0)
    real, parents = sample(rng, 20, each=50, within=0.2)
    generated = sample(rng, 400, each=1, between=0, within=1.02)
    by_parent = agreement(real, parents, *generated, rng=rng).shift
    by_patch = agreement(real, np.arange(len(real)), *generated, rng=rng).shift
    assert by_parent.high - by_parent.low > 2.5 * (by_patch.high - by_patch.low)


def test_the_unit_does_not_matter():
    first, second = sample(np.random.default_rng(0), 30), sample(np.random.default_rng(1), 30)
    plain = agreement(*first, *second, rng=np.random.default_rng(2))
    scaled = agreement(0.05 * first[0], first[1], 0.05 * second[0], second[1], rng=np.random.default_rng(2))
    assert scaled.shift.low == pytest.approx(plain.shift.low)
    assert scaled.spread.high == pytest.approx(plain.spread.high)
    assert scaled.real_mean == pytest.approx(0.05 * plain.real_mean)


def test_images_without_a_value_are_left_out():
    rng = np.random.default_rng(0)
    real, parents = sample(rng, 30)
    real[::2] = np.nan
    assert agreement(real, parents, *sample(rng, 30), rng=rng).num_real == 150


def test_too_few_parents_or_no_variation_give_nothing():
    rng = np.random.default_rng(0)
    assert agreement(*sample(rng, 11), *sample(rng, 30), rng=rng) is None
    assert agreement(*sample(rng, 30), *sample(rng, 11), rng=rng) is None
    assert agreement(np.ones(30), np.arange(30), *sample(rng, 30), rng=rng) is None


@pytest.mark.parametrize(
    ("low", "high", "inside", "outside"),
    [(-0.4, 0.4, True, False), (-0.6, 0.4, False, False), (0.6, 0.9, False, True), (-0.9, -0.6, False, True)],
)
def test_an_interval_is_inside_or_outside_a_margin_only_as_a_whole(low, high, inside, outside):
    interval = Interval(0.0, low, high)
    assert (interval.inside(0.5), interval.outside(0.5)) == (inside, outside)


def test_generated_values_all_alike_differ():
    rng = np.random.default_rng(0)
    found = agreement(*sample(rng, 80), np.full(100, 5.0), np.arange(100), rng=rng)
    assert found.verdict == "differs"
    assert math.isfinite(found.spread.low)

import itertools

import numpy as np
import pytest

from sorby.metrics.intervals import half_of, half_widths

ONE = np.arange(40)


def mean_shift(real, generated):
    return {"shift": float(generated.mean() - real.mean())}


def interval_holds_the_truth(rng, num_parents, patches):
    parents = np.repeat(np.arange(num_parents), patches)
    real = (rng.standard_normal(num_parents)[parents] + 0.3 * rng.standard_normal(len(parents)))[:, None]
    generated = 5 + 0.1 * rng.standard_normal((40, 1))
    width = half_widths(mean_shift, real, parents, generated, ONE, rng=rng, least=2)["shift"]
    return abs(mean_shift(real, generated)["shift"] - 5) <= width


def test_ninety_five_of_a_hundred_intervals_hold_the_truth_though_patches_share_micrographs():
    rng = np.random.default_rng(0)
    held = np.mean([interval_holds_the_truth(rng, 16, 10) for _ in range(400)])
    assert 0.91 < held < 0.985


def test_a_half_holds_all_patches_of_half_of_the_micrographs():
    parents = np.repeat([3, 1, 4, 9], [1, 2, 3, 4])
    chosen = set(half_of(parents, np.random.default_rng(0)))
    wholes = [set(np.flatnonzero(parents == parent)) for parent in (3, 1, 4, 9)]
    assert sum(whole <= chosen for whole in wholes) == 2
    assert sum(not whole & chosen for whole in wholes) == 2


@pytest.mark.parametrize(("num_parents", "t"), [(6, 2.5706), (12, 2.2010), (24, 2.0687), (200, 2.0687)])
def test_the_width_is_students_t_of_the_fewer_of_micrographs_and_halves_times_the_spread(num_parents, t):
    """Of a score that is 0 of every second of the 24 halves, and 1 of the others."""
    few, many = ((np.zeros((num, 1)), np.arange(num)) for num in (num_parents, 300))
    turns, rng = itertools.cycle([0.0, 1.0]), np.random.default_rng(0)
    for real, generated in ((few, many), (many, few)):
        widths = half_widths(lambda *_: {"score": next(turns)}, *real, *generated, rng=rng, least=1)
        assert widths == {"score": pytest.approx(t * np.sqrt(24 / 23) / 2, rel=1e-4)}


def test_too_few_micrographs_give_no_interval():
    real = np.random.default_rng(0).random((50, 1))
    few = np.repeat(np.arange(5), 10)
    assert half_widths(mean_shift, real, few, real[:40], ONE, rng=np.random.default_rng(0), least=1) == {}


def test_halves_with_too_few_images_for_the_score_give_no_interval():
    real, rng = np.random.default_rng(0).random((12, 1)), np.random.default_rng(0)
    parents = np.repeat(np.arange(6), [3, 2, 1, 2, 2, 2])  # a half may have 1 + 2 + 2 of them
    assert half_widths(mean_shift, real, parents, real, parents, rng=rng, least=6) == {}
    assert half_widths(mean_shift, real, parents, real, parents, rng=rng, least=5) != {}

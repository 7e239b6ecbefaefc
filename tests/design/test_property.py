import sys

import numpy as np
import pytest

from sorby.design import property  # noqa: A004
from sorby.design.property import (
    FOLDS,
    REGRESSORS,
    PropertyModel,
    compare,
    conformal,
    cross_validated,
    folds_of,
    interval,
)
from sorby.errors import ConfigError, DataError
from sorby.metrics.record import Number


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(property, "TREES", 20)


def linear(num, *, noise, seed=0, columns=3):
    """One column counts, with a variance of 1 beside that of the noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, columns))
    return x, x[:, 0] + noise * rng.normal(size=num)


def test_a_ridge_finds_the_share_of_a_linear_law_that_is_no_noise():
    x, y = linear(600, noise=0.5)
    found = cross_validated(x, y, np.arange(600), regressor="ridge", seed=0)
    assert found.r2.value == pytest.approx(1 / (1 + 0.5**2), abs=0.03)
    assert found.r2.low < 0.8 < found.r2.high
    assert found.is_supported
    assert found.mean_absolute_error == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.12)


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_every_regressor_finds_a_law(regressor):
    x, y = linear(60, noise=0.2)
    found = cross_validated(x, y, np.arange(60), regressor=regressor, seed=0)
    assert found.r2.value > 0.7
    assert found.is_supported


def test_a_process_finds_a_law_that_no_line_does():
    x = np.linspace(-2, 2, 60)[:, None]
    bent, straight = (
        cross_validated(x, np.cos(2 * x[:, 0]), np.arange(60), regressor=regressor, seed=0)
        for regressor in ("gaussian-process", "ridge")
    )
    assert bent.r2.value > 0.98
    assert straight.r2.value < 0.2


@pytest.mark.parametrize(("regressor", "num", "seeds"), [("ridge", 8, 60), ("gaussian-process", 6, 20)])
def test_noise_is_seldom_supported(regressor, num, seeds):
    supported = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(num, 4)), rng.normal(size=num)
        supported.append(cross_validated(x, y, np.arange(num), regressor=regressor, seed=seed).is_supported)
    # 2.5 % are meant; benchmarks/support.py has the rates.
    assert sum(supported) <= 0.1 * seeds


def test_what_is_supported_alone_is_not_as_the_best_of_many():
    x, y = linear(12, noise=0.8, seed=17, columns=2)
    rng = np.random.default_rng(0)
    noise = {str(i): rng.normal(size=(12, 2)) for i in range(30)}
    alone, among = (compare(tables, y, np.arange(12), regressors=["ridge"]) for tables in ({"x": x}, {"x": x} | noise))
    assert alone[0].is_supported
    assert alone[0].p_value > 0.025 / 31
    assert not any(one.is_supported for one in among)


def test_what_tells_groups_apart_predicts_nothing_of_a_new_group():
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(20), 5)
    x = rng.normal(size=(20, 6))[owners] + 0.01 * rng.normal(size=(100, 6))
    y = rng.normal(size=20)[owners]
    by_group, naive = (
        cross_validated(x, y, groups, regressor="random-forest", seed=0) for groups in (owners, np.arange(100))
    )
    assert naive.r2.value > 0.9
    assert by_group.r2.value < 0.1
    assert not by_group.is_supported


def test_folds_keep_owners_together_and_are_ten_at_most():
    owners = np.repeat(np.arange(23), 3)
    folds = folds_of(owners, seed=3)
    assert len(np.unique(folds)) == FOLDS
    assert all(len(np.unique(folds[owners == owner])) == 1 for owner in range(23))
    counts = np.bincount(folds) // 3
    assert set(counts.tolist()) == {2, 3}


def test_r2_is_measured_against_the_mean_of_the_training_folds():
    # With constant inputs a ridge says the mean of its training fold: no better and no worse.
    y = np.random.default_rng(0).normal(size=20)
    found = cross_validated(np.ones((20, 2)), y, np.arange(20), regressor="ridge", seed=0)
    assert found.r2.value == pytest.approx(0, abs=1e-12)
    assert not found.is_supported


def test_intervals_of_a_model_hold_nine_of_ten_values_of_new_groups():
    shares = []
    for seed in range(8):
        x, y = linear(640, noise=0.7, seed=seed)
        owners = np.arange(640) // 2
        model = PropertyModel.fit(x[:80], y[:80], owners[:80], regressor="ridge", seed=seed)
        mean, low, high = model.predict(x[80:])
        assert (low < mean).all()
        shares.append(np.mean((low <= y[80:]) & (y[80:] <= high)))
    assert 0.87 < np.mean(shares) < 0.95


def test_held_out_intervals_hold_nine_of_ten_values():
    x, y = linear(200, noise=0.7)
    found = cross_validated(x, y, np.arange(200), regressor="ridge", seed=0)
    inside = np.abs(y - found.predicted) <= found.half
    assert found.coverage == pytest.approx(inside.mean())
    assert 0.87 < found.coverage < 0.93


def test_a_large_group_counts_as_one_in_an_interval():
    residuals = np.concatenate([np.full(1000, 5.0), np.ones(29)])
    owners = np.concatenate([np.zeros(1000, int), np.arange(1, 30)])
    assert conformal(residuals, owners) == 1.0


def test_few_groups_give_no_intervals():
    x, y = linear(9, noise=0.1)
    found = cross_validated(x, y, np.arange(9), regressor="ridge", seed=0)
    assert np.isinf(found.half).all()
    assert found.coverage is None


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_importance_finds_the_one_column_that_counts(regressor):
    x, y = linear(50, noise=0.2)
    names = ["the one", "b", "c"]
    found = cross_validated(x, y, np.arange(50), regressor=regressor, seed=0, columns=names)
    first, *others = found.importance
    assert first.column == "the one"
    assert first.fall.low > 0.5
    assert all(one.fall.value < 0.2 for one in others)


def test_importance_of_a_line_is_twice_its_share_and_its_coefficient_that_of_one_spread():
    # A shuffled column adds its variance once as error and once as what it no longer explains.
    x, y = linear(400, noise=0.1, columns=2)
    x[:, 0] *= 3
    found = cross_validated(x, y, np.arange(400), regressor="ridge", seed=0, columns=["a", "b"])
    first = found.importance[0]
    assert first.fall.value == pytest.approx(2 / 1.01, rel=0.08)
    assert first.coefficient == pytest.approx(1.0, rel=0.08)


def test_columns_of_one_name_are_shuffled_together():
    rng = np.random.default_rng(0)
    twice = rng.normal(size=80)
    x = np.stack([twice, twice, rng.normal(size=80)], axis=1)
    found = cross_validated(x, twice, np.arange(80), regressor="ridge", seed=0, columns=["pair", "pair", "other"])
    assert [one.column for one in found.importance] == ["pair", "other"]
    assert found.importance[0].fall.value == pytest.approx(2, rel=0.15)


def test_missing_numbers_count_as_the_mean():
    x, y = linear(120, noise=0.3)
    x[::6, 0] = np.nan
    x[:, 2] = np.nan
    found = cross_validated(x, y, np.arange(120), regressor="ridge", seed=0)
    assert 0.5 < found.r2.value < 0.92


def test_the_same_seed_gives_the_same_numbers_whatever_groups_are_called():
    x, y = linear(30, noise=0.5)
    results = [cross_validated(x, y, np.arange(30), regressor="random-forest", seed=4) for _ in range(2)]
    np.testing.assert_array_equal(results[0].predicted, results[1].predicted)
    named = np.array([f"{i:03d}" for i in range(30)])
    again = cross_validated(x, y, named, regressor="random-forest", seed=4)
    np.testing.assert_array_equal(results[0].predicted, again.predicted)


def test_latents_descriptors_and_features_stand_side_by_side():
    x, y = linear(60, noise=0.3)
    noise = np.random.default_rng(9).normal(size=(60, 5))
    found = compare({"latents": x, "features": noise}, y, np.arange(60), regressors=["ridge", "gaussian-process"])
    assert [(one.inputs, one.regressor, one.is_supported) for one in found] == [
        ("latents", "ridge", True),
        ("latents", "gaussian-process", True),
        ("features", "ridge", False),
        ("features", "gaussian-process", False),
    ]


def test_numbers_near_one_keep_their_digits():
    assert interval(Number(value=0.9987, low=0.9971, high=0.9992)) == "0.9987 (0.9971 to 0.9992)"
    assert interval(Number(value=0.7123, low=0.5, high=0.8)) == "0.71 (0.50 to 0.80)"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"groups": np.arange(20) % 4}, "20 pictures of 4 groups came.*at least 5"),
        ({"values": np.full(20, 3.5)}, r"All 20 values are 3\.5"),
        ({"values": np.where(np.arange(20) < 2, np.nan, 1.0)}, "2 values are no numbers"),
        ({"inputs": np.full((20, 2), np.inf)}, "infinite"),
        ({"inputs": np.empty((20, 0))}, "no columns"),
        ({"columns": ["a"]}, "2 columns and 1 names"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line(change, expected):
    rng = np.random.default_rng(0)
    given = {"inputs": rng.normal(size=(20, 2)), "values": rng.normal(size=20), "groups": np.arange(20)}
    with pytest.raises(DataError, match=expected) as error:
        cross_validated(**given | change, regressor="ridge", seed=0)
    assert "\n" not in str(error.value)


def test_another_regressor_and_a_missing_library_are_one_line(monkeypatch):
    x, y = linear(20, noise=0.1)
    with pytest.raises(ConfigError, match=r"lasso.*choose from random-forest"):
        cross_validated(x, y, np.arange(20), regressor="lasso", seed=0)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"pip install 'sorby\[design\]'"):
        cross_validated(x, y, np.arange(20), regressor="ridge", seed=0)

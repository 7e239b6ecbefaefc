"""Pictures are stood in for by features that hold the condition, so that what a reader can know is known."""

import numpy as np
import pytest

from sorby.conditions import ConditionSpace
from sorby.evaluation.conditions import Described
from sorby.evaluation.fidelity import FOLDS, fidelity_of, folds_of, ridge
from sorby.microstructure.describe import QUANTITIES

TEMPERATURES = np.arange(800, 1101, 50)


def side(temperatures, *, parents=None, columns=("temperature:°C",), rows=None):
    rows = rows or [{"temperature": str(t)} for t in temperatures]
    table = np.full((len(rows), len(QUANTITIES)), np.nan)
    parents = np.arange(len(rows)) if parents is None else parents
    return Described(ConditionSpace.from_rows(rows, columns), rows, parents, table, None)


def features_of(temperatures, rng, *, noise=0.2):
    """One feature of forty follows the temperature, 0.5 a step; the others are noise."""
    features = rng.normal(size=(len(temperatures), 40))
    features[:, 3] = (np.asarray(temperatures) - 950) / 100 + noise * rng.normal(size=len(temperatures))
    return features


def found(shown, asked, **kwargs):
    """`shown` are the temperatures that the generated pictures have, `asked` those they were asked for."""
    rng = np.random.default_rng(0)
    true = np.repeat(TEMPERATURES, 40)
    parents = np.arange(len(true)) // 10
    features = features_of(true, rng), features_of(shown, rng)
    return fidelity_of(side(true, parents=parents), side(asked), features, network="known", seed=0, **kwargs)


def asked():
    return np.repeat(TEMPERATURES, 40)


def test_a_perfect_generator_reaches_the_ceiling():
    (fidelity,) = found(asked(), asked())
    (reading,) = fidelity.readings
    assert fidelity.right_real.value > 0.6
    assert abs(fidelity.right.value - fidelity.right_real.value) < 0.08
    assert reading.line.slope.value == pytest.approx(1, abs=0.1)
    assert reading.line.r2.value == pytest.approx(reading.real.r2.value, abs=0.05)
    assert fidelity.wrong is False
    assert (fidelity.num_real, fidelity.num_generated, fidelity.num_parents, fidelity.num_conditions) == (
        280,
        280,
        28,
        7,
    )
    assert fidelity.chance == pytest.approx(1 / 7)


def test_a_deaf_generator_is_right_by_chance():
    shown = np.random.default_rng(5).permutation(asked())
    (fidelity,) = found(shown, asked())
    (reading,) = fidelity.readings
    assert fidelity.right.low < fidelity.chance < fidelity.right.high
    assert reading.line.slope.value == pytest.approx(0, abs=0.1)
    assert reading.line.r2.value < 0
    assert fidelity.wrong is True


def test_a_generator_that_goes_half_the_way_has_half_the_slope():
    (fidelity,) = found(950 + 0.5 * (asked() - 950), asked())
    (reading,) = fidelity.readings
    assert reading.line.slope.value / reading.real.slope.value == pytest.approx(0.5, abs=0.05)
    assert reading.line.r2.value < reading.real.r2.value - 0.1


def test_a_generator_too_hot_throughout_has_the_slope_but_neither_r2_nor_the_right_condition():
    (fidelity,) = found(asked() + 100, asked())
    (reading,) = fidelity.readings
    assert reading.line.slope.value == pytest.approx(1, abs=0.1)
    assert reading.line.r2.value < 0.2
    assert fidelity.wrong  # but for the hottest, which stays the nearest


def test_conditions_held_out_are_reported_apart():
    """Deaf at the two held out, where it shows 800 °C."""
    unseen = {(900.0,), (1000.0,)}
    shown = np.where(np.isin(asked(), (900, 1000)), 800, asked())
    seen, held_out = found(shown, asked(), unseen=unseen)
    assert (seen.seen, held_out.seen) == (True, False)
    assert (seen.num_conditions, held_out.num_conditions) == (5, 2)
    assert (seen.num_generated, held_out.num_generated) == (200, 80)
    assert seen.right.value > 0.6
    assert held_out.right.value < 0.05
    assert held_out.right_real.value > 0.5
    assert held_out.readings == ()  # two conditions make no line


def test_classes_are_read_as_the_nearest_one():
    rng = np.random.default_rng(3)
    names = ["air", "oil", "water"]
    true = rng.permutation(np.repeat(np.arange(3), 60))
    rows = [{"cooling": names[i]} for i in true]

    def features(classes):
        return 3 * np.eye(3)[classes] + rng.normal(size=(len(classes), 3))

    # Every third picture shows the class after that asked for.
    shown = np.where(np.arange(180) % 3 == 0, (true + 1) % 3, true)
    real, fakes = (side(None, rows=rows, columns=("cooling",)) for _ in range(2))
    (fidelity,) = fidelity_of(real, fakes, (features(true), features(shown)), network="known", seed=0)
    assert fidelity.right_real.value > 0.93
    assert fidelity.right.value == pytest.approx(2 / 3, abs=0.06)
    assert fidelity.readings == ()


def test_a_reader_never_learned_from_the_micrograph_that_it_reads():
    """The only feature is the micrograph's own: it says everything within a micrograph, and nothing of another."""
    true = np.repeat(TEMPERATURES[:4], 40)
    parents = np.arange(160) // 10
    own = np.random.default_rng(0).permutation(16).astype(float)[parents][:, None]
    own = np.hstack([own == i for i in range(16)]).astype(float)
    (fidelity,) = fidelity_of(side(true, parents=parents), side(true), (own, own), network="known", seed=0)
    assert fidelity.by_micrograph
    assert fidelity.right_real.value < 0.3


def test_with_one_micrograph_a_condition_pictures_are_read_by_readers_of_its_others():
    true = np.repeat(TEMPERATURES[:4], 40)
    rng = np.random.default_rng(0)
    (fidelity,) = fidelity_of(
        side(true, parents=np.arange(160) // 40),
        side(true),
        (features_of(true, rng), features_of(true, rng)),
        network="known",
        seed=0,
    )
    assert not fidelity.by_micrograph
    assert fidelity.right_real.low is not None
    assert fidelity.right_real.value > 0.5


def test_owners_share_a_fold_and_those_of_a_condition_are_spread():
    conditions = np.repeat(np.arange(3), 20)
    owners = np.arange(60) // 4
    folds = folds_of(conditions, owners, seed=0)
    for owner in range(15):
        assert len(set(folds[owners == owner])) == 1
    for condition in range(3):
        assert set(folds[conditions == condition]) == set(range(FOLDS))


def test_the_ridge_is_that_of_its_normal_equations():
    rng = np.random.default_rng(0)
    x, y, new = rng.normal(size=(30, 6)), rng.normal(size=(30, 2)), rng.normal(size=(4, 6))
    found = ridge(x, y, new)
    centred, penalty = x - x.mean(0), 1e-5 * np.sum((x - x.mean(0)) ** 2)
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(6), centred.T @ (y - y.mean(0)))
    np.testing.assert_allclose(found[0], (new - x.mean(0)) @ weights + y.mean(0))


def test_one_condition_is_nothing_to_read():
    same = side(np.repeat(900, 30))
    assert fidelity_of(same, same, (np.zeros((30, 2)), np.zeros((30, 2))), network="known", seed=0) == []


def test_a_condition_of_too_few_real_images_is_not_asked_about():
    rng = np.random.default_rng(0)
    true = np.array([800] * 30 + [900] * 30 + [1000] * 9)
    features = features_of(true, rng), features_of(true, rng)
    (fidelity,) = fidelity_of(side(true), side(true), features, network="known", seed=0)
    assert (fidelity.num_conditions, fidelity.num_generated) == (2, 60)

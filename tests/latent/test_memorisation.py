import csv
from io import StringIO
from itertools import product

import numpy as np
import pytest

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import DataError
from sorby.latent.memorisation import Side, figure, memorisation, spread_over_parents, table


def side(name, distances, parents=None):
    num = len(distances)
    parents = tuple(parents or (f"{name}{i}" for i in range(num)))
    return Side(name, tuple(f"{i}.png" for i in range(num)), parents, np.array(distances, dtype=np.float32))


def test_every_held_out_picture_worse_than_every_training_one_is_memory():
    """By exact enumeration: of the 70 ways to choose which four of eight are held out, one is as extreme."""
    found = memorisation(side("train", [0.1, 0.2, 0.3, 0.4]), side("held-out", [0.5, 0.6, 0.7, 0.8]))
    assert found.p == pytest.approx(1 / 70)
    assert found.effect == 1
    assert (found.training, found.held_out) == pytest.approx((0.25, 0.65))
    assert found.tell().startswith("training pictures are projected better than held-out ones")


def test_the_effect_is_the_share_of_pairs_in_which_the_held_out_one_is_worse():
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(0, 1, 30), rng.normal(0.3, 1, 20)
    found = memorisation(side("train", train), side("held-out", held_out))
    assert found.effect == pytest.approx(np.mean([h > t for h, t in product(held_out, train)]))


def test_equal_sides_are_no_memory_and_training_projected_worse_is_none_either():
    equal = memorisation(side("train", [0.1, 0.2, 0.3]), side("held-out", [0.1, 0.2, 0.3]))
    assert equal.effect == 0.5
    assert equal.p > 0.5
    worse = memorisation(side("train", [0.5, 0.6, 0.7, 0.8]), side("held-out", [0.1, 0.2, 0.3, 0.4]))
    assert worse.effect == 0
    assert "no better" in worse.tell()


def test_by_chance_it_is_told_as_often_as_it_says():
    rng = np.random.default_rng(1)
    p = [memorisation(side("a", rng.normal(size=12)), side("b", rng.normal(size=12))).p < 0.05 for _ in range(300)]
    assert np.mean(p) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))


def test_many_patches_of_few_micrographs_prove_no_more_than_the_micrographs():
    train = side("train", [0.1] * 50 + [0.2] * 50, ["a"] * 50 + ["b"] * 50)
    held_out = side("held-out", [0.3] * 50 + [0.4] * 50, ["c"] * 50 + ["d"] * 50)
    assert train.by_parent() == pytest.approx([0.1, 0.2])
    assert memorisation(train, held_out).p == pytest.approx(1 / 6)


def test_of_one_micrograph_nothing_can_be_said():
    with pytest.raises(DataError, match="2 or more"):
        memorisation(side("train", [0.1, 0.2], ["a", "a"]), side("held-out", [0.1, 0.2]))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Twenty patches of micrograph a, two of b and one of c; b and c overlap."""
    parents = ["a"] * 20 + ["b"] * 2 + ["c"]
    patches = [
        Patch(file=f"{i}.png", parent=parent, group="" if parent == "a" else "g") for i, parent in enumerate(parents)
    ]
    pictures = np.random.default_rng(0).integers(0, 256, (len(patches), 8, 8), dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "d.zip"
    return write_dataset(path, zip(patches, pictures, strict=True), space=ConditionSpace(), recipe={})


def test_patches_are_spread_over_micrographs(dataset):
    chosen = spread_over_parents(dataset, 6, seed=0)
    assert len(set(chosen.tolist())) == 6
    assert sum(index >= 20 for index in chosen) == 3
    assert sum(index >= 20 for index in chosen[:2]) == 1
    np.testing.assert_array_equal(chosen, spread_over_parents(dataset, 6, seed=0))
    assert chosen.tolist() != spread_over_parents(dataset, 6, seed=1).tolist()


def test_more_than_there_are_is_all(dataset):
    assert sorted(spread_over_parents(dataset, 99, seed=0).tolist()) == list(range(23))


def test_the_table_and_the_figure_hold_both_sides():
    sides = side("train", [0.1, 0.25]), side("held-out", [0.5])
    rows = list(csv.DictReader(StringIO(table(sides))))
    assert [row["split"] for row in rows] == ["train", "train", "held-out"]
    assert [float(row["distance"]) for row in rows] == pytest.approx([0.1, 0.25, 0.5])
    assert figure(*sides).startswith(b"<?xml")
    assert figure(*sides) == figure(*sides)

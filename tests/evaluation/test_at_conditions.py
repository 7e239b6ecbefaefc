"""Two-phase fields of known area fraction stand in for a generator: right, deaf, or never drawn."""

import numpy as np
import pytest
import torch

from sorby.card import GeneratorCard
from sorby.conditions import ConditionSpace
from sorby.config import NetworkConfig
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.errors import ConfigError
from sorby.evaluation import at_conditions as room
from sorby.evaluation.at_conditions import MOST_SHOWN, at_conditions, conditioning, real_images, shown, unseen_of
from sorby.generator import Generator
from sorby.models.stylegan2 import GeneratorNetwork
from tests.evaluation.made import FRACTIONS, block_means, fields


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("real") / "real.zip", seed=0, held_out=(0.3, 0.5))


def looked_at(generated, real, *, num=60):
    notes = []
    sides = at_conditions(generated, real, num=num, seed=0, truncation=1, device="cpu", notes=notes)
    return sides, conditioning(sides, block_means(), seed=0, notes=notes), notes


def fraction_of(found):
    return next(d for d in found.by_condition if d.name == "area_fraction")


def test_other_real_pictures_follow_the_condition_and_reach_the_ceiling(real, tmp_path):
    _, found, notes = looked_at(fields(tmp_path / "other.zip", seed=1), real)
    seen, held_out = found.fidelity
    line = fraction_of(found).over(seen=True).line
    assert line.slope.value == pytest.approx(1, abs=0.05)
    assert line.r2.value > 0.98
    assert fraction_of(found).over(seen=False).deviation.value < 0.05
    assert seen.wrong is False
    assert held_out.wrong is False
    assert notes == []


def test_a_generator_that_ignores_the_condition_does_not(real, tmp_path):
    deaf = fields(tmp_path / "deaf.zip", seed=2, shows=lambda _, rng: rng.choice(FRACTIONS))
    _, found, _ = looked_at(deaf, real)
    line = fraction_of(found).over(seen=True).line
    assert line.slope.low < 0 < line.slope.high
    assert line.r2.value < 0.3
    assert [fidelity.wrong for fidelity in found.fidelity] == [True, True]


def test_a_generator_that_knows_only_what_it_saw_is_found_out_at_the_conditions_held_out(real, tmp_path):
    near = {0.3: 0.2, 0.5: 0.6}
    _, found, _ = looked_at(fields(tmp_path / "near.zip", seed=3, shows=lambda asked, _: near.get(asked, asked)), real)
    seen, held_out = found.fidelity
    assert seen.wrong is False
    assert held_out.wrong is True
    assert fraction_of(found).over(seen=True).deviation.value < 0.05
    assert fraction_of(found).over(seen=False).deviation.value == pytest.approx((1 / 3 + 1 / 5) / 2, abs=0.05)


def test_the_split_says_which_conditions_are_held_out(real):
    assert unseen_of(Dataset.open(real)) == {(30.0,), (50.0,)}


def test_where_nothing_is_trained_on_nothing_is_held_out(real):
    assert unseen_of(Dataset.open(real).split("held-out")) == frozenset()


def test_each_condition_has_as_many_images(real):
    images = real_images(Dataset.open(real), each=10, seed=0)
    asked = [values["fraction"] for values in images.conditions]
    assert [asked.count(f"{100 * fraction:g}") for fraction in FRACTIONS] == [10] * 5
    assert asked == sorted(asked, key=float)


def generator(space, folder):
    torch.manual_seed(0)
    network = NetworkConfig(size=32, z_dim=8, w_dim=8, channel_base=128, channel_max=8, condition_dim=space.dim)
    Generator(GeneratorNetwork(network), GeneratorCard(network=network, space=space, pixel_size_um=0.1)).save(folder)
    return folder


def test_a_generator_draws_the_same_seeds_at_each_condition(real, tmp_path):
    folder = generator(Dataset.open(real).space, tmp_path / "generator")
    sides = at_conditions(folder, real, num=60, seed=0, truncation=1, device="cpu", notes=[])
    assert len(sides.generated) == 60
    assert len({tuple(sides.generated.names[start : start + 12]) for start in range(0, 60, 12)}) == 1
    assert [values["fraction"] for values in sides.generated.conditions[::12]] == [20, 30, 40, 50, 60]


def test_a_class_that_the_generator_does_not_know_is_noted_and_left_out(tmp_path):
    rows = [{"cooling": name} for name in ("air", "oil", "water")]
    space = ConditionSpace.from_rows(rows[:2], ["cooling"])
    items = [
        (Patch(file=f"{n}.png", parent=str(n), conditions=rows[n % 3]), np.full((32, 32), n, np.uint8))
        for n in range(36)
    ]
    path = tmp_path / "three.zip"
    write_dataset(path, items, space=ConditionSpace.from_rows(rows, ["cooling"]), recipe={})
    notes = []
    folder = generator(space, tmp_path / "generator")
    sides = at_conditions(folder, path, num=36, seed=0, truncation=1, device="cpu", notes=notes)
    assert {values["cooling"] for values in sides.generated.conditions} == {"air", "oil"}
    assert len(notes) == 1
    assert "cooling water" in notes[0]


@pytest.mark.parametrize("side", ["generated", "real"])
def test_sides_without_conditions_are_refused_in_one_line(real, tmp_path, side):
    plain = tmp_path / "plain.zip"
    items = [(Patch(file=f"{n}.png", parent=str(n)), np.full((24, 24), n, np.uint8)) for n in range(12)]
    write_dataset(plain, items, space=ConditionSpace(), recipe={})
    paths = {"generated": real, "real": real, side: plain}
    with pytest.raises(ConfigError, match=r"plain\.zip") as error:
        at_conditions(**paths, num=60, seed=0, truncation=1, device="cpu", notes=[])
    assert "\n" not in str(error.value)


def test_other_conditions_are_refused(real, tmp_path):
    other = generator(ConditionSpace.from_rows([{"time": "1"}, {"time": "2"}], ["time:s"]), tmp_path / "generator")
    with pytest.raises(ConfigError, match=r"has the conditions time and .*real\.zip fraction"):
        at_conditions(other, real, num=60, seed=0, truncation=1, device="cpu", notes=[])


def test_what_is_shown_is_spread_over_conditions_seen_and_held_out(real, tmp_path, monkeypatch):
    sides, found, _ = looked_at(fields(tmp_path / "other.zip", seed=1), real)
    assert [(at.name, at.seen) for at in shown(sides, found)] == [
        ("fraction 20 %", True),
        ("fraction 30 %", False),
        ("fraction 40 %", True),
        ("fraction 50 %", False),
        ("fraction 60 %", True),
    ]
    assert shown(sides, found)[1].real_descriptors[:, 0].mean() == pytest.approx(0.3, abs=0.03)
    monkeypatch.setattr(room, "MOST_SHOWN", 3)
    assert MOST_SHOWN >= 8  # those of paper B
    assert [at.name for at in shown(sides, found)] == ["fraction 20 %", "fraction 30 %", "fraction 60 %"]

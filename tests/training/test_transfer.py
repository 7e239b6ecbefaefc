import shutil

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from sorby.cli import app
from sorby.config import from_toml, resolve
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.training import checkpoint, run
from sorby.training.state import new_state
from sorby.training.transfer import freeze, start
from tests.training.conftest import tiny_config, tiny_contragan
from tests.training.test_run import StopError, assert_same_end, fake_scorer

SHORT = {"kimg": 0.016, "tick_kimg": 0.008, "score_ticks": 1}


@pytest.fixture(autouse=True)
def _no_feature_network(monkeypatch):
    monkeypatch.setattr(run, "quick_scorer", fake_scorer)


def train(dataset, out, config, **keywords):
    return run.train(dataset, out, config, tensorboard=False, **{"warn": lambda _: None} | keywords)


@pytest.fixture(scope="module")
def source(tiny_dataset, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "quick_scorer", fake_scorer)
    out = train(tiny_dataset, tmp_path_factory.mktemp("runs") / "source", tiny_config(**SHORT, seed=5))
    patch.undo()
    return out


def newest(out):
    return load_file(checkpoint.checkpoints(out / "checkpoint")[0])


def started(config, said=None):
    state = new_state(config)
    start(state, config, say=(said if said is not None else []).append)
    return state


def test_of_a_run_all_networks_start_and_nothing_else(source):
    said = []
    state = started(tiny_config(start_from=str(source)), said)
    before = newest(source)
    for name, network in (("G", state.G), ("G_ema", state.G_ema), ("D", state.D)):
        assert all(torch.equal(tensor, before[f"{name}.{key}"]) for key, tensor in network.state_dict().items())
    assert said == []
    assert not state.opt_G.state
    assert (state.images_seen, state.ada.p) == (0, 0)


def test_a_run_that_starts_from_a_generator_begins_with_its_greys(tiny_dataset, source, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(run, "loop", lambda state, *_, **__: begun.append(state))
    train(tiny_dataset, tmp_path / "run", tiny_config(**SHORT, start_from=str(source), match_greys=True))
    before = newest(source)
    assert all(torch.equal(tensor, before[f"G.{key}"]) for key, tensor in begun[0].G.state_dict().items())


def test_of_a_generator_the_discriminator_is_new_and_that_is_said(source):
    said = []
    state = started(tiny_config(start_from=str(source / "last")), said)
    new, last = new_state(tiny_config()), Generator.load(source / "last", dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(state.D.parameters(), new.D.parameters(), strict=True))
    pictures = Generator(state.G_ema, last.card, dtype=torch.float32).images(range(4))
    assert (pictures == last.images(range(4))).all()
    assert "has no discriminator" in said[0]


def test_parts_for_conditions_begin_anew_and_all_others_start(source):
    said = []
    network = tiny_config().network.model_copy(update={"condition_dim": 3})
    state = started(tiny_config(start_from=str(source), network=network), said)
    before = newest(source)
    for name, of in (("G", state.G), ("D", state.D)):
        for key, tensor in of.state_dict().items():
            old = before.get(f"{name}.{key}")
            assert (old is not None and torch.equal(tensor, old)) or "condition" in key or key.startswith("out.")
    assert len(said) == 3
    assert "mapping.condition" in said[0]


@pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
def test_frozen_blocks_keep_every_bit_and_the_others_learn(source, tiny_dataset, tmp_path, updates):
    config = tiny_config(**SHORT, start_from=str(source), freeze_d=1, updates=updates, r1_interval=1, r1_gamma=1)
    after, before = newest(train(tiny_dataset, tmp_path / "run", config)), newest(source)
    weights = [name for name in before if name.startswith("D.")]
    kept = {name for name in weights if torch.equal(before[name], after[name])}
    kept -= {"out.bias"}  # which Wasserstein's distance does not know of
    assert kept == {name for name in weights if name.startswith(("D.from_grey.", "D.blocks.0."))}


def test_frozen_blocks_of_the_critic_keep_every_bit_too(tiny_dataset, tmp_path):
    config = tiny_contragan(kimg=0.016, tick_kimg=0.016, freeze_d=2, contrastive="none")
    begun = new_state(run.fit_to(config, tiny_dataset))
    after = newest(train(tiny_dataset, tmp_path / "run", config))
    weights = dict(begun.D.named_parameters())
    kept = {name for name, weight in weights.items() if torch.equal(weight, after[f"D.{name}"])}
    kept -= {"out.bias"}  # which Wasserstein's distance does not know of
    assert kept == {
        name for name in weights if name.startswith(("before_plane.0.", "before_plane.2.", "before_plane.3."))
    }


def test_a_run_that_was_started_from_another_goes_on_without_it(source, tiny_dataset, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    config = tiny_config(**SHORT, start_from=str(copied))

    def crash(state):
        if state.images_seen == 12:
            raise StopError

    with pytest.raises(StopError):
        train(tiny_dataset, tmp_path / "stopped", config, on_step=crash)
    whole = train(tiny_dataset, tmp_path / "whole", config)
    shutil.rmtree(copied)
    assert_same_end(whole, train(tiny_dataset, tmp_path / "stopped", config))
    assert Generator.load(whole).card.training["started from"] == "copied"  # without the folders above it


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {"z_dim": 4, "w_dim": 4}},
            r"z_dim is 16, of this run 4; w_dim is 16, of this run 4.*--set network\.z_dim=16",
        ),
        (
            {"discriminator": "projected", "r1_gamma": 0},
            "trained with discriminator stylegan2, and this run has projected",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(source, tiny_dataset, tmp_path, changes, message):
    network = tiny_config().network.model_copy(update=changes.pop("network", {}))
    config = tiny_config(start_from=str(source), network=network, **changes)
    with pytest.raises(ConfigError, match=message):
        train(tiny_dataset, tmp_path / "run", config)
    with pytest.raises(WeightsError, match="nowhere is no generator"):
        train(tiny_dataset, tmp_path / "run", tiny_config(start_from="nowhere"))
    assert not (tmp_path / "run").exists()


def test_more_frozen_blocks_than_there_are_and_none_to_freeze_are_refused():
    with pytest.raises(ConfigError, match="freeze_d is 9, and the discriminator has 3 blocks"):
        freeze(new_state(tiny_config()).D, 9)
    projected = tiny_config(discriminator="projected", r1_gamma=0)
    with pytest.raises(ConfigError, match="freeze_d has no meaning for discriminator = projected"):
        freeze(new_state(projected).D, 1)


def test_from_the_command_line(tiny_dataset, source, tmp_path):
    network = tiny_config().network
    arguments = ["transfer", str(source), str(tiny_dataset.path), "--freeze-d", "1", "--preset", "demo", "--dry-run"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    asked = from_toml(result.stdout)
    assert (asked.start_from, asked.freeze_d) == (str(source), 1)
    assert asked.network == network  # that of the start, where preset demo has another
    other = CliRunner().invoke(app, [*arguments, "--set", "network.z_dim=32"])
    assert from_toml(other.stdout).network == network.model_copy(update={"z_dim": 32})
    wrong = CliRunner().invoke(app, [*arguments, "--no-such-option"])
    assert wrong.exit_code == 2
    assert "--no-such-option" in wrong.output
    assert resolve("demo").freeze_d == 0

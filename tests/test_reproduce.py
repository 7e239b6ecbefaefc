"""A run that is run again comes to the same bits, and what keeps it from it is told."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from sorby.cli import app
from sorby.errors import ConfigError
from sorby.reproduce import reproduce
from sorby.team import Team
from sorby.training import environment
from sorby.training.run import train
from tests.training.conftest import tiny_config, tiny_dataset  # noqa: F401

QUICK = {"score_ticks": 0, "kimg": 0.04}


@pytest.fixture(scope="module")
def run(tiny_dataset, tmp_path_factory):  # noqa: F811
    """Finished at 24 images, in the middle of a tick, and later taken on to 40."""
    out = tmp_path_factory.mktemp("runs") / "steel"
    for kimg in (0.024, 0.04):
        train(tiny_dataset, out, tiny_config(**QUICK | {"kimg": kimg}), tensorboard=False)
    return out


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copied")


def edit(run, at, **changes):
    """Change numbers of the log of a tick."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    lines[at] |= changes
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_same_machine_gives_the_same_bits_also_of_a_run_that_was_taken_further(run, tiny_dataset, tmp_path):  # noqa: F811
    told = []
    outcome = reproduce(run, tiny_dataset, tmp_path / "again", on_tick=told.append)
    assert [tick.kimg for tick in outcome.ticks] == [0.016, 0.024, 0.032, 0.04]
    assert outcome.is_same
    assert (outcome.weights_same, outcome.grey_levels, outcome.differences) == (True, 0.0, ())
    assert told == list(outcome.ticks)


def test_a_part_is_compared_without_the_generator_of_the_end(run, tiny_dataset, tmp_path):  # noqa: F811
    outcome = reproduce(run, tiny_dataset, tmp_path / "again", kimg=0.016)
    assert [tick.kimg for tick in outcome.ticks] == [0.016]
    assert (outcome.is_same, outcome.weights_same) == (True, None)


def test_the_number_that_differs_most_is_told(copied, tiny_dataset, tmp_path):  # noqa: F811
    was = [json.loads(line) for line in (copied / "log.jsonl").read_text().splitlines()][1]
    edit(copied, 1, loss_G=was["loss_G"] * 1.001, loss_D=was["loss_D"] * 2)
    outcome = reproduce(copied, tiny_dataset, tmp_path / "again")
    assert [tick.is_same for tick in outcome.ticks] == [True, False, True, True]
    assert not outcome.is_same
    assert outcome.ticks[1].worst == "loss_D"
    assert outcome.ticks[1].tell() == f"0.024 kimg: loss_D was {2 * was['loss_D']:g}, is {was['loss_D']:g}"


def test_other_weights_are_seen_in_the_pictures(copied, tiny_dataset, tmp_path):  # noqa: F811
    weights = load_file(copied / "last/model.safetensors")
    save_file({name: tensor + 0.3 for name, tensor in weights.items()}, copied / "last/model.safetensors")
    outcome = reproduce(copied, tiny_dataset, tmp_path / "again")
    assert all(tick.is_same for tick in outcome.ticks)
    assert (outcome.is_same, outcome.weights_same) == (False, False)
    assert outcome.grey_levels > 1


def test_what_the_run_ran_on_is_recorded_and_a_difference_is_named(copied, tiny_dataset, tmp_path):  # noqa: F811
    recorded = environment.read(copied)
    assert [one.from_images for one in recorded] == [0, 24]
    assert recorded[0].torch == torch.__version__
    assert recorded[0].differences(environment.this(Team(), accumulate=1)) == []
    lines = [one.model_copy(update={"torch": "1.0"}).model_dump_json() for one in recorded]
    (copied / environment.FILE).write_text("\n".join(lines))
    outcome = reproduce(copied, tiny_dataset, tmp_path / "again", kimg=0.016)
    assert outcome.differences == (f"torch was 1.0, is {torch.__version__}",)


def test_ticks_that_are_done_again_are_recorded_once(tmp_path):
    now = environment.this(Team(), accumulate=1)
    for images in (0, 20, 10):
        environment.record(tmp_path, now.model_copy(update={"from_images": images}))
    assert [one.from_images for one in environment.read(tmp_path)] == [0, 10]


def test_other_data_and_other_folders_are_refused(run, tiny_dataset, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match="was trained on other images than"):
        reproduce(run, tiny_dataset.subset(3, seed=0), tmp_path / "again")
    with pytest.raises(ConfigError, match="is no run"):
        reproduce(tmp_path, tiny_dataset, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_command_says_whether_it_is_the_same_and_its_exit_code_too(run, copied, tiny_dataset):  # noqa: F811
    same = CliRunner().invoke(app, ["reproduce", str(run), str(tiny_dataset.path), "--kimg", "0.016"])
    assert same.exit_code == 0
    assert same.stdout.splitlines() == [
        "0.016 kimg: the same",
        f"{run} is reproduced as far as it was repeated: the same to the bit.",
    ]
    edit(copied, 0, p=0.5)
    other = CliRunner().invoke(app, ["reproduce", str(copied), str(tiny_dataset.path), "--kimg", "0.016"])
    assert other.exit_code == 1
    assert "p was 0.5, is 0" in other.stdout
    assert "this is a bug" in other.stdout

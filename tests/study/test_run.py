"""Studies of generators that learnt nothing, and of pictures whose truth is known."""

import json

import pytest
import torch
from typer.testing import CliRunner

from sorby.card import GeneratorCard
from sorby.cli import app
from sorby.config import NetworkConfig
from sorby.data.dataset import Dataset
from sorby.evaluation.at_conditions import real_images
from sorby.generator import Generator
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.study.figures import figure_of
from sorby.study.plan import plan_of, read_study
from sorby.study.results import RIGHT, StudyResult
from sorby.study.run import compared, run_study, together
from sorby.study.table import markdown
from tests.evaluation.made import block_means, fields

TEXT = """
title = "Does it <b>follow</b> | or not"
preset = "demo"
num = 12
descriptors = ["area_fraction", "mean_chord"]
hold_out = "marked"
dataset = "{data}"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("data") / "real.zip", seed=0, size=32, held_out=(0.3, 0.5))


@pytest.fixture
def plan(data, tmp_path):
    (tmp_path / "study.toml").write_text(TEXT.format(data=data) + "seeds = [0, 1]\n")
    return plan_of(read_study(tmp_path / "study.toml"))


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sorby.study.run.load_network", lambda *_, **__: block_means())


class Untrained:
    """Leaves a generator that has learnt nothing, and remembers of which runs."""

    def __init__(self, *, stops_at=None):
        self.trained, self.stops_at = [], stops_at

    def __call__(self, run, folder):
        if run.name == self.stops_at:
            raise KeyboardInterrupt
        self.trained.append(run.name)
        torch.manual_seed(run.config.seed)
        space = run.data.space
        network = NetworkConfig(size=32, z_dim=8, w_dim=8, channel_base=128, channel_max=8, condition_dim=space.dim)
        card = GeneratorCard(network=network, space=space, pixel_size_um=0.1, images_seen=5)
        Generator(GeneratorNetwork(network), card).save(folder / "last")


def test_a_study_that_was_stopped_goes_on_and_nothing_is_done_twice(plan, tmp_path):
    stopped, goes_on, again = Untrained(stops_at="seed-1"), Untrained(), Untrained()
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, tmp_path / "out", trainer=stopped)
    result = run_study(plan, tmp_path / "out", trainer=goes_on)
    assert (stopped.trained, goes_on.trained) == (["seed-0"], ["seed-1"])
    assert run_study(plan, tmp_path / "out", trainer=again) == result
    assert again.trained == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "results.json",
        "results.md",
        "results.svg",
        "seed-0",
        "seed-1",
    ]
    assert StudyResult.model_validate_json((tmp_path / "out" / "results.json").read_text()) == result
    assert [run.images_seen for run in result.runs] == [5, 5]


def test_a_result_of_other_settings_or_one_cut_short_is_made_again(plan, tmp_path):
    run_study(plan, tmp_path / "out", trainer=Untrained())
    path = tmp_path / "out" / "seed-0" / "conditions.json"
    path.write_text(path.read_text()[:100])
    cut_short = Untrained()
    run_study(plan, tmp_path / "out", trainer=cut_short)
    assert cut_short.trained == ["seed-0"]
    more = plan_of(plan.study.model_copy(update={"num": 11}))
    other = Untrained()
    run_study(more, tmp_path / "out", trainer=other)
    assert other.trained == ["seed-0", "seed-1"]


def results_of(plan, path):
    """What a study would find where pictures of another dataset were drawn in each run."""
    fakes = real_images(Dataset.open(path), each=plan.study.num, seed=0)
    runs = [compared(run, fakes, plan.study, network=block_means(), notes=[]) for run in plan.runs]
    return together(plan.study, runs)


def test_the_truth_beats_the_nearest_condition_and_a_generator_that_is_deaf_does_not(plan, tmp_path):
    """The nearest of 20, 40 and 60 % is 10 points off: by 1/3 or 1/5; between them the fraction is linear."""
    true, deaf = (
        results_of(plan, fields(tmp_path / f"{name}.zip", seed=3, size=32, shows=shows))
        for name, shows in (("true", None), ("deaf", lambda _, rng: rng.choice((0.2, 0.4, 0.6))))
    )
    good, bad = (
        next(row for row in found.deviations if (row.descriptor, row.where) == ("area_fraction", "held out"))
        for found in (true, deaf)
    )
    assert good.num_conditions == bad.num_conditions == 2
    assert good.nearest.value == pytest.approx((1 / 3 + 1 / 5) / 2, abs=0.04)
    assert good.interpolated.value < 0.05
    assert good.generated.value < 0.05
    assert good.gain_on_nearest.value == pytest.approx(good.nearest.value - good.generated.value)
    assert good.gain_on_nearest.value > 0.15
    assert bad.generated.value > 0.1
    assert bad.interpolated == good.interpolated
    rights = [next(row for row in found.right if (row.what, row.where) == (RIGHT, "seen")) for found in (true, deaf)]
    assert rights[0].generated.value > rights[1].generated.value + 0.3
    assert rights[0].real == rights[1].real
    assert rights[0].chance == pytest.approx(0.2)


def test_variants_are_told_apart_seed_by_seed(data, tmp_path):
    (tmp_path / "study.toml").write_text(
        TEXT.format(data=data) + "seeds = [0, 1, 2]\n[variants.without]\n[variants.with]\nr_t = 0.5\n"
    )
    plan = plan_of(read_study(tmp_path / "study.toml"))
    true, deaf = (
        real_images(Dataset.open(fields(tmp_path / f"{name}.zip", seed=3, size=32, shows=shows)), each=12, seed=0)
        for name, shows in (("true", None), ("deaf", lambda _, rng: rng.choice((0.2, 0.4, 0.6))))
    )
    sides = {"without": deaf, "with": true}
    runs = [compared(run, sides[run.variant], plan.study, network=block_means(), notes=[]) for run in plan.runs]
    result = together(plan.study, runs)
    first, second = (row for row in result.right if (row.what, row.where) == (RIGHT, "seen"))
    assert (first.variant, second.variant) == ("without", "with")
    assert first.gain is None
    assert len(second.seeds) == 3
    assert second.gain.value == pytest.approx(second.generated.value - first.generated.value)
    assert second.gain.low > 0.3
    text = markdown(result)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert any(row.startswith("| with | seen | the right condition |") for row in rows)
    assert any(row.startswith("| with | area fraction | 2 |") for row in rows)
    assert "<b>" not in text
    svg = figure_of(result, plan.study.descriptors)
    assert svg.startswith(b"<?xml")
    assert b"with" in svg


def test_conditions_beyond_those_seen_are_counted_apart(data, tmp_path):
    """30 and 50 % are marked; without 60 % too, 20 and 40 % are left."""
    true = fields(tmp_path / "true.zip", seed=3, size=32)
    (tmp_path / "study.toml").write_text(TEXT.format(data=data).replace('"marked"', "[{ fraction = 60 }]"))
    result = results_of(plan_of(read_study(tmp_path / "study.toml")), true)
    beyond = {p.condition: p.beyond for run in result.runs for p in run.predictions}
    assert beyond == {"fraction 30 %": False, "fraction 50 %": True, "fraction 60 %": True}
    wheres = [row.where for row in result.deviations if row.descriptor == "area_fraction"]
    assert wheres == ["seen", "held out", "held out, beyond the range of those seen"]
    assert "beyond the range" in markdown(result)


def test_one_condition_seen_predicts_nothing(data, tmp_path):
    only_20 = TEXT.format(data=data).replace('"marked"', "[{ fraction = 40 }, { fraction = 60 }]")
    (tmp_path / "study.toml").write_text(only_20)
    result = results_of(plan_of(read_study(tmp_path / "study.toml")), data)
    assert result.runs[0].predictions == ()
    assert {row.where for row in result.deviations} == {"seen"}


def test_a_dry_run_lists_the_runs_and_writes_nothing(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TEXT.format(data=data) + "seeds = [0, 1]\n")
    result = CliRunner().invoke(app, ["study", "run", "study.toml", "--dry-run"])
    assert result.exit_code == 0, result.output
    first, *runs = result.stdout.splitlines()
    assert first.startswith("2 runs, 32 kimg in all, in runs/study; 5 conditions")
    assert runs[1] == "seed-1: demo, 16 kimg, seed 1, without fraction 30 %; fraction 50 %"
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["study.toml"]


def test_a_study_trains_and_measures_from_the_command_line(data, tmp_path):
    (tmp_path / "study.toml").write_text(
        TEXT.format(data=data)
        + "[settings]\nkimg = 0.016\nbatch_size = 4\ntick_kimg = 0.016\nscore_ticks = 0\nprecision = 'float32'\n"
        + "[settings.network]\nz_dim = 8\nw_dim = 8\nchannel_base = 128\nchannel_max = 8\n"
    )
    arguments = ["study", "run", str(tmp_path / "study.toml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "nearest condition" in result.stdout
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(found["runs"][0]["predictions"]) > 0
    again = CliRunner().invoke(app, arguments)
    assert "1 of 1: seed-0 is finished" in again.stderr

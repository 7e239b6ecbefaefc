"""Studies of generators that learnt nothing, and of pictures whose truth is known."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from sorby.cli import app
from sorby.data.dataset import Dataset
from sorby.errors import DataError, TrainingError
from sorby.evaluation.at_conditions import real_images
from sorby.study.condition_figures import figure_of
from sorby.study.condition_results import RIGHT, StudyResult
from sorby.study.condition_table import markdown
from sorby.study.conditions import compared, together
from sorby.study.crew import Ended
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.run import carry_out, run_study
from sorby.study.work import work_on, write_study
from tests.evaluation.made import block_means, fields
from tests.study.crews import Here, untrained

TEXT = """
title = "Does it <b>follow</b> | or not"
preset = "demo"
measure = "conditions"
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
    monkeypatch.setattr("sorby.study.measures.load_network", lambda *_, **__: block_means())
    monkeypatch.setattr("sorby.study.work.train", untrained)


def test_a_study_that_was_stopped_goes_on_and_nothing_is_done_twice(plan, tmp_path):
    out = tmp_path / "out"

    class Interrupted(Here):
        def start(self, name):
            if name == "seed-1":
                raise KeyboardInterrupt
            super().start(name)

    stopped, goes_on, again = Interrupted(out), Here(out), Here(out)
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, out, stopped)
    assert stopped.stopped
    assert run_study(plan, out, goes_on) == []
    assert (stopped.begun, goes_on.begun) == (["seed-0"], ["seed-1"])
    first = (out / "results.json").read_bytes()
    assert run_study(plan, out, again) == []
    assert again.begun == []
    assert (out / "results.json").read_bytes() == first
    assert {path.name for path in out.iterdir()} == {
        "methods.md",
        "results.json",
        "results.md",
        "results.svg",
        "seed-0",
        "seed-1",
        "study.toml",
        "work",
    }
    assert [run.images_seen for run in StudyResult.model_validate_json(first).runs] == [5, 5]


def test_a_run_whose_worker_is_lost_goes_on_and_is_given_up_only_when_that_is_no_chance(plan, tmp_path):
    out, said = tmp_path / "out", []
    crew = Here(out, loses={"seed-0": 2, "seed-1": 100})
    assert run_study(plan, out, crew, say=said.append) == ["seed-1"]
    assert crew.begun == ["seed-0"] * 3 + ["seed-1"] * 5
    assert "seed-0: worker killed by SIGKILL, the run goes on from its checkpoint" in said
    assert said[-1] == "seed-1: failed: killed by SIGKILL (2 of 2)"


def test_workers_that_are_taken_away_again_and_again_do_no_harm_while_the_run_comes_further():
    class Spot(Here):
        def start(self, name):
            super().start(name)
            done[name] += 1
            if done[name] == 40:
                self.ended = Ended(name)

    done, crew = Counter(), Spot(None, loses={"a": 100, "b": 100})
    carry_out(["a"], crew, failure=lambda _: "", progress=done.__getitem__)
    assert done["a"] == 40
    said = []
    carry_out(["b"], crew, failure=lambda _: "", progress=lambda _: 3, say=said.append)
    assert done["b"] == 5
    assert said[-1].startswith("b: failed: killed by SIGKILL")


def test_a_run_that_failed_for_good_is_noted_and_tried_again_only_when_asked(plan, tmp_path, monkeypatch):
    out, said = tmp_path / "out", []

    def breaks(data, folder, config, **_):
        if config.seed == 0:
            raise TrainingError("loss_G is not finite.")
        return untrained(data, folder, config)

    with monkeypatch.context() as patch:
        patch.setattr("sorby.study.work.train", breaks)
        assert run_study(plan, out, Here(out), say=said.append) == ["seed-0"]
    assert "seed-0: failed: loss_G is not finite. (1 of 2)" in said
    assert [run.name for run in StudyResult.model_validate_json((out / "results.json").read_text()).runs] == ["seed-1"]
    later, retried = Here(out), Here(out)
    assert run_study(plan, out, later) == ["seed-0"]
    assert later.begun == []
    assert run_study(plan, out, retried, retry=True) == []
    assert retried.begun == ["seed-0"]


def test_a_full_disk_fails_the_run_for_now_and_the_next_time_it_is_done(plan, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def full(*_, **__):
        raise DataError("model.safetensors could not be written (No space left on device).")

    with monkeypatch.context() as patch:
        patch.setattr("sorby.study.work.train", full)
        assert run_study(plan, out, Here(out)) == ["seed-0", "seed-1"]
    assert not (out / "results.json").exists()
    assert run_study(plan, out, Here(out)) == []


def test_two_heads_of_one_study_are_told_apart(plan, tmp_path):
    out = tmp_path / "out"

    class Second(Here):
        def start(self, name):
            with pytest.raises(DataError, match="is run by another process already: watch it with sorby study status"):
                run_study(plan, out, Here(out))
            super().start(name)

    crew = Second(out)
    assert run_study(plan, out, crew) == []
    assert crew.begun == ["seed-0", "seed-1"]


def test_a_run_that_another_worker_holds_is_waited_for_and_not_done_twice(plan, tmp_path, monkeypatch):
    """As after the head was killed: its workers are still there when the next head begins."""
    out, trained = tmp_path / "out", []

    def slow(data, folder, config, **_):
        trained.append(config.seed)
        time.sleep(0.3)
        return untrained(data, folder, config)

    monkeypatch.setattr("sorby.study.work.train", slow)
    write_study(out, plan.study)
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(work_on, out, "seed-0", say=lambda _: None) for _ in range(2))
        assert one.result() == other.result()
    assert trained == [0]


def test_a_result_of_other_settings_or_one_cut_short_is_made_again(plan, tmp_path):
    out = tmp_path / "out"
    run_study(plan, out, Here(out))
    path = out / "seed-0" / "result.json"
    path.write_text(path.read_text()[:100])
    cut_short = Here(out)
    run_study(plan, out, cut_short)
    assert cut_short.begun == ["seed-0"]
    more = plan_of(plan.study.model_copy(update={"num": 11}))
    other = Here(out)
    run_study(more, out, other)
    assert other.begun == ["seed-0", "seed-1"]


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
    assert first.startswith("2 runs, 32 kimg in all, in runs/study; 5 conditions of")
    assert runs[1] == "seed-1: demo, 16 kimg, seed 1, without fraction 30 %; fraction 50 %"
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["study.toml"]


def test_a_study_trains_and_measures_from_the_command_line(data, tmp_path):
    (tmp_path / "study.toml").write_text(
        TEXT.format(data=data)
        + "[settings]\nkimg = 0.016\nbatch_size = 4\ntick_kimg = 0.016\nscore_ticks = 0\nprecision = 'float32'\n"
        + "[settings.network]\nz_dim = 8\nw_dim = 8\nchannel_base = 128\nchannel_max = 8\n"
    )
    arguments = [
        "study",
        "run",
        str(tmp_path / "study.toml"),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--yes",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "nearest condition" in result.stdout
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(found["runs"][0]["predictions"]) > 0
    again = CliRunner().invoke(app, arguments)
    assert "1 of 1 runs are done already" in again.stderr


def test_a_study_in_which_no_run_gives_a_result_names_the_runs_and_says_where_their_logs_are(
    data, tmp_path, monkeypatch
):
    (tmp_path / "study.toml").write_text(TEXT.format(data=data) + "seeds = [0, 1]\n")
    monkeypatch.setattr("sorby.study.run.run_study", lambda *_, **__: ["seed-0", "seed-1"])
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["study", "run", str(tmp_path / "study.toml"), "--out", str(out), "--yes"])
    assert result.exit_code == 1
    assert f"2 runs gave no result: seed-0, seed-1; see {out / 'logs'}." in result.output
    assert "results.md" not in result.output

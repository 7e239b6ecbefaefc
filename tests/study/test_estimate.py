"""Estimates whose answer is known: counted one by one, in closed form, or as a training really went."""

import dataclasses
import sys
from collections import Counter

import pytest
import torch
from typer.testing import CliRunner

from sorby.augment import Augment
from sorby.cli import app
from sorby.config import check
from sorby.data.dataset import Dataset
from sorby.errors import DataError
from sorby.study import estimate, probe, probes
from sorby.study.crew import Place
from sorby.study.estimate import amount, cost_of, estimated, fitting, told
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.probe import Request, Timing, due, period, time_steps
from sorby.training.batches import Batches
from sorby.training.loop import crossed, step
from sorby.training.run import fit_to, train
from sorby.training.state import new_state
from tests.evaluation.made import fields

TINY = {"size": 32, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 4}
CONTRAGAN = {
    "network": {"model": "contragan", "size": 32, "z_dim": 8, "channel_base": 128, "channel_max": 4},
    "n_critic": 3,
    "weight_clip": 0.1,
    "augment": [],
}
TEXT = """
dataset = "{data}"
preset = "demo"
seeds = [0, 1]
[settings]
kimg = 2
batch_size = 8
tick_kimg = 0.5
score_ticks = 2
score_images = 50
[settings.network]
size = 32
z_dim = 8
channel_base = 128
channel_max = 4
[grid]
r_t = [0.4, 0.6]
"""
TIMING = Timing(
    start=7.0,
    steps={"": 1.0, "r1": 3.0},
    batch=8,
    read=0.01,
    draw=0.1,
    save=0.5,
    feature=0.2,
    features_left=60,
    describe=0.3,
    compare=2.0,
    measure=0.0,
    memory=1e9,
    device_memory=0.0,
    device_total=0.0,
    checkpoint=1e6,
    generator=1e5,
    samples=1e4,
    busy=0.5,
    watts=None,
    energy_by="",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("data") / "real.zip", seed=0, size=32)


@pytest.fixture
def plan(data, tmp_path):
    (tmp_path / "study.toml").write_text(TEXT.format(data=data))
    return plan_of(read_study(tmp_path / "study.toml"))


@pytest.mark.parametrize(
    "settings",
    [
        {"r1_interval": 4, "path_length_interval": 3},
        {"r1_gamma": 0},
        {"path_length_weight": 0, "r1_interval": 2},
        CONTRAGAN,
    ],
)
def test_what_is_due_in_a_step_is_what_the_step_does(data, settings):
    found = Dataset.open(data)
    config = fit_to(check({"network": TINY, "batch_size": 4, **settings}), found)
    state = new_state(config)
    batches = Batches(
        torch.from_numpy(found.images(range(8))), torch.from_numpy(found.conditions(range(8))), batch_size=4, seed=0
    )
    names = {"path_length": "path_length", "r1": "r1", "loss_G": "generator"}
    always = {"generator"} if config.network.model == "stylegan2" else set()
    for number in range(min(period(config), 12) + 1):
        done = {names[name] for name in step(state, batches, config, Augment(families=())) if name in names} - always
        assert done == set(due(number, config).split("+")) - {""}


def counted(config, seen):
    """What a training does from there on, step by step as `sorby.training` does it."""
    steps, ticks, scores = Counter(), 0, 0
    while seen < config.total_images:
        steps[due(seen // config.batch_size, config)] += 1
        seen += config.batch_size
        finished = seen >= config.total_images
        if finished or crossed(seen, config.batch_size, every=config.tick_images):
            ticks += 1
            scores += bool(config.score_ticks) and (finished or seen // config.tick_images % config.score_ticks == 0)
    return dict(steps), ticks, scores


@pytest.mark.parametrize("seen", [0, 96, 4000, 10**6])
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 16, "kimg": 4, "tick_kimg": 1, "score_ticks": 2},
        {"batch_size": 32, "kimg": 5.03, "tick_kimg": 0.9, "score_ticks": 3, "r1_interval": 7},
        {"batch_size": 8, "kimg": 3.3, "tick_kimg": 0.5, "score_ticks": 0, "path_length_weight": 0},
        {"batch_size": 48, "kimg": 0.01, "tick_kimg": 0.05, "score_ticks": 4},
        {**CONTRAGAN, "kimg": 4.5, "tick_kimg": 0.2, "score_ticks": 5},
    ],
)
def test_steps_ticks_and_scores_are_as_if_counted_one_by_one(settings, seen):
    config = check({"network": TINY, **settings})
    seen -= seen % config.batch_size
    found = amount(config, seen)
    assert (dict(found.steps), found.ticks, found.scores) == counted(config, seen)


class Clock:
    """Moves when a step is done: a step lasts so long by its number, and the very first one 10 s longer."""

    def __init__(self, seconds):
        self.now, self.seconds, self.done = 0.0, seconds, Counter()

    def __call__(self):
        return self.now

    def do(self, number):
        self.now += self.seconds[number] + (0 if self.done[number] else 10)
        self.done[number] += 1


def test_lazy_regularisers_are_timed_and_weighted():
    """A step takes 1 s, 3 s more every 4th for path length, and 5 s more every 16th for R1: 2.0625 s on average."""
    config = check({"network": TINY, "kimg": 64, "batch_size": 32})
    numbers = {due(number, config): number for number in range(1, 17)}
    assert set(numbers) == {"", "path_length", "path_length+r1"}
    lasts = {numbers[""]: 1.0, numbers["path_length"]: 4.0, numbers["path_length+r1"]: 9.0}
    clock = Clock(lasts)
    found = time_steps(clock.do, numbers, seconds=1000, clock=clock)
    total = sum(found[kind] * num for kind, num in amount(config, 0).steps.items())
    assert total == pytest.approx(2000 * (1 + 3 / 4 + 5 / 16))


def test_steps_that_take_long_are_done_once_but_for_one_that_warms_up():
    clock = Clock({1: 40.0, 4: 70.0})
    found = time_steps(clock.do, {"": 1, "path_length": 4}, seconds=5, clock=clock)
    assert found == {"": 40.0, "path_length": 80.0}
    assert clock.done == {1: 2, 4: 1}


def test_the_parts_of_a_run_add_up(plan):
    """250 steps with R1 in every 16th, 4 ticks of 32 pictures, 2 scores of 50; 45 of 60 pictures to train on."""
    run, study = plan.runs[0], plan.study
    whole = 7 + 45 * 0.01 + 234 * 1 + 16 * 3 + 4 * (32 * 0.1 + 0.5)
    whole += 45 * (0.01 + 0.3) + 2 * (50 * (0.1 + 0.2 + 0.3) + 2)
    found = cost_of(run, TIMING, study)
    assert found.seconds == pytest.approx(whole)
    assert found.disk == pytest.approx(2 * 1e6 + 2 * 1e5 + 4 * 1e4)
    assert found.memory == 1e9 + (45 + 50) * 32 * 32
    half = cost_of(run, TIMING, study, seen=1000, written=1e6)
    steps, ticks, scores = counted(run.config, 1000)
    assert whole - half.seconds == pytest.approx(
        234 - steps[""] + 3 * (16 - steps["r1"]) + (4 - ticks) * 3.7 + (2 - scores) * 32
    )
    assert half.disk == pytest.approx(1.24e6)
    assert cost_of(run, TIMING, study, seen=2000).seconds == pytest.approx(7.45)


@pytest.fixture
def timed(monkeypatch):
    """Every run costs as `TIMING` says, and nothing is run."""
    monkeypatch.setattr(estimate, "timed", lambda _, runs, *__, **___: [TIMING for _ in runs])
    monkeypatch.setattr(estimate, "available_memory", lambda: 16e9)


def test_a_study_is_the_sum_of_its_runs_at_so_many_places(plan, tmp_path, timed):
    each = cost_of(plan.runs[0], TIMING, plan.study).seconds
    found = estimated(plan, tmp_path / "out", [Place("cpu")] * 3, price=2.0)
    features = 60 * 0.2  # of real pictures, by those that begin before the others have left theirs
    assert found.wall_seconds == pytest.approx(2 * each + features)
    assert found.cpu_seconds == pytest.approx((4 * each + 3 * features) / 2)
    assert found.kwh == pytest.approx(found.cpu_seconds * 12 / 3.6e6)
    assert found.price_in_all == pytest.approx(2 * found.wall_seconds / 3600)
    assert (found.runs, found.finished, found.begun, found.at_once, found.devices) == (4, 0, 0, 3, 1)
    assert estimated(plan, tmp_path / "out", [Place("cpu")]).price_in_all is None


def test_only_what_is_left_is_counted(plan, tmp_path, timed, monkeypatch):
    monkeypatch.setattr(estimate, "finished", lambda _, run, __: run is plan.runs[0])
    checkpoint = tmp_path / plan.runs[1].name / "checkpoint" / "0000001000.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(bytes(10))
    found = estimated(plan, tmp_path, [Place("cpu")])
    alone = [
        cost_of(run, TIMING, plan.study, seen=seen).seconds
        for run, seen in zip(plan.runs[1:], (1000, 0, 0), strict=True)
    ]
    assert found.wall_seconds == pytest.approx(sum(alone) + 12)
    assert (found.finished, found.begun) == (1, 1)
    assert "4, 1 finished, 1 begun; 1 at once" in told(found)
    monkeypatch.setattr(estimate, "finished", lambda *_: True)
    done = estimated(plan, tmp_path, [Place("cpu")])
    assert done.wall_seconds == 0
    assert told(done) == "All 4 runs are finished."


def test_memory_caps_the_runs_at_once_and_what_does_not_fit_is_said(plan, tmp_path, timed, monkeypatch):
    assert [fitting(free, 2e9) for free in (9e9, 1e9, None)][:2] == [4, 1]
    monkeypatch.setattr(estimate, "available_memory", lambda: 2.9e9)
    found = estimated(plan, tmp_path / "out", [Place("cpu")] * 4)
    assert found.at_once == 2
    assert "Memory holds 2 of the 4 runs" in told(found)
    monkeypatch.setattr(estimate, "available_memory", lambda: 99e9)
    on_gpu = TIMING.model_copy(update={"device_memory": 10e9, "device_total": 24e9})
    monkeypatch.setattr(estimate, "timed", lambda _, runs, *__, **___: [on_gpu for _ in runs])
    for devices, at_once in ((["cuda:0"] * 4, 2), (["cuda:0", "cuda:1"] * 2, 4), (["cuda:0", "cuda:1"], 2)):
        found = estimated(plan, tmp_path / "out", [Place(device) for device in devices])
        assert (found.at_once, found.devices) == (at_once, len(set(devices)))
    monkeypatch.setattr(estimate, "available_memory", lambda: 0.5e9)
    assert "A run needs 1 GB of memory and 500 MB are free" in told(estimated(plan, tmp_path / "out", [Place("cpu")]))


def test_energy_is_that_of_the_timing_and_of_an_unknown_gpu_none(plan, tmp_path, timed, monkeypatch):
    measured = TIMING.model_copy(update={"watts": 20.0, "energy_by": "RAPL"})
    monkeypatch.setattr(estimate, "timed", lambda _, runs, *__, **___: [measured for _ in runs])
    found = estimated(plan, tmp_path / "out", [Place("cpu")])
    assert found.kwh == pytest.approx(20 * found.wall_seconds / 3.6e6)
    assert "RAPL" in told(found)
    silent = TIMING.model_copy(update={"energy_by": "not measured: it is shy"})
    monkeypatch.setattr(estimate, "timed", lambda _, runs, *__, **___: [silent for _ in runs])
    found = estimated(plan, tmp_path / "out", [Place("cuda:0"), Place("cuda:1")], price=3.0)
    assert found.kwh is None
    assert found.devices == 2
    assert "energy     not measured: it is shy" in told(found)


def test_each_kind_of_run_is_timed_and_no_more_often_than_it_must(plan, tmp_path, monkeypatch):
    """Variants that differ in r_t cost the same; of a study with more kinds than time, those of other networks are."""
    asked = []

    def fake(run, study, device, *, threads, seconds):
        asked.append(run.config)
        return TIMING.model_copy(update={"start": float(len(run.config.augment))})

    monkeypatch.setattr(probes, "_probe", fake)
    notes = []
    common = {"threads": 1, "say": lambda _: None, "notes": notes}
    probes.timed(plan.study, plan.runs, ["cpu"], **common)
    assert len(asked) == 1
    families = [["blit"], ["blit", "geom"], ["blit", "geom", "colour"]]
    runs = [
        dataclasses.replace(run, config=run.config.model_copy(update={"augment": tuple(families[number % 3])}))
        for number, run in enumerate(plan.runs)
    ]
    assert [timing.start for timing in probes.timed(plan.study, runs, ["cpu"], **common)] == [1, 2, 3, 1]
    assert notes == []
    monkeypatch.setattr(probes, "BUDGET_SECONDS", 0.0)
    asked.clear()
    assert len({timing.start for timing in probes.timed(plan.study, runs, ["cpu"], **common)}) == 1
    assert len(asked) == 1
    assert "2 of 3 kinds of run are taken to be as others" in notes[0]


def test_what_a_probe_finds_is_what_a_training_leaves(plan, tmp_path, monkeypatch):
    """Of a batch that there is no time for, fewer images are timed; the files do not depend on it."""
    monkeypatch.setattr(probe, "_network_or_none", lambda *_: None)
    run = plan.runs[0]
    short = run.config.model_copy(update={"kimg": 0.064, "tick_kimg": 0.032})
    request = Request(dataset=plan.data.path, config=short, device="cpu", network=None, seconds=0.0, began=0.0)
    found = probe.probe(request)
    assert found.batch == 1
    assert set(found.steps) == {"", "r1"}
    assert all(seconds > 0 for seconds in (*found.steps.values(), found.read, found.draw, found.describe, found.save))
    patient = probe.probe(request.model_copy(update={"seconds": 1000.0}))
    assert patient.batch == 8
    folder = train(plan.data, tmp_path / "run", short.model_copy(update={"score_ticks": 0}), tensorboard=False)
    written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    best = found.generator  # never written without scores
    expected = cost_of(dataclasses.replace(run, config=short), found, plan.study).disk - best
    assert expected == pytest.approx(written, rel=0.2)


def test_a_run_that_cannot_begin_says_why_before_a_study_starts(plan, tmp_path, data):
    (tmp_path / "gone.zip").write_bytes(data.read_bytes())
    gone = dataclasses.replace(plan.runs[0], data=Dataset.open(tmp_path / "gone.zip"))
    (tmp_path / "gone.zip").unlink()
    with pytest.raises(DataError, match=r"r_t=0.4-seed-0 was tried and cannot begin: .*gone.zip"):
        probes.timed(plan.study, [gone], ["cpu"], threads=1, say=lambda _: None, notes=[])


@pytest.mark.parametrize(
    ("options", "answer", "terminal", "starts"),
    [([], "", False, False), ([], "y\n", True, True), ([], "n\n", True, False), (["--yes"], "", False, True)],
)
def test_a_study_starts_only_where_somebody_wants_what_it_takes(
    plan, tmp_path, timed, monkeypatch, options, answer, terminal, starts
):
    started = []
    monkeypatch.setattr("sorby.study.run.run_study", lambda *_, **__: started.append(True) or [])
    verb = sys.modules["sorby.cli.study"]  # the package has the command by that name
    monkeypatch.setattr(verb, "_show", lambda _: None)
    monkeypatch.setattr(verb, "_is_terminal", lambda: terminal)
    command = [
        "study",
        "run",
        str(tmp_path / "study.toml"),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        *options,
    ]
    result = CliRunner().invoke(app, command, input=answer)
    assert bool(started) == starts
    assert "time  " in result.output
    assert ("Go on?" in result.output) == terminal
    if not (terminal or starts):
        assert "add --yes" in str(result.exception)
    assert not (tmp_path / "out").exists()

"""Studies in every state, made by hand."""

import json
import subprocess
import sys

import pytest
from filelock import FileLock
from rich.console import Console
from typer.testing import CliRunner

from sorby.cli import app
from sorby.study import status
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.status import Status, held, planned, status_of, told
from sorby.study.work import Work, lock_of, write_study
from tests.evaluation.made import fields

TEXT = """
dataset = "{data}"
preset = "demo"
seeds = [0, 1, 2, 3, 4]
[settings]
kimg = 10
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("data") / "real.zip", seed=0, size=32)


@pytest.fixture
def file(data, tmp_path):
    (tmp_path / "study.toml").write_text(TEXT.format(data=data))
    return tmp_path / "study.toml"


class Folder:
    """A study's folder, run by run."""

    def __init__(self, file, path):
        self.plan, self.path = plan_of(read_study(file)), path
        self.runs = {run.config.seed: run for run in self.plan.runs}
        write_study(path, self.plan.study)
        (path / "work").mkdir()

    def work(self, seed, state="begun", **more):
        identity = more.pop("identity", self.runs[seed].identity(self.plan.study))
        found = Work(identity=identity, state=state, **more)
        (self.path / "work" / f"seed-{seed}.json").write_text(found.model_dump_json())

    def log(self, seed, *lines):
        """Each of (images, seconds, FID or none)."""
        entries = [
            {"images_seen": images, "kimg": images / 1000, "seconds": seconds, **({"fid": fid} if fid else {})}
            for images, seconds, fid in lines
        ]
        (self.path / f"seed-{seed}").mkdir(exist_ok=True)
        path = self.path / f"seed-{seed}" / "log.jsonl"
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        return path.stat().st_mtime

    def finish(self, seed):
        identity = self.runs[seed].identity(self.plan.study)
        (self.path / f"seed-{seed}").mkdir(exist_ok=True)
        (self.path / f"seed-{seed}" / "result.json").write_text(json.dumps({"identity": identity}))


@pytest.fixture
def folder(file, tmp_path):
    return Folder(file, tmp_path / "out")


def text_of(found, **settings):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(told(found, **settings))
    return capture.get()


def test_every_state_is_told_with_its_numbers(file, folder):
    """seed-1 takes 20 ms an image of late, and seed-2 40 ms: what has not begun is taken to take 30 ms."""
    folder.work(0, "finished", seconds=400, kwh=0.25)
    folder.log(0, (10_000, 300, 30.0))
    folder.finish(0)
    folder.work(1, seconds=100, kwh=0.5, worker="node7:42", times=2)
    written = folder.log(1, (1000, 90, 90.0), (2000, 110, 50.0), (3000, 130, 60.0))
    folder.work(2, seconds=50)
    folder.log(2, (1000, 40, None), (2000, 80, None))
    folder.work(3, "failed", error="loss_D is not finite", final=True, seconds=5)
    runs = planned(file, folder.path)
    with FileLock(lock_of(folder.path, "seed-1")), FileLock(folder.path / "work" / "study.lock"):
        found = status_of(folder.path, runs, now=written + 15)
    assert [run.state for run in found.runs] == ["finished", "running", "stopped", "failed", "waiting"]
    running, stopped, failed, waiting = found.runs[1:]
    assert (running.kimg, running.of_kimg, running.fid, running.best_fid, running.times) == (3, 10, 60, 50, 2)
    assert running.seconds_left == pytest.approx(7000 * 0.02 - 15)
    assert stopped.seconds_left == pytest.approx(8000 * 0.04)
    assert waiting.seconds_left == pytest.approx(10_000 * (0.03 + 0.02 + 0.04) / 3)
    assert (failed.seconds_left, failed.error) == (None, "loss_D is not finite")
    assert found.seconds_left == pytest.approx(125 + 320 + 300)  # one after the other, as one is worked on
    assert (found.head, found.kwh, found.seconds) == (True, 0.75, 555)
    text = text_of(found)
    assert "1 running, 1 failed, 1 stopped, 1 waiting, 1 finished; the study is being run; about 12 min left" in text
    assert "seed-3: loss_D is not finite" in text
    assert "node7:42" in text
    assert Status.model_validate_json(found.model_dump_json()) == found


def test_a_run_that_is_overdue_is_no_nearer_to_its_end(file, folder):
    folder.work(1)
    written = folder.log(1, (1000, 20, None), (2000, 40, None))
    runs = planned(file, folder.path)
    with FileLock(lock_of(folder.path, "seed-1")):
        left = [status_of(folder.path, runs, now=written + late).runs[1].seconds_left for late in (-5, 10, 300)]
    assert left == pytest.approx([160, 150, 140])


def test_a_study_that_nobody_runs_has_no_end(file, folder):
    folder.work(1)
    folder.log(1, (1000, 90, None))
    found = status_of(folder.path, planned(file, folder.path))
    assert (found.head, found.seconds_left) == (False, None)
    assert found.counts == {"stopped": 1, "waiting": 4}
    assert "nobody runs the study" in text_of(found)


def test_a_worker_that_was_killed_lets_go_of_its_run(file, folder):
    folder.work(2)
    lock = lock_of(folder.path, "seed-2")
    code = f"from filelock import FileLock\nwith FileLock({str(lock)!r}):\n print('held', flush=True)\n input()"
    runs = planned(file, folder.path)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout.readline() == b"held\n"
        running = status_of(folder.path, runs).runs[2].state
        worker.kill()
    assert (running, status_of(folder.path, runs).runs[2].state) == ("running", "stopped")


def test_looking_leaves_nothing_and_takes_no_lock_from_anybody(file, folder):
    before = sorted(folder.path.rglob("*"))
    status_of(folder.path, planned(file, folder.path))
    assert sorted(folder.path.rglob("*")) == before
    lock = folder.path / "work" / "study.lock"
    with FileLock(lock):
        pass
    assert held(lock) is False
    with FileLock(lock, timeout=0):
        assert held(lock)


def test_work_on_other_settings_is_not_this_study_s(file, folder):
    folder.work(1, identity="of another")
    folder.log(1, (9000, 90, 5.0))
    run = status_of(folder.path, planned(file, folder.path)).runs[1]
    assert (run.state, run.kimg, run.fid) == ("waiting", 0, None)


def test_where_locks_do_not_work_a_run_that_wrote_lately_is_worked_on(file, folder, monkeypatch):
    def no_locks(*_, **__):
        raise OSError("no locks on this file system")

    folder.work(1)
    lock_of(folder.path, "seed-1").touch()
    now = folder.log(1, (1000, 90, None))
    runs = planned(file, folder.path)
    monkeypatch.setattr(status, "FileLock", no_locks)
    assert [status_of(folder.path, runs, now=now + later).runs[1].state for later in (10, 10_000)] == [
        "running",
        "stopped",
    ]


def test_before_the_beginning_all_wait_and_a_dataset_elsewhere_hides_only_what_did_not_begin(file, folder, tmp_path):
    new = status_of(tmp_path / "new", planned(file, tmp_path / "new"))
    assert (new.counts, new.head) == ({"waiting": 5}, False)
    folder.work(3)
    own = folder.path / "study.toml"
    own.write_text(own.read_text().replace("real.zip", "elsewhere.zip"))
    found = status_of(folder.path, planned(file, folder.path))
    assert [(run.name, run.state) for run in found.runs] == [("seed-3", "stopped")]


def test_trials_of_a_search_are_the_variants_of_the_folder(file, folder):
    own = folder.path / "study.toml"
    own.write_text(f'{own.read_text()}\n[variants."trial-0"]\nr_t = 0.3\n\n[variants."trial-1"]\nr_t = 0.7\n')
    names = [run.name for run in planned(file, folder.path)]
    assert names[:2] == ["trial-0-seed-0", "trial-0-seed-1"]
    assert len(names) == 10


def test_of_many_runs_those_that_are_worked_on_come_first(file, folder):
    folder.finish(0)
    folder.work(4)
    text = text_of(status_of(folder.path, planned(file, folder.path)), most=2)
    assert "seed-4" in text
    assert "seed-0" not in text
    assert "... and 3 more" in text


def test_scripts_read_the_same_as_json(file, folder):
    folder.work(1)
    command = ["study", "status", str(file), "--out", str(folder.path)]
    found = Status.model_validate_json(CliRunner().invoke(app, [*command, "--json"]).output)
    assert found.counts == {"stopped": 1, "waiting": 4}
    assert "5 runs: 1 stopped, 4 waiting" in CliRunner().invoke(app, command).output


def test_watching_ends_with_the_study(file, folder):
    for seed in range(4):
        folder.finish(seed)
    folder.work(4, "failed", error="it is not to be")
    shown = list(status.watched(file, folder.path))
    assert [found.counts for found in shown] == [{"failed": 1, "finished": 4}]

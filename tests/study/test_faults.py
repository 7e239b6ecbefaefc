"""Workers and heads that are killed: the study ends complete, and equal to one undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from sorby.study.run import images_seen
from tests.evaluation.made import fields

TEXT = """
dataset = "{data}"
preset = "demo"
seeds = [0, 1]
[settings]
kimg = 0.24
batch_size = 4
tick_kimg = 0.024
score_ticks = 10
score_images = 16
precision = "float32"
ada_kimg = 0.1
[settings.network]
z_dim = 8
w_dim = 8
channel_base = 128
channel_max = 8
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    data = fields(folder / "real.zip", seed=0, size=32)
    (folder / "study.toml").write_text(TEXT.format(data=data))
    return folder / "study.toml"


def head(file, out):
    """The command, in a process of its own."""
    command = [sys.executable, "-c", "from sorby.cli import main; main()", "study", "run", str(file), "--out", str(out)]
    more = ["--device", "cpu", "--parallel", "1", "--yes"]
    return subprocess.Popen(command + more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until_it_trains(out, name):
    deadline = time.monotonic() + 120
    while not 0 < images_seen(out / name) < 240:
        assert time.monotonic() < deadline, "the run never came to its first checkpoint, or was too fast"
        time.sleep(0.01)


def worker_of(out, name):
    return int(json.loads((out / "work" / f"{name}.json").read_text())["worker"].rpartition(":")[2])


def end_of(out):
    """Results, and every tensor of every run."""
    results = {path.parent.name: path.read_bytes() for path in out.glob("*/result.json")}
    tensors = {
        f"{path.parent.parent.name}/{name}": tensor
        for path in out.glob("*/checkpoint/*240.safetensors")
        for name, tensor in load_file(path).items()
    }
    return results, tensors


def same(one, other):
    (results, tensors), (other_results, other_tensors) = one, other
    equal = tensors.keys() == other_tensors.keys() and all(t.equal(other_tensors[name]) for name, t in tensors.items())
    return equal and results == other_results


@pytest.fixture(scope="module")
def undisturbed(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    process = head(file, out)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    results, tensors = end_of(out)
    assert set(results) == {"seed-0", "seed-1"}
    assert tensors
    return results, tensors


def test_a_study_whose_worker_is_killed_ends_complete_and_equal(file, tmp_path, undisturbed):
    process = head(file, tmp_path / "out")
    wait_until_it_trains(tmp_path / "out", "seed-0")
    os.kill(worker_of(tmp_path / "out", "seed-0"), signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "seed-0: worker killed by SIGKILL, the run goes on from its checkpoint" in said
    assert json.loads((tmp_path / "out" / "work" / "seed-0.json").read_text())["times"] == 2
    assert same(end_of(tmp_path / "out"), undisturbed)


def test_a_study_whose_head_is_killed_goes_on_by_the_same_command(file, tmp_path, undisturbed):
    """The worker outlives its head, and the next one waits for it."""
    out = tmp_path / "out"
    process = head(file, out)
    wait_until_it_trains(out, "seed-0")
    process.kill()
    process.communicate()
    again = head(file, out)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert json.loads((out / "work" / "seed-0.json").read_text())["times"] == 1
    assert same(end_of(out), undisturbed)


def test_an_interrupted_study_takes_its_workers_along(file, tmp_path):
    out = tmp_path / "out"
    process = head(file, out)
    wait_until_it_trains(out, "seed-0")
    worker = worker_of(out, "seed-0")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command again goes on" in said
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)

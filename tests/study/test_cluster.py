"""A cluster of three nodes on this machine, one of which is killed while it trains."""

import tempfile
import threading
from pathlib import Path

import pytest
import torch

from sorby.errors import ConfigError, DataError
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.run import run_study
from tests.evaluation.made import fields
from tests.study.crews import Here
from tests.study.test_faults import TEXT, end_of, same, wait_until_it_trains, worker_of

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    data = fields(folder / "real.zip", seed=0, size=32)
    short = TEXT.replace("kimg = 0.24\n", "kimg = 0.12\n")
    (folder / "study.toml").write_text(short.format(data=data))
    return plan_of(read_study(folder / "study.toml"))


@pytest.fixture(scope="module")
def ray_cluster():
    """The head, which has room for one run; the last test ends it."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", folder)  # sockets need a short path
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def generators(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.glob("*/last/model.safetensors")}


def node_of(cluster, process):
    """The node that a worker was started by."""
    parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.list_all_nodes()}
    return nodes[parent]


def test_a_study_on_a_cluster_that_loses_a_node_ends_complete_and_equal(plan, ray_cluster, tmp_path):
    from sorby.study.cluster import Cluster

    out, said = tmp_path / "out", []
    nodes = [ray_cluster.add_node(num_cpus=1) for _ in range(2)]

    def kill_a_node():
        for name in ("seed-0", "seed-1"):  # one of which may be on the head
            wait_until_it_trains(out, name)
            if (node := node_of(ray_cluster, worker_of(out, name))) in nodes:
                ray_cluster.remove_node(node, allow_graceful=False)
                break

    crew = Cluster(out, ray_cluster.address)
    assert len(crew.free) == 3
    killer = threading.Thread(target=kill_a_node)
    killer.start()
    assert run_study(plan, out, crew, say=said.append) == []
    killer.join()
    assert sum("worker lost its node, the run goes on from its checkpoint" in line for line in said) == 1
    undisturbed = tmp_path / "undisturbed"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert run_study(plan, undisturbed, Here(undisturbed)) == []
    finally:
        torch.set_num_threads(threads)
    assert same(end_of(out), end_of(undisturbed))
    assert generators(out) == generators(undisturbed)
    assert len(generators(out)) == len(plan.runs)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "There is no Ray cluster at 127.0.0.1:1"),
        ("somewhere", "--ray somewhere: expected auto, or HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(address, says, tmp_path, monkeypatch):
    from sorby.study.cluster import Cluster

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(ConfigError, match=says):
        Cluster(tmp_path, address)


@pytest.mark.parametrize(
    ("node", "gpus", "threads", "room"),
    [
        ({"CPU": 16.0}, 0, 4, 4),
        ({"CPU": 3.0}, 0, 4, 0),
        ({"CPU": 64.0, "GPU": 4.0}, 1, 4, 4),
        ({"CPU": 8.0, "GPU": 4.0}, 1, 4, 2),
        ({"CPU": 64.0, "GPU": 4.0}, 0.5, 4, 8),
        ({"CPU": 64.0}, 1, 1, 0),
        ({}, 0, 1, 0),
    ],
)
def test_a_node_takes_as_many_runs_as_its_cpus_and_gpus_allow(node, gpus, threads, room):
    from sorby.study.cluster import room_on

    assert room_on(node, gpus=gpus, threads=threads) == room


def test_a_cluster_that_is_lost_ends_the_study_in_one_line(ray_cluster, tmp_path, monkeypatch):
    from sorby.study.cluster import Cluster

    with pytest.raises(ConfigError, match="has no node of 1 CPU and 1 GPU, which a run needs"):
        Cluster(tmp_path, ray_cluster.address, gpus=1)
    crew = Cluster(tmp_path, ray_cluster.address)
    crew.start("seed-0")
    with pytest.raises(DataError, match=r"a node of the Ray cluster, does not see .*study.toml: all nodes must see it"):
        crew.wait()
    crew.start("seed-0")
    for process in ("gcs_server", "raylet"):
        ray_cluster.head_node.all_processes[process][0].process.kill()
    monkeypatch.setattr("sorby.study.cluster.PATIENCE_SECONDS", 1.0)
    with pytest.raises(DataError, match="is lost: the same command again goes on once it is back"):
        crew.wait()
    crew.stop()

"""Workers on a cluster: each run is a task of Ray, on whichever node has room for it.

The head runs on a node of the cluster, and all nodes see the folder of the study and the dataset by the same path: a
run whose node is lost goes on elsewhere from its checkpoint. Ray spreads the runs and tells which of them are lost; the
head begins them anew, as on one machine.
"""

import logging
import os
import platform
import signal
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from sorby.errors import ConfigError, DataError
from sorby.study.crew import Ended, Place, environment, log_of
from sorby.study.file import read_study

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
"""How long the head of the cluster may be out of reach. After a minute Ray ends the process, without a word."""


class Cluster:
    """Works on as many runs at once as the nodes of a Ray cluster have room for; nodes may come and go.

    Each run takes `threads` CPUs of one node, and `gpus` of its GPUs, which may be a part of one. Raises `ConfigError`
    where there is no such cluster, or no node that could ever take a run.
    """

    def __init__(self, folder: Path, address: str, *, gpus: float = 0.0, threads: int = 1) -> None:
        self.folder, self.gpus, self.threads = folder.resolve(), gpus, threads
        self.ray, self.head = _connected(address)
        self.tasks: dict[Any, str] = {}
        if not any(map(self._room, self._nodes())):
            self.ray.shutdown()
            wanted = f"{threads} CPU" + (f" and {gpus:g} GPU" if gpus else "")
            raise ConfigError(f"The Ray cluster at {address} has no node of {wanted}, which a run needs: ask for less.")
        options = {"num_cpus": threads, "num_gpus": gpus, "max_calls": 1, "max_retries": 0}
        self.work = self.ray.remote(**options)(work)

    @property
    def free(self) -> Sequence[Place]:
        """Places on the nodes that are there now; one for a node to come where all are gone."""
        if not self.ray.is_initialized():
            return []
        room = sum(map(self._room, self._nodes()))
        return [Place(self._device)] * max(room - len(self.tasks), 0 if self.tasks else 1)

    def start(self, name: str) -> None:
        """Begin to work on a run, on a node with room for it."""
        self._check()
        self.tasks[self.work.remote(str(self.folder), name, self._device, self.threads)] = name

    def wait(self) -> Ended:
        """The next run that ends.

        Raises `DataError` where the cluster is lost, or one of its nodes does not see the study.
        """
        done: list[Any] = []
        while not done:
            self._check()
            done, _ = self.ray.wait(list(self.tasks), timeout=POLL_SECONDS)
        name = self.tasks.pop(done[0])
        try:
            unseen = self.ray.get(done[0])
        except self.ray.exceptions.RayError as error:
            self._check()
            return Ended(name, self._how(error))
        if unseen:
            raise DataError(f"{unseen}: all nodes must see it by this path. Then the same command again goes on.")
        return Ended(name)

    def stop(self) -> None:
        """End all tasks, and leave the cluster."""
        if self._is_there():
            for task in self.tasks:
                self.ray.cancel(task, force=True)
            if self.tasks:
                self.ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=PATIENCE_SECONDS)
        self.tasks = {}
        self.ray.shutdown()

    @property
    def _device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    def _nodes(self) -> list[Mapping[str, float]]:
        """What each node has."""
        self._check()
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _room(self, node: Mapping[str, float]) -> int:
        return room_on(node, gpus=self.gpus, threads=self.threads)

    def _is_there(self) -> bool:
        try:
            socket.create_connection(self.head, timeout=POLL_SECONDS).close()
        except OSError:
            return False
        return True

    def _check(self) -> None:
        """Raise `DataError` where the head of the cluster is gone."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_there():
            if time.monotonic() > deadline:
                host, port = self.head
                raise DataError(
                    f"The Ray cluster at {host}:{port} is lost: the same command again goes on once it is back."
                )
            time.sleep(POLL_SECONDS)

    def _how(self, error: Exception) -> str:
        """How a worker was lost."""
        known = {"NodeDiedError": "lost its node", "OutOfMemoryError": "killed, as its node had no memory left"}
        return known.get(type(error).__name__, f"lost ({type(error).__name__})")


def room_on(node: Mapping[str, float], *, gpus: float, threads: int) -> int:
    """Runs that a node can take at once, by what it has.

    >>> room_on({"CPU": 8.0, "GPU": 4.0}, gpus=0.5, threads=2)
    4
    """
    room = node.get("CPU", 0.0) // threads
    return int(min(room, node.get("GPU", 0.0) // gpus) if gpus else room)


def work(folder: str, name: str, device: str, threads: int) -> str:
    """Work on a run in a worker of the cluster, a process of its own; gives what this node does not see, if anything.

    PyTorch must not have been imported yet.
    """
    os.environ.update(environment(threads))
    if unseen := _unseen(Path(folder)):
        return f"{platform.node()}, a node of the Ray cluster, does not see {unseen}"
    from sorby.study.work import attempt

    with log_of(Path(folder), name).open("a", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        try:
            attempt(Path(folder), name, device)
        except Exception:
            traceback.print_exc()
            raise
    return ""


def _unseen(folder: Path) -> Path | None:
    file = folder / "study.toml"
    if not file.is_file():
        return file
    dataset = read_study(file).dataset
    return None if dataset.exists() else dataset


def _connected(address: str) -> tuple[Any, tuple[str, int]]:
    """Ray, and where the head of the cluster listens."""
    try:
        import ray
    except ImportError:
        raise ConfigError("A Ray cluster needs Ray: pip install 'sorby[ray]'.") from None
    expected = "expected auto, or HOST:PORT as ray start --head prints it"
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"--ray {address}: {expected}.")
        try:  # Ray itself would try for minutes, and then end the process
            socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
        except OSError as error:
            raise ConfigError(f"There is no Ray cluster at {address} ({error}): {expected}.") from None
    try:
        interrupt = signal.getsignal(signal.SIGTERM)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        signal.signal(signal.SIGTERM, interrupt)  # Ray puts its own in place
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"There is no Ray cluster at {address} ({str(error).splitlines()[0]}): {expected}.") from None
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return ray, (host, int(port))

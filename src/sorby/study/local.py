"""Workers on this machine: a process a run, packed onto its cores or its GPUs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sorby.study.crew import Ended, Place, environment, log_of

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
"""How long a worker may take to stop before it is killed; it loses nothing but its tick."""


def places(device: str, *, parallel: int | None = None, threads: int = 1) -> list[Place]:
    """Where runs are worked on at once: each GPU for "cuda", or each `threads` cores for "cpu".

    Where `parallel` is given, so many share what there is.
    """
    devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if device == "cuda" else [device]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usual = max(cores // threads, 1) if device == "cpu" else len(devices)
    return [Place(devices[number % len(devices)]) for number in range(parallel or usual)]


@dataclass
class _Worker:
    name: str
    place: Place
    process: subprocess.Popen[bytes]


class Local:
    """Works on as many runs at once as there are places; each process computes with `threads` threads."""

    def __init__(self, folder: Path, places: Sequence[Place], *, threads: int = 1) -> None:
        self.folder, self.threads = folder, threads
        self.free = list(places)
        self.workers: list[_Worker] = []

    def start(self, name: str) -> None:
        """Begin to work on a run, at a free place."""
        place = self.free.pop(0)
        command = [sys.executable, "-m", "sorby.study.work", str(self.folder), name, place.device]
        with log_of(self.folder, name).open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | environment(self.threads),
                start_new_session=True,  # an interrupt from the keyboard is for the head, which passes it on
            )
        self.workers.append(_Worker(name, place, process))

    def wait(self) -> Ended:
        """The next run whose process ends."""
        while True:
            for worker in self.workers:
                code = worker.process.poll()
                if code is not None:
                    self.workers.remove(worker)
                    self.free.append(worker.place)
                    return Ended(worker.name, _how(code))
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End all workers; what they did up to their last tick is kept."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self.workers = []


def _how(code: int) -> str:
    """What the exit code of a worker says; empty where the run is done, or failed as it noted itself."""
    if code in (0, 2):
        return ""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

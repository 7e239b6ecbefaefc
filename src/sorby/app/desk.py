"""Where requests are worked on: one answer at a time, and beside them one long job at a time."""

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from sorby.errors import ConfigError, SorbyError

T = TypeVar("T")
Report = Callable[[int, int], None]
"""How far a job is, of how much; raises `CancelledError` where it is to stop."""

LOOK_S = 0.1
"""Between two looks whether somebody still waits for an answer."""
KEPT_JOBS = 32
"""Older finished jobs are forgotten."""
MOST_WAITING = 16
"""Jobs that wait or run at once, of all users."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


class CancelledError(Exception):
    """A job was told to stop."""


@dataclass(eq=False)
class Job:
    """Something that takes longer than one wants to wait; its key is known to who started it, and to nobody else."""

    key: str
    state: Literal["waiting", "running", "finished", "failed", "cancelled"] = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    """What the page is told."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What it may fetch."""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("finished", "failed", "cancelled")

    def report(self, done: int, total: int) -> None:
        """Say how far the work is. Raises `CancelledError` where it is to stop."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise CancelledError


class Desk:
    """Each of its two workers does one thing at a time: two that compute at once would take longer than in turn."""

    def __init__(self) -> None:
        self._answers = ThreadPoolExecutor(1, "answers")
        self._long = ThreadPoolExecutor(1, "jobs")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    async def answer(self, request: Request, work: Callable[[], T]) -> T:
        """Do `work` when its turn comes; raises `GoneError` where `request` was given up before."""
        future = asyncio.get_running_loop().run_in_executor(self._answers, work)
        while not future.done():
            await asyncio.wait({future}, timeout=LOOK_S)
            if not future.done() and await request.is_disconnected():
                future.cancel()
                raise GoneError
        return await future

    def start(self, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Begin a job: `work` calls `report` as it goes on, puts files into the job, and returns its result.

        Raises `ConfigError` where too many are waiting already.
        """
        with self._lock:
            if sum(not job.is_over for job in self._jobs.values()) >= MOST_WAITING:
                raise ConfigError(f"{MOST_WAITING} jobs are waiting already: try again when some are done.")
            over = [key for key, job in self._jobs.items() if job.is_over]
            for key in over[: max(len(self._jobs) - KEPT_JOBS, 0)]:
                del self._jobs[key]
            job = Job(secrets.token_urlsafe(16))
            self._jobs[job.key] = job
        self._long.submit(_run, job, work)
        return job

    def job(self, key: str) -> Job:
        """Raises `ConfigError` where there is none of this key."""
        if key not in self._jobs:
            raise ConfigError("This job is not known: it was forgotten, or the explorer was started anew; start again.")
        return self._jobs[key]

    def close(self) -> None:
        """Stop all that is under way."""
        for job in self._jobs.values():
            job.stop.set()
        self._answers.shutdown(cancel_futures=True)
        self._long.shutdown(cancel_futures=True)


def _run(job: Job, work: Callable[[Job], dict[str, Any]]) -> None:
    if job.stop.is_set():
        job.state = "cancelled"
        return
    job.state = "running"
    try:
        job.result = work(job)
        job.state = "finished"
    except CancelledError:
        job.state = "cancelled"
    except SorbyError as error:
        job.error, job.state = str(error), "failed"
    except Exception:
        job.error, job.state = "This is a bug of Sorby; the terminal has its traceback.", "failed"
        raise

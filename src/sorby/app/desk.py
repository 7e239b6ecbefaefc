"""Where requests are worked on: one answer at a time, and beside them one long job at a time."""

import asyncio
import secrets
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from sorby.errors import ConfigError, SorbyError

T = TypeVar("T")
U = TypeVar("U")
State = Literal["waiting", "running", "finished", "failed", "cancelled"]
LOOK_S = 0.1
"""Between two looks whether somebody still waits for an answer."""
KEPT_JOBS = 32
KEPT_BYTES = 512 * 2**20
"""Of jobs that are over, and of their files: those that nobody asked for longest are forgotten."""
MOST_WAITING = 16
"""Jobs that wait or run at once, of all users."""
ABANDONED_S = 600.0
"""A job that nobody asked after for so long is stopped: its page was closed before it knew the key, or is asleep."""
MOST_ASKED = 128
"""Answers that are waited for at once, by all users."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


class CancelledError(Exception):
    """A job was told to stop."""


@dataclass(eq=False)
class Job:
    """Something that takes longer than one wants to wait; its key is known to who started it, and to nobody else."""

    key: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    """What the page is told."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What it may fetch."""
    held: Any = None
    """What later requests that name this job go on from; it is never sent."""
    stop: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("finished", "failed", "cancelled")

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(map(len, self.files.values()))

    def report(self, done: int, total: int) -> None:
        """Say how far the work is. Raises `CancelledError` where it is to stop."""
        self.done, self.total = done, total
        if self.stop.is_set() or time.monotonic() - self.asked_at > ABANDONED_S:
            raise CancelledError


class Desk:
    """Each of its two workers does one thing at a time: two that compute at once would take longer than in turn."""

    def __init__(self) -> None:
        self._answers = ThreadPoolExecutor(1, "answers")
        self._long = ThreadPoolExecutor(1, "jobs")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._asked = 0
        self._given_up = threading.Event()
        """Of the answer that is worked on."""

    async def answer(self, request: Request, work: Callable[[], T]) -> T:
        """Do `work` when its turn comes.

        Raises `GoneError` where `request` is given up before it is answered: `work` is not begun then, and ends where
        it asks with `in_turns`. Raises `ConfigError` where too many wait already.
        """
        if self._asked >= MOST_ASKED:
            raise ConfigError(f"{MOST_ASKED} requests are waiting already: try again when some are answered.")
        given_up = threading.Event()

        def turn() -> T:
            self._given_up = given_up
            return work()

        self._asked += 1
        future = asyncio.get_running_loop().run_in_executor(self._answers, turn)
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=LOOK_S)
                if not future.done() and await request.is_disconnected():
                    raise GoneError
            return future.result()
        finally:
            given_up.set()
            future.cancel()  # which takes it out of the queue, also when the explorer is ended
            self._asked -= 1

    def in_turns(self, things: Sequence[U], size: int) -> Iterator[Sequence[U]]:
        """`things`, `size` at a time, within the work of an answer.

        Raises `GoneError` where nobody waits for it any more.
        """
        for start in range(0, len(things), size):
            if self._given_up.is_set():
                raise GoneError
            yield things[start : start + size]

    def start(self, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Begin a job: `work` calls `report` as it goes on, puts files into the job, and returns its result.

        Raises `ConfigError` where too many are waiting already.
        """
        with self._lock:
            if sum(not job.is_over for job in self._jobs.values()) >= MOST_WAITING:
                raise ConfigError(f"{MOST_WAITING} jobs are waiting already: try again when some are done.")
            job = Job(secrets.token_urlsafe(16))
            self._long.submit(self._run, job, work)
            self._jobs[job.key] = job
            self._forget_old()
        return job

    def job(self, key: str) -> Job:
        """Raises `ConfigError` where there is none of this key."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                raise ConfigError(
                    "This job is not known: it was forgotten, or the explorer was started anew; start again."
                )
            self._jobs.move_to_end(key)
            job.asked_at = time.monotonic()
        return job

    def cancel(self, key: str) -> None:
        """Tell a job to stop, which it does before its next step; one that is over stays. Raises as `job` does."""
        job = self.job(key)
        with self._lock:
            job.stop.set()
            if job.state == "waiting":
                job.state = "cancelled"

    def forget(self, key: str) -> None:
        """Stop a job, and keep nothing of it."""
        with self._lock:
            job = self._jobs.pop(key, None)
        if job is not None:
            job.stop.set()

    def close(self) -> None:
        """Stop all that is under way; what cannot be stopped in the middle of a step ends with it."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._answers.shutdown(wait=False, cancel_futures=True)
        self._long.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job, work: Callable[[Job], dict[str, Any]]) -> None:
        with self._lock:
            if job.stop.is_set():
                job.state = "cancelled"
                return
            job.state = "running"
        try:
            result = work(job)
        except CancelledError:
            self._end(job, "cancelled")
        except SorbyError as error:
            self._end(job, "failed", error=str(error))
        except Exception as error:
            traceback.print_exception(error)
            self._end(job, "failed", error="This is a bug of Sorby; the terminal has its traceback.")
        else:
            if job.stop.is_set():
                self._end(job, "cancelled")
            else:
                self._end(job, "finished", result=result)

    def _end(self, job: Job, state: State, *, error: str = "", result: dict[str, Any] | None = None) -> None:
        """Nothing is left of what did not come to its end."""
        with self._lock:
            if state != "finished":
                job.files, job.held = {}, None
            job.error, job.result = error, result or {}
            job.state = state
            self._forget_old()

    def _forget_old(self) -> None:
        over = [job for job in self._jobs.values() if job.is_over]
        kept = sum(job.size for job in over)
        for job in over[:-1]:
            if len(self._jobs) <= KEPT_JOBS and kept <= KEPT_BYTES:
                return
            kept -= job.size
            del self._jobs[job.key]

"""How a study stands: read from its folder alone, while it runs or afterwards, also from another machine."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sorby.config import from_toml
from sorby.errors import ConfigError, DataError
from sorby.study.estimate import duration, wall
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.work import RESULT, Work, lock_of
from sorby.training.tick import read_log

RECENT = 8
"""Ticks that the speed of a run is taken from."""
PAUSE_SECONDS = 2.0
FRESH_SECONDS = 900.0
"""Where locks do not work, a run is taken to be worked on if it wrote something this lately."""

State = Literal["running", "failed", "stopped", "waiting", "finished"]
STYLES: dict[State, str] = {
    "running": "bold green",
    "failed": "bold red",
    "stopped": "yellow",
    "waiting": "dim",
    "finished": "green",
}
"""In the order in which a person wants to see them."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RunStatus(_Record):
    """How one run stands."""

    name: str
    state: State
    """Stopped: begun and not finished, and nobody works on it."""
    kimg: float
    of_kimg: float
    seconds_left: float | None
    """Until it is trained, if it is or will be worked on; none where its speed is not known yet."""
    fid: float | None
    """The last one of the log."""
    best_fid: float | None
    worker: str
    device: str
    times: int
    """How often it was taken up."""
    seconds: float
    """Worked on so far, up to the last tick."""
    kwh: float | None
    error: str


class Status(_Record):
    """How a study stands."""

    folder: Path
    head: bool | None
    """Whether a process gives its runs to workers; none where locks do not work."""
    runs: tuple[RunStatus, ...]
    seconds_left: float | None
    """Of the whole, with as many runs at once as now; none where nothing runs, or no speed is known."""
    seconds: float
    kwh: float | None

    @property
    def counts(self) -> dict[State, int]:
        """Runs in each state."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STYLES if found[state]}


class Planned(NamedTuple):
    """A run that a study asks for."""

    name: str
    images: int
    """That it is trained with."""
    identity: str | None
    """Work of another one is not its work; none where that cannot be known."""


def planned(file: Path, folder: Path, *, scale: str | None = None) -> list[Planned]:
    """The runs of the study in `folder`, of a search those so far; of the study in `file` where it was never begun.

    Where the dataset is not on this machine, the runs that were begun. Raises `ConfigError` for a file that is none.
    """
    own = folder / "study.toml"
    study = read_study(own) if own.is_file() else read_study(file, scale=scale)
    try:
        plan = plan_of(study)
    except DataError:
        if not own.is_file():
            raise
        return list(_begun(folder))
    return [Planned(run.name, run.config.total_images, run.identity(study)) for run in plan.runs]


def status_of(folder: Path, runs: Sequence[Planned], *, now: float | None = None) -> Status:
    """How all runs stand; `now` is the time of day."""
    now = time.time() if now is None else now
    rates = {run.name: rate for run in runs if (rate := seconds_an_image(read_log(folder / run.name))) is not None}
    usual = sum(rates.values()) / len(rates) if rates else None
    found = [_run_status(folder, run, rates.get(run.name, usual), now) for run in runs]
    kwh = [run.kwh for run in found if run.kwh is not None]
    return Status(
        folder=folder,
        head=held(folder / "work" / "study.lock"),
        runs=tuple(found),
        seconds_left=_left_of_all(found),
        seconds=sum(run.seconds for run in found),
        kwh=sum(kwh) if kwh else None,
    )


def watched(file: Path, folder: Path, *, scale: str | None = None) -> Iterator[Status]:
    """How the study stands, time and again; ends when nothing is left to do, and nobody works on it."""
    own, before, runs = folder / "study.toml", None, list[Planned]()
    while True:
        if (now := _modified(own)) != before:  # a search adds its trials
            before, runs = now, planned(file, folder, scale=scale)
        yield (found := status_of(folder, runs))
        if not found.head and not found.counts.keys() - {"finished", "failed"}:
            return
        time.sleep(PAUSE_SECONDS)


def held(lock: Path) -> bool | None:
    """Whether a process holds a lock; none where locks do not work. The lock is taken for an instant."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return None  # a folder that may be read only, or a file system without locks


def told(status: Status, *, most: int | None = None) -> Group:
    """The status for a person; of more than `most` runs those that are worked on or failed come first."""
    shown = list(status.runs)
    if most is not None and len(shown) > most:
        shown = sorted(shown, key=lambda run: list(STYLES).index(run.state))[: max(most, 1)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", no_wrap=True)
    table.add_column("state")
    for name in ("kimg", "left", "fid", "best", "time", "kWh"):
        table.add_column(name, justify="right")
    table.add_column("worker")
    for run in shown:
        table.add_row(
            run.name,
            Text(run.state, STYLES[run.state]),
            f"{run.kimg:g} of {run.of_kimg:g}",
            _duration(run.seconds_left),
            _number(run.fid),
            _number(run.best_fid),
            duration(run.seconds) if run.seconds else "",
            "" if run.kwh is None else f"{run.kwh:.2g}",
            run.worker if run.state in ("running", "stopped") else "",
        )
    hidden = len(status.runs) - len(shown)
    more = [Text(f"... and {hidden} more", "dim")] if hidden else []
    failures = [Text(f"{run.name}: {run.error}", "red") for run in shown if run.error]
    return Group(table, *more, *failures, Text(_summary(status), "bold"))


def _run_status(folder: Path, run: Planned, rate: float | None, now: float) -> RunStatus:
    """How one run stands that takes `rate` seconds for an image."""
    work, log = _work(folder, run), read_log(folder / run.name)
    seen = log[-1]["images_seen"] if log and work else 0
    state = _state(folder, run, work, now)
    left = None
    if state not in ("finished", "failed") and rate is not None:
        since = now - _modified(folder / run.name / "log.jsonl") if state == "running" and seen else 0.0
        # A run that is later than its next tick was taken up anew, or waits: it is no nearer to its end.
        tick = (seen - log[-2]["images_seen"] if len(log) > 1 else seen) * rate
        left = max((run.images - seen) * rate - min(max(since, 0.0), tick), 0.0)
    fids = [line["fid"] for line in log if "fid" in line] if work else []
    return RunStatus(
        name=run.name,
        state=state,
        kimg=seen / 1000,
        of_kimg=run.images / 1000,
        seconds_left=left,
        fid=fids[-1] if fids else None,
        best_fid=min(fids, default=None),
        worker=work.worker if work else "",
        device=work.device if work else "",
        times=work.times if work else 0,
        seconds=work.seconds if work else 0.0,
        kwh=work.kwh if work else None,
        error=work.error if work and state == "failed" else "",
    )


def _state(folder: Path, run: Planned, work: Work | None, now: float) -> State:
    if _is_finished(folder, run):
        return "finished"
    is_held = held(lock_of(folder, run.name))
    if is_held is None:
        files = (folder / "work" / f"{run.name}.json", folder / run.name / "log.jsonl")
        is_held = now - max(_modified(file) for file in files) < FRESH_SECONDS
    if is_held:
        return "running"
    if work is None:
        return "waiting"
    return "failed" if work.state == "failed" else "stopped"


def _left_of_all(runs: Sequence[RunStatus]) -> float | None:
    running = [run for run in runs if run.state == "running"]
    left = [*running, *(run for run in runs if run.state in ("stopped", "waiting"))]
    seconds = [run.seconds_left for run in left if run.seconds_left is not None]
    return wall(seconds, len(running)) if running and len(seconds) == len(left) else None


def seconds_an_image(log: Sequence[Mapping[str, Any]]) -> float | None:
    """Of the run that wrote `log`, ticks and scores included, lately; none where nothing was logged."""
    lines = log[-RECENT - 1 :]
    if not lines:
        return None
    start = lines[0] if len(lines) > 1 else {"seconds": 0.0, "images_seen": 0}
    images = lines[-1]["images_seen"] - start["images_seen"]
    return (lines[-1]["seconds"] - start["seconds"]) / images if images else None


def _work(folder: Path, run: Planned) -> Work | None:
    """How the work on a run stands; none where it was not begun, or the study was changed since."""
    try:
        found = Work.model_validate_json((folder / "work" / f"{run.name}.json").read_text())
    except (OSError, ValidationError):
        return None
    return found if run.identity in (None, found.identity) else None


def _is_finished(folder: Path, run: Planned) -> bool:
    try:
        identity = json.loads((folder / run.name / RESULT).read_text())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return run.identity in (None, identity)


def _begun(folder: Path) -> Iterator[Planned]:
    """The runs that left something in the folder."""
    for path in sorted((folder / "work").glob("*.json")):
        try:
            images = from_toml((folder / path.stem / "config.toml").read_text()).total_images
        except (OSError, ConfigError):
            images = 0
        yield Planned(path.stem, images, None)


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _summary(status: Status) -> str:
    told = ", ".join(f"{num} {state}" for state, num in status.counts.items())
    head = {True: "the study is being run", False: "nobody runs the study", None: "no locks here"}[status.head]
    parts = [f"{len(status.runs)} runs: {told}" if told else "no run yet", head]
    if status.seconds_left is not None:
        parts.append(f"about {duration(status.seconds_left)} left")
    parts.append(f"{duration(status.seconds)} of work")
    if status.kwh is not None:
        parts.append(f"{status.kwh:.2g} kWh")
    return "; ".join(parts)


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"

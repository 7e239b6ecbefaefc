"""The head of a study: gives its runs to a crew until all are finished, and tells what they say together."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sorby.atomic import write_bytes
from sorby.errors import DataError
from sorby.study.crew import Crew, Ended
from sorby.study.measures import Result, reported
from sorby.study.methods import methods
from sorby.study.plan import Plan
from sorby.study.work import Say, finished, known_work, write_study
from sorby.training.checkpoint import checkpoints

MOST_LOSSES = 5
"""Workers that a run may lose without coming any further: it is not chance that kills them."""


def run_study(plan: Plan, out: Path, crew: Crew, *, retry: bool = False, say: Say = lambda _: None) -> list[str]:
    """Train and measure each run in a folder of `out`, and write what all say together: results.json, .md and figures.

    The same call again goes on where it was stopped: a finished run is not repeated, one whose worker was lost goes on
    from its checkpoint, and one that failed for good, such as by losses that are not finite, is tried again only if
    `retry`. Gives the names of the runs that failed. Raises `DataError` where another process runs this study.
    """
    with alone(out):
        write_study(out, plan.study)
        runs = {run.name: run for run in plan.runs}
        todo = [name for name, run in runs.items() if retry or not known_work(out, run, plan.study).final]
        todo = [name for name in todo if not finished(out, runs[name], plan.study)]
        if skipped := len(runs) - len(todo):
            say(f"{skipped} of {len(runs)} runs are done already")
        carry_out(
            todo,
            crew,
            failure=lambda name: known_work(out, runs[name], plan.study).error,
            progress=lambda name: images_seen(out / name),
            say=say,
        )
        write_report(plan, out)
    return [name for name, run in runs.items() if not finished(out, run, plan.study)]


def carry_out(
    names: Iterable[str],
    crew: Crew,
    *,
    failure: Callable[[str], str],
    progress: Callable[[str], float],
    ended: Callable[[Ended], None] = lambda _: None,
    say: Say = lambda _: None,
) -> None:
    """Have all runs worked on, those of lost workers again.

    The next of `names` is asked for when there is a place for it. `failure` tells why a run failed whose worker ended
    by itself, empty where it did not; `progress` how far a run is; `ended` hears of each run that is done with.
    """
    coming, again, working = iter(names), list[str](), set[str]()
    losses, reached = Counter[str](), dict[str, float]()
    total, done = len(names) if isinstance(names, Sized) else None, 0
    try:
        while True:
            while crew.free and (name := again.pop(0) if again else next(coming, None)) is not None:
                crew.start(name)
                working.add(name)
                say(f"{name}: begun")
            if not working:
                return
            end = crew.wait()
            working.remove(end.name)
            if progress(end.name) > reached.get(end.name, 0):
                losses[end.name], reached[end.name] = 0, progress(end.name)
            losses[end.name] += bool(end.lost)
            if end.lost and losses[end.name] < MOST_LOSSES:
                say(f"{end.name}: worker {end.lost}, the run goes on from its checkpoint")
                again.append(end.name)
                continue
            done += 1
            reason = end.lost or failure(end.name)
            of = "" if total is None else f" ({done} of {total})"
            say(f"{end.name}: {f'failed: {reason}' if reason else 'finished'}{of}")
            ended(end)
    finally:
        crew.stop()


def images_seen(run: Path) -> int:
    """How far a run is; 0 before its first checkpoint."""
    newest = checkpoints(run / "checkpoint")
    return int(newest[0].stem) if newest else 0


def write_report(plan: Plan, out: Path) -> list[Path]:
    """Write what all runs that are finished say together; gives the files, none where no run is finished."""
    results = results_of(plan, out)
    if not results:
        return []
    works = [known_work(out, run, plan.study) for run in plan.runs if finished(out, run, plan.study)]
    files = {**reported(plan.study, results), "methods.md": methods(plan, works).encode()}
    for name, data in files.items():
        write_bytes(out / name, data)
    return [out / name for name in files]


def results_of(plan: Plan, out: Path) -> list[Result]:
    """What was measured on the runs that are finished."""
    found = [finished(out, run, plan.study) for run in plan.runs]
    return [result for result in found if result is not None]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Be the only head of the study in `out`. Raises `DataError` where there is one already."""
    lock = out / "work" / "study.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=1):  # which a status holds for an instant
            yield
    except Timeout:
        raise DataError(
            f"{out} is run by another process already: watch it with sorby study status, or give another --out."
        ) from None

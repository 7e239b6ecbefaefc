"""A design from end to end: search, choose, write, and say plainly whether there is an answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sorby.design.answers import write_answers
from sorby.design.inverse import Candidate, Task, best, diverse, front, search
from sorby.design.meter import Measured
from sorby.design.sources import Source

POOL = 2
"""Answers to a single goal are chosen from so many times as many of the best."""


@dataclass(frozen=True, eq=False)
class Design:
    """What came of it."""

    verdict: str
    answers: tuple[Candidate, ...]
    again: tuple[Measured, ...]
    """The answers measured on their files."""
    tried: tuple[Candidate, ...]

    @property
    def is_met(self) -> bool:
        """Whether there is an answer."""
        return bool(self.answers)


def design(
    task: Task,
    source: Source,
    out: Path,
    *,
    screened: int = 64,
    trials: int = 60,
    answers: int = 4,
    seed: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> Design:
    """Look for pictures that serve `task`, write them to `out`, and say so; or say that there are none, and why.

    Of one goal at most so many diverse `answers` among the best; of several the front, on which
    none is better in one goal without being worse in another. Raises `DataError` where nothing can be measured, or
    `out` holds files of others.
    """
    tried = search(task, source, screened=screened, trials=trials, seed=seed, on_step=on_step)
    chosen = _chosen(tried, task, answers)
    again = write_answers(out, task, source, tried, chosen, _verdict(tried, chosen, task))
    return Design(_verdict(tried, chosen, task), tuple(chosen), tuple(again), tuple(tried))


def _chosen(tried: Sequence[Candidate], task: Task, num: int) -> list[Candidate]:
    fit = [c for c in tried if c.is_inside and all(goal.is_met(c.measured.numbers) for goal in task.goals)]
    if not fit:
        return []
    if len(task.goals) > 1:
        found = front(fit)
        step = max(len(found) / num, 1)
        return [found[int(i * step)] for i in range(min(num, len(found)))]
    ordered = best(fit, num=len(fit))
    if task.goals[0].kind == "target":
        return diverse(ordered, task.reference, num=num)
    return diverse(ordered[: POOL * num], task.reference, num=num)


def _verdict(tried: Sequence[Candidate], chosen: Sequence[Candidate], task: Task) -> str:
    wanted = ", ".join(goal.tell() for goal in task.goals)
    limits = [limit.tell() for limit in task.limits]
    within = f" with {' and '.join(limits)}" if limits else ""
    if chosen:
        reached = "; ".join(f"{goal.name} {_range(chosen, goal.name)}" for goal in task.goals)
        return f"Found: {wanted}{within}: {len(chosen)} answers, {reached}."
    inside = [c for c in tried if c.is_inside]
    if not inside:
        return f"No: none of {len(tried)} pictures keeps all limits{within} and stays inside the distribution."
    reached = "; ".join(f"{goal.name} {_range(inside, goal.name)}" for goal in task.goals)
    return (
        f"No: {wanted}{within} was not reached. Of {len(tried)} pictures {len(inside)} keep all limits, with {reached}."
    )


def _range(candidates: Sequence[Candidate], name: str) -> str:
    values = [c.measured.numbers[name] for c in candidates]
    return f"{min(values):.4g} to {max(values):.4g}"

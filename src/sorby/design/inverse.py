"""Structure for a property: Bayesian optimisation over what a source can draw.

First pictures are drawn as the source draws them by itself; the best of them are where the search starts from. It is
Optuna's, by Gaussian processes with constrained expected improvement; for several goals of hypervolume. Every candidate
is measured on its own picture, and stays inside the distribution of the known ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.design.goals import Goal, Limit
from sorby.design.meter import Measured, Meter
from sorby.design.reference import Reference
from sorby.design.sources import Choice, Chosen, Picture, Source
from sorby.errors import ConfigError, DataError

STARTS = 8
"""Pictures that the search may start from."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture, what it was drawn from, and what was measured."""

    seed: int
    chosen: Chosen
    picture: Picture
    measured: Measured
    losses: tuple[float, ...]
    """Of each goal: the less the better."""
    excess: tuple[float, ...]
    """Beyond each limit, the last that of the distribution; 0 or less is inside."""
    found_by: str
    """`screening` or `search`."""

    @property
    def is_inside(self) -> bool:
        """Whether it keeps all limits."""
        return all(excess <= 0 for excess in self.excess)


@dataclass(frozen=True)
class Task:
    """What is looked for, and how pictures are judged."""

    goals: tuple[Goal, ...]
    limits: tuple[Limit, ...]
    meter: Meter
    reference: Reference

    def __post_init__(self) -> None:
        check(self.goals, self.limits, self.meter)

    @property
    def _names(self) -> list[str]:
        return [goal.name for goal in self.goals] + [limit.name for limit in self.limits]

    def judge(self, source: Source, seed: int, chosen: Chosen, found_by: str) -> Candidate | None:
        """Draw and measure; None where something asked for cannot be measured in the picture."""
        picture = source.draw(seed, chosen)
        try:
            measured = self.meter(picture)
        except DataError:
            return None
        numbers = measured.numbers
        if not all(name in numbers for name in self._names):
            return None
        beyond = self.reference.distance(measured.descriptors) - self.reference.limit
        losses = tuple(goal.loss(numbers) for goal in self.goals)
        excess = (*(limit.excess(numbers) for limit in self.limits), beyond)
        return Candidate(seed, dict(chosen), picture, measured, losses, excess, found_by)


def check(goals: Sequence[Goal], limits: Sequence[Limit], meter: Meter) -> None:
    """Raise `ConfigError` where nothing is asked for, or what cannot be measured or cannot be at all."""
    if not goals:
        raise ConfigError("Nothing to look for: give --maximise, --minimise or --target.")
    for name in [goal.name for goal in goals] + [limit.name for limit in limits]:
        meter.check(name)
    for goal in goals:
        _check_possible(goal, meter)


def search(
    task: Task,
    source: Source,
    *,
    screened: int,
    trials: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """Every candidate, in order: `screened` pictures as the source draws them, then `trials` of the search.

    Raises `DataError` where none of the pictures can be measured.
    """
    found: list[Candidate] = []
    for number in range(seed, seed + screened):
        candidate = task.judge(source, number, source.usual(number), "screening")
        found += [candidate] if candidate else []
        on_step()
    if not found:
        raise DataError(f"none of {screened} pictures has all the numbers asked for: look at them, or ask for others.")
    found += _searched(task, source, best(found, num=STARTS), trials, seed, on_step)
    return found


def best(found: Sequence[Candidate], *, num: int) -> list[Candidate]:
    """Those inside first, each by the sum of its ranks over the goals."""
    ranks = np.sum([np.argsort(np.argsort(losses)) for losses in zip(*(c.losses for c in found), strict=True)], 0)
    order = sorted(range(len(found)), key=lambda i: (sum(x > 0 for x in found[i].excess), ranks[i]))
    return [found[i] for i in order[:num]]


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Those inside that no other betters in one goal without being worse in another; by the first goal."""
    inside = sorted((c for c in found if c.is_inside), key=lambda c: c.losses)
    return [c for c in inside if not any(_dominates(other, c) for other in inside)]


def diverse(found: Sequence[Candidate], reference: Reference, *, num: int) -> list[Candidate]:
    """The first, then always the one whose descriptors are furthest from those of all chosen before."""
    places = [reference.standard(c.measured.descriptors) for c in found]
    chosen = [0] if found else []
    while len(chosen) < min(num, len(found)):
        gaps = [min(float(np.linalg.norm(place - places[i])) for i in chosen) for place in places]
        furthest = int(np.argmax(gaps))
        if furthest in chosen:
            break
        chosen.append(furthest)
    return [found[i] for i in chosen]


def _searched(
    task: Task, source: Source, starts: Sequence[Candidate], trials: int, seed: int, on_step: Callable[[], None]
) -> Iterator[Candidate]:
    optuna = _optuna()
    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=len(starts))
    study = optuna.create_study(directions=["minimize"] * len(task.goals), sampler=sampler)
    for start in starts:
        study.enqueue_trial({"start": str(start.seed)} | dict(start.chosen))
    seeds = tuple(str(start.seed) for start in starts)
    names = [*(limit.tell() for limit in task.limits), "distribution"]
    for _ in range(trials):
        trial = study.ask()
        number = int(trial.suggest_categorical("start", seeds))
        chosen = {v.name: _suggested(trial, v) for v in source.variables}
        candidate = task.judge(source, number, chosen, "search")
        if candidate is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            for name, excess in zip(names, candidate.excess, strict=True):
                trial.set_constraint(name, excess)
            study.tell(trial, list(candidate.losses))
            yield candidate
        on_step()


def _suggested(trial: Any, variable: Any) -> str | float:
    if isinstance(variable, Choice):
        return str(trial.suggest_categorical(variable.name, variable.options))
    return float(trial.suggest_float(variable.name, variable.low, variable.high, log=variable.is_log))


def _dominates(one: Candidate, other: Candidate) -> bool:
    pairs = list(zip(one.losses, other.losses, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _check_possible(goal: Goal, meter: Meter) -> None:
    """Raise `ConfigError` for a target that no arrangement of the phases can reach."""
    ends = {
        "youngs_modulus_GPa": [m.E for m in meter.materials],
        "shear_modulus_GPa": [m.shear for m in meter.materials],
        "plane_strain_bulk_modulus_GPa": [m.bulk for m in meter.materials],
        "conductivity": list(meter.conductivities),
        "area_fraction": [0.0, 1.0],
    }.get(goal.name, [])
    if goal.kind == "target" and ends and not min(ends) <= goal.value <= max(ends):
        raise ConfigError(
            f"{goal.tell()} is impossible: whatever the arrangement, it lies between {min(ends):g} and {max(ends):g}."
        )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("design needs scikit-learn and Optuna: pip install 'sorby[design]'.") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna

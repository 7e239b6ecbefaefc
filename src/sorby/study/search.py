"""The head of a search: each trial is a variant of a plain study, chosen by what those before it gave.

The folder is the truth, the storage a memory. A trial is asked for, written to the folder's study.toml, run, and its
score told, in this order; killed between any two of them, the same command does what is left. To workers, and to those
who ask how it stands, the folder is that of a plain study of the trials so far.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from sorby.atomic import write_bytes
from sorby.errors import ConfigError
from sorby.report.markdown import inert
from sorby.study.condition_results import RunResult, deviation
from sorby.study.crew import Crew, Ended
from sorby.study.file import Search, Settings, Study, flat, merged, nested, read_study
from sorby.study.measures import Result
from sorby.study.methods import methods
from sorby.study.plan import Plan, Run, config_of, plan_of
from sorby.study.proposals import Proposals, Trial, importance
from sorby.study.run import alone, carry_out, images_seen, results_of, run_study
from sorby.study.score_table import score_name
from sorby.study.scores import HIGHER_IS_BETTER
from sorby.study.search_report import SearchResult, confirmed, figure_of, in_order, markdown
from sorby.study.work import Say, Work, finished, known_work, write_study

CONFIRM = "confirm"
"""Folder, below that of the search, in which the best is held against the first."""


def run_search(
    plan: Plan,
    out: Path,
    crew_in: Callable[[Path], Crew],
    *,
    storage: str | None = None,
    say: Say = lambda _: None,
) -> list[str]:
    """Run the trials of a search in folders of `out`, then train the best and the first anew with fresh seeds.

    `crew_in` gives the workers for a folder; trials that run at once are as many as it has places. A run that fails by
    its settings is a failed trial; where one fails otherwise, such as by a full disk, nothing new is begun. The same
    call again goes on. Gives the names of runs that gave no result. Raises `DataError` where another process runs this
    search, or its storage does not answer.
    """
    search = searched(plan.study)
    if search.first:
        config_of(plan.study, _settings(flat(search.first)), seed=plan.study.seeds[0], size=plan.data.size)
    with alone(out):
        head = _Head(plan, out, say)
        trials = head.known()
        maximise = search.score in HIGHER_IS_BETTER
        proposals = Proposals(search, out, storage=storage, maximise=maximise, seed=plan.study.seeds[0])
        with closing(proposals):
            proposals.agree(trials)
            head.proposals = proposals
            carry_out(
                head.names(),
                crew_in(out),
                failure=lambda name: known_work(out, head.runs[name], head.study).error,
                progress=lambda name: images_seen(out / name),
                ended=head.ended,
                say=say,
            )
        write_search(plan, out)
        if head.left:
            return head.left
        last = confirming(plan.study, head.known())
        if last is None:
            return []
        folder = out / CONFIRM
        say("The best and the first are trained anew, with fresh seeds")
        missing = run_study(plan_of(last), folder, crew_in(folder), say=say)
        write_search(plan, out)
    return [f"{CONFIRM}/{name}" for name in missing]


def write_search(plan: Plan, out: Path) -> list[Path]:
    """Write what the trials in a folder say so far: results.json, .md and a figure; none where no trial is finished."""
    study, search = plan.study, searched(plan.study)
    values = values_in(out)
    so_far = plan_of(plain(study, values)) if values else plan
    trials = trials_of(study, so_far, out, values)
    if not any(trial.state == "finished" for trial in trials):
        return []
    last = confirming(study, trials)
    scores: Mapping[str, Sequence[float]] = {}
    if last is not None and (out / CONFIRM).is_dir():
        found = results_of(plan_of(last), out / CONFIRM)
        scores = {name: [value_of(study, run) for run in found if run.variant == name] for name in last.variants}
    maximise = search.score in HIGHER_IS_BETTER
    result = SearchResult(
        title=study.title,
        finding=study.finding,
        dataset=study.dataset.name,
        scale=study.scale,
        score=search.score,
        maximise=maximise,
        settings=tuple(search.space),
        logarithmic=tuple(name for name, space in search.space.items() if space.log),
        first=flat(search.first),
        trials=tuple(trials),
        importance=importance(search, trials, maximise=maximise),
        confirmation=confirmed(scores, search.score) if all(scores.values()) and scores else None,
    )
    works = [known_work(out, run, so_far.study) for run in so_far.runs if finished(out, run, so_far.study)]
    files = {
        "results.json": (result.model_dump_json(indent=2) + "\n").encode(),
        "results.md": markdown(result).encode(),
        "results.svg": figure_of(result),
        "methods.md": _methods(study, so_far, works).encode(),
    }
    for name, data in files.items():
        write_bytes(out / name, data)
    return [out / name for name in files]


def _methods(study: Study, so_far: Plan, works: Sequence[Work]) -> str:
    """The paragraph of a plain study, which leaves the trials to the table."""
    search = searched(study)
    ranges = [
        f"{name} ({', '.join(map(str, space.choices))})"
        if space.choices
        else f"{name} ({space.low} to {space.high}{', by ratios' if space.log else ''})"
        for name, space in search.space.items()
    ]
    first = ", ".join(f"{name} = {value}" for name, value in flat(search.first).items())
    how = f"Bayesian optimisation (Gaussian process, Optuna {version('optuna')})"
    sought = f"{', '.join(ranges)} were sought by {how} in {len(so_far.runs)} trials of one run, for the best "
    sought += score_name(search.score) + (f"; the first had {first}" if first else "")
    return (
        methods(replace(so_far, study=so_far.study.model_copy(update={"variants": {}})), works) + inert(sought) + ".\n"
    )


def value_of(study: Study, result: Result) -> float:
    """What a search goes by. Raises `ConfigError` where a run has no such score."""
    if isinstance(result, RunResult):
        return deviation(result, study.descriptors)
    score = searched(study).score
    if score not in result.scores:
        raise ConfigError(f"search.score is {score}, which {result.name} has not: it has {', '.join(result.scores)}.")
    return result.best(score)


def searched(study: Study) -> Search:
    """The search of a study. Raises `ConfigError` where it has none, or asks for several runs a trial."""
    if study.search is None:
        raise ConfigError("This study has no [search]: add one, as in studies/table-3-search.toml.")
    if study.hold_out == "each":
        raise ConfigError('A trial of a search is one run: hold_out = "each" asks for several.')
    return study.search


def plain(study: Study, values: Mapping[int, Settings]) -> Study:
    """The study of these trials: a variant each, by the number of the trial."""
    variants = {variant_of(number): _settings(values[number]) for number in sorted(values)}
    return study.model_copy(update={"search": None, "variants": variants, "seeds": study.seeds[:1]})


def variant_of(number: int) -> str:
    """Name of a trial.

    >>> variant_of(7)
    'trial-007'
    """
    return f"trial-{number:03d}"


def values_in(out: Path) -> dict[int, Settings]:
    """The trials that a folder has, by number. Raises `ConfigError` where it is that of another study."""
    file = out / "study.toml"
    if not file.is_file():
        return {}
    names = read_study(file).variants
    if not names or not all(name.startswith("trial-") for name in names):
        raise ConfigError(f"{out} has another study, which is no search: give another --out.")
    return {int(name.removeprefix("trial-")): _values(settings) for name, settings in names.items()}


def trials_of(study: Study, so_far: Plan, out: Path, values: Mapping[int, Settings]) -> list[Trial]:
    """How the trials of a folder stand."""
    found = []
    for number, run in zip(sorted(values), so_far.runs, strict=False):
        result = finished(out, run, so_far.study)
        work = known_work(out, run, so_far.study)
        score = None if result is None else value_of(study, result)
        known = {"number": number, "values": values[number]}
        if score is not None and math.isfinite(score):
            found.append(Trial(**known, state="finished", score=score))
        elif score is not None or work.final:
            found.append(Trial(**known, state="failed", error=work.error or f"{searched(study).score} is {score}"))
        else:
            found.append(Trial(**known, state="open", error=work.error))
    return found


def confirming(study: Study, trials: Sequence[Trial]) -> Study | None:
    """The first and the best with the seeds that confirm; none where nothing is to be confirmed, as the first is best.

    A plain study.
    """
    search = searched(study)
    scored = [trial for trial in trials if trial.score is not None and math.isfinite(trial.score)]
    if not search.confirm or not scored:
        return None
    best = in_order(scored, maximise=search.score in HIGHER_IS_BETTER)[0]
    if best.values == flat(search.first):
        return None
    variants = {"first": dict(search.first), "best": _settings(best.values)}
    others = tuple(score for score in study.scores if score != search.score)
    scores = study.scores if study.measure == "conditions" else (search.score, *others)
    changes = {"search": None, "variants": variants, "seeds": search.confirm, "scores": scores}
    return study.model_copy(update=changes | {"title": f"{study.title}: the best of the search against the first"})


@dataclass
class _Head:
    """Asks and tells while the trials run."""

    plan: Plan
    out: Path
    say: Say
    proposals: Proposals = field(init=False)
    values: dict[int, Settings] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """Runs that failed otherwise than by their settings."""

    @property
    def study(self) -> Study:
        return plain(self.plan.study, self.values)

    def known(self) -> list[Trial]:
        """The trials in the folder."""
        self.values = values_in(self.out)
        so_far = plan_of(self.study) if self.values else self.plan
        return trials_of(self.plan.study, so_far, self.out, self.values)

    def names(self) -> Iterator[str]:
        """Runs to work on: those of trials that are open, then new ones, each chosen when it is asked for."""
        for number, values in self.proposals.opened():
            yield from self._begun(number, values)
        while not self.left and (asked := self.proposals.ask()) is not None:
            yield from self._begun(*asked)

    def ended(self, end: Ended) -> None:
        """Tell what came of a run."""
        if not self._told(end.name, lost=bool(end.lost)):
            self.left.append(end.name)

    def _begun(self, number: int, values: Settings) -> Iterator[str]:
        """Write a trial down; gives its run, where that is not finished already."""
        study, size = self.plan.study, self.plan.data.size
        try:
            config_of(study, _settings(values), seed=study.seeds[0], size=size)
        except ConfigError as error:
            self.say(f"{variant_of(number)}: not tried: {error}")
            self.proposals.tell(number, None)
            return
        self.values[number] = values
        write_study(self.out, self.study)
        run = next(run for run in plan_of(self.study).runs if run.variant == variant_of(number))
        self.runs[run.name], self.numbers[run.name] = run, number
        if not self._told(run.name):
            yield run.name

    def _told(self, name: str, *, lost: bool = False) -> bool:
        """Whether something came of a run, which is told."""
        result = finished(self.out, self.runs[name], self.study)
        if result is not None:
            self.proposals.tell(self.numbers[name], value_of(self.plan.study, result))
        elif lost or known_work(self.out, self.runs[name], self.study).final:
            self.proposals.tell(self.numbers[name], None)
        else:
            return False
        return True


def _settings(values: Settings) -> Settings:
    """Values by dotted names, as the tables of a study file."""
    settings: Settings = {}
    for name, value in values.items():
        settings = merged(settings, nested(name, "none" if value is None else value))
    return settings


def _values(settings: Settings) -> Settings:
    return {name: None if value == "none" else value for name, value in flat(settings).items()}

"""What the scores of runs say together: the best of each, whether neighbours differ, and lines through them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.stats
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from sorby.evaluation.lines import mean_number
from sorby.metrics.multiple import holm
from sorby.metrics.record import Number
from sorby.study.file import Study
from sorby.study.plan import Run
from sorby.training.tick import read_log

Moment = Literal["best", "end"]
MOMENTS: tuple[Moment, ...] = ("best", "end")
HIGHER_IS_BETTER = ("precision", "recall", "held_out_recall")


class Record(BaseModel):
    """Numbers that are kept as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoredRun(Record):
    """The scores of one run while it trained."""

    name: str
    variant: str
    seed: int
    identity: str
    images_seen: int
    parents: int
    """Micrographs that it was trained on."""
    patches: int
    kimg: tuple[float, ...]
    """When it was scored."""
    scores: dict[str, tuple[float, ...]]
    """By name, one for each of `kimg`."""
    final_p: float
    """Augmentation probability at the end."""

    def best(self, score: str) -> float:
        """The best value that the run ever had."""
        return (max if score in HIGHER_IS_BETTER else min)(self.scores[score])


class BestRow(Record):
    """The best score of each run of a variant."""

    variant: str
    value: float | None
    """The number that varies, where it is one."""
    score: str
    seeds: tuple[float, ...]
    mean: Number
    """Over seeds, with its 95 % interval."""
    minimum: float
    median: float
    maximum: float
    ends: tuple[float, ...]
    """What each run had at its end: far from its best where it overfits."""

    def at(self, when: Moment) -> tuple[float, ...]:
        """The scores of the seeds at a moment."""
        return self.seeds if when == "best" else self.ends


class Difference(Record):
    """The scores of one variant against those of the reference, or of the one before it."""

    score: str
    when: Literal["best", "end"]
    """The best that each run ever had, or what it had at its end."""
    before: str
    variant: str
    change: Number
    """Ratio of the geometric means of distances, or difference of the means of shares; 95 % interval, Welch."""
    p: float | None
    """Chance of as much where there is none, corrected for all comparisons of this score and moment (Holm)."""


class Fit(Record):
    """A straight line of the best score of each run over log10 or the square root of the number that varies."""

    score: str
    form: str
    intercept: Number
    slope: Number
    r2: float
    """Share of the variance that the line explains."""
    lack_of_fit: float | None
    """Chance of means as far off the line where it holds (F test against the spread of seeds); none for one seed."""


class Scores(Record):
    """All of a study of scores."""

    title: str
    finding: str
    dataset: str
    scale: str
    number: str | None
    runs: tuple[ScoredRun, ...]
    best: tuple[BestRow, ...]
    differences: tuple[Difference, ...]
    fits: tuple[Fit, ...]
    together: tuple[str, ...]
    """Variants that none is better than in all scores at once, by their medians (Pareto front)."""


def scored(run: Run, folder: Path, study: Study) -> ScoredRun:
    """The scores in the log of a finished run."""
    lines = [line for line in read_log(folder) if "fid" in line]
    trained_on = run.data.split("train")
    if run.config.subset is not None:
        trained_on = trained_on.subset(run.config.subset, seed=run.config.seed)
    rows = [_with_ratio(line) for line in lines]
    names = [name for name in rows[0] if not name.startswith("shift_")] if rows else []
    return ScoredRun(
        name=run.name,
        variant=run.variant,
        seed=run.config.seed,
        identity=run.identity(study),
        images_seen=lines[-1]["images_seen"] if lines else 0,
        parents=len(trained_on.parents),
        patches=len(trained_on),
        kimg=tuple(line["kimg"] for line in lines),
        scores={name: tuple(row[name] for row in rows) for name in names},
        final_p=lines[-1]["p"] if lines else 0.0,
    )


NO_SCORES = ("kimg", "images_seen", "p", "img_s", "seconds")


def _with_ratio(line: dict[str, Any]) -> dict[str, float]:
    """Scores of a line of the log; FID over recall is taken as if one image more were recalled, so as to be finite."""
    scores = {name: value for name, value in line.items() if name not in NO_SCORES}
    return {**scores, "fid_over_recall": line["fid"] / (line["recall"] + 0.001)}


def together(study: Study, runs: Sequence[ScoredRun]) -> Scores:
    """What all runs that have scores say."""
    runs = [run for run in runs if run.kimg]
    names = [score for score in study.scores if all(score in run.scores for run in runs)]
    best = {score: list(_best_rows(study, runs, score)) for score in names}
    fits = [fit_of(best[score], score, form) for score, form in study.fits.items() if score in names]
    return Scores(
        title=study.title,
        finding=study.finding,
        dataset=study.dataset.name,
        scale=study.scale,
        number=study.number,
        runs=tuple(runs),
        best=tuple(row for rows in best.values() for row in rows),
        differences=tuple(
            row for rows in best.values() for when in MOMENTS for row in _differences(rows, study.reference, when)
        ),
        fits=tuple(fit for fit in fits if fit),
        together=tuple(front(best)),
    )


def _best_rows(study: Study, runs: Sequence[ScoredRun], score: str) -> Iterator[BestRow]:
    values = study.grid[study.number] if study.number else ()
    for place, variant in enumerate(study.all_variants()):
        mine = [run for run in runs if run.variant == variant]
        if not mine:
            continue
        of_seeds = np.array([run.best(score) for run in mine])
        yield BestRow(
            variant=variant,
            value=values[place] if values else None,
            score=score,
            seeds=tuple(map(float, of_seeds)),
            mean=mean_number(of_seeds, low=0.0),
            minimum=float(of_seeds.min()),
            median=float(np.median(of_seeds)),
            maximum=float(of_seeds.max()),
            ends=tuple(run.scores[score][-1] for run in mine),
        )


def _differences(rows: Sequence[BestRow], reference: str, when: Moment) -> list[Difference]:
    """Each variant against the reference, or without one against that before it in the file."""
    against = next((row for row in rows if reference and row.variant == reference), None)
    pairs = [(against, row) for row in rows if row is not against] if against else list(pairwise(rows))
    found = [change(after.at(when), before.at(when), after.score) for before, after in pairs]
    corrected = iter(holm([p for _, p in found if p is not None]))
    return [
        Difference(
            score=before.score,
            when=when,
            before=before.variant,
            variant=after.variant,
            change=change,
            p=None if p is None else next(corrected),
        )
        for (before, after), (change, p) in zip(pairs, found, strict=True)
    ]


def change(after: Sequence[float], before: Sequence[float], score: str) -> tuple[Number, float | None]:
    """Ratio of geometric means of distances, or difference of means of shares, with its interval and its chance."""
    new, old = np.array(after), np.array(before)
    if score in HIGHER_IS_BETTER:
        return welch(new, old)
    difference, p = welch(np.log(new), np.log(old))
    return _exponential(difference), p


def welch(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " m"]) -> tuple[Number, float | None]:
    """Difference of the means with its 95 % interval, and the chance of it; neither for a single value or none varying.

    >>> difference, p = welch(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    >>> difference.value, p
    (0.0, 1.0)
    """
    difference = float(x.mean() - y.mean())
    if min(len(x), len(y)) < 2 or np.ptp(x) + np.ptp(y) == 0:
        return Number(value=difference), None
    test = scipy.stats.ttest_ind(x, y, equal_var=False)
    ends = test.confidence_interval(0.95)
    return Number(value=difference, low=float(ends.low), high=float(ends.high)), float(test.pvalue)


def _exponential(of: Number) -> Number:
    low, high = (None if end is None else math.exp(end) for end in (of.low, of.high))
    return Number(value=math.exp(of.value), low=low, high=high)


def fit_of(rows: Sequence[BestRow], score: str, form: str) -> Fit | None:
    """Least squares through the best score of every run; none for fewer than three numbers."""
    points = [(row.value, best) for row in rows if row.value is not None for best in row.seeds]
    if len({x for x, _ in points}) < 3:
        return None
    x, y = np.array([[transformed(number, form), best] for number, best in points]).T
    line = scipy.stats.linregress(x, y)
    reach = float(scipy.stats.t.ppf(0.975, len(x) - 2))
    return Fit(
        score=score,
        form=form,
        intercept=_with_error(line.intercept, reach * line.intercept_stderr),
        slope=_with_error(line.slope, reach * line.stderr),
        r2=float(line.rvalue**2),
        lack_of_fit=lack_of_fit(x, y, line.intercept + line.slope * x),
    )


def transformed(number: float, form: str) -> float:
    """What a line is fitted over."""
    return math.log10(number) if form == "log" else math.sqrt(number)


def lack_of_fit(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], fitted: Float[np.ndarray, " n"]
) -> float | None:
    """Chance of means so far off a line that holds: F of their scatter about it over that of the seeds about them."""
    places, group = np.unique(x, return_inverse=True)
    means = np.array([y[group == number].mean() for number in range(len(places))])
    freedom = (len(places) - 2, len(y) - len(places))
    pure = float(np.sum((y - means[group]) ** 2))
    if min(freedom) < 1 or pure == 0:
        return None
    f = (float(np.sum((means[group] - fitted) ** 2)) / freedom[0]) / (pure / freedom[1])
    return float(scipy.stats.f.sf(f, *freedom))


def _with_error(value: float, half: float) -> Number:
    return Number(value=float(value), low=float(value - half), high=float(value + half))


def front(best: Mapping[str, Sequence[BestRow]]) -> list[str]:
    """Variants that none beats in one score without losing in another, by their medians."""
    medians: dict[str, list[float]] = {}
    for score, rows in best.items():
        for row in rows:
            medians.setdefault(row.variant, []).append(_cost(score, row.median))
    cost = np.array(list(medians.values()))
    beaten = [bool(np.any(np.all(cost <= mine, axis=1) & np.any(cost < mine, axis=1))) for mine in cost]
    return [variant for variant, is_beaten in zip(medians, beaten, strict=True) if not is_beaten]


def _cost(score: str, value: float) -> float:
    return -value if score in HIGHER_IS_BETTER else value

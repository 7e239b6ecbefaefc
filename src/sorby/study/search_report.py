"""What a search found: a table of its trials, what mattered, whether the best holds with fresh seeds, and a figure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sorby.evaluation.lines import mean_number
from sorby.metrics.record import Number
from sorby.report.markdown import inert, table
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE, label_decades, svg_file
from sorby.study.proposals import Trial
from sorby.study.score_table import score_name
from sorby.study.scores import Record, change

HOW = """Each trial is one run with one seed: among many trials the best was lucky as well, and its score here flatters
it. Importance is the share of a setting in what sets the best trials apart (PED-ANOVA)."""

CONFIRMED = """Both trained anew with seeds that the search did not use: ratio of the geometric means of distances,
difference of the means of shares, with its 95 % interval, and the chance of as much between equals (Welch's test)."""

COLUMNS = 3


class Confirmation(Record):
    """The best of the search against the first, with fresh seeds."""

    first: tuple[float, ...]
    best: tuple[float, ...]
    first_mean: Number
    best_mean: Number
    change: Number
    """Of the best against the first."""
    p: float | None


class SearchResult(Record):
    """All of a search."""

    title: str
    finding: str
    dataset: str
    scale: str
    score: str
    maximise: bool
    settings: tuple[str, ...]
    """That were searched."""
    logarithmic: tuple[str, ...]
    """Those searched by ratios."""
    first: dict[str, Any]
    """Values that were tried first."""
    trials: tuple[Trial, ...]
    importance: dict[str, float]
    confirmation: Confirmation | None


def confirmed(scores: Mapping[str, Sequence[float]], score: str) -> Confirmation:
    """Of the scores by `first` and `best`."""
    first, best = tuple(scores["first"]), tuple(scores["best"])
    found, p = change(best, first, score)
    means = [mean_number(np.array(values), low=0.0) for values in (first, best)]
    return Confirmation(first=first, best=best, first_mean=means[0], best_mean=means[1], change=found, p=p)


def in_order(trials: Sequence[Trial], *, maximise: bool) -> list[Trial]:
    """The best first, those without a score last."""
    return sorted(
        trials, key=lambda t: (t.score is None, 0 if t.score is None else (-t.score if maximise else t.score))
    )


def markdown(result: SearchResult) -> str:
    """Trials by their scores, importance and confirmation."""
    counts = {state: sum(trial.state == state for trial in result.trials) for state in ("finished", "failed", "open")}
    told = ", ".join(f"{num} {state}" for state, num in counts.items() if num)
    scale = f", scale {inert(result.scale)}" if result.scale else ""
    parts = [
        f"# {inert(result.title) or 'Search'}",
        f"{inert(result.dataset)}{scale}; {len(result.trials)} trials: {told}.",
        f"Published: {inert(result.finding)}" if result.finding else "",
        _verdict(result),
        "## Trials",
        table(
            ["place", "trial", score_name(result.score), *result.settings],
            [_row(place, t, result) for place, t in enumerate(in_order(result.trials, maximise=result.maximise), 1)],
        ),
        HOW,
        _importance(result),
        *_confirmation(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(result: SearchResult) -> str:
    """Whether the search found something better, as far as that is known."""
    best = in_order(result.trials, maximise=result.maximise)[0]
    name = score_name(result.score)
    first = next((t for t in result.trials if t.values == result.first and t.score is not None), None)
    if first is None or best.score is None:
        return ""
    if best.number == first.number:
        return f"**None of the trials was better than the first, {name} {_told(first.score)}.**"
    found = f"trial {best.number} with {name} {_told(best.score)} against {_told(first.score)} of the first"
    if result.confirmation is None:
        return f"**Best: {found}; one seed each, not confirmed.**"
    of = result.confirmation
    told = f"{_told(of.best_mean.value)} against {_told(of.first_mean.value)}"
    if of.p is not None and of.p < 0.05:
        better = (of.change.value > 0) if result.maximise else (of.change.value < 1)
        return f"**With fresh seeds the best is {'better' if better else 'worse'} than the first: {told}.** ({found}.)"
    return f"**With fresh seeds no difference can be told: {told}.** ({found}.)"


def _row(place: int, trial: Trial, result: SearchResult) -> list[str]:
    score = trial.error or trial.state if trial.score is None else _told(trial.score)
    first = " (first)" if trial.values == result.first else ""
    values = [_value(trial.values.get(name, "")) for name in result.settings]
    return [str(place) if trial.score is not None else "", f"{trial.number}{first}", score, *values]


def _importance(result: SearchResult) -> str:
    told = ", ".join(f"{inert(name)} {share:.2f}" for name, share in result.importance.items())
    return f"Importance: {told}." if told else ""


def _confirmation(result: SearchResult) -> list[str]:
    of = result.confirmation
    if of is None:
        return []
    rows = [
        [name, _with_interval(mean), ", ".join(map(_told, values))]
        for name, mean, values in (("first", of.first_mean, of.first), ("best", of.best_mean, of.best))
    ]
    kind = "difference" if result.maximise else "ratio"
    p = "" if of.p is None else f"; p = {of.p:.2g}"
    return [
        "## With fresh seeds",
        table(["settings", score_name(result.score), "each seed"], rows),
        f"Best against first, {kind}: {_with_interval(of.change)}{p}.",
        CONFIRMED,
    ]


def figure_of(result: SearchResult) -> bytes:
    """SVG: the score over trials with the best so far, over each setting, and with fresh seeds."""
    panels: list[Callable[[Axes], None]] = [lambda axis: _course(axis, result)]
    if result.confirmation is not None:
        panels.append(lambda axis: _fresh(axis, result))
    panels += [lambda axis, name=name: _slice(axis, result, name) for name in result.settings]  # type: ignore[misc]
    rows, columns = -(-len(panels) // COLUMNS), min(len(panels), COLUMNS)
    with rc_context(STYLE | {"axes.titlesize": 9, "axes.labelsize": 8}):
        figure = Figure(figsize=(3.3 * columns, 2.8 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            panel(axis)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        return svg_file(figure, transparent=False)


def _course(axis: Axes, result: SearchResult) -> None:
    """Points are trials, the line is the best so far."""
    trials = [trial for trial in result.trials if trial.score is not None]
    numbers, scores = np.array([t.number for t in trials]), np.array([t.score for t in trials])
    _points(axis, result, numbers, scores)
    best = (np.maximum if result.maximise else np.minimum).accumulate(scores)
    axis.step(numbers, best, where="post", color=REAL, linewidth=1.2)
    axis.set(title="each trial, the first filled, and the best so far", xlabel="trial", ylabel=score_name(result.score))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _slice(axis: Axes, result: SearchResult, name: str) -> None:
    trials = [trial for trial in result.trials if trial.score is not None]
    values, scores = [trial.values[name] for trial in trials], np.array([t.score for t in trials])
    if all(isinstance(value, int | float) for value in values):
        _points(axis, result, np.array(values), scores)
        axis.set_xscale("log" if name in result.logarithmic else "linear")
    else:
        told = list(map(_value, values))
        places = list(dict.fromkeys(told))
        _points(axis, result, np.array([places.index(each) for each in told]), scores)
        axis.set_xticks(range(len(places)), places)
    axis.set(xlabel=name, ylabel=score_name(result.score))


def _points(axis: Axes, result: SearchResult, x: np.ndarray, scores: np.ndarray) -> None:
    trials = [trial for trial in result.trials if trial.score is not None]
    first = np.array([trial.values == result.first for trial in trials])
    axis.plot(x[~first], scores[~first], "o", color=GENERATED, markerfacecolor="none", markersize=4)
    axis.plot(x[first], scores[first], "D", color=REAL, markersize=5)
    if not result.maximise and scores.min() > 0 and scores.max() > 5 * scores.min():
        axis.set_yscale("log")
        label_decades(axis.yaxis)


def _fresh(axis: Axes, result: SearchResult) -> None:
    """A point a seed, a bar for their mean."""
    of = result.confirmation
    assert of is not None
    for place, (values, mean, colour) in enumerate(
        ((of.first, of.first_mean, REAL), (of.best, of.best_mean, GENERATED))
    ):
        axis.plot(place + np.linspace(-0.1, 0.1, len(values)), values, "o", color=colour, markersize=4)
        axis.plot((place - 0.3, place + 0.3), (mean.value,) * 2, "-", color=colour, linewidth=1.4)
    axis.set_xticks((0, 1), ("first", "best of the search"))
    axis.set(title="with fresh seeds", ylabel=score_name(result.score), xlim=(-0.6, 1.6))
    axis.axhline(of.first_mean.value, color=QUIET, linewidth=0.6, zorder=0)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _with_interval(of: Number) -> str:
    ends = "" if of.low is None or of.high is None else f" ({_told(of.low)} to {_told(of.high)})"
    return _told(of.value) + ends


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}".replace("-", "−")

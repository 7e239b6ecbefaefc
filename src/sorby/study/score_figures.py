"""The figures of paper A: scores over training as bands, the best of each variant as bars, lines over set size."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sorby.report.plots import QUIET, STYLE, label_decades, svg_file
from sorby.study.score_table import score_name
from sorby.study.scores import BestRow, Fit, ScoredRun, Scores, transformed

Colours = Mapping[str, str]


def figures_of(result: Scores) -> dict[str, bytes]:
    """SVG by file name: for each score its course and its best; and the lines, where some were fitted."""
    scores = list(dict.fromkeys(row.score for row in result.best))
    colours = _colours(result)
    with rc_context(STYLE | {"axes.titlesize": 9, "axes.labelsize": 8}):
        figure = Figure(figsize=(8.4, 3.1 * len(scores) + 0.5), layout="constrained")
        axes = figure.subplots(len(scores), 2, squeeze=False, width_ratios=(1.5, 1))
        for (course, best), score in zip(axes, scores, strict=True):
            _course(course, result.runs, score, colours)
            _best(best, [row for row in result.best if row.score == score], colours)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        files = {"results.svg": svg_file(figure, transparent=False)}
        if result.fits:
            files["lines.svg"] = _lines(result)
    return files


def _colours(result: Scores) -> Colours:
    variants = list(dict.fromkeys(run.variant for run in result.runs))
    in_order = result.number is not None or len(variants) > 10
    shades = colormaps["plasma"](np.linspace(0.05, 0.85, len(variants))) if in_order else colormaps["tab10"](range(10))
    return {name: to_hex(shade) for name, shade in zip(variants, shades, strict=False)}


def _course(axis: Axes, runs: Sequence[ScoredRun], score: str, colours: Colours) -> None:
    """Median over seeds as a line, minimum to maximum as a band, where all seeds were scored."""
    for variant, colour in colours.items():
        kimg, values = curves([run for run in runs if run.variant == variant], score)
        axis.fill_between(kimg, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0)
        axis.plot(kimg, np.median(values, axis=0), color=colour, label=_label(variant), linewidth=1.3)
    axis.set(xlabel="kimg", ylabel=score_name(score), title="median, minimum and maximum over seeds")
    if "fid" in score or score == "kid":
        axis.set_yscale("log")
        label_decades(axis.yaxis)


def curves(runs: Sequence[ScoredRun], score: str) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, "r t"]]:
    """When all runs were scored, and what each had then."""
    common = sorted(set.intersection(*(set(run.kimg) for run in runs)))
    values = [[run.scores[score][run.kimg.index(at)] for at in common] for run in runs]
    return np.array(common), np.array(values)


def _best(axis: Axes, rows: Sequence[BestRow], colours: Colours) -> None:
    """Median of the best of each run with caps at the minimum and maximum, and each run as a point."""
    for place, row in enumerate(rows):
        colour = colours[row.variant]
        reach = [[row.median - row.minimum], [row.maximum - row.median]]
        axis.errorbar(place, row.median, yerr=reach, fmt="o", color=colour, capsize=4, markersize=5)
        axis.plot([place] * len(row.seeds), row.seeds, ".", color=QUIET, markersize=3, zorder=3)
    values = [row.value for row in rows]
    labels = [_label(row.variant) if value is None else f"{value:g}" for row, value in zip(rows, values, strict=True)]
    long = max(map(len, labels)) > 5
    axis.set_xticks(range(len(rows)), labels, rotation=40 if long else 0, ha="right" if long else "center")
    axis.set(title=f"best of each run: {score_name(rows[0].score)}", xlim=(-0.6, len(rows) - 0.4))


def _lines(result: Scores) -> bytes:
    """Paper A, supplementary figure 2: FID over the logarithm, recall over the root of the size of the training set."""
    figure = Figure(figsize=(4.1 * len(result.fits), 3.2), layout="constrained")
    axes = figure.subplots(1, len(result.fits), squeeze=False)[0]
    for axis, fit in zip(axes, result.fits, strict=True):
        _line(axis, fit, [row for row in result.best if row.score == fit.score], result.number or "")
    return svg_file(figure, transparent=False)


def _line(axis: Axes, fit: Fit, rows: Sequence[BestRow], number: str) -> None:
    numbers = [row.value for row in rows if row.value is not None]
    x = np.array([transformed(value, fit.form) for value in numbers])
    for place, row in zip(x, rows, strict=True):
        reach = [[row.median - row.minimum], [row.maximum - row.median]]
        axis.errorbar(place, row.median, yerr=reach, fmt="o", color="black", capsize=4, markersize=4)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, fit.intercept.value + fit.slope.value * ends, "--", color=QUIET)
    axis.set_xticks(x, [f"{value:g}" for value in numbers])
    form = {"log": "logarithmic", "root": "square root"}[fit.form]
    axis.set(xlabel=f"{number} ({form} scale)", ylabel=f"best {score_name(fit.score)}", title=f"R² = {fit.r2:.2f}")


def _label(variant: str) -> str:
    return variant.replace("$", r"\$") or "all"

"""Measured against predicted for each kind of inputs and each regressor, R² with intervals, and importance."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sorby.design.property import Result, interval
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE, svg_file

MOST_BARS = 11
LEAST_R2 = -1.0
"""Lower ones, and lower ends of intervals, leave the panel."""


def figure_of(name: str, unit: str, values: Float[np.ndarray, " n"], results: Sequence[Result]) -> bytes:
    """SVG: a row of panels for each kind of inputs; in colour, and with importance, what is supported alone."""
    kinds, ways = (list(dict.fromkeys(getattr(r, what) for r in results)) for what in ("inputs", "regressor"))
    has_bars = any(result.importance and result.is_supported for result in results)
    width = max(3.0 * len(ways), 6.6)
    with rc_context(STYLE | {"axes.titlesize": 9, "axes.labelsize": 8, "font.size": 8}):
        figure = Figure(figsize=(width, 2.8 * len(kinds) + 2.8), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(len(kinds), 1), squeeze=False)[:, 0]
        axes = top.subplots(len(kinds), len(ways), squeeze=False)
        label = name.replace("$", r"\$") + (f", {unit}" if unit else "")
        for i, result in enumerate(results):
            _scatter(axes[i // len(ways)][i % len(ways)], values, result, label)
        below = bottom.subplots(1, 1 + has_bars, squeeze=False)[0]
        _intervals(below[0], results)
        if has_bars:
            _bars(below[1], results)
        return svg_file(figure, transparent=False)


def _scatter(axis: Axes, values: Float[np.ndarray, " n"], result: Result, label: str) -> None:
    colour = GENERATED if result.is_supported else QUIET
    axis.axline((values.mean(), values.mean()), slope=1, color=QUIET, linewidth=0.8, zorder=0)
    if np.isfinite(result.half).all():
        axis.errorbar(values, result.predicted, yerr=result.half, fmt="none", ecolor=colour, alpha=0.25, linewidth=0.7)
    axis.plot(values, result.predicted, "o", color=colour, markersize=3, alpha=0.8)
    title = f"{_short(result)}\n$R^2$ {interval(result.r2)}"
    axis.set(title=title, xlabel=f"measured {label}", ylabel="predicted, held out")
    axis.ticklabel_format(scilimits=(-4, 4))


def _intervals(axis: Axes, results: Sequence[Result]) -> None:
    for place, result in enumerate(results):
        colour, r2 = GENERATED if result.is_supported else QUIET, result.r2
        if r2.low is not None and r2.high is not None:
            axis.plot((max(r2.low, LEAST_R2), max(r2.high, LEAST_R2)), (place, place), color=colour, linewidth=1.4)
        axis.plot(max(r2.value, LEAST_R2), place, "o", color=colour, markersize=4)
    axis.set_yticks(range(len(results)), [_short(result) for result in results])
    axis.invert_yaxis()
    axis.axvline(0, color=QUIET, linewidth=0.8)
    axis.set(title="$R^2$ of held-out groups, 95 %", xlim=(None, 1.02))


def _bars(axis: Axes, results: Sequence[Result]) -> None:
    """Of the best result that is supported and has importance."""
    best = max((r for r in results if r.importance and r.is_supported), key=lambda r: r.r2.value)
    shown = best.importance[:MOST_BARS]
    for place, one in enumerate(shown):
        axis.barh(place, one.fall.value, color=REAL, height=0.6)
        if one.fall.low is not None and one.fall.high is not None:
            axis.plot((one.fall.low, one.fall.high), (place, place), color="#23272e", linewidth=0.8)
    axis.set_yticks(range(len(shown)), [one.column for one in shown])
    axis.invert_yaxis()
    axis.axvline(0, color=QUIET, linewidth=0.8)
    axis.set(title=f"fall of $R^2$ with a column shuffled:\n{_short(best)}")


def _short(result: Result) -> str:
    """Without the name of the network."""
    return f"{result.inputs.partition(' ')[0]}, {result.regressor.replace('-', ' ')}"

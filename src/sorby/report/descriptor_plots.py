"""Figures of the metallography: distributions, quantiles, margins, and means at each condition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy.stats import gaussian_kde

from sorby.metrics.record import ByCondition, ConditionMean, Descriptor
from sorby.microstructure.compare import MARGIN_MEAN, MARGIN_SPREAD, Verdict
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE, svg

Values = Float[np.ndarray, " _"]

VERDICT_COLOURS: dict[Verdict, str] = {"agrees": "#2e7d4f", "open": "#7a6a1f", "differs": "#b3502f"}
FURTHEST = (4.0, 16.0)
"""Shifts and ratios beyond these are drawn at the edge."""
COLUMNS = 4
MARKERS = "osD^vP"
MOST_CONDITIONS = 12
"""Told apart by colour and marker; more cannot be."""


def distributions(descriptors: Sequence[Descriptor], real: Sequence[Values], generated: Sequence[Values]) -> str:
    """The distribution over images of each descriptor, as kernel density estimates (Scott's bandwidth)."""
    if not descriptors:
        return ""
    rows = -(-len(descriptors) // COLUMNS)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 * COLUMNS, 1.9 * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axis, descriptor, *sides in zip(axes, descriptors, real, generated, strict=False):
            low, high = np.quantile(np.concatenate(sides), [0.002, 0.98])
            grid = np.linspace(low, high, 200)
            for values, colour in zip(sides, (REAL, GENERATED), strict=True):
                axis.plot(grid, density(values, grid), color=colour, linewidth=1.4)
                axis.axvline(values.mean(), color=colour, linewidth=0.8, linestyle=":")
            unit = f", {descriptor.unit}" if descriptor.unit else ""
            axis.set(yticks=[], title=f"{descriptor.title}{unit}")
            axis.title.set_fontsize(8)
            axis.ticklabel_format(scilimits=(-3, 4))
        for axis in axes[len(descriptors) :]:
            axis.set_axis_off()
        figure.legend(axes[0].lines[::2], ("real", "generated"), loc="outside upper right", ncols=2)
        return svg(figure)


def margins(descriptors: Sequence[Descriptor]) -> str:
    """Shift of the mean and ratio of the spreads of each descriptor, with 90 % intervals, on their shaded margins."""
    if not descriptors:
        return ""
    shift, ratio = FURTHEST
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + 0.25 * len(descriptors)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.axvspan(-MARGIN_MEAN, MARGIN_MEAN, color=QUIET, alpha=0.15, linewidth=0)
        right.axvspan(1 / MARGIN_SPREAD, MARGIN_SPREAD, color=QUIET, alpha=0.15, linewidth=0)
        left.axvline(0, color=QUIET, linewidth=0.8)
        right.axvline(1, color=QUIET, linewidth=0.8)
        right.set_xscale("log", base=2)
        for row, d in enumerate(descriptors):
            _interval(left, row, np.clip(d.shift, -shift, shift), VERDICT_COLOURS[d.verdict])
            _interval(right, row, np.clip(d.spread, 1 / ratio, ratio), VERDICT_COLOURS[d.verdict])
        left.set(xlabel="shift, real standard deviations")
        left.set_yticks(range(len(descriptors)), [d.title for d in descriptors])
        left.invert_yaxis()
        right.set(xlabel="ratio of spreads")
        right.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        right.xaxis.set_minor_locator(NullLocator())
        return svg(figure)


def _interval(axis: Axes, row: int, numbers: Values, colour: str) -> None:
    value, low, high = numbers
    axis.plot((low, high), (row, row), color=colour, linewidth=1.6)
    axis.plot(value, row, "o", color=colour, markersize=3.5)


def by_condition(found: Sequence[ByCondition]) -> str:
    """Real against generated mean of each descriptor, a point a condition, and the mean deviations (paper B, figure 3).

    "" where there is nothing to show.
    """
    if not found:
        return ""
    names = list(dict.fromkeys(mean.condition for d in found for mean in d.means))
    looks = _looks(names)
    rows = -(-(len(found) + 1) // COLUMNS)
    with rc_context(STYLE | {"axes.titlesize": 8, "axes.labelsize": 7, "xtick.labelsize": 7, "ytick.labelsize": 7}):
        figure = Figure(figsize=(2.6 * COLUMNS, 2.45 * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axis, descriptor in zip(axes, found, strict=False):
            _scatter(axis, descriptor, looks)
        _deviations(axes[len(found)], found)
        for axis in axes[len(found) + 1 :]:
            axis.set_axis_off()
        if 1 < len(names) <= MOST_CONDITIONS:
            # A name is the user's: a dollar in it is no formula.
            unseen = {mean.condition for d in found for mean in d.means if not mean.seen}
            labels = [name.replace("$", r"\$") + (" (held out)" if name in unseen else "") for name in names]
            handles = [
                Line2D([], [], linestyle="", label=label, **_hollow(looks[name], name in unseen))
                for name, label in zip(names, labels, strict=True)
            ]
            longest = max(map(len, labels))
            figure.legend(handles=handles, loc="outside lower left", fontsize=8, ncols=max(1, 170 // (longest + 6)))
        return svg(figure)


def _looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Marker and colour of each condition; all the same where they are too many to be told apart."""
    if len(names) > MOST_CONDITIONS:
        return {name: {"marker": "o", "color": GENERATED, "markersize": 4} for name in names}
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(names)))
    return {
        name: {"marker": MARKERS[i % len(MARKERS)], "color": tuple(colours[i]), "markersize": 5}
        for i, name in enumerate(names)
    }


def _hollow(look: Mapping[str, Any], unseen: bool) -> dict[str, Any]:
    """Points of conditions held out of training are not filled."""
    return {**look, "markerfacecolor": "none"} if unseen else dict(look)


def _scatter(axis: Axes, descriptor: ByCondition, looks: Mapping[str, Mapping[str, Any]]) -> None:
    for mean in descriptor.means:
        axis.errorbar(
            mean.real_mean,
            mean.generated_mean,
            xerr=_reach(mean.real_mean, mean.real_interval),
            yerr=_reach(mean.generated_mean, mean.generated_interval),
            elinewidth=0.8,
            **_hollow(looks[mean.condition], not mean.seen),
        )
    low, high = _square(descriptor.means)
    axis.plot((low, high), (low, high), color=QUIET, linewidth=0.8, zorder=0)
    unit = f", {descriptor.unit}" if descriptor.unit else ""
    axis.set(title=f"{descriptor.title}{unit}", xlim=(low, high), ylim=(low, high))
    axis.set(xlabel="real", ylabel="generated", box_aspect=1)
    axis.ticklabel_format(scilimits=(-3, 4))
    axis.locator_params(nbins=4)


def _reach(value: float, interval: tuple[float, float] | None) -> Float[np.ndarray, "2 1"] | None:
    """An interval as matplotlib wants it: how far it goes down and up."""
    return None if interval is None else np.array([[value - interval[0]], [interval[1] - value]])


def _square(means: Sequence[ConditionMean]) -> tuple[float, float]:
    """Limits that hold all points, and their bars as far as these do not dwarf the points."""
    points = [value for mean in means for value in (mean.real_mean, mean.generated_mean)]
    intervals = [mean.real_interval or () for mean in means] + [mean.generated_interval or () for mean in means]
    ends = [end for interval in intervals for end in interval]
    low, high = min(points), max(points)
    room = (high - low) or 0.1 * abs(high) or 1.0
    low, high = max(min(ends, default=low), low - room), min(max(ends, default=high), high + room)
    return low - 0.08 * room, high + 0.08 * room


def _deviations(axis: Axes, found: Sequence[ByCondition]) -> None:
    rows = []
    for d in found:
        of = {f.seen: 100 * f.deviation.value for f in d.following if f.deviation is not None}
        if of:
            rows.append((d.title, of))
    axis.barh(range(len(rows)), [of.get(True, 0.0) for _, of in rows], color=QUIET, alpha=0.4)
    held_out = [(of[False], row) for row, (_, of) in enumerate(rows) if False in of]
    axis.plot(
        [x for x, _ in held_out], [y for _, y in held_out], "o", markersize=4, markerfacecolor="none", color=GENERATED
    )
    for row, (title, of) in enumerate(rows):
        numbers = ", ".join(f"{percent:.3g}" for _, percent in sorted(of.items(), reverse=True))
        axis.annotate(f"{title} {numbers}", (0, row), (3, 0), textcoords="offset points", va="center", fontsize=7)
    axis.invert_yaxis()
    title = "deviation, %; o: held out" if held_out else "mean absolute deviation, %"
    axis.set(title=title, yticks=[], box_aspect=1)


def ridges(
    titles: Sequence[str],
    conditions: Sequence[str],
    real: Sequence[Sequence[Values]],
    generated: Sequence[Sequence[Values]],
) -> str:
    """The distribution over images of each descriptor, a ridge a condition (paper B, figures 4 and S-3).

    `real` and `generated` hold, for each condition, the values of each of the descriptors of `titles`.
    """
    rows = -(-len(titles) // COLUMNS)
    height = max(1.6, 0.34 * len(conditions) + 0.6)
    with rc_context(STYLE | {"axes.titlesize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7}):
        figure = Figure(figsize=(2.6 * COLUMNS, height * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
        for place, (axis, title) in enumerate(zip(axes.ravel(), titles, strict=False)):
            axis.set_title(title)
            axis.ticklabel_format(axis="x", scilimits=(-3, 4))
            sides = [[of_condition[place] for of_condition in side] for side in (real, generated)]
            _ridges(axis, *sides)
            axis.locator_params(axis="x", nbins=4)
        for axis in axes.ravel()[len(titles) :]:
            axis.set_axis_off()
        axes[0, 0].set_yticks(range(len(conditions)), [name.replace("$", r"\$") for name in conditions])
        axes[0, 0].invert_yaxis()
        handles = [Line2D([], [], color=colour) for colour in (REAL, GENERATED)]
        figure.legend(handles, ("real", "generated"), loc="outside upper right", ncols=2)
        return svg(figure)


def _ridges(axis: Axes, real: Sequence[Values], generated: Sequence[Values]) -> None:
    everything = np.concatenate([*real, *generated])
    if not len(everything):
        return
    low, high = np.quantile(everything, [0.002, 0.98])
    grid = np.linspace(low, high, 120)
    for row, sides in enumerate(zip(real, generated, strict=True)):
        curves = [density(values, grid) for values in sides]
        top = max(float(curve.max()) for curve in curves) or 1.0
        for curve, values, colour in zip(curves, sides, (REAL, GENERATED), strict=True):
            axis.plot(grid, row - 0.85 * curve / top, color=colour, linewidth=1.1)
            axis.fill_between(grid, row - 0.85 * curve / top, row, color=colour, alpha=0.12, linewidth=0)
            if len(values):
                axis.plot((values.mean(),) * 2, (row, row - 0.2), color=colour, linewidth=1.1)


def quantiles(descriptors: Sequence[Descriptor], real: Sequence[Values], generated: Sequence[Values]) -> str:
    """Quantiles of the generated images over those of the real ones, in real standard deviations from the real mean."""
    if not descriptors:
        return ""
    shares = np.linspace(0.05, 0.95, 19)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        axis = figure.subplots()
        axis.axline((0, 0), slope=1, color=QUIET, linewidth=0.8)
        axis.set_prop_cycle(color=colormaps["turbo"](np.linspace(0.05, 0.95, len(descriptors))))
        for descriptor, x, y in zip(descriptors, real, generated, strict=True):
            ends = [(np.quantile(values, shares) - x.mean()) / x.std() for values in (x, y)]
            marker = {"agrees": "", "differs": "o", "open": ""}[descriptor.verdict]
            style = "-" if descriptor.verdict != "open" else ":"
            axis.plot(*ends, style, marker=marker, markersize=2.5, linewidth=1.2, label=descriptor.title)
        axis.set(xlabel="real, standard deviations", ylabel="generated", xlim=(-2.5, 3), ylim=(-2.5, 3))
        figure.legend(loc="outside right upper", fontsize=7)
        return svg(figure)


def density(values: Values, grid: Values) -> Values:
    """Kernel density estimate; all at one place where the values do not vary."""
    if len(values) < 2 or np.ptp(values) == 0:
        return np.zeros_like(grid)
    return gaussian_kde(values)(grid)

"""The results of a study as one figure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sorby.metrics.record import Number
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE, svg_file
from sorby.study.condition_results import RIGHT, DeviationRow, Prediction, RightRow, StudyResult

MOST_MEASURES = 4
"""Measures drawn where the study names none."""
COLUMNS = 3
BASELINES = {"nearest": (REAL, "x", "nearest condition"), "interpolated": ("#3b3f46", "+", "interpolation")}

Colours = Mapping[str, str]
"""Of each variant."""


def figure_of(result: StudyResult, descriptors: Sequence[str] = ()) -> bytes:
    """SVG: truth against prediction at the conditions held out, all deviations, and the right condition by seed."""
    colours = _colours(result)
    panels = _panels(result, descriptors, colours) or [_nothing]
    rows = -(-len(panels) // COLUMNS)
    with rc_context(STYLE | {"axes.titlesize": 9, "axes.labelsize": 8}):
        figure = Figure(figsize=(3.3 * min(len(panels), COLUMNS), 3.0 * rows + 0.4), layout="constrained")
        axes = figure.subplots(rows, min(len(panels), COLUMNS), squeeze=False).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            panel(axis)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        figure.legend(handles=_handles(result, colours), loc="outside lower center", ncols=4)
        return svg_file(figure, transparent=False)


def _panels(result: StudyResult, descriptors: Sequence[str], colours: Colours) -> list[Callable[[Axes], None]]:
    predictions = [(run.variant, p) for run in result.runs for p in run.predictions]
    names = list(dict.fromkeys(p.descriptor for _, p in predictions))
    names = [name for name in names if name in descriptors] if descriptors else names[:MOST_MEASURES]
    of_measures = [[(variant, p) for variant, p in predictions if p.descriptor == name] for name in names]
    panels: list[Callable[[Axes], None]] = [
        lambda axis, found=found: _truth(axis, found, colours)  # type: ignore[misc]
        for found in of_measures
    ]
    held_out = [row for row in result.deviations if row.where == "held out" and row.descriptor in names]
    right = [row for row in result.right if row.what == RIGHT]
    if held_out:
        panels.append(lambda axis: _deviations(axis, held_out, colours))
    if right:
        panels.append(lambda axis: _right(axis, right, colours))
    return panels


def _nothing(axis: Axes) -> None:
    axis.set_axis_off()
    axis.text(0.5, 0.5, "No condition has images enough\nto be compared.", ha="center", va="center", color=QUIET)


def _colours(result: StudyResult) -> Colours:
    variants = list(dict.fromkeys(run.variant for run in result.runs))
    if len(variants) == 1:
        return {variants[0]: GENERATED}
    shades = colormaps["plasma"](np.linspace(0.1, 0.8, len(variants)))
    return {name: to_hex(shade) for name, shade in zip(variants, shades, strict=True)}


def _handles(result: StudyResult, colours: Colours) -> list[Line2D]:
    held_out = any(run.predictions for run in result.runs)
    baselines = [(colour, marker, label) for colour, marker, label in BASELINES.values() if held_out]
    drawn = [(colour, "o", variant.replace("$", r"\$") or "generated") for variant, colour in colours.items()]
    return [
        Line2D([], [], linestyle="", color=colour, marker=marker, label=label)
        for colour, marker, label in (*drawn, *baselines)
    ]


def _truth(axis: Axes, found: Sequence[tuple[str, Prediction]], colours: Colours) -> None:
    """On the line what is said is true."""
    truth = np.array([p.real for _, p in found])
    axis.axline((truth[0], truth[0]), slope=1, color=QUIET, linewidth=0.8, zorder=0)
    for by, (colour, marker, _) in BASELINES.items():
        axis.plot(truth, [getattr(p, by) for _, p in found], marker, color=colour, markersize=5)
    for variant, p in found:
        axis.plot(p.real, p.generated, "o", color=colours[variant], markersize=4)
    first = found[0][1]
    axis.set(title=first.title + (f", {first.unit}" if first.unit else ""))
    axis.set(xlabel="truth at a condition held out", ylabel="said of it")
    axis.ticklabel_format(scilimits=(-4, 4))


def _deviations(axis: Axes, rows: Sequence[DeviationRow], colours: Colours) -> None:
    """Of each measure those of all variants, and of the baselines as the first of them has them."""
    titles = list(dict.fromkeys(row.title for row in rows))
    for place, title in enumerate(titles):
        mine = [row for row in rows if row.title == title]
        bars: list[tuple[Number | None, str, str]] = [(row.generated, colours[row.variant], "o") for row in mine]
        bars += [(getattr(mine[0], by), colour, marker) for by, (colour, marker, _) in BASELINES.items()]
        for (of, colour, marker), y in zip(bars, place + np.linspace(-0.3, 0.3, len(bars)), strict=True):
            if of is not None:
                _bar(axis, of, float(y), colour, marker)
    axis.set_yticks(range(len(titles)), titles)
    axis.invert_yaxis()
    axis.set(title="mean absolute deviation, held out", xlabel="%")
    furthest = max(of.value for row in rows for of in (row.generated, row.nearest, row.interpolated) if of)
    axis.set_xlim(0, min(axis.get_xlim()[1], 250 * furthest))  # an interval over few conditions must not set the scale


def _right(axis: Axes, rows: Sequence[RightRow], colours: Colours) -> None:
    """A point a seed, a bar for their mean, dashes for the ceiling and dots for chance."""
    for place, row in enumerate(rows):
        shares = [100 * share for share in row.seeds]
        axis.plot(place + np.linspace(-0.1, 0.1, len(shares)), shares, "o", color=colours[row.variant], markersize=4)
        for value, style in ((row.generated.value, "-"), (row.real, "--"), (row.chance, ":")):
            colour = colours[row.variant] if style == "-" else QUIET
            axis.plot((place - 0.3, place + 0.3), (100 * value,) * 2, style, color=colour, linewidth=1.4)
    labels = ["\n".join(part for part in (row.variant.replace("$", r"\$"), row.where) if part) for row in rows]
    axis.set_xticks(range(len(rows)), labels)
    axis.set(title="read as the condition asked for", ylabel="%", ylim=(0, 103), xlim=(-0.6, len(rows) - 0.4))
    axis.set_xlabel("-- real pictures   ·· chance")


def _bar(axis: Axes, of: Number, y: float, colour: str, marker: str) -> None:
    if of.low is not None and of.high is not None:
        axis.plot((100 * max(of.low, 0.0), 100 * of.high), (y, y), color=colour, linewidth=1.2)
    axis.plot(100 * of.value, y, marker, color=colour, markersize=4)

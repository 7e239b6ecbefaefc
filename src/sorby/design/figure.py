"""Everything that a design tried, and its answers: the front of two goals, or one goal over the first limit."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from sorby.design.inverse import Candidate, Task
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE


def trade_off(task: Task, tried: Sequence[Candidate], answers: Sequence[Candidate]) -> Figure:
    """Pictures inside all limits are filled. Across stands the second goal, the first limit, or the area fraction."""
    up = task.goals[0].name
    others = [goal.name for goal in task.goals[1:]] + [limit.name for limit in task.limits]
    across = next(
        (name for name in others if name != up), "area_fraction" if up != "area_fraction" else "mean_chord_px"
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axis = figure.subplots()
        for found_by, colour in (("screening", QUIET), ("search", REAL)):
            for inside in (False, True):
                some = [c for c in tried if c.found_by == found_by and c.is_inside == inside]
                face = colour if inside else "none"
                label = f"{found_by}, inside" if inside else None
                axis.scatter(
                    *_points(some, across, up), s=16, facecolors=face, edgecolors=colour, linewidths=0.8, label=label
                )
        axis.scatter(*_points(answers, across, up), s=60, marker="*", color=GENERATED, label="answers", zorder=3)
        for goal in task.goals:
            if goal.kind == "target":
                (axis.axhline if goal.name == up else axis.axvline)(goal.value, color=GENERATED, linewidth=0.8)
        for limit in task.limits:
            if limit.name == across:
                axis.axvline(limit.value, color=QUIET, linewidth=0.8, linestyle=":")
        axis.set(xlabel=across, ylabel=up)
        axis.legend(fontsize=7)
    return figure


def _points(candidates: Sequence[Candidate], across: str, up: str) -> tuple[list[float], list[float]]:
    known = [c.measured.numbers for c in candidates if across in c.measured.numbers]
    return [numbers[across] for numbers in known], [numbers[up] for numbers in known]

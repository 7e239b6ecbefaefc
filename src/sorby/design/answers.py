"""The answers of a design as a folder: pictures with their scale, phase maps for a simulation, and all numbers.

1/picture.tif         as drawn, with everything that it is drawn from
1/phases.vti, .inp    phase map for ParaView and DAMASK, and for Abaqus; only with a pixel size
1/phases.png          the same as grey levels
sheet.png             all answers
answers.csv           their numbers, measured again on the files
trials.csv            every picture that was tried
design.json           what was asked, how pictures were judged, and the answer in words
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sorby.atomic import new_folder, write_bytes, write_text
from sorby.design.figure import trade_off
from sorby.design.inverse import Candidate, Task
from sorby.design.meter import Measured
from sorby.design.sources import Source
from sorby.errors import ConfigError
from sorby.micrograph import read_micrograph, write_micrograph
from sorby.phase_map import write_phase_map
from sorby.report.plots import svg_file
from sorby.report.sheet import sheet_of_rows
from sorby.untrusted import csv_of

MOST_ANSWERS = 99
FINE = 1e-6
"""Tolerance of the solver when an answer is measured again."""


def write_answers(
    out: Path, task: Task, source: Source, tried: Sequence[Candidate], answers: Sequence[Candidate], verdict: str
) -> list[Measured]:
    """Write the folder in one step; give back what was measured on the pictures as they lie in it, by a finer solver.

    Raises `DataError` where `out` holds files of others, and `ConfigError` for more than 99 answers.
    """
    if len(answers) > MOST_ANSWERS:
        raise ConfigError(f"{len(answers)} answers came: at most {MOST_ANSWERS} fit.")
    with new_folder(out, ours=_ours()) as folder:
        again = [_write_answer(folder / str(i), task, source, answer) for i, answer in enumerate(answers, 1)]
        write_text(folder / "answers.csv", _table(answers, task, [measured.numbers for measured in again]))
        write_text(folder / "trials.csv", _table(tried, task, [c.measured.numbers for c in tried]))
        write_text(folder / "design.json", json.dumps(_about(task, source, tried, answers, verdict), indent=2) + "\n")
        write_bytes(folder / "trials.svg", svg_file(trade_off(task, tried, answers)))
        if answers:
            _write_sheet(folder / "sheet.png", task, source, answers, again)
    return again


def _write_answer(folder: Path, task: Task, source: Source, answer: Candidate) -> Measured:
    about = source.provenance(answer.seed, answer.chosen)
    path, size_um = folder / "picture.tif", source.pixel_size_um
    write_micrograph(path, answer.picture, pixel_size_um=size_um, description=about)
    measured = task.meter(read_micrograph(path).grey, tolerance=FINE)
    names = _phases(task)
    for name in ["phases.png", *(["phases.vti", "phases.inp"] if size_um else [])]:
        write_phase_map(folder / name, measured.phase_map, pixel_size_um=size_um, phases=names, about=about)
    return measured


def _phases(task: Task) -> list[str]:
    """`phase 0, E 70 GPa, nu 0.33`, from the darkest."""
    meter, names = task.meter, []
    for i in range(meter.how.phases):
        parts = [f"phase {i}"]
        if meter.materials:
            parts.append(f"E {meter.materials[i].E:g} GPa, nu {meter.materials[i].nu:g}")
        if meter.conductivities:
            parts.append(f"conductivity {meter.conductivities[i]:g}")
        names.append(", ".join(parts))
    return names


def _write_sheet(
    path: Path, task: Task, source: Source, answers: Sequence[Candidate], again: Sequence[Measured]
) -> None:
    """A row each, under what was asked for: picture and phase map."""
    shown = [goal.name for goal in task.goals] + [limit.name for limit in task.limits]
    rows = []
    for number, (answer, measured) in enumerate(zip(answers, again, strict=True), 1):
        told = ", ".join(f"{name} {measured.numbers[name]:.4g}" for name in dict.fromkeys(shown))
        highest = max(int(measured.phase_map.max()), 1)
        phases = (measured.phase_map * 255 // highest).astype(np.uint8)
        pair = np.stack([answer.picture, phases])[:, None]
        zoom = max(256 // answer.picture.shape[0], 1)
        rows.append((f"{number}: {told}", pair.repeat(zoom, 2).repeat(zoom, 3)))
    size_um = None if source.pixel_size_um is None else source.pixel_size_um / zoom
    sheet = sheet_of_rows(rows, pixel_size_um=size_um)[..., 0]
    drawn = [source.provenance(answer.seed, answer.chosen) for answer in answers]
    about = {name: "; ".join(dict.fromkeys(one[name] for one in drawn)) for name in drawn[0]}
    write_micrograph(path, sheet, pixel_size_um=None, description=about | {"source": source.name})


def _table(candidates: Sequence[Candidate], task: Task, numbers: Sequence[Mapping[str, float]]) -> str:
    names = [name for name in task.meter.names if any(name in row for row in numbers)]
    chosen = list(dict.fromkeys(name for c in candidates for name in c.chosen))
    rows: list[list[object]] = [["number", "found_by", "inside", "distance", "seed", *chosen, *names]]
    for i, (c, row) in enumerate(zip(candidates, numbers, strict=True), 1):
        distance = c.excess[-1] + task.reference.limit
        values = [f"{row[name]:.6g}" if name in row else "" for name in names]
        drawn = [c.chosen.get(name, "") for name in chosen]
        rows.append([i, c.found_by, "yes" if c.is_inside else "no", f"{distance:.4g}", c.seed, *drawn, *values])
    return csv_of(rows)


def _about(
    task: Task, source: Source, tried: Sequence[Candidate], answers: Sequence[Candidate], verdict: str
) -> dict[str, Any]:
    return {
        "goals": [goal.tell() for goal in task.goals],
        "limits": [limit.tell() for limit in task.limits],
        "source": source.name,
        "phases": _phases(task),
        "inside": task.reference.tell(),
        "tried": len(tried),
        "inside_of_these": sum(c.is_inside for c in tried),
        "answers": len(answers),
        "verdict": verdict,
    }


def _ours() -> set[str]:
    files = ("picture.tif", "phases.vti", "phases.inp", "phases.png")
    each = {f"{i}/{name}" for i in range(1, MOST_ANSWERS + 1) for name in files}
    return each | {"sheet.png", "answers.csv", "trials.csv", "design.json", "trials.svg"}

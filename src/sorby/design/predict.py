"""`predict`: whether a property follows from pictures, and from what of them.

predict.json          what was asked, the verdict in words, and all numbers
predictions.csv       the prediction of every row while it was held out, with its interval
predict.svg           measured against predicted, R² with intervals, importance
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sorby.atomic import check_folder, new_folder, write_bytes, write_text
from sorby.design.inputs import Pictured, pictured, read_latents
from sorby.design.labelled import Known, Labels, labels_of
from sorby.design.prediction_figure import figure_of
from sorby.design.property import COVERED, REGRESSORS, Result, check, compare, interval, scikit_learn
from sorby.errors import ConfigError, DataError
from sorby.fields import Field, fields_of
from sorby.measurement.tables import as_csv
from sorby.metrics.features import load_network
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Segmentation

INPUTS = ("descriptors", "features")
FILES = ("predict.json", "predictions.csv", "predict.svg")

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Row:
    """What one prediction is of: a picture, or all pictures of a micrograph that have one value."""

    name: str
    group: str
    value: float
    """On the scale of the property."""
    pictures: tuple[int, ...]
    """Their places among those read."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found."""

    labels: Labels
    rows: tuple[Row, ...]
    results: tuple[Result, ...]
    verdicts: tuple[str, ...]
    """One sentence for each kind of inputs."""
    notes: tuple[str, ...]


def predict(
    source: Path | str,
    out: Path | str,
    *,
    property: str,  # noqa: A002
    labels: Path | None = None,
    group: str | None = None,
    inputs: Sequence[str] = INPUTS,
    latents: Path | Float[np.ndarray, "n d"] | None = None,
    regressors: Sequence[str] = REGRESSORS,
    network: str = "efficientnet-lite0",
    how: Segmentation = BY_OTSU,
    num: int = 1000,
    seed: int = 0,
    pixel_size_um: float | None = None,
    device: str = "cpu",
    on_picture: Callable[[], None] = lambda: None,
    say: Say = lambda _: None,
) -> Prediction:
    """Predict a property of pictures from each kind of inputs with each regressor, by groups held out.

    `source` is a dataset, of which at most `num` patches are taken, or a folder of micrographs. For `property`,
    `labels` and `group` see `labels_of`; for `latents`, a table beside the pictures, `read_latents`. Pictures of one
    micrograph that share a value are averaged to one row. Writes `FILES` into the folder `out`. Raises `DataError`,
    `ConfigError` or `WeightsError`, with nothing written.
    """
    source, out = Path(source), Path(out)
    _check_asked(inputs, latents, regressors)
    check_folder(out, ours=FILES)
    known = labels_of(source, property=property, labels=labels, group=group)
    _check(known.known.values())
    place, table = read_latents(latents, known.pictures) if latents is not None else ({}, None)
    net = load_network(network, device=device) if "features" in inputs else None
    fields = fields_of(source, num=num, seed=seed, pixel_size_um=pixel_size_um, warn=say)
    measured = pictured(
        _labelled(fields, known, place if table is not None else None),
        network=net,
        describes="descriptors" in inputs,
        how=how,
        on_picture=on_picture,
    )
    rows = rows_of(measured, known)
    values, groups = np.array([row.value for row in rows], np.float64), np.array([row.group for row in rows], str)
    check(values, groups)  # again, since not every picture could be read
    tables: dict[str, Float[np.ndarray, "_ _"]] = {}
    if table is not None:
        tables["latents"] = table[[place[name] for name in measured.names]]
    if measured.features is not None:
        tables[f"features ({network})"] = measured.features
    if measured.descriptors is not None:
        tables["descriptors"] = measured.descriptors
    say(f"{len(rows)} rows, {len(np.unique(groups))} groups")
    results = compare(
        {name: averaged(table, rows) for name, table in tables.items()},
        values,
        groups,
        columns={name: _columns(name, table.shape[1]) for name, table in tables.items()},
        regressors=regressors,
        seed=seed,
    )
    notes = (*known.notes, *_notes(rows, measured, results))
    verdicts = tuple(verdict(known.condition.name, name, results) for name in tables)
    found = Prediction(known, rows, tuple(results), verdicts, notes)
    _write(out, found, {"source": str(source), "seed": seed, "num_pictures": len(measured.names)})
    return found


def rows_of(measured: Pictured, labels: Labels) -> tuple[Row, ...]:
    """Pictures of one micrograph that share a value and a group, together."""
    together: dict[tuple[str, Known], list[int]] = {}
    for i, (name, parent) in enumerate(zip(measured.names, measured.parents, strict=True)):
        together.setdefault((parent, labels.known[name]), []).append(i)
    return tuple(
        Row(parent if len(places) > 1 else measured.names[places[0]], known.group, known.value, tuple(places))
        for (parent, known), places in together.items()
    )


def verdict(name: str, inputs: str, results: Sequence[Result]) -> str:
    """One sentence on one kind of inputs: the best regressor that cross-validation supports, or that none is."""
    mine = [result for result in results if result.inputs == inputs]
    supported = [result for result in mine if result.is_supported]
    best = max(supported or mine, key=lambda result: result.r2.value)
    numbers = f"R² {interval(best.r2)}, {best.regressor.replace('-', ' ')}, {best.num_groups} groups"
    if supported:
        return f"{name} follows from the {inputs}: {numbers}."
    tries = f", which is too little for the best of {len(results)} tries" if best.r2.low and best.r2.low > 0 else ""
    return f"Not supported: that {name} follows from the {inputs} (at best {numbers}{tries})."


def _check_asked(inputs: Sequence[str], latents: object, regressors: Sequence[str]) -> None:
    scikit_learn()
    for given, known, what in ((inputs, INPUTS, "inputs"), (regressors, REGRESSORS, "regressors")):
        if unknown := [name for name in given if name not in known]:
            raise ConfigError(f"{unknown[0]!r} is not among the {what}: choose from {', '.join(known)}.")
    if (not inputs and latents is None) or not regressors:
        raise ConfigError("There is nothing to predict from: name inputs, or give latents, and a regressor.")


def _check(known: Collection[Known]) -> None:
    """Raise `DataError` before any picture is read."""
    check(np.array([one.value for one in known]), np.array([one.group for one in known]))


def _labelled(fields: Iterator[Field], labels: Labels, place: Mapping[str, int] | None) -> Iterator[Field]:
    for field in fields:
        if field.name not in labels.known:
            continue
        if place is not None and field.name not in place:
            raise DataError(f"{field.name} has no row of latents: give one for each picture that has a property.")
        yield field


def averaged(table: Float[np.ndarray, "n d"], rows: Sequence[Row]) -> Float[np.ndarray, "r d"]:
    """The mean over the pictures of each row that have a number; NaN where none has."""
    means = np.full((len(rows), table.shape[1]), np.nan)
    for mean, row in zip(means, rows, strict=True):
        some = table[list(row.pictures)]
        there = ~np.isnan(some)
        counts = there.sum(0)
        mean[counts > 0] = np.where(there, some, 0.0).sum(0)[counts > 0] / counts[counts > 0]
    return means


def _columns(name: str, num: int) -> list[str]:
    if name == "descriptors":
        return [quantity.title for quantity in QUANTITIES]
    return [f"{number}" for number in range(num)] if name == "latents" else []


def _notes(rows: Sequence[Row], measured: Pictured, results: Sequence[Result]) -> list[str]:
    notes = []
    most = max(len(row.pictures) for row in rows)
    if most > 1:
        notes.append(f"Pictures of one micrograph that share a value are averaged to one row, up to {most} of them.")
    if measured.descriptors is not None and not measured.in_um:
        notes.append("Not all pixel sizes are known: lengths are in pixels, which compare at one magnification only.")
    if not np.isfinite(results[0].half).all():
        notes.append("No prediction intervals: these need at least 10 groups.")
    return notes


def _write(out: Path, found: Prediction, about: dict[str, Any]) -> None:
    figure = figure_of(
        found.labels.condition.name,
        found.labels.unit,
        np.array([row.value for row in found.rows]),
        found.results,
    )
    with new_folder(out, ours=FILES) as folder:
        write_text(folder / "predict.json", json.dumps(_summary(found, about), indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "predictions.csv", _table(found))
        write_bytes(folder / "predict.svg", figure)


def _table(found: Prediction) -> str:
    """A line for each row and result."""
    back = found.labels.back
    lines: list[dict[str, object]] = []
    for result in found.results:
        for row, predicted, half in zip(found.rows, result.predicted, result.half, strict=True):
            known = math.isfinite(half)
            lines.append(
                {
                    "name": row.name,
                    "group": row.group,
                    "pictures": len(row.pictures),
                    "inputs": result.inputs,
                    "regressor": result.regressor,
                    "measured": back(row.value),
                    "predicted": back(float(predicted)),
                    "low": back(float(predicted - half)) if known else None,
                    "high": back(float(predicted + half)) if known else None,
                }
            )
    return as_csv(lines)


def _summary(found: Prediction, about: dict[str, Any]) -> dict[str, Any]:
    values = np.array([row.value for row in found.rows])
    log = found.labels.condition.kind == "log"
    return {
        "property": found.labels.condition.name,
        "unit": found.labels.condition.unit,
        "scale": "log10; errors and coefficients are of the logarithm" if log else "linear",
        **about,
        "num_rows": len(found.rows),
        "num_groups": found.results[0].num_groups,
        "grouped_by": found.labels.grouped_by,
        "standard_deviation": float(values.std()),
        "verdicts": found.verdicts,
        "results": [_result(result) for result in found.results],
        "interval_of_r2": "95 %, leaving out one group at a time",
        "interval_of_predictions": f"{COVERED:.0%}, from the residuals of held-out groups",
        "notes": found.notes,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "inputs": result.inputs,
        "regressor": result.regressor,
        "supported": result.is_supported,
        "r2": result.r2.model_dump(),
        "p_value": result.p_value,
        "mean_absolute_error": result.mean_absolute_error,
        "coverage": result.coverage,
        "importance": [
            {"column": one.column, "fall_of_r2": one.fall.model_dump(), "coefficient": one.coefficient}
            for one in result.importance
        ],
    }

"""A patch of a dataset, and the tables that list all of them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from sorby.conditions import ConditionSpace
from sorby.untrusted import csv_of, rows_of

CONDITION_PREFIX = "condition:"
Split = Literal["train", "held-out", "held-out-condition"]
"""What is trained on; micrographs held out of it; and micrographs of conditions that nothing trained on is of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """One picture of a dataset and where it came from."""

    file: str  # name inside the dataset
    parent: str  # the micrograph it was cut from
    group: str = ""  # parents with overlapping fields of view share a group; empty where there are none
    specimen: str = ""
    x_px: float = 0.0  # box in the parent's own pixels, fractions included
    y_px: float = 0.0
    width_px: float = 0.0
    height_px: float = 0.0
    pixel_size_um: float | None = None  # of this picture, after resampling; None where unknown
    split: Split = "train"
    conditions: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""  # of the pixels, see `pixel_hash`; empty in datasets of other tools


PLAIN = tuple(f.name for f in fields(Patch) if f.name != "conditions")


def write_manifest(patches: Iterable[Patch], space: ConditionSpace) -> str:
    """manifest.csv: the fields of `Patch`, then one column a condition."""
    header = [*PLAIN, *(CONDITION_PREFIX + name for name in space.names)]
    rows = (
        [*(_cell(getattr(patch, name)) for name in PLAIN), *(patch.conditions[name] for name in space.names)]
        for patch in patches
    )
    return csv_of([header, *rows])


def read_manifest(text: str) -> Iterator[Patch]:
    """The patches of manifest.csv. Raises `KeyError`, `TypeError` or `ValueError` where it is damaged."""
    return map(_patch, rows_of(text))


def stylegan_labels(patches: Iterable[Patch], space: ConditionSpace) -> str:
    """dataset.json: an integer for a single class condition, a list of floats otherwise, null without conditions."""
    if not space.conditions:
        return json.dumps({"labels": None})
    if len(space.conditions) == 1 and space.conditions[0].kind == "class":
        only = space.conditions[0]
        return json.dumps({"labels": [[p.file, only.classes.index(p.conditions[only.name])] for p in patches]})
    return json.dumps({"labels": [[p.file, [round(float(v), 6) for v in space.encode(p.conditions)]] for p in patches]})


def _patch(row: Mapping[str, str]) -> Patch:
    start = len(CONDITION_PREFIX)
    return Patch(
        file=row["file"],
        parent=row["parent"],
        group=row["group"],
        specimen=row["specimen"],
        x_px=_finite(row["x_px"]),
        y_px=_finite(row["y_px"]),
        width_px=_finite(row["width_px"]),
        height_px=_finite(row["height_px"]),
        pixel_size_um=_pixel_size(row["pixel_size_um"]) if row["pixel_size_um"] else None,
        split=row["split"] if row["split"] in get_args(Split) else "held-out",  # type: ignore[arg-type]
        conditions={name[start:]: value for name, value in row.items() if name.startswith(CONDITION_PREFIX)},
        sha256=_digest(row["sha256"]),
    )


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no length")
    return number


def _pixel_size(text: str) -> float:
    if not (size := _finite(text)) > 0:
        raise ValueError(f"{text} is no pixel size")
    return size


def _digest(text: str) -> str:
    if text and len(bytes.fromhex(text)) != 32:
        raise ValueError(f"{text} is no sha256")
    return text


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)

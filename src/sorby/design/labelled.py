"""Pictures whose property is known: from the conditions of a dataset, or from a table of labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sorby.conditions import Condition, ConditionSpace, parse_column
from sorby.data.dataset import Dataset, Patch, is_dataset
from sorby.data.labels import NameIndex, Row, join, read_table
from sorby.errors import ConfigError, DataError
from sorby.metrics.sets import is_generator
from sorby.sources import find_images

OWN_GROUPS = "specimen, or group or micrograph where none is known"


@dataclass(frozen=True)
class Known:
    """What is known of one picture."""

    value: float
    """On the scale of the property: log10 of a log one."""
    group: str
    """Pictures of one group are held out together."""


@dataclass(frozen=True)
class Labels:
    """The property, and what is known of pictures by their names."""

    condition: Condition
    """The property, which conditions of a dataset can be."""
    known: Mapping[str, Known]
    pictures: tuple[str, ...]
    """All pictures of the source in their order, those without a value too."""
    grouped_by: str
    notes: tuple[str, ...]

    @property
    def unit(self) -> str:
        """Of the scale, such as of errors: `HV`, or `log10` of anything."""
        return "log10" if self.condition.kind == "log" else self.condition.unit or ""

    def back(self, value: float) -> float:
        """From the scale of the property to the value as people write it."""
        return 10**value if self.condition.kind == "log" else value


def labels_of(source: Path, *, property: str, labels: Path | None, group: str | None) -> Labels:  # noqa: A002
    """The property of the pictures in a dataset or a folder, before any is read.

    `property` is a condition of the dataset or a column of `labels`, written `NAME[:UNIT[:linear|log]]`; `group` a
    column of `labels`, a condition, or `parent`. A table names files, or the micrographs of a dataset. Raises
    `DataError` for a missing column and for what is no number, `ConfigError` for a generator.
    """
    if is_generator(source):
        raise ConfigError(
            f"{source} is a generator, whose pictures have no known property: give a dataset or a folder."
        )
    data = Dataset.open(source) if is_dataset(source) else None
    pictures = [patch.file for patch in data.patches] if data else [file.name for file in find_images([source])]
    if labels is None:
        if data is None:
            raise ConfigError(f"{source} is a folder of images: give with --labels the table that holds {property}.")
        return _of_conditions(data, property, group, pictures)
    return _of_table(data, labels, property, group, pictures)


def _of_conditions(data: Dataset, property: str, group: str | None, pictures: list[str]) -> Labels:  # noqa: A002
    name, unit, kind = parse_column(property)
    found = next((condition for condition in data.space.conditions if condition.name == name), None)
    if found is None:
        have = ", ".join(data.space.names) or "none"
        raise DataError(f"{data.path} has no condition {name!r} (it has {have}): choose one, or give --labels.")
    values = [patch.conditions[name] for patch in data.patches]
    _check_numbers(name, found, values)
    asked = found.model_copy(update={"unit": unit or found.unit, "kind": kind or found.kind})
    if group in (None, "parent"):
        groups = [_own_group(patch) if group is None else patch.parent for patch in data.patches]
    elif group in data.space.names:
        groups = [patch.conditions[group] for patch in data.patches]
    else:
        choice = ", ".join(("parent", *data.space.names))
        raise DataError(f"{data.path} has no {group!r} to group by: choose from {choice}, or give --labels.")
    known = {
        file: Known(asked.scaled(value), owner) for file, value, owner in zip(pictures, values, groups, strict=True)
    }
    return _noted(Labels(asked, known, tuple(pictures), group or OWN_GROUPS, ()))


def _of_table(
    data: Dataset | None,
    path: Path,
    property: str,  # noqa: A002
    group: str | None,
    pictures: list[str],
) -> Labels:
    rows = read_table(path)
    name, _, _ = parse_column(property)
    for column in (name, *([] if group in (None, "parent") else [group])):
        if column not in rows[0]:
            raise DataError(f"{path} has no column {column!r}: choose from {', '.join(rows[0])}.")
    filled = [row for row in rows if row[name] and (group in (None, "parent") or row[group])]
    if not filled:
        raise DataError(f"{path} has no row with {name}: fill the column.")
    asked = ConditionSpace.from_rows(filled, [property]).conditions[0]
    _check_numbers(name, asked, [row[name] for row in filled])
    patches = {patch.file: patch for patch in data.patches} if data else {}
    row_of = _joined(path, filled, pictures, patches)
    known = {
        file: Known(asked.scaled(row[name]), _group(row, group, patches.get(file), file))
        for file, row in row_of.items()
    }
    own = OWN_GROUPS if data else "micrograph"
    notes = []
    if empty := len(rows) - len(filled):
        notes.append(f"{empty} of {len(rows)} rows of {path.name} have no {name} or no group, and are left out.")
    if group is None and data is None:
        notes.append("Each micrograph is its own group: where several are of one specimen, name its column by --group.")
    return _noted(Labels(asked, known, tuple(pictures), group or own, tuple(notes)))


def _joined(path: Path, rows: Sequence[Row], pictures: list[str], patches: Mapping[str, Patch]) -> dict[str, Row]:
    """The row of each picture; of a dataset, rows may be of patches or of micrographs."""
    by_file = not patches or any(NameIndex(pictures).fitting(row["file"]) for row in rows)
    if by_file:
        return join(path, rows, pictures, allow_missing=True)
    of_parent = join(path, rows, list(dict.fromkeys(p.parent for p in patches.values())), allow_missing=True)
    return {file: of_parent[patch.parent] for file, patch in patches.items() if patch.parent in of_parent}


def _group(row: Row, group: str | None, patch: Patch | None, file: str) -> str:
    if group not in (None, "parent"):
        return row[group]
    if patch is None:
        return file
    return patch.parent if group == "parent" else _own_group(patch)


def _own_group(patch: Patch) -> str:
    """What is known to belong together."""
    for what in ("specimen", "group"):
        if owner := getattr(patch, what):
            return f"{what} {owner}"
    return patch.parent


def _check_numbers(name: str, condition: Condition, values: Sequence[str]) -> None:
    if condition.kind != "class":
        return
    text = next((value for value in values if not _is_number(value)), None)
    if text is None:
        raise ConfigError(f"{name} is a class: expected a number, linear or log.")
    raise DataError(f"{name} holds {text!r}, which is no number: correct it, or leave it empty.")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _noted(labels: Labels) -> Labels:
    """Say where the groups may not be what is independent."""
    groups = {known.group for known in labels.known.values()}
    distinct = {known.value for known in labels.known.values()}
    if len(distinct) >= len(groups):
        return labels
    note = (
        f"{len(groups)} groups share {len(distinct)} distinct values, so others with the value of a held-out group are "
        "learned from: right where groups are separate specimens, too good where they are not (name these by --group)."
    )
    return replace(labels, notes=(*labels.notes, note))

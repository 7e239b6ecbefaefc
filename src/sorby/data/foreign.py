"""Datasets of other StyleGAN tools: PNG files and perhaps a dataset.json.

One that `sorby export --stylegan` wrote says under "sorby" what the labels mean, and the pixel size: other tools pass
over that.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sorby.conditions import ConditionSpace
from sorby.data.archive import Archive, open_archive
from sorby.data.manifest import Patch
from sorby.data.pixels import shape_of
from sorby.errors import DataError
from sorby.sources import IMAGE_SUFFIXES
from sorby.untrusted import first_words, parse_json


class About(BaseModel):
    """What a dataset.json may say beside the labels."""

    model_config = ConfigDict(frozen=True)

    pixel_size_um: float | None = Field(None, gt=0)
    """Of all pictures."""
    space: ConditionSpace = ConditionSpace()
    """Conditions that the labels encode; none where labels are all that is known of them."""
    licence: str | None = None
    """Of the pictures."""
    origin: str = ""
    """How many are no real micrographs."""


class Foreign(BaseModel):
    """A dataset.json."""

    labels: dict[str, Any] = {}
    """By file; empty where there are none."""
    sorby: About = About()


def open_foreign(path: Path, archive: Archive) -> tuple[tuple[Patch, ...], About, int, int]:
    """Patches, what is said of them, size and channels; every file is its own parent. Raises `DataError`."""
    names = archive.names()
    files = [name for name in names if name.lower().endswith(".png")]
    if not files:
        raise DataError(f"{path} holds no PNG patches: make a dataset with sorby prepare.")
    channels, size = _common_shape(path, archive, files)
    table = _table(path, archive)
    space, values = _conditions(table, files)
    um = table.sorby.pixel_size_um
    patches = tuple(
        Patch(file=file, parent=file, width_px=size, height_px=size, pixel_size_um=um, conditions=condition)
        for file, condition in zip(files, values, strict=True)
    )
    return patches, table.sorby.model_copy(update={"space": space}), size, channels


def label_rows(path: Path) -> list[dict[str, str]]:
    """The labels of a zip or folder of another tool as rows of a table, with the name of the picture as `file`.

    Their columns are `class`, or `label0`, `label1` and so on; or the conditions, where it says which they are.
    Raises `DataError` where there are none.
    """
    table = _table(path, open_archive(path))
    if not table.labels:
        raise DataError(f"{path} has no labels in a dataset.json: give --labels a CSV.")
    _, values = _conditions(table, list(table.labels))
    return [{"file": file, **row} for file, row in zip(table.labels, values, strict=True)]


def holds_foreign(path: Path, archive: Archive) -> bool:
    """Whether the images of an archive without tables are all 8-bit PNGs of one square size."""
    images = [name for name in archive.names() if name.lower().endswith(IMAGE_SUFFIXES)]
    if not images or not all(name.lower().endswith(".png") for name in images):
        return False
    try:
        _common_shape(path, archive, images)
    except DataError:
        return False
    return True


def _common_shape(path: Path, archive: Archive, files: Sequence[str]) -> tuple[int, int]:
    shapes = {shape_of(archive.read(file), name=f"{path}: {file}"): file for file in files}
    channels, height, width = next(iter(shapes))
    if len(shapes) > 1 or height != width:
        found = "; ".join(f"{file} {w} x {h} x {c}" for (c, h, w), file in list(shapes.items())[:3])
        raise DataError(f"{path} should hold square pictures of one size, but has {found}: run sorby prepare on them.")
    return channels, width


def _table(path: Path, archive: Archive) -> Foreign:
    if "dataset.json" not in archive.names():
        return Foreign()
    try:
        table = parse_json(archive.read("dataset.json"))
        labels = {str(file): label for file, label in dict(table.get("labels") or []).items()}
        return Foreign(labels=labels, sorby=table.get("sorby") or {})
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: dataset.json has no list of [file, label] pairs under labels "
            f"({first_words(error)}): make it again."
        ) from error


def _conditions(table: Foreign, files: Sequence[str]) -> tuple[ConditionSpace, list[dict[str, str]]]:
    """Integers become one class condition, lists of floats one linear condition an entry; or what it says they are."""
    labels, space = table.labels, table.sorby.space
    if not labels:
        return ConditionSpace(), [{} for _ in files]
    unlabelled = [file for file in files if file not in labels]
    if unlabelled:
        raise DataError(f"dataset.json has no label for {unlabelled[0]}: give one to all pictures or to none.")
    if space.conditions:
        return space, [_decoded(file, labels[file], space) for file in files]
    if all(isinstance(labels[file], int) for file in files):
        values = [{"class": str(labels[file])} for file in files]
        return ConditionSpace.from_rows(values, ["class::class"]), values
    values = [_vector(file, labels[file]) for file in files]
    if len({len(value) for value in values}) > 1:
        raise DataError("dataset.json has labels of several lengths: give each picture as many numbers.")
    return ConditionSpace.from_rows(values, [f"{name}::linear" for name in values[0]]), values


def _decoded(file: str, label: Any, space: ConditionSpace) -> dict[str, str]:
    """What was encoded, as people write it: of a ratio, a label is exact to five digits."""
    vector = np.eye(space.dim, dtype=np.float32)[label] if _is_class(label, space) else _floats(file, label)
    if len(vector) != space.dim:
        raise DataError(
            f"dataset.json: the label of {file} has {len(vector)} numbers, expected {space.dim}: make it again."
        )
    values = space.decode(np.array(vector, np.float32))
    return {name: value if isinstance(value, str) else f"{value:.5g}" for name, value in values.items()}


def _is_class(label: Any, space: ConditionSpace) -> bool:
    return isinstance(label, int) and 0 <= label < space.dim and len(space.conditions) == 1


def _vector(file: str, label: Any) -> dict[str, str]:
    return {f"label{index}": repr(value) for index, value in enumerate(_floats(file, label))}


def _floats(file: str, label: Any) -> list[float]:
    try:
        return [float(value) for value in label]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"dataset.json: the label of {file} is {label!r}, expected a class or a list of numbers."
        ) from error

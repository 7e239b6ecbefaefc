"""Datasets of other StyleGAN tools: PNG files and perhaps a dataset.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sorby.conditions import ConditionSpace
from sorby.data.archive import Archive
from sorby.data.manifest import Patch
from sorby.data.pixels import shape_of
from sorby.errors import DataError
from sorby.sources import IMAGE_SUFFIXES


def open_foreign(path: Path, archive: Archive) -> tuple[tuple[Patch, ...], ConditionSpace, int, int]:
    """Patches, conditions, size and channels; every file is its own parent. Raises `DataError`."""
    names = archive.names()
    files = [name for name in names if name.lower().endswith(".png")]
    if not files:
        raise DataError(f"{path} holds no PNG patches: make a dataset with sorby prepare.")
    channels, size = _common_shape(path, archive, files)
    space, values = _conditions(_labels(path, archive) if "dataset.json" in names else {}, files)
    patches = tuple(
        Patch(file=file, parent=file, width_px=size, height_px=size, conditions=condition)
        for file, condition in zip(files, values, strict=True)
    )
    return patches, space, size, channels


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


def _labels(path: Path, archive: Archive) -> dict[str, Any]:
    try:
        return dict(json.loads(archive.read("dataset.json")).get("labels") or [])
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: dataset.json has no list of [file, label] pairs under labels ({error}).") from error


def _conditions(labels: Mapping[str, Any], files: Sequence[str]) -> tuple[ConditionSpace, list[dict[str, str]]]:
    """Integers become one class condition, lists of floats one linear condition an entry."""
    if not labels:
        return ConditionSpace(), [{} for _ in files]
    unlabelled = [file for file in files if file not in labels]
    if unlabelled:
        raise DataError(f"dataset.json has no label for {unlabelled[0]}: label all pictures or none.")
    if all(isinstance(labels[file], int) for file in files):
        values = [{"class": str(labels[file])} for file in files]
        return ConditionSpace.from_rows(values, ["class::class"]), values
    values = [_vector(file, labels[file]) for file in files]
    return ConditionSpace.from_rows(values, [f"{name}::linear" for name in values[0]]), values


def _vector(file: str, label: Any) -> dict[str, str]:
    try:
        return {f"label{index}": repr(float(value)) for index, value in enumerate(label)}
    except (TypeError, ValueError) as error:
        raise DataError(
            f"dataset.json: the label of {file} is {label!r}, expected a class or a list of numbers."
        ) from error

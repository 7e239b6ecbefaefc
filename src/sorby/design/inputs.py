"""Numbers about pictures that a property may follow from: descriptors, features of a network, latents."""

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from sorby.data.labels import NameIndex
from sorby.decode import Grey
from sorby.errors import DataError
from sorby.fields import Field, eight_bit
from sorby.measurement.units import unit_of
from sorby.metrics.features import FeatureNetwork, extract_features
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Segmentation, comparable, describe
from sorby.untrusted import LONGEST_HEADER, MOST_TABLE, UNREADABLE, check_array, first_words, read_bytes, read_member

TILE_PX = 224
"""Micrographs are cut to squares of this side, or of their shorter one, so that features are not of a distorted one."""


@dataclass(frozen=True, eq=False)
class Pictured:
    """What was measured of pictures that could be read."""

    names: tuple[str, ...]
    parents: tuple[str, ...]
    descriptors: Float[np.ndarray, "n q"] | None
    """A column each of `QUANTITIES`, lengths as logarithms; NaN where a picture has none."""
    features: Float[np.ndarray, "n f"] | None
    in_um: bool
    """Whether lengths are in micrometres; in pixels where one of the pictures has no pixel size."""


def pictured(
    fields: Iterable[Field],
    *,
    network: FeatureNetwork | None,
    describes: bool,
    how: Segmentation = BY_OTSU,
    on_picture: Callable[[], None] = lambda: None,
) -> Pictured:
    """Measure pictures one by one: descriptors where `describes`, features where there is a network."""
    names, parents, sizes, measured, features = [], [], [], [], []
    for field in fields:
        names.append(field.name)
        parents.append(field.parent)
        sizes.append(field.pixel_size_um)
        if describes:
            values = describe(field.grey, how).values
            measured.append([getattr(values, quantity.name) for quantity in QUANTITIES])
        if network:
            features.append(extract_features(network, [tiles(field.grey)]).mean(0))
        on_picture()
    in_um = bool(sizes) and all(sizes)
    factors = [[unit_of(quantity, size if in_um else None)[0] for quantity in QUANTITIES] for size in sizes]
    return Pictured(
        tuple(names),
        tuple(parents),
        comparable(np.array(measured, np.float64) * np.array(factors)) if describes and names else None,
        np.array(features, np.float64) if network and names else None,
        in_um,
    )


def tiles(grey: Grey) -> UInt8[np.ndarray, "n 1 s s"]:
    """Squares that do not overlap, from the middle of a picture, for looking at.

    >>> tiles(np.zeros((230, 500), np.uint8)).shape, tiles(np.zeros((64, 64), np.uint8)).shape
    ((2, 1, 224, 224), (1, 1, 64, 64))
    """
    height, width = grey.shape
    side = min(TILE_PX, height, width)
    rows, columns = height // side, width // side
    top, left = (height - rows * side) // 2, (width - columns * side) // 2
    cut = eight_bit(grey)[top : top + rows * side, left : left + columns * side]
    return cut.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, 1, side, side)


def read_latents(
    latents: Path | Float[np.ndarray, "n d"], pictures: Sequence[str]
) -> tuple[dict[str, int], Float[np.ndarray, "n d"]]:
    """Place of each picture in a table of latents, and the table.

    A file is .npz with `latents`, a row a picture, and may have their names as `files`; without, rows are in the order
    of the pictures. Raises `DataError` where these do not fit.
    """
    if isinstance(latents, np.ndarray):
        table, files, name = latents, None, "the table of latents"
    else:
        table, files = _read(latents)
        name = str(latents)
    if files is None:
        if len(table) != len(pictures):
            raise DataError(
                f"{name} has {len(table)} rows for {len(pictures)} pictures: give one each in their order, or names "
                "as `files`."
            )
        return {picture: row for row, picture in enumerate(pictures)}, table
    index, place = NameIndex(pictures), {}
    for row, file in enumerate(files):
        fitting = index.fitting(file)
        if len(fitting) != 1:
            raise DataError(f"{name}: {file} fits {len(fitting)} pictures, expected one: write its path.")
        place[fitting[0]] = row
    return place, table


def _array(file: zipfile.ZipFile, name: str) -> Shaped[np.ndarray, "..."]:
    """An array of an .npz, no larger than its bytes. Raises `ValueError` for objects, which would be pickles."""
    data = read_member(file, name, MOST_TABLE)
    check_array(data[:LONGEST_HEADER])
    return np.lib.format.read_array(BytesIO(data), allow_pickle=False)


def _read(path: Path) -> tuple[Float[np.ndarray, "n d"], list[str] | None]:
    try:
        with zipfile.ZipFile(BytesIO(read_bytes(path, MOST_TABLE))) as file:
            table = np.asarray(_array(file, "latents.npy"), np.float64)
            has_names = "files.npy" in file.namelist()
            files = [str(name) for name in _array(file, "files.npy")] if has_names else None
    # Numpy meets a damaged header in ways of its own.
    except (*UNREADABLE, TypeError, SyntaxError, IndexError, MemoryError) as error:
        raise DataError(
            f"{path} cannot be read as latents ({first_words(error)}): expected an .npz of numbers named `latents`."
        ) from error
    if table.ndim != 2 or (files is not None and len(files) != len(table)):
        names = "" if files is None else f" and {len(files)} files"
        raise DataError(
            f"{path} has latents of shape {table.shape}{names}: expected a row of numbers for each picture."
        )
    return table, files

"""The patches of a dataset as columns: some hundred bytes each, or none while they stay on disk."""

import io
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq
from typing import Any, SupportsIndex, cast, get_args, overload

import numpy as np
from jaxtyping import Bool, Int, Shaped

from sorby.data.manifest import CONDITION_PREFIX, Patch, Split
from sorby.untrusted import parse_json

CODED = ("parent", "group", "specimen", "split")
"""Columns of few distinct words, and the conditions beside them."""
NUMBERS = ("x_px", "y_px", "width_px", "height_px", "pixel_size_um")
TABLE = "columns.json"
"""Names the files of the columns, and their words."""
BLOCK = 4096
"""Rows that are read at once."""

Columns = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True, eq=False)
class PatchTable(Sequence[Patch]):
    """All patches of a dataset, or those of some rows; a `Patch` is made when it is asked for."""

    columns: Columns
    words: Mapping[str, tuple[str, ...]]
    """What the numbers of a coded column stand for."""
    rows: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, patches: Iterable[Patch]) -> "PatchTable":
        """The same patches, in their order."""
        builder = TableBuilder()
        for patch in patches:
            builder.add(patch)
        return builder.table()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Patch: ...
    @overload
    def __getitem__(self, index: slice) -> "PatchTable": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Patch | PatchTable":
        if isinstance(index, slice):
            return self.take(self.rows[index])
        return next(self._patches(self.rows[index, None]))

    def __iter__(self) -> Iterator[Patch]:
        for start in range(0, len(self.rows), BLOCK):
            yield from self._patches(self.rows[start : start + BLOCK])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PatchTable of {len(self)} patches"

    def take(self, rows: Int[np.ndarray, " m"]) -> "PatchTable":
        """The patches of some rows of the columns."""
        return PatchTable(self.columns, self.words, rows)

    def where(self, chosen: Bool[np.ndarray, " n"]) -> "PatchTable":
        """Those for which it is true."""
        return self.take(self.rows[chosen])

    def codes(self, column: str) -> Int[np.ndarray, " n"]:
        """A coded column, such as parent: numbers that `words` explains."""
        return np.asarray(self.columns[column][self.rows], np.int64)

    def is_word(self, column: str, word: str) -> Bool[np.ndarray, " n"]:
        """Where a coded column has this word."""
        words = self.words[column]
        return self.codes(column) == words.index(word) if word in words else np.zeros(len(self), bool)

    def distinct(self, column: str) -> tuple[str, ...]:
        """The words of a coded column, in order of appearance."""
        codes, first = np.unique(self.codes(column), return_index=True)
        return tuple(self.words[column][code] for code in codes[np.argsort(first)])

    @property
    def conditions(self) -> tuple[str, ...]:
        """Columns of conditions."""
        return tuple(name for name in self.words if name.startswith(CONDITION_PREFIX))

    def digests(self) -> Iterator[str]:
        """sha256 of the pixels of each; empty where it is not known."""
        for start in range(0, len(self.rows), BLOCK):
            block = self.columns["sha256"][self.rows[start : start + BLOCK]]
            yield from (row.tobytes().hex() if row.any() else "" for row in block)

    def files(self) -> dict[str, bytes]:
        """The columns of these rows as files by name, which `open_table` reads without taking memory."""
        whole = self if len(self) == len(self.columns["file_end"]) else PatchTable.of(self)
        names = {column: f"columns/{number:02d}.npy" for number, column in enumerate(whole.columns)}
        about = json.dumps({"columns": names, "words": whole.words})
        return {TABLE: about.encode(), **{names[name]: _npy(values) for name, values in whole.columns.items()}}

    def _patches(self, rows: Int[np.ndarray, " m"]) -> Iterator[Patch]:
        read = {name: column[rows] for name, column in self.columns.items() if name not in ("file_text", "file_end")}
        ends = self.columns["file_end"]
        for place, row in enumerate(rows):
            start = int(ends[row - 1]) if row else 0
            size = float(read["pixel_size_um"][place])
            coded = {name: self.words[name][read[name][place]] for name in self.words}
            digest = read["sha256"][place]
            yield Patch(
                file=self.columns["file_text"][start : int(ends[row])].tobytes().decode(errors="replace"),
                parent=coded["parent"],
                group=coded["group"],
                specimen=coded["specimen"],
                x_px=float(read["x_px"][place]),
                y_px=float(read["y_px"][place]),
                width_px=float(read["width_px"][place]),
                height_px=float(read["height_px"][place]),
                pixel_size_um=None if np.isnan(size) else size,
                split=cast(Split, coded["split"]),
                conditions={name.removeprefix(CONDITION_PREFIX): coded[name] for name in self.conditions},
                sha256=digest.tobytes().hex() if digest.any() else "",
            )


@dataclass(frozen=True)
class Field(Sequence[Any]):
    """One field of each patch of a table, such as file, read when it is asked for."""

    table: PatchTable
    name: str

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Field": ...
    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return (
            Field(self.table[index], self.name) if isinstance(index, slice) else getattr(self.table[index], self.name)
        )

    def __iter__(self) -> Iterator[Any]:
        return (getattr(patch, self.name) for patch in self.table)


class TableBuilder:
    """Takes patches one by one, without keeping them as objects."""

    def __init__(self) -> None:
        self._text, self._ends, self._sha256 = bytearray(), array("Q"), bytearray()
        self._numbers = {name: array("d") for name in NUMBERS}
        self._codes: dict[str, array[int]] = {name: array("I") for name in CODED}
        self._words: dict[str, dict[str, int]] = {name: {} for name in CODED}

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, patch: Patch) -> None:
        """Add one at the end."""
        self._text += patch.file.encode()
        self._ends.append(len(self._text))
        self._sha256 += bytes.fromhex(patch.sha256) if patch.sha256 else bytes(32)
        for name, numbers in self._numbers.items():
            value = getattr(patch, name)
            numbers.append(float("nan") if value is None else value)
        for name in CODED:
            self._code(name, getattr(patch, name))
        for condition, value in patch.conditions.items():
            self._code(CONDITION_PREFIX + condition, value)

    def table(self) -> PatchTable:
        """All that were added."""
        columns: dict[str, Shaped[np.ndarray, "..."]] = {
            "file_text": np.frombuffer(bytes(self._text), np.uint8),
            "file_end": np.array(self._ends, np.uint64),
            "sha256": np.frombuffer(bytes(self._sha256), np.uint8).reshape(-1, 32),
            **{name: np.array(numbers, np.float64) for name, numbers in self._numbers.items()},
            **{name: np.array(codes, np.uint32) for name, codes in self._codes.items()},
        }
        words = {name: tuple(found) for name, found in self._words.items()}
        return PatchTable(columns, words, np.arange(len(self)))

    def _code(self, column: str, word: str) -> None:
        words = self._words.setdefault(column, {})
        self._codes.setdefault(column, array("I")).append(words.setdefault(word, len(words)))


def open_table(about: bytes, column: Callable[[str], Shaped[np.ndarray, "..."]]) -> PatchTable:
    """What `PatchTable.files` wrote; `column` opens one of its files.

    Raises `KeyError`, `TypeError` or `ValueError` where it is damaged.
    """
    table = parse_json(about)
    words = {str(name): tuple(map(str, values)) for name, values in dict(table["words"]).items()}
    columns = {name: column(file) for name, file in dict(table["columns"]).items()}
    lengths = {len(values) for name, values in columns.items() if name != "file_text"}
    if len(lengths) != 1:
        raise ValueError(f"columns of {' and '.join(map(str, sorted(lengths)))} rows")
    _check(columns, words)
    return PatchTable(columns, words, np.arange(lengths.pop()))


def _check(columns: Columns, words: Mapping[str, tuple[str, ...]]) -> None:
    """Raise `KeyError` or `ValueError` for a column that is missing, of another kind, or points nowhere."""
    kinds: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "file_text": (np.uint8, ()),
        "file_end": (np.uint64, ()),
        "sha256": (np.uint8, (32,)),
    }
    kinds |= dict.fromkeys(NUMBERS, (np.float64, ()))
    kinds |= dict.fromkeys((*CODED, *words), (np.uint32, ()))
    for name, (dtype, shape) in kinds.items():
        if columns[name].dtype != dtype or columns[name].shape[1:] != shape:
            raise ValueError(f"{name} holds {columns[name].dtype} of shape {columns[name].shape}")
    if unknown := set(words["split"]) - set(get_args(Split)):
        raise ValueError(f"split has the word {min(unknown)!r}")
    sizes = columns["pixel_size_um"]
    if np.any(sizes <= 0) or np.any(np.isinf(sizes)):
        raise ValueError("pixel_size_um has what is no size")
    ends = columns["file_end"]
    if np.any(ends[1:] < ends[:-1]) or (len(ends) and ends[-1] > len(columns["file_text"])):
        raise ValueError("file_end is out of order")
    for name in (*CODED, *words):
        if len(columns[name]) and columns[name].max() >= len(words[name]):
            raise ValueError(f"{name} has numbers without a word")


def _npy(values: Shaped[np.ndarray, "..."]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()

"""Files that anyone may have written: plain files, up to a size; text without tricks.

What is wrong is an `OSError` or a `ValueError`, which those who know the file turn into an error for the user.
"""

import csv
import errno
import io
import json
import lzma
import re
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sorby.errors import unfit

MIB = 2**20
MOST_SETTINGS = 32 * MIB
"""Bytes of settings, cards and logs, of which Python makes objects twenty times as large."""
MOST_TABLE = 512 * MIB
"""Bytes of a table with a row an image."""
MOST_WEIGHTS = 4096 * MIB
"""Bytes of a file of weights."""

UNREADABLE = (OSError, KeyError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What reading a zip or a member can raise; RuntimeError includes unknown compressions and passwords."""

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways of packing in which a member cannot unpack to more than was asked for."""

LONGEST_HEADER = 512
"""Bytes that an .npy file may begin with before its numbers."""
_ARRAY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '[<>|][biufUS]\d{1,4}', 'fortran_order': (?:False|True), "
    rb"'shape': \((?:\d{1,15}, ?){0,3}(?:\d{1,15})?\), \} *\n",
    re.DOTALL,
)
_FORMULA = re.compile("'*[=+@\t\r-]")
_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|-inf|-nan")


def read_bytes(path: Path, most_bytes: int = MOST_SETTINGS) -> bytes:
    """All bytes of a plain file. A pipe, which may never end, a device and a larger file are an `OSError`."""
    size = check_plain(path, most_bytes)
    with path.open("rb") as file:
        return file.read(size)  # memory is taken for as much as is asked for


def check_plain(path: Path, most_bytes: int) -> int:
    """The size of a plain file in bytes. Raises `OSError` where `path` is none, or a larger one."""
    size = path.stat().st_size
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    if size > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes // MIB} MiB", str(path))
    return size


def read_text(path: Path, most_bytes: int = MOST_SETTINGS, *, encoding: str = "utf-8") -> str:
    """Text of a plain file, with the line ends of this system. Text in another encoding is a `ValueError`."""
    return io.TextIOWrapper(io.BytesIO(read_bytes(path, most_bytes)), encoding).read()


def first_words(error: Exception) -> str:
    """What an error says, without the lines after its first; of a value that does not fit, where it is.

    >>> first_words(KeyError("size_px"))
    "there is no 'size_px'"
    """
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {unfit(first)}" if where else unfit(first)
    if isinstance(error, KeyError) and error.args:
        return f"there is no {error.args[0]!r}"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return next(iter(said.splitlines()), type(error).__name__)


def parse_json(text: str | bytes) -> Any:
    """What JSON text says. Raises `ValueError`, also for what is nested too deeply or cannot be written as UTF-8."""
    text = text.decode() if isinstance(text, bytes) else text
    try:
        found = json.loads(text)
        if "\\ud" in text.lower():  # perhaps half of a character
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_toml(text: str) -> dict[str, Any]:
    """What TOML text says. Raises `ValueError`, also for what is nested too deeply."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_member(file: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """The bytes of one file of a zip: no more than it declares, however much is packed in it.

    Raises one of `UNREADABLE`, also for more than `most_bytes`.
    """
    info = file.getinfo(name)
    if info.compress_type not in PACKED:
        raise ValueError("it is packed in an unusual way: expected deflate, as all programs have it")
    if info.file_size > most_bytes:
        raise ValueError(f"it declares {info.file_size / MIB:.0f} MiB, expected at most {most_bytes / MIB:.0f}")
    with file.open(info) as member:
        data = member.read(info.file_size)  # asked for less, a member unpacks no more than that
        if len(data) < info.file_size or member.read(1):
            raise ValueError("it ends too soon")
        return data


def check_array(start: bytes) -> None:
    """Raise `ValueError` where the start of an .npy file is not that of plain numbers or texts.

    Numpy itself reads the header as Python, for which a hostile one takes long.
    """
    if not _ARRAY.match(start):
        raise ValueError("its header is not that of an array of numbers")


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether `path` leads to a plain file in `folder`, and no link out of it."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


# ---- text


def is_plain_name(name: str) -> bool:
    """Whether a file name has no control characters and can be written as UTF-8."""
    return not re.search("[\\x00-\\x1f\\x7f-\\x9f\ud800-\udfff]", name)


def rows_of(text: str, *, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a CSV with a header: cells too many are dropped, missing ones are empty. Raises `ValueError`."""
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval=""):
            row.pop("", None)
            yield {name: plain_cell(value) for name, value in row.items()}
    except csv.Error as error:
        raise ValueError(str(error)) from None


def table_of(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV that others wrote: commas, semicolons or tabs. Raises `ValueError`."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = list(rows_of(text, delimiter=delimiter))
    columns = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    return columns, rows


def csv_of(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, in which no text is a formula to a spreadsheet; what is None is empty."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return buffer.getvalue()


def cell(text: str) -> str:
    """A cell of a table that a spreadsheet takes for text, and not for a formula; `plain_cell` undoes it.

    >>> cell("=HYPERLINK(A1)"), cell("-2.5"), cell("a=b")
    ("'=HYPERLINK(A1)", '-2.5', 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def plain_cell(text: str) -> str:
    """What `cell` was given.

    >>> plain_cell(cell("=1+1")), plain_cell("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text

"""The labels table: one row an image, joined by file name."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from sorby.data.foreign import label_rows
from sorby.data.recipe import Recipe
from sorby.errors import DataError
from sorby.untrusted import MOST_TABLE, read_text, table_of

Row = dict[str, str]


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV with a `file` column; commas, semicolons or tabs; or of the zip of a StyleGAN tool.

    Raises `DataError` where it is none.
    """
    if path.suffix.lower() == ".zip":
        return label_rows(path)
    try:
        columns, table = table_of(read_text(path, MOST_TABLE, encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a labels table ({_why(error)}): save it as CSV in UTF-8.") from error
    columns = [name.strip() for name in columns]
    rows = [{key.strip(): value.strip() for key, value in row.items()} for row in table]
    if "file" not in columns:
        found = ", ".join(columns) or "nothing"
        raise DataError(f"{path} has no column `file` (it has {found[:200]}): add one with the name of each image.")
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise DataError(f"{path} has two columns {twice[0]!r}: leave one, or give them two names.")
    if not rows:
        raise DataError(f"{path} has a header and no rows: add one for each image.")
    return rows


def check_columns(path: Path, rows: Sequence[Row], recipe: Recipe) -> None:
    """Raise `DataError` where the recipe names a column that is not there."""
    for column in recipe.columns:
        if column not in rows[0]:
            raise DataError(f"{path} has no column {column!r}: choose from {', '.join(rows[0])}.")


def choose(path: Path, rows: Sequence[Row], only: Iterable[str]) -> list[Row]:
    """The rows that agree with every COLUMN=VALUE; values of one column are alternatives."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for choice in only:
        column, value = choice.split("=", 1)
        wanted[column].add(value)
    chosen = [row for row in rows if all(row[column] in values for column, values in wanted.items())]
    if not chosen:
        raise DataError(f"{path} has no row with {' and '.join(only)}: check the spelling of column and value.")
    return chosen


def join(path: Path, rows: Sequence[Row], names: Sequence[str], *, allow_missing: bool) -> dict[str, Row]:
    """Row of each image that has one, by name.

    A row's `file` fits an image when one of the two names ends in the other, folder by folder. Raises `DataError` where
    it fits several images or none, or two rows fit one image.
    """
    found, missing = NameIndex(names), []
    joined: dict[str, Row] = {}
    for row in rows:
        fitting = found.fitting(row["file"])
        if len(fitting) > 1:
            raise DataError(f"{path}: {row['file']} fits {' and '.join(fitting[:2])}: write more of its path.")
        if fitting and fitting[0] in joined:
            raise DataError(f"{path} has two rows for {fitting[0]}: leave one.")
        if fitting:
            joined[fitting[0]] = row
        else:
            missing.append(row["file"])
    if missing and not (allow_missing and joined):
        raise DataError(
            f"{path} names {len(missing)} files that are not among the images, such as {', '.join(missing[:3])}: "
            "correct the names, or go on without them with --allow-missing."
        )
    return joined


def resolve_names(listed: Iterable[str], names: Sequence[str], *, what: str) -> frozenset[str]:
    """The images that a list means. Raises `DataError` naming an entry that fits none or several."""
    found = NameIndex(names)
    chosen = set()
    for entry in listed:
        fitting = found.fitting(entry)
        if len(fitting) != 1:
            got = f"fits {' and '.join(fitting[:2])}" if fitting else "is not among the images"
            raise DataError(f"{entry} of the {what} list {got}: write the name of one image a line.")
        chosen.add(fitting[0])
    return frozenset(chosen)


class NameIndex:
    """Finds images by any ending of their path."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_file: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._by_file[PurePosixPath(name).name].append(name)

    def fitting(self, written: str) -> list[str]:
        """Images whose path ends in `written`, or that `written` ends in; an exact match goes before all."""
        parts = PurePosixPath(written.replace("\\", "/")).parts
        candidates = self._by_file.get(parts[-1], []) if parts else []
        if written in candidates:
            return [written]
        return [name for name in candidates if _agree(parts, PurePosixPath(name).parts)]


def read_list(path: Path) -> tuple[str, ...]:
    """Names of a list with one a line; empty lines and lines that start with # are passed over."""
    try:
        lines = (line.strip() for line in read_text(path, MOST_TABLE, encoding="utf-8-sig").splitlines())
        return tuple(line for line in lines if line and not line.startswith("#"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a list of names ({_why(error)}): write one name a line.") from error


def value_of(row: Mapping[str, str] | None, column: str | None) -> str:
    """A cell, or nothing where there is no row or column."""
    return row.get(column, "") if row and column else ""


def _agree(a: Sequence[str], b: Sequence[str]) -> bool:
    shorter = min(len(a), len(b))
    return list(a[-shorter:]) == list(b[-shorter:])


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)

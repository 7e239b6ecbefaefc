"""What a person decides about single micrographs, before all measures: a CSV with the columns `file` and `decision`.

`sorby prepare --overrides FILE` reads it; the explorer writes it beside the dataset.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from sorby.atomic import write_text
from sorby.errors import DataError
from sorby.untrusted import MOST_TABLE, csv_of, read_text, table_of

Decision = Literal["keep", "reject"]
"""Kept, or left out, whatever it measures."""

Overrides = Mapping[str, Decision]
"""By the name of the micrograph."""

COLUMNS = ("file", "decision")


def overrides_path(dataset: Path) -> Path:
    """Where the list of a dataset lies: `steel.overrides.csv` beside `steel.zip`."""
    return dataset.with_name(f"{dataset.name.removesuffix('.zip')}.overrides.csv")


def read_overrides(path: Path) -> dict[str, Decision]:
    """Decisions by name; commas, semicolons or tabs. Raises `DataError` where it is no such list."""
    try:
        columns, rows = table_of(read_text(path, MOST_TABLE, encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "not a CSV in UTF-8"
        raise DataError(f"{path} cannot be read as a list of overrides ({why}): save it as CSV in UTF-8.") from None
    if not set(COLUMNS) <= set(columns):
        raise DataError(f"{path} is no list of overrides: expected the columns file and decision, with keep or reject.")
    found: dict[str, Decision] = {}
    for row in rows:
        name, decision = row["file"], row["decision"]
        if not name or decision not in get_args(Decision) or found.get(name, decision) != decision:
            raise DataError(
                f"{path}: {name or 'a row without a name'} has the decision {decision!r}: expected one, keep or reject."
            )
        found[name] = "keep" if decision == "keep" else "reject"
    return found


def write_overrides(path: Path, overrides: Overrides) -> None:
    """Write the list in one step, by name."""
    write_text(path, csv_of([COLUMNS, *sorted(overrides.items())]))

"""One line of what `sorby doctor` says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    status: Literal["ok", "warn", "fail"]
    """All well; works, but slowly or not fully; broken."""
    text: str


def some(names: Sequence[str], of: int) -> str:
    """How many, and which for example.

    >>> some(["a.tif", "b.tif"], 9)
    '2 of 9 (a.tif ...)'
    """
    return f"{len(names)} of {of} ({names[0]}{' ...' if len(names) > 1 else ''})"

"""The results of a study, which Sorby writes as Markdown, as parts that the page shows."""

import re
from typing import Any


def blocks(text: str) -> list[dict[str, Any]]:
    r"""Headings, tables, lists and paragraphs, in order; only the Markdown that Sorby writes is known.

    >>> blocks("# A\n\nB\nc.\n\n| x | y\\|z |\n| --- | --- |\n| 1 | 2 |")
    [{'kind': 'heading', 'level': 1, 'text': 'A'},
     {'kind': 'text', 'text': 'B c.'},
     {'kind': 'table', 'heads': ['x', 'y|z'], 'rows': [['1', '2']]}]
    """
    return [_block(part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _block(part: str) -> dict[str, Any]:
    lines = part.splitlines()
    if part.startswith("#"):
        marks, _, text = part.partition(" ")
        return {"kind": "heading", "level": len(marks), "text": _plain(text)}
    if part.startswith("|") and len(lines) > 1:
        heads, _, *rows = map(_cells, lines)
        return {"kind": "table", "heads": heads, "rows": rows}
    if part.startswith("- "):
        return {"kind": "list", "items": [_plain(line.removeprefix("- ")) for line in lines]}
    return {"kind": "text", "text": _plain(part)}


def _cells(line: str) -> list[str]:
    return [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _plain(text: str) -> str:
    """Without the signs that keep words apart from marks, and on one line."""
    return " ".join(text.replace("\\|", "|").replace("&lt;", "<").replace("**", "").split())

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
MODULES = sorted((ROOT / "src" / "sorby").rglob("*.py"))


def room_of(path):
    return path.relative_to(ROOT / "src" / "sorby").with_suffix("").parts[0]


def rooms_imported_by(path):
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom | ast.Import)]
    names = []
    for node in imports:
        module = getattr(node, "module", None)
        names += [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
    parts = [name.split(".") for name in names if name.startswith("sorby.")]
    return {part[1] for part in parts} - {"__version__"}


def test_every_room_is_in_the_table_of_the_architecture():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src" / "sorby")))
def test_no_room_uses_one_below_it(path):
    if path == ROOT / "src" / "sorby" / "__init__.py":
        allowed = set(ROOMS)  # the public surface
    else:
        allowed = set(ROOMS[: ROOMS.index(room_of(path)) + 1])
    assert rooms_imported_by(path) <= allowed


def test_every_room_stands_once_in_the_picture():
    picture = (ROOT / "docs" / "images" / "rooms.svg").read_text()
    words = re.findall(r">([\w ]+)</text>", picture)
    assert sorted(word for word in words if word in ROOMS) == sorted(ROOMS)
    assert set(words) - set(ROOMS) == {
        *("raw files", "Micrograph", "Dataset", "Generator", "pictures", "scores"),
        *("read", "prepare", "train", "generate", "evaluate", "what a user meets", "what all stand on"),
    }

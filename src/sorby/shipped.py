"""Generators that come with Sorby, by name."""

from pathlib import Path

FOLDER = Path(__file__).parent / "generators"


def names() -> list[str]:
    """What there is, such as `uhcs-64`."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def located(path: Path) -> Path:
    """The folder of the shipped generator that `path` names; `path` itself where it names none, or is there itself."""
    return FOLDER / path if str(path) in names() and not path.exists() else path

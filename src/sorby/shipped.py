"""Generators that come with Sorby, by name."""

from pathlib import Path

from sorby.hub import fetched

FOLDER = Path(__file__).parent / "generators"


def names() -> list[str]:
    """What there is, such as `uhcs-64`."""
    return sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def located(path: Path) -> Path:
    """The folder of the generator that `path` names, one shipped or of a hub; `path` itself where it is there itself,
    or names none.
    """
    return FOLDER / path if str(path) in names() and not path.exists() else fetched(path)

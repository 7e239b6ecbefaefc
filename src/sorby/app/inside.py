"""Files of a folder that was opened, by their names alone."""

from pathlib import Path

from sorby.errors import ConfigError, DataError


def names_in(folder: Path, suffix: str) -> list[str]:
    """Of the files that end in `suffix`, in order; none where the folder is not there, or is being renamed."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))


def read_inside(root: Path, folder: str, name: str, suffix: str) -> bytes:
    """A file of `root / folder`; `root` was opened, `folder` is ours, and `name` came from a browser.

    Only a name that the folder lists is looked at, so that no `..` or `/` can lead out of it; and a link is followed
    only where it stays inside `root`. Raises `ConfigError` for anything else, `DataError` where it cannot be read.
    """
    path = root / folder / name
    if name not in names_in(root / folder, suffix) or not _stays(path, root):
        raise ConfigError(f"No file {name[:80]!r} here: expected a name of the list, which ends in {suffix}.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read now ({error.strerror}): look again.") from None


def folder_inside(root: Path, name: str) -> Path:
    """A folder of `root` by its name. Raises `ConfigError` as `read_inside` does."""
    path = root / name
    if name not in names_in(root, "") or not _stays(path, root) or not path.is_dir():
        raise ConfigError(f"No folder {name[:80]!r} here: expected a name of the list.")
    return path


def _stays(path: Path, root: Path) -> bool:
    """Whether what `path` leads to is a file or folder inside `root`, and nothing that would wait to be written."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return real.is_relative_to(root.resolve()) and (real.is_file() or real.is_dir())

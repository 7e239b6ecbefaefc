"""Files and folders that are there whole or not at all."""

import os
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from sorby.errors import DataError

LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that file managers leave in any folder, and that nobody misses."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` on success, remove it on any failure.

    Raises `DataError` naming `path` where the disk is full or the folder cannot be written.
    """
    place = path.resolve()
    temporary = _beside(place, "part")
    with _explained(path, place, temporary):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # a link there would lead the writing elsewhere
        try:
            yield temporary
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step, flushed to disk."""
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` in one step."""
    write_bytes(path, text.encode())


@contextmanager
def new_folder(path: Path, *, ours: Container[str] | None = None) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; put it in the place of `path` on success, remove it on failure.

    A folder cannot be renamed onto another, so the old one steps aside first: an instant exists in which nothing is
    at `path`. `recover_folder` mends a program killed in it; the next `new_folder` does so by itself.
    `ours` are the files that may be lost with the old folder, see `check_folder`; without it, any may.
    Raises `DataError` naming `path` where it may not be replaced, the disk is full or the folder cannot be written.
    """
    place = path.resolve()
    temporary = _beside(place, "part")
    with _explained(path, place, temporary):
        recover_folder(path)
        check_folder(path, ours=ours)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            yield temporary
            _swap(place, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def check_folder(path: Path, *, ours: Container[str] | None = None) -> None:
    """Raise `DataError` where a new folder may not take the place of `path`.

    That is where it is a file, the folder that the program runs in, or holds a file that is not among `ours` (names
    below `path` with forward slashes). A folder that is not there, or empty, passes.
    """
    place = path.resolve()
    if place.is_file():
        raise DataError(f"{path} could not be written (it is a file): choose another place.")
    if Path.cwd().is_relative_to(place):
        raise DataError(f"{path} is the folder you are in, which cannot be replaced: name a folder inside it.")
    if ours is None:
        return
    for file in sorted(place.rglob("*")):
        is_folder = file.is_dir() and not file.is_symlink()
        if not is_folder and file.name not in LITTER and file.relative_to(place).as_posix() not in ours:
            raise DataError(f"{file} is in the way and not Sorby's: move it away, or choose another place than {path}.")


def recover_folder(path: Path) -> None:
    """Finish a `new_folder` that was killed while it put its folder in place."""
    place = path.resolve()
    temporary, old = _beside(place, "part"), _beside(place, "old")
    # The old folder steps aside only when the new one is complete.
    if old.exists() and not place.exists():
        (temporary if temporary.exists() else old).rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _swap(place: Path, temporary: Path) -> None:
    old = _beside(place, "old")
    if place.exists():
        place.rename(old)
    try:
        temporary.rename(place)
    except BaseException:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _explained(path: Path, place: Path, temporary: Path) -> Iterator[None]:
    """Turn a failure to write `path`, which leads to `place`, into a `DataError`; one of an unrelated file passes."""
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if error.filename else place
        if named not in (place, temporary, *place.parents) and temporary not in named.parents:
            raise
        raise DataError(
            f"{path} could not be written ({error.strerror or error}): free some space or choose another place."
        ) from error


def _beside(place: Path, role: str) -> Path:
    """A hidden name in the same folder, with the suffix kept: many writers choose their format by it."""
    return place.parent / f".{role}-{place.name}"

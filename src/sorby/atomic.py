"""Files and folders that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sorby.errors import DataError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` on success, remove it on any failure.

    Raises `DataError` naming `path` where the disk is full or the folder cannot be written.
    """
    temporary = _beside(path, "part")
    with _explained(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
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
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; put it in the place of `path` on success, remove it on failure.

    A folder cannot be renamed onto another, so the old one steps aside first: an instant exists in which nothing is
    at `path`. `recover_folder` mends a program killed in it; the next `new_folder` does so by itself.
    Raises `DataError` naming `path` where it is a file, the disk is full or the folder cannot be written.
    """
    temporary = _beside(path, "part")
    with _explained(path, temporary):
        if path.is_file():
            raise NotADirectoryError(0, "it is a file", str(path))
        recover_folder(path)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            yield temporary
            _swap(path, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Finish a `new_folder` that was killed while it put its folder in place."""
    temporary, old = _beside(path, "part"), _beside(path, "old")
    # The old folder steps aside only when the new one is complete.
    if old.exists() and not path.exists():
        (temporary if temporary.exists() else old).rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _swap(path: Path, temporary: Path) -> None:
    old = _beside(path, "old")
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _explained(path: Path, temporary: Path) -> Iterator[None]:
    """Turn a failure to write `path` into a `DataError`; one that names an unrelated file passes as it is."""
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if error.filename else path
        if named not in (path, temporary, *path.parents) and temporary not in named.parents:
            raise
        raise DataError(
            f"{path} could not be written ({error.strerror or error}): free some space or choose another place."
        ) from error


def _beside(path: Path, role: str) -> Path:
    """A hidden name in the same folder, with the suffix kept: many writers choose their format by it."""
    return path.with_name(f".{role}-{path.name}")

"""A zip, a folder of files or of shards, read and written the same way.

Zips are written without compression (PNG is compressed already) and with one fixed time stamp, so that equal contents
give equal bytes.
"""

import errno
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sorby.atomic import check_folder, new_file, new_folder
from sorby.data.shards import INDEX, OWN_FILES, SUFFIX, ShardArchive, ShardWriter
from sorby.errors import DataError
from sorby.untrusted import MOST_TABLE, UNREADABLE, first_words, read_bytes, read_member, rows_of, stays_inside

TIME_STAMP = (1980, 1, 1, 0, 0, 0)

ABOUT_MICROGRAPHS = ("parents.csv", "rejected.csv")
TABLES = ("README.md", "dataset.toml", "dataset.json", "manifest.csv", *ABOUT_MICROGRAPHS)
"""Files of a dataset beside its pictures; the pictures are listed in manifest.csv."""


@runtime_checkable
class Archive(Protocol):
    """Files under names with forward slashes."""

    def names(self) -> list[str]:
        """All file names, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        ...


class FolderArchive:
    """A folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """All file names below the folder, sorted; hidden ones and links that lead out of it are left out."""
        found = (file.relative_to(self.path) for file in self.path.rglob("*") if stays_inside(file, self.path))
        return sorted(name.as_posix() for name in found if not any(part.startswith(".") for part in name.parts))

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises `DataError` where it cannot be read, or a link leads out of the folder."""
        try:
            if not stays_inside(self.path / name, self.path):
                raise OSError(errno.ENOENT, "no such file in the folder")
            return read_bytes(self.path / name, MOST_TABLE)
        except OSError as error:
            raise DataError(
                f"{self.path / name} cannot be read ({error.strerror}): prepare the dataset again."
            ) from error


class ZipArchive:
    """A zip file, kept open; opened anew after pickling and in a forked process, which would share its position."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def names(self) -> list[str]:
        """All file names, sorted."""
        return sorted(name for name in self._file().namelist() if not name.endswith("/"))

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises `DataError` where it is missing or damaged."""
        try:
            return read_member(self._file(), name, MOST_TABLE)
        except UNREADABLE as error:
            raise DataError(
                f"{self.path}: {name} cannot be read ({first_words(error)}): prepare the dataset again."
            ) from error

    def _file(self) -> zipfile.ZipFile:
        if self._process != os.getpid():
            self._open()
        return self._zip

    def _open(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
        except UNREADABLE as error:
            raise DataError(
                f"{self.path} is not a readable zip ({first_words(error)}): give a dataset made by sorby prepare."
            ) from error
        self._process = os.getpid()

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)  # type: ignore[misc]


def open_archive(path: Path) -> Archive:
    """The zip or folder at `path`. Raises `DataError` where there is neither."""
    if path.is_dir():
        return ShardArchive(path) if (path / INDEX).is_file() else FolderArchive(path)
    if not path.exists():
        raise DataError(f"{path} does not exist: give a dataset made by sorby prepare.")
    return ZipArchive(path)


@runtime_checkable
class Writer(Protocol):
    """Takes files one by one."""

    def picture(self, name: str, png: bytes, about: Mapping[str, Any]) -> str:
        """Add a picture with what is known of it; gives the name that it is read by."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Add one other file."""
        ...


class _ZipWriter:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self.file = file

    def picture(self, name: str, png: bytes, _: Mapping[str, Any]) -> str:
        self.write(name, png)
        return name

    def write(self, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name, TIME_STAMP)
        info.create_system = 3  # the same bytes on every system
        info.external_attr = 0o644 << 16
        self.file.writestr(info, data, compress_type=zipfile.ZIP_STORED)


class _FolderWriter:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, name: str, png: bytes, _: Mapping[str, Any]) -> str:
        self.write(name, png)
        return name

    def write(self, name: str, data: bytes) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@contextmanager
def new_archive(path: Path) -> Iterator[Writer]:
    """Write a zip (where `path` ends in .zip), shards (.shards) or a folder that is there whole or not at all.

    Raises `DataError` where something other than a dataset is in its place.
    """
    check_replaceable(path)
    if path.suffix == ".zip":
        with new_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
            yield _ZipWriter(file)
    else:
        with new_folder(path) as folder:
            if path.suffix == SUFFIX:
                writer = ShardWriter(folder)
                try:
                    yield writer
                    writer.finish()
                finally:
                    writer.close()
            else:
                yield _FolderWriter(folder)
            check_replaceable(path)  # again: writing took long enough for a file to be put there


def check_replaceable(path: Path) -> None:
    """Raise `DataError` where `path` holds anything but a dataset's own files, which writing there would destroy."""
    if path.is_dir() and not any(path.iterdir()):
        check_folder(path)
    elif path.exists():
        _check_dataset(path)


def _check_dataset(path: Path) -> None:
    is_archive = path.is_dir() or zipfile.is_zipfile(path)
    archive = open_archive(path) if is_archive else None
    if archive is None or "dataset.toml" not in archive.names():
        raise DataError(f"{path} is there and no dataset of Sorby's: choose another --out, or move it away.")
    if path.is_dir() == (path.suffix == ".zip"):
        raise DataError(f"{path} should be a {'file' if path.is_dir() else 'folder'}: choose another --out.")
    own = _own_files(archive)
    if path.is_dir():
        check_folder(path, ours=own)
    elif others := set(archive.names()) - own:
        raise DataError(f"{path} holds {min(others)}, which is not Sorby's: choose another --out, or move it away.")


def _own_files(archive: Archive) -> set[str]:
    """What `sorby prepare` wrote, by the manifest or by name."""
    if isinstance(archive, ShardArchive):
        return {name for name in archive.names() if OWN_FILES.fullmatch(name)}
    manifest = archive.read("manifest.csv") if "manifest.csv" in archive.names() else b""
    try:
        return {*TABLES, *(row.get("file", "") for row in rows_of(manifest.decode()))}
    except ValueError:
        return set(TABLES)

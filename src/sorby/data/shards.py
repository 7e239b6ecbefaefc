"""Pictures in tar files of some thousand each, with an index, for datasets of millions.

    shard-00000.tar             000000000.png, 000000000.json, ...: a sample is two files, as WebDataset reads them
    index.npy                   n x 3: shard, first byte and length of each picture
    columns/, columns.json      where each patch came from, see `PatchTable`
    dataset.toml                as in every dataset

A picture is read from its place without opening the tar, in any order, and nothing of the index is in memory.
"""

import errno
import io
import json
import os
import re
import tarfile
from array import array
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from sorby.errors import DataError
from sorby.untrusted import LONGEST_HEADER, MOST_TABLE, check_array, read_bytes, stays_inside

SUFFIX = ".shards"
INDEX = "index.npy"
PICTURES_A_SHARD = 10_000
OWN_FILES = re.compile(
    r"shard-\d{5}\.tar|columns/\d+\.npy|columns\.json|index\.npy|dataset\.toml|parents\.csv|rejected\.csv|README\.md"
)
BLOCK = 512
"""Bytes of a tar's header, and what its files are filled up to."""


class ShardWriter:
    """Writes a folder of shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = array("Q")
        self._tar: tarfile.TarFile | None = None
        self._shard = -1

    def picture(self, _: str, png: bytes, about: Mapping[str, Any]) -> str:
        """Add a picture with what is known of it; gives the name that it is read by."""
        number = len(self._index) // 3
        if self._tar is None or number % PICTURES_A_SHARD == 0:
            self.close()
            self._shard += 1
            self._tar = tarfile.open(self.folder / _shard(self._shard), "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._index.extend((self._shard, self._tar.offset + BLOCK, len(png)))
        _add(self._tar, f"{number:09d}.png", png)
        _add(self._tar, f"{number:09d}.json", json.dumps(about).encode())
        return f"{number:09d}.png"

    def write(self, name: str, data: bytes) -> None:
        """Add a table."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def finish(self) -> None:
        """Write the index."""
        self.close()
        np.save(self.folder / INDEX, np.array(self._index, np.uint64).reshape(-1, 3))

    def close(self) -> None:
        """Close the shard that is being written."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None


class ShardArchive:
    """A folder of shards, read from several threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def index(self) -> Shaped[np.ndarray, "n 3"]:
        """Where each picture lies; on disk. Raises `DataError` where it is damaged."""
        index = self.column(INDEX)
        if index.dtype != np.uint64 or index.ndim != 2 or index.shape[1] != 3:
            raise self._unreadable(INDEX, f"{index.dtype} of shape {index.shape}")
        return index

    def names(self) -> list[str]:
        """The files of the folder, sorted; pictures are inside the shards."""
        inside = (file for file in self.path.rglob("*") if stays_inside(file, self.path))
        found = (file.relative_to(self.path).as_posix() for file in inside)
        return sorted(name for name in found if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """The bytes of one picture or table. Raises `DataError` where it cannot be read."""
        number = Path(name).stem
        if not (name.endswith(".png") and number.isdigit() and int(number) < len(self.index)):
            return self._table(name)
        shard, start, length = (int(value) for value in self.index[int(number)])
        try:
            file = self._file(shard)
            if start + length > os.fstat(file).st_size:
                raise self._unreadable(_shard(shard), "it ends too soon")
            return os.pread(file, length, start)
        except OSError as error:
            raise self._unreadable(_shard(shard), error.strerror or "") from error

    def column(self, name: str) -> Shaped[np.ndarray, "..."]:
        """A table of numbers, which stays on disk. Raises `DataError` where it is missing or damaged."""
        try:
            path = self._own(name)
            with path.open("rb") as file:
                check_array(file.read(LONGEST_HEADER))
            return np.load(path, mmap_mode="r", allow_pickle=False)
        # Numpy meets a damaged header in ways of its own.
        except Exception as error:
            raise self._unreadable(name, str(error)) from error

    def _table(self, name: str) -> bytes:
        try:
            return read_bytes(self._own(name), MOST_TABLE)
        except OSError as error:
            raise self._unreadable(name, error.strerror or "") from error

    def _file(self, shard: int) -> int:
        if shard not in self._files:
            self._files[shard] = os.open(self._own(_shard(shard)), os.O_RDONLY)
        return self._files[shard]

    def _own(self, name: str) -> Path:
        """A file of the folder; raises `OSError` for any other, whatever a table names."""
        if not OWN_FILES.fullmatch(name) or not stays_inside(self.path / name, self.path):
            raise OSError(errno.ENOENT, "no such file in the folder", name)
        return self.path / name

    @cached_property
    def _files(self) -> dict[int, int]:
        return {}

    def _unreadable(self, name: str, reason: str) -> DataError:
        return DataError(f"{self.path}: {name} cannot be read ({reason}): prepare the dataset again.")

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __del__(self) -> None:
        for file in self.__dict__.get("_files", {}).values():
            os.close(file)


def _shard(number: int) -> str:
    return f"shard-{number:05d}.tar"


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(data)
    tar.addfile(about, io.BytesIO(data))

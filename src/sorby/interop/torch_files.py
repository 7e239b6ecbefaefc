"""Tensors in the files of PyTorch, of both forms, and in pickles; nothing in them is run.

Since PyTorch 1.6 a file is a zip of stored entries: `data.pkl`, and the numbers of each storage. Before, and in each
tensor of a plain pickle, it is five pickles after one another, and then the numbers.
"""

import io
import math
import mmap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sorby.errors import WeightsError
from sorby.interop.pickles import Call, Name, read_pickle
from sorby.untrusted import MOST_WEIGHTS, check_plain, first_words

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT_BYTES = 8
DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
    "torch.BoolStorage": torch.bool,
}


@dataclass(eq=False)
class Storage:
    """Numbers that lie in the file, in a row."""

    dtype: torch.dtype
    count: int
    data: memoryview | None = None


def read_file(path: Path) -> Any:
    """The value that a pickle or a file of PyTorch holds, with a `Call` in place of each tensor: `tensors_in`.

    Raises `WeightsError` where it is damaged, or holds anything that networks do not need.
    """
    try:
        check_plain(path, MOST_WEIGHTS)
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                return _read_zip(file, path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                first = read_pickle(mapped, str(path))
                if first != MAGIC:
                    return first
                mapped.seek(0)
                return _read_old(io.BytesIO(mapped[:]), str(path))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{path} cannot be read ({first_words(error)}): copy it again.") from None


def tensors_in(values: Mapping[str, Any], what: str, *, at_most: int) -> dict[str, Tensor]:
    """The tensors among `values` by name, as float32, if they take no more than `at_most` bytes in all.

    Raises `WeightsError`, naming `what`, where one does not fit the numbers that the file holds for it.
    """
    found = {}
    total = 0
    for name, value in values.items():
        if is_tensor(value):
            try:
                tensor = _tensor(value, what)
            except (TypeError, ValueError, LookupError, OverflowError, RuntimeError) as error:
                raise WeightsError(f"{name} in {what} is no tensor that can be read ({error}).") from None
            total += tensor.numel() * tensor.element_size()
            if total > at_most:
                raise WeightsError(f"{what} claims more numbers than it holds, at {name}: it is damaged.")
            found[name] = tensor
    return {name: tensor.float().contiguous() for name, tensor in found.items()}


def is_tensor(value: Any) -> bool:
    """Whether a value of `read_file` stands for a tensor."""
    return isinstance(value, Call) and value.name == "torch._utils._rebuild_tensor_v2"


def _tensor(call: Call, what: str) -> Tensor:
    storage, offset, size, stride = call.args[:4]
    if isinstance(storage, Call) and storage.name == "torch.storage._load_from_bytes":
        storage = _read_old(io.BytesIO(_bytes(storage.args[0])), what)
    if not isinstance(storage, Storage) or storage.data is None:
        raise TypeError("it has no numbers")
    if any(type(number) is not int or number < 0 for number in (offset, *size, *stride)) or len(size) != len(stride):
        raise ValueError("its shape is none")
    numbers = math.prod(size)
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True)) if numbers else -1
    if numbers > storage.count or last >= storage.count:
        raise ValueError(f"its shape {list(size)} needs more than the {storage.count} numbers there are")
    if not numbers:
        return torch.zeros(size, dtype=storage.dtype)
    flat = torch.frombuffer(bytearray(storage.data), dtype=storage.dtype)
    return flat.as_strided(size, stride, offset)


def _read_old(file: io.BytesIO, what: str) -> Any:
    """Five pickles: magic number, version, about the machine, the value, the keys of storages; then their numbers."""
    storages: dict[str, Storage] = {}

    def persistent(identifier: Any) -> Storage:
        key, storage = _storage(identifier)
        return storages.setdefault(key, storage)

    magic, version, _ = (read_pickle(file, what) for _ in range(3))
    if (magic, version) != (MAGIC, PROTOCOL):
        raise ValueError("its tensors are of an unknown form")
    value, keys = read_pickle(file, what, persistent=persistent), read_pickle(file, what)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("its tensors and their numbers do not belong together")
    data = file.getbuffer()
    at = file.tell()
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(data[at : at + COUNT_BYTES], "little")
        end = at + COUNT_BYTES + storage.count * storage.dtype.itemsize
        if count != storage.count or end > len(data):
            raise ValueError("it ends too early")
        storage.data = data[at + COUNT_BYTES : end]
        at = end
    return value


def _read_zip(file: BufferedReader, path: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        left = path.stat().st_size
        storages: dict[str, Storage] = {}

        def read(name: str) -> bytes:
            nonlocal left
            info = entries.get(name)
            if info is None:
                raise ValueError(f"it has no {name}: expected a file of torch.save")
            left -= info.file_size
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or left < 0:
                raise ValueError(f"{name} is larger than the file")
            return archive.read(info)

        def persistent(identifier: Any) -> Storage:
            key, storage = _storage(identifier)
            if key not in storages:
                storage.data = memoryview(read(f"data/{key}"))
                if len(storage.data) != storage.count * storage.dtype.itemsize:
                    raise ValueError(f"data/{key} is not as long as it should be")
                storages[key] = storage
            return storages[key]

        if "byteorder" in entries and read("byteorder") != b"little":
            raise ValueError("its numbers begin with the largest byte")
        return read_pickle(io.BytesIO(read("data.pkl")), str(path), persistent=persistent)


def _storage(identifier: Any) -> tuple[str, Storage]:
    """Key and storage of what lies outside a pickle; its numbers are to follow."""
    kind, name, key, _, count = identifier[:5]
    if kind != "storage" or not isinstance(name, Name) or not isinstance(key, str) or type(count) is not int:
        raise ValueError("it refers to something that is no storage")
    return key, Storage(DTYPES[name.path], count)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("its numbers are no bytes")
    return value

"""Pictures of a dataset that does not fit into memory, read from its archive as they are needed."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sorby.data.dataset import Dataset

MOST_KEPT_BYTES = 2 * 2**30
"""Half a million pictures of 64 px, eight thousand of 512 px."""
THREADS = 4
"""That decode pictures; the decoder works without Python's lock."""

Pictures = UInt8[np.ndarray, "n c h w"]


class Streamed:
    """All pictures of a dataset by row, like a tensor of them. Those that are announced are read ahead of time."""

    def __init__(self, data: Dataset, *, threads: int = THREADS) -> None:
        self.data = data
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sorby-pictures")
        self._ahead: dict[tuple[int, ...], list[Future[Pictures]]] = {}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Int[Tensor, " m"]) -> UInt8[Tensor, "m c h w"]:
        """The pictures of some rows. Raises `DataError` where one is damaged."""
        parts = self._ahead.pop(tuple(rows.tolist()), None) or self._read(rows)
        self._ahead.clear()  # what was announced and is not asked for
        return torch.from_numpy(np.concatenate([part.result() for part in parts]))

    def announce(self, rows: Int[Tensor, " m"]) -> None:
        """Begin to read what will be asked for next."""
        self._ahead[tuple(rows.tolist())] = self._read(rows)

    def _read(self, rows: Int[Tensor, " m"]) -> list[Future[Pictures]]:
        parts = np.array_split(rows.numpy(), min(self._threads, len(rows)))
        return [self._pool.submit(self.data.images, part) for part in parts]


def pictures_of(data: Dataset) -> UInt8[Tensor, "n c h w"] | Streamed:
    """In memory where they take less than `MOST_KEPT_BYTES`."""
    fits = len(data) * data.channels * data.size**2 <= MOST_KEPT_BYTES
    return torch.from_numpy(data.images()) if fits else Streamed(data)

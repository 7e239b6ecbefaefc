"""Random numbers that follow from names: a seed and a place in the run give the same numbers, always.

Nothing random has to be saved with a run: step 1000 draws what it draws, whether or not the run was stopped before, and
however many processes share its batch.
"""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor


def rng_for(seed: int, *place: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose at one place, such as `rng_for(seed, "step", 1000)`.

    >>> torch.rand(1, generator=rng_for(0, "a")).equal(torch.rand(1, generator=rng_for(0, "a")))
    True
    >>> torch.rand(1, generator=rng_for(0, "a")).equal(torch.rand(1, generator=rng_for(0, "b")))
    False
    """
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class Rows(NamedTuple):
    """Rows `start` to `stop` of a batch of `of` images: those that are computed at once, by one process.

    Chance is drawn for the whole batch, which costs little, and each row takes its own: however a batch is dealt out,
    each of its images meets the same chance.
    """

    start: int
    stop: int
    of: int

    @classmethod
    def whole(cls, of: int) -> "Rows":
        """All of a batch."""
        return cls(0, of, of)

    @property
    def num(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def share(self) -> float:
        """Of the batch, 0..1."""
        return self.num / self.of

    def take(self, drawn: Tensor) -> Tensor:
        """These rows of a whole batch, or of each of several that lie one after another.

        >>> Rows(1, 3, of=3).take(torch.arange(6))
        tensor([1, 2, 4, 5])
        """
        if self.num == self.of:
            return drawn
        return drawn.unflatten(0, (-1, self.of))[:, self.start : self.stop].flatten(0, 1)

    def mean(self, values: Tensor) -> Tensor:
        """What these rows add to the mean of the whole batch: `values` are theirs.

        >>> float(Rows(0, 1, of=4).mean(torch.tensor([[2.0, 6.0]])))
        1.0
        """
        return values.mean() * self.share

"""Batches of real images: a shuffled, endless stream in which every position is fixed by the seed.

Epochs follow one another; each shows every image once, in its own order. Nothing of the stream has to be saved.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sorby.config import Symmetry
from sorby.data.streamed import Streamed
from sorby.generator import from_grey_values
from sorby.models.place import upload
from sorby.seeds import Rows, rng_for


class Batches:
    """Real images and their conditions by place in the stream."""

    def __init__(
        self,
        images: UInt8[Tensor, "n c h w"] | Streamed,
        conditions: Float[Tensor, "n k"],
        *,
        batch_size: int,
        seed: int,
        symmetry: Symmetry = "none",
    ) -> None:
        self.images = images
        self.conditions = conditions
        self.batch_size = batch_size
        self.seed = seed
        self.symmetry = symmetry
        self._order = lru_cache(maxsize=2)(self._epoch)

    def at(
        self, position: int, *, device: torch.device | str = "cpu", part: Rows | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
        """The batch that begins at `position` in the stream, or a part of it, on `device`; images in [-1, 1].

        They travel as grey values of 8 bits, a quarter of the size.
        """
        part = part or Rows.whole(self.batch_size)
        rows = self._rows(position, part)
        rng = rng_for(self.seed, "symmetry", position)
        images = upload(move(self.images[rows], self.symmetry, rng=rng, part=part), device)
        if isinstance(self.images, Streamed):
            self.images.announce(self._rows(position + self.batch_size, part))
        return from_grey_values(images), upload(self.conditions[rows], device)

    def draw_conditions(self, num: int, *, rng: torch.Generator) -> Float[Tensor, "num k"]:
        """Conditions of `num` images of the data, for generated pictures."""
        return self.conditions[torch.randint(len(self.conditions), (num,), generator=rng)]

    def _rows(self, position: int, part: Rows) -> Int[Tensor, " b"]:
        places = range(position + part.start, position + part.stop)
        return torch.stack([self._order(place // len(self.images))[place % len(self.images)] for place in places])

    def _epoch(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.images), generator=rng_for(self.seed, "epoch", epoch))


def move(images: Tensor, symmetry: Symmetry, *, rng: torch.Generator, part: Rows | None = None) -> Tensor:
    """Mirror or turn each image at random by one of the moves that `symmetry` allows; they may be a part of a batch."""
    part = part or Rows.whole(len(images))
    drawn = torch.rand(3, part.of, 1, 1, 1, generator=rng) < 0.5
    mirrored, upended, turned = drawn[:, part.start : part.stop]
    if symmetry != "none":
        images = torch.where(mirrored, images.flip(3), images)
    if symmetry in ("mirror-xy", "square"):
        images = torch.where(upended, images.flip(2), images)
    if symmetry == "square":
        images = torch.where(turned, images.transpose(2, 3), images)
    return images

"""Batches of real images: a shuffled, endless stream in which every position is fixed by the seed.

Epochs follow one another; each shows every image once, in its own order. Nothing of the stream has to be saved.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sorby.config import Symmetry
from sorby.generator import from_grey_values
from sorby.models.place import upload
from sorby.seeds import rng_for


class Batches:
    """Real images and their conditions by place in the stream."""

    def __init__(
        self,
        images: UInt8[Tensor, "n c h w"],
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
        self, position: int, *, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
        """The batch that begins at `position` in the stream, on `device`; images in [-1, 1].

        They travel as grey values of 8 bits, a quarter of the size.
        """
        places = range(position, position + self.batch_size)
        rows = torch.stack([self._order(place // len(self.images))[place % len(self.images)] for place in places])
        rng = rng_for(self.seed, "symmetry", position)
        images = upload(move(self.images[rows], self.symmetry, rng=rng), device)
        return from_grey_values(images), upload(self.conditions[rows], device)

    def draw_conditions(self, num: int, *, rng: torch.Generator) -> Float[Tensor, "num k"]:
        """Conditions of `num` images of the data, for generated pictures."""
        return self.conditions[torch.randint(len(self.conditions), (num,), generator=rng)]

    def _epoch(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.images), generator=rng_for(self.seed, "epoch", epoch))


def move(images: Tensor, symmetry: Symmetry, *, rng: torch.Generator) -> Tensor:
    """Mirror or turn each image at random by one of the moves that `symmetry` allows."""
    mirrored, upended, turned = torch.rand(3, len(images), 1, 1, 1, generator=rng) < 0.5
    if symmetry != "none":
        images = torch.where(mirrored, images.flip(3), images)
    if symmetry in ("mirror-xy", "square"):
        images = torch.where(upended, images.flip(2), images)
    if symmetry == "square":
        images = torch.where(turned, images.transpose(2, 3), images)
    return images

"""A synthesis in two parts: its coarse layers compute in float32, the others in the precision asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

COARSE_PX = 8
"""Layers up to this resolution are coarse: what bfloat16 rounds there moves edges in the whole picture, and they are
few of the convolutions (docs/performance.md).
"""


def num_coarse(resolutions: Sequence[int]) -> int:
    """How many of the `resolutions` of a synthesis, 4 px and up, are coarse.

    >>> num_coarse([4, 8, 16, 32])
    2
    """
    return sum(resolution <= COARSE_PX for resolution in resolutions)


class CoarseToFine(nn.Module, ABC):
    """w and noise to a picture, to which each resolution adds; `coarse_noise` of the noises are those of coarse layers.

    r is the largest coarse resolution, i the feature maps there.
    """

    resolutions: list[int]
    coarse_noise: int

    def forward(
        self, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n c h w"]:
        x, picture = self.begin(ws, noise[: self.coarse_noise])
        return self.finish(x, picture, ws, noise[self.coarse_noise :], dtype=dtype)

    @abstractmethod
    def begin(
        self, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "n i r r"], Float[Tensor, "n c r r"]]:
        """Features and picture of the coarse layers, in float32; `noise` is theirs."""

    def finish(
        self,
        x: Float[Tensor, "n i r r"],
        picture: Float[Tensor, "n c r r"],
        ws: Float[Tensor, "n l d"],
        noise: Sequence[Tensor],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "n c h w"]:
        """The picture of all layers, from that of the coarse ones; `noise` is that of the others."""
        fine = range(num_coarse(self.resolutions), len(self.resolutions))
        return self.blocks(fine, x.to(dtype), picture, ws, noise)[1]

    @abstractmethod
    def blocks(
        self,
        which: range,
        x: Float[Tensor, "n _ _ _"],
        picture: Float[Tensor, "n c _ _"],
        ws: Float[Tensor, "n l d"],
        noise: Sequence[Tensor],
    ) -> tuple[Float[Tensor, "n _ _ _"], Float[Tensor, "n c _ _"]]:
        """Features and picture after some resolutions, by their place; `noise` is theirs."""

    @abstractmethod
    def coarse_layers(self) -> list[nn.Module]:
        """Those that compute in float32 whatever the precision."""

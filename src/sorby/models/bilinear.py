"""The synthesis of lucidrains' stylegan2-pytorch, of the layers of StyleGAN2: for generators that were imported.

It enlarges bilinearly, continuing borders with what lies at them, and convolves afterwards; smooths the enlarged
picture once more; has two convolutions at 4 px; and each channel has a strength of noise of its own.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sorby.config import NetworkConfig
from sorby.models.coarse import CoarseToFine, num_coarse
from sorby.models.layers import Linear, StyledConv, ToGrey


def enlarged(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Double height and width."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def smoothed(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Filter with [1, 2, 1] / 4 along both axes; borders are continued by reflection."""
    taps = 0.5 - (torch.arange(3, dtype=x.dtype, device=x.device) - 1).abs() / 4
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, groups=x.shape[1])


class BilinearSynthesis(CoarseToFine):
    """w and noise to a picture, as `Synthesis` of StyleGAN2 does it, of 2 convolutions at every resolution."""

    def __init__(self, config: NetworkConfig, widths: Sequence[int]) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(2, int(math.log2(config.size)) + 1)]
        self.coarse_noise = 2 * num_coarse(self.resolutions)
        self.const = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.convs = nn.ModuleList()
        for i, o in pairwise([widths[0], *widths]):
            for inputs in (i, o):
                self.convs.append(StyledConv(inputs, o, w_dim=config.w_dim, noise_shape=(o, 1, 1), clamp=config.clamp))
        self.to_grey = nn.ModuleList(
            ToGrey(width, config.channels, w_dim=config.w_dim, clamp=config.clamp) for width in widths
        )

    def draw_noise(self, n: int, *, rng: torch.Generator) -> list[Tensor]:
        """Noise N(0, 1) for each convolution, "n 1 h w": all of one field, from its first corner on."""
        side = self.resolutions[-1]
        field = torch.randn(n, 1, side, side, generator=rng, device=rng.device)
        return [field[:, :, :r, :r] for r in self.resolutions for _ in range(2)]

    def style_weights(self) -> list[Float[Tensor, "_ d"]]:
        """The matrices that each w is multiplied with, one on another where it is read twice."""
        read = [[conv.affine] for conv in self.convs] + [[]]
        for block, grey in enumerate(self.to_grey):
            read[2 * block + 2].append(grey.affine)
        return [torch.cat([affine.scaled() for affine in layer if isinstance(affine, Linear)]) for layer in read]

    def coarse_layers(self) -> list[nn.Module]:
        coarse = num_coarse(self.resolutions)
        return [*self.convs[: 2 * coarse], *self.to_grey[:coarse]]

    def begin(self, ws: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = self.const.expand(ws.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x, grey = self._block(0, x, ws, noise[:2])
        return self.blocks(range(1, num_coarse(self.resolutions)), x, grey, ws, noise[2:])

    def blocks(
        self, which: range, x: Tensor, picture: Tensor, ws: Tensor, noise: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        for i, block in enumerate(which):
            x, grey = self._block(block, enlarged(x), ws, noise[2 * i : 2 * i + 2])
            picture = smoothed(enlarged(picture)) + grey
        return x, picture

    def _block(self, block: int, x: Tensor, ws: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        w = ws.unbind(1)
        for layer, drawn in zip((2 * block, 2 * block + 1), noise, strict=True):
            x = self.convs[layer](x, w[layer], drawn)
        return x, self.to_grey[block](x, w[2 * block + 2])

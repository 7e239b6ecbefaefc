"""Discriminator on the features of a frozen, pretrained network (Sauer et al. 2021, "Projected GANs converge faster").

A discriminator that starts from nothing first has to learn to see, from a few micrographs; this one sees already. Its
features, at four scales, are mixed by random projections that are never trained; one small network a scale scores them.
Each is told how unlike the images of a group are, which theirs are not: without it whole kinds of picture were missing.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from sorby.config import NetworkConfig
from sorby.models.conditioning import VECTOR, ConditionVector, ContrastiveHead, Judged
from sorby.models.layers import MinibatchStd
from sorby.models.stylegan2 import num_outputs, score

WIDTH = 64
"""Channels after the projections and inside the heads."""
MIN_VIEW_PX = 128
"""Smaller pictures are enlarged to this before the frozen network sees them: it was trained on larger things."""


class ProjectedDiscriminator(nn.Module):
    """Picture and condition to four scores an image, one from each scale.

    `features` gives maps at 1/4, 1/8, 1/16 and 1/32 of the side of pictures "n 3 h w" in [-1, 1], with `channels` each,
    and about the standard deviations `stds`. It is frozen here, and neither counted among the parameters nor saved.
    """

    def __init__(
        self,
        config: NetworkConfig,
        features: nn.Module,
        *,
        channels: Sequence[int],
        stds: Sequence[float],
        contrastive: bool = False,
    ) -> None:
        super().__init__()
        self.view_px = max(config.size, MIN_VIEW_PX)
        self.features = frozen(features, saved=False)
        self.projections = nn.ModuleList(_projection(c, kernel=1) for c in channels)
        self.stds = _mixed(stds)
        self.mixers = nn.ModuleList(_projection(WIDTH, kernel=3) for _ in channels[1:])
        outputs = num_outputs(config.condition_dim)
        group = config.minibatch_std_group
        self.heads = nn.ModuleList(_head(self.view_px // 2**i, outputs=outputs, group=group) for i in (2, 3, 4, 5))
        self.condition = ConditionVector(config.condition_dim, VECTOR) if config.condition_dim else None
        self.contrast = ContrastiveHead(WIDTH * len(channels), config.condition_dim) if contrastive else None

    def forward(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 4"]:
        return self.judge(images, condition, dtype=dtype).scores

    def judge(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Judged:
        """Scores, and the vectors that are contrasted, of the mean features of all scales, if it was made to.

        The frozen network stays in float32: on a CPU its gradient is slower in bf16.
        """
        features = self.features(self.view(images))
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            maps = self.projected(features)
            outputs = [head(x).flatten(1).float() for head, x in zip(self.heads, maps, strict=True)]
        vector = None if self.condition is None else self.condition(condition)
        scores = torch.cat([score(x, vector) for x in outputs], 1)
        if self.contrast is None:
            return Judged(scores)
        means = torch.cat([x.float().mean((2, 3)) for x in maps], 1)
        return Judged(scores, *self.contrast(means, condition))

    def view(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 v v"]:
        """What the frozen network sees: large enough, and of three channels."""
        if images.shape[2] != self.view_px:
            images = F.interpolate(images, (self.view_px, self.view_px), mode="bilinear", align_corners=False)
        return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def projected(self, features: list[Float[Tensor, "n _ _ _"]]) -> list[Float[Tensor, "n _ _ _"]]:
        """Features, mixed across channels, then from coarse to fine across scales (section 3.2); of unit variance."""
        *finer, coarsest = (project(x) for project, x in zip(self.projections, features, strict=True))
        maps = [coarsest]
        for mix, x in zip(reversed(self.mixers), reversed(finer), strict=True):
            above = F.interpolate(maps[0], x.shape[2:], mode="bilinear", align_corners=False)
            maps.insert(0, mix(x + above) / 2)
        return [x / std for x, std in zip(maps, self.stds, strict=True)]


def frozen(module: nn.Module, *, saved: bool) -> nn.Module:
    """Turn the parameters of a network into buffers: they move with it, but are not trained; saved where asked."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach(), persistent=saved)
    return module


def _projection(inputs: int, *, kernel: int) -> nn.Module:
    """A random convolution that keeps the variance; saved, since what the heads learn hangs on it."""
    conv = nn.Conv2d(inputs, WIDTH, kernel, padding=kernel // 2, bias=False)
    nn.init.normal_(conv.weight, std=1 / math.sqrt(inputs * kernel**2))
    return frozen(conv, saved=True)


def _mixed(stds: Sequence[float]) -> list[float]:
    """Standard deviations after each scale was averaged with the mixed one above, as if the two were uncorrelated."""
    mixed = [stds[-1]]
    for std in reversed(stds[:-1]):
        mixed.insert(0, math.hypot(std, mixed[0]) / 2)
    return mixed


def _head(side: int, *, outputs: int, group: int) -> nn.Sequential:
    """Halve the side down to 4 px, tell how unlike the images of a `group` are, then `outputs` numbers an image.

    Spectrally normalised (Miyato et al. 2018).
    """
    layers: list[nn.Module] = []
    while side > 4:
        layers += [spectral_norm(nn.Conv2d(WIDTH, WIDTH, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        side //= 2
    layers += [MinibatchStd(group), spectral_norm(nn.Conv2d(WIDTH + 1, WIDTH, 3, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(WIDTH, outputs, side)))

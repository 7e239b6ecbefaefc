"""StyleGAN2 (Karras et al. 2020a): mapping network, skip generator, residual discriminator.

Images are float "n c h w", nominally in [-1, 1], square, a power of two in size. Latents `z` and `w` are "n d".
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.config import NetworkConfig
from sorby.models.bilinear import BilinearSynthesis
from sorby.models.coarse import CoarseToFine, num_coarse
from sorby.models.conditioning import SLOW, VECTOR, ConditionMapping, ConditionVector, ContrastiveHead, Judged
from sorby.models.layers import (
    ACTIVATION_GAIN,
    Conv,
    FromGrey,
    Linear,
    MinibatchStd,
    ModulatedConv,
    StyledConv,
    ToGrey,
    activate,
    normalise,
)
from sorby.models.resample import upsample

NOISE = 0.5
"""Strength of the noise before anything is learnt, where chance is to make the layout."""
CONDITION_IN_W = 0.5
"""Standard deviation that the condition adds to w before anything is learnt; z gives about 1."""


def channels_at(resolution: int, config: NetworkConfig) -> int:
    """Feature maps at a resolution: inversely proportional to it, up to a ceiling."""
    return min(config.channel_base // resolution, config.channel_max)


def num_styles(size: int, upsampling: str = "filtered") -> int:
    """How many `w` a picture takes: two a resolution from 4 px to `size`; bilinear ones have a layer more."""
    return 2 * int(math.log2(size)) - (1 if upsampling == "bilinear" else 2)


class Mapping(nn.Module):
    """z to w: normalised, then fully connected layers at 1/100 of the learning rate. The condition is added to w.

    Joined to z before the layers, as the official code does it for classes, it takes half of what z says; imported
    networks have learnt that (`condition_in`).
    """

    def __init__(
        self, *, z_dim: int, condition_dim: int, w_dim: int, num_layers: int, condition_in: Literal["w", "z"] = "w"
    ) -> None:
        super().__init__()
        is_joined, is_added = (bool(condition_dim) and condition_in == place for place in ("z", "w"))
        sizes = [z_dim + w_dim * is_joined] + [w_dim] * num_layers
        self.layers = nn.ModuleList(Linear(i, o, gain=ACTIVATION_GAIN, lr_multiplier=SLOW) for i, o in pairwise(sizes))
        self.embed = Linear(condition_dim, w_dim) if is_joined else None
        self.condition = ConditionVector(condition_dim, w_dim, gain=CONDITION_IN_W) if is_added else None

    def forward(self, z: Float[Tensor, "n z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        w = self.of_z(z, condition)
        return w if self.condition is None else w + self.condition(condition)

    def of_z(self, z: Float[Tensor, "n z"], condition: Float[Tensor, "_ k"]) -> Float[Tensor, "n d"]:
        """w before the condition is added; one that is joined to z is there for each."""
        w = normalise(z)
        if self.embed is not None:
            w = torch.cat([w, normalise(self.embed(condition))], 1)
        for layer in self.layers:
            w = activate(layer(w))
        return w

    def mean(self, z: Float[Tensor, "m z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Mean of w over all `z`, at each condition, where that is added and so adds the same to each."""
        w = self.of_z(z, condition).mean(0, keepdim=True)
        return w.expand(condition.shape[0], -1) if self.condition is None else w + self.condition(condition)


class Synthesis(CoarseToFine):
    """w and noise to a picture; each resolution adds to the upsampled picture of the one before (skip connections)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(2, int(math.log2(config.size)) + 1)]
        widths = [channels_at(r, config) for r in self.resolutions]
        self.start_width = widths[0]
        is_random = config.layout == "random"
        self.coarse_noise = 2 * num_coarse(self.resolutions) - 1 + is_random
        self.const = None if is_random else nn.Parameter(torch.randn(widths[0], 4, 4))
        styled = partial(StyledConv, w_dim=config.w_dim, noise=NOISE if is_random else 0, clamp=config.clamp)
        self.convs = nn.ModuleList([styled(widths[0], widths[0])])
        for i, o in pairwise(widths):
            self.convs.append(styled(i, o, up=True))
            self.convs.append(styled(o, o))
        self.to_grey = nn.ModuleList(
            ToGrey(width, config.channels, w_dim=config.w_dim, clamp=config.clamp) for width in widths
        )

    def draw_noise(self, n: int, *, rng: torch.Generator) -> list[Tensor]:
        """Noise N(0, 1) for each convolution, "n 1 h w"; before it what the features start from, if that is random."""
        shapes = [] if self.const is not None else [(self.start_width, 4)]
        shapes += [(1, 4)] + [(1, r) for r in self.resolutions[1:] for _ in range(2)]
        return [torch.randn(n, c, side, side, generator=rng, device=rng.device) for c, side in shapes]

    def style_weights(self) -> list[Float[Tensor, "_ d"]]:
        """The matrices that each w is multiplied with, one on another where it is read twice."""
        read = [[conv.affine] for conv in self.convs] + [[]]
        for block, grey in enumerate(self.to_grey):
            read[2 * block + 1].append(grey.affine)
        return [torch.cat([cast(Linear, affine).scaled() for affine in layer]) for layer in read]

    def coarse_layers(self) -> list[nn.Module]:
        coarse = num_coarse(self.resolutions)
        return [*self.convs[: 2 * coarse - 1], *self.to_grey[:coarse]]

    def begin(self, ws: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        start, *noise = noise if self.const is None else (self.const.expand(ws.shape[0], -1, -1, -1), *noise)
        x = start.contiguous(memory_format=torch.channels_last)
        x = self.convs[0](x, ws[:, 0], noise[0])
        return self.blocks(range(1, num_coarse(self.resolutions)), x, self.to_grey[0](x, ws[:, 1]), ws, noise[1:])

    def blocks(
        self, which: range, x: Tensor, picture: Tensor, ws: Tensor, noise: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        w, rest = ws.unbind(1), iter(noise)
        for block in which:
            for layer in (2 * block - 1, 2 * block):
                x = self.convs[layer](x, w[layer], next(rest))
            picture = upsample(picture) + self.to_grey[block](x, w[2 * block + 1])
        return x, picture


class GeneratorNetwork(nn.Module):
    """Mapping and synthesis, with the running mean of w that truncation pulls towards."""

    w_mean: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.z_dim = config.z_dim
        self.num_styles = num_styles(config.size, config.upsampling)
        self.mapping = Mapping(
            z_dim=config.z_dim,
            condition_dim=config.condition_dim,
            w_dim=config.w_dim,
            num_layers=config.mapping_layers,
            condition_in=config.condition_in,
        )
        self.synthesis = _synthesis(config)
        self.register_buffer("w_mean", torch.zeros(config.w_dim))

    def freeze(self, dtype: torch.dtype) -> None:
        """Lay out and round the weights once for all pictures to come, at `dtype`, those of coarse layers at float32.

        They are not trained any more.
        """
        self.requires_grad_(False)
        coarse = {module for layer in self.synthesis.coarse_layers() for module in layer.modules()}
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, ModulatedConv):
                    module.frozen = module.weight_and_energy(torch.float32 if module in coarse else dtype)

    def styles(self, z: Float[Tensor, "n z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n l d"]:
        """The same w for every layer."""
        return self.mapping(z, condition)[:, None].expand(-1, self.num_styles, -1)

    def forward(
        self,
        z: Float[Tensor, "n z"],
        condition: Float[Tensor, "n k"],
        noise: Sequence[Tensor],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "n c h w"]:
        return self.synthesis(self.styles(z, condition), noise, dtype=dtype)


def num_outputs(condition_dim: int) -> int:
    """How many numbers a discriminator makes of an image, for `score`."""
    return 1 + VECTOR if condition_dim else 1


def score(outputs: Float[Tensor, "n o"], condition: Float[Tensor, "n d"] | None) -> Float[Tensor, "n 1"]:
    """One output that judges the image, and the product of the others with the vector of the condition, which judges
    whether the two belong together (Miyato & Koyama 2018, equation 3).
    """
    if condition is None:
        return outputs
    return outputs[:, :1] + (outputs[:, 1:] * condition).sum(1, keepdim=True) / math.sqrt(VECTOR)


def projected_score(outputs: Float[Tensor, "n d"], condition: Float[Tensor, "n d"] | None) -> Float[Tensor, "n 1"]:
    """The product with the vector of the condition alone, as the official code has it; without one as `score`."""
    if condition is None:
        return outputs
    return (outputs * condition).sum(1, keepdim=True) / math.sqrt(outputs.shape[1])


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1 x 1 shortcut; both halve the size and keep the variance."""

    def __init__(self, inputs: int, outputs: int, *, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.clamp_halved = None if clamp is None else clamp * math.sqrt(0.5)
        self.conv0 = Conv(inputs, inputs, 3, gain=ACTIVATION_GAIN)
        self.conv1 = Conv(inputs, outputs, 3, gain=1, down=True)  # sqrt(2) of the activation, sqrt(1/2) of the sum
        self.shortcut = Conv(inputs, outputs, 1, gain=math.sqrt(0.5), bias=False, down=True)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h//2 w//2"]:
        inner = activate(self.conv0(x), self.clamp)
        return self.shortcut(x) + activate(self.conv1(inner), self.clamp_halved)


class Discriminator(nn.Module):
    """Picture and condition to one score an image (projection discriminator, Miyato & Koyama 2018)."""

    def __init__(self, config: NetworkConfig, *, contrastive: bool = False) -> None:
        super().__init__()
        self.clamp = config.clamp
        self.score = score if config.condition_in == "w" else projected_score
        resolutions = [2**i for i in range(int(math.log2(config.size)), 1, -1)]
        widths = [channels_at(r, config) for r in resolutions]
        self.from_grey = FromGrey(config.channels, widths[0])
        self.blocks = nn.ModuleList(ResidualBlock(i, o, clamp=config.clamp) for i, o in pairwise(widths))
        self.minibatch_std = MinibatchStd(config.minibatch_std_group)
        self.conv = Conv(widths[-1] + 1, widths[-1], 3, gain=ACTIVATION_GAIN)
        self.linear = Linear(widths[-1] * 16, widths[-1], gain=ACTIVATION_GAIN)
        is_joined = bool(config.condition_dim) and config.condition_in == "z"
        self.out = Linear(widths[-1], widths[-1] if is_joined else num_outputs(config.condition_dim))
        self.condition = _condition_vector(config, widths[-1]) if config.condition_dim else None
        self.contrast = ContrastiveHead(widths[-1], config.condition_dim) if contrastive else None

    def forward(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1"]:
        return self.judge(images, condition, dtype=dtype).scores

    def judge(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Judged:
        """Scores, and the vectors that are contrasted if it was made to."""
        x = images.to(dtype, memory_format=torch.channels_last)
        x = activate(self.from_grey(x), self.clamp)
        for block in self.blocks:
            x = block(x)
        x = activate(self.conv(self.minibatch_std(x.float())), self.clamp)
        features = activate(self.linear(x.flatten(1)))
        scores = self.score(self.out(features), None if self.condition is None else self.condition(condition))
        return Judged(scores) if self.contrast is None else Judged(scores, *self.contrast(features, condition))


def _synthesis(config: NetworkConfig) -> Synthesis | BilinearSynthesis:
    if config.upsampling == "bilinear":
        return BilinearSynthesis(config, [channels_at(2**i, config) for i in range(2, config.size.bit_length())])
    return Synthesis(config)


def _condition_vector(config: NetworkConfig, features: int) -> nn.Module:
    """What the scores at a condition are the product with."""
    if config.condition_in == "z":
        return ConditionMapping(config.condition_dim, features)
    return ConditionVector(config.condition_dim, VECTOR)

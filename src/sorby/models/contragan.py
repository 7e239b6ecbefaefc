"""The networks of paper B (Jain et al. 2024, tables 1 and 2): transposed convolutions against a critic.

Images are float "n c h w" in [-1, 1], square, a power of two in size. At 128 px the layers are those of the tables;
smaller and larger pictures leave out or repeat the widest resolutions.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sorby.config import NetworkConfig
from sorby.models.conditioning import VECTOR, ConditionVector, Judged
from sorby.models.stylegan2 import num_outputs, score

ATTENTION_PX = 32
WIDEST_PX = 32
"""From this resolution on the number of feature maps stays."""
CONDITION_GAIN = 0.5
"""Root mean square of a condition's vector before anything is learnt, where it is made of features."""
PLANE_PX = 8
"""Where the critic gets to know the condition: as one more feature map, of VECTOR pixels."""


def width_at(resolution: int, config: NetworkConfig) -> int:
    """Feature maps at a resolution: 512 at 4 px, half as many at twice the size, 64 from 32 px on."""
    return min(config.channel_base // min(resolution, WIDEST_PX), config.channel_max)


def resolutions(config: NetworkConfig) -> list[int]:
    """Sizes of the feature maps, from 4 px to half of the picture."""
    return [2**i for i in range(2, int(math.log2(config.size)))]


class SelfAttention(nn.Module):
    """Each place looks at all others (Zhang et al. 2019, section 3): x + strength times what it sees, at first 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        h, w = x.shape[2:]
        # Rows that lie together take the path that never holds all pairs of places, three times as fast on a CPU.
        rows = (
            layer(x).flatten(2).transpose(1, 2)[:, None].contiguous() for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(*rows)[:, 0].transpose(1, 2).unflatten(2, (h, w))
        return x + self.strength.to(x.dtype) * self.out(seen)


class Mapping(nn.Module):
    """z and condition to w, by `config.condition_by`; w is z where there are no conditions.

    As published, w is z times a linear map of the condition, element by element: enough to tell classes apart, but of a
    number it shows the synthesis no more than how large the elements are on average, through the noise. So a vector of
    its features may scale z and stand beside it.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.is_product = config.condition_by == "product"
        self.w_dim = config.z_dim if self.is_product or not config.condition_dim else 2 * config.z_dim
        self.embed = condition_embedding(config, self.w_dim) if config.condition_dim else None

    def forward(self, z: Float[Tensor, "n z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        if self.embed is None:
            return z
        e = self.embed(condition)
        if self.is_product:
            return z * e
        scale, beside = e.chunk(2, 1)
        return torch.cat([z * (1 + scale), beside], 1)

    def mean(self, z: Float[Tensor, "m z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Mean of w over all `z`, at each condition: w goes in proportion with z."""
        return self(z.mean(0, keepdim=True).expand(condition.shape[0], -1), condition)


class Synthesis(nn.Module):
    """w to a picture (table 1). It draws no noise of its own."""

    def __init__(self, w_dim: int, config: NetworkConfig) -> None:
        super().__init__()
        sides = resolutions(config)
        widths = [width_at(r, config) for r in sides]
        self.linear = nn.Linear(w_dim, widths[0] * 4 * 4)
        layers: list[nn.Module] = []
        for side, (i, o) in zip(sides[1:], pairwise(widths), strict=True):
            up = nn.ConvTranspose2d(i, o, 4, stride=2, padding=1, bias=False)
            layers += [up, norm(o, config), nn.LeakyReLU(config.leaky_slope)]
            if side == ATTENTION_PX:
                layers.append(SelfAttention(o))
        layers.append(nn.ConvTranspose2d(widths[-1], config.channels, 4, stride=2, padding=1))
        if config.normalisation == "batch":
            layers.append(norm(config.channels, config))
        self.layers = nn.Sequential(*layers)

    def style_weights(self) -> list[Float[Tensor, "_ d"]]:
        """The matrix that w is multiplied with."""
        return [self.linear.weight]

    def draw_noise(self, _: int, *, rng: torch.Generator) -> list[Tensor]:  # noqa: ARG002
        """None: all chance is in z."""
        return []

    def forward(
        self, ws: Float[Tensor, "n 1 d"], noise: Sequence[Tensor], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n c h w"]:
        assert not noise
        with torch.autocast(ws.device.type, dtype, enabled=dtype != torch.float32):
            x = self.linear(ws[:, 0]).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
            return torch.tanh(self.layers(x).float())


class ContraganGenerator(nn.Module):
    """Mapping and synthesis. Truncation pulls w to its mean at the condition, that of z = 0."""

    w_mean: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.z_dim = config.z_dim
        self.num_styles = 1
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(self.mapping.w_dim, config)
        self.register_buffer("w_mean", torch.zeros(self.mapping.w_dim))

    def freeze(self, _: torch.dtype) -> None:
        """The weights are not trained any more."""
        self.requires_grad_(False)

    def styles(self, z: Float[Tensor, "n z"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n 1 d"]:
        """One w a picture."""
        return self.mapping(z, condition)[:, None]

    def forward(
        self,
        z: Float[Tensor, "n z"],
        condition: Float[Tensor, "n k"],
        noise: Sequence[Tensor] = (),
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "n c h w"]:
        return self.synthesis(self.styles(z, condition), noise, dtype=dtype)


class Critic(nn.Module):
    """Picture and condition to one score an image (table 2), and to the vectors of the contrastive loss.

    e(y) is one more feature map at 8 px, as published; or, by `config.condition_by`, what the last features are
    projected onto (Miyato & Koyama 2018).
    """

    def __init__(self, config: NetworkConfig, *, contrastive: bool = False) -> None:
        super().__init__()
        sides = resolutions(config)[::-1]
        widths = [width_at(r, config) for r in sides[:-1]]
        last = width_at(2 * PLANE_PX, config)
        self.embed = condition_embedding(config, VECTOR) if config.condition_dim else None
        self.has_plane = self.embed is not None and config.condition_by == "product"
        first = nn.Conv2d(config.channels, widths[0], 4, stride=2, padding=1)
        layers: list[nn.Module] = [first, nn.LeakyReLU(config.leaky_slope)]
        for i, o in pairwise(widths):
            layers += _halve(i, o, config)
        self.before_plane = nn.Sequential(*layers)
        self.after_plane = nn.Sequential(*_halve(widths[-1] + self.has_plane, last, config))
        features = last * 4 * 4
        self.out = nn.Linear(features, 1 if self.has_plane else num_outputs(config.condition_dim))
        self.project = _projection(features, config) if contrastive else None

    def forward(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1"]:
        return self.judge(images, condition, dtype=dtype).scores

    def judge(
        self, images: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"], *, dtype: torch.dtype = torch.float32
    ) -> Judged:
        """Scores, and the vectors that are contrasted if it was made to."""
        e = None if self.embed is None else self.embed(condition)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            x = self.before_plane(images.contiguous(memory_format=torch.channels_last))
            if e is not None and self.has_plane:
                x = torch.cat([x, e.to(x.dtype).reshape(-1, 1, PLANE_PX, PLANE_PX)], 1)
            x = self.after_plane(x)
        features = x.float().flatten(1)
        scores = score(self.out(features), None if self.has_plane else e)
        return Judged(scores) if self.project is None else Judged(scores, self.project(features), e)


def condition_embedding(config: NetworkConfig, length: int) -> nn.Module:
    """Condition to a vector: a linear map, which gives each class a vector of its own; or one of its features."""
    if config.condition_by == "product":
        return nn.Linear(config.condition_dim, length)
    return ConditionVector(config.condition_dim, length, gain=CONDITION_GAIN)


def norm(channels: int, config: NetworkConfig) -> nn.Module:
    """Normalisation over the batch, or over all of one picture's feature maps."""
    return nn.BatchNorm2d(channels) if config.normalisation == "batch" else nn.GroupNorm(1, channels)


def largest_activation(config: NetworkConfig) -> int:
    """Most numbers that one picture takes at once in the generator."""
    return max(width_at(r, config) * r**2 for r in resolutions(config))


def _halve(inputs: int, outputs: int, config: NetworkConfig) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return conv, norm(outputs, config), nn.LeakyReLU(config.leaky_slope)


def _projection(features: int, config: NetworkConfig) -> nn.Module:
    """Projection layers I and II."""
    half = features // 2
    return nn.Sequential(nn.Linear(features, half), nn.LeakyReLU(config.leaky_slope), nn.Linear(half, VECTOR))

"""Layers of the style-based networks (Karras et al. 2018, 2019, 2020a).

Weights are drawn from N(0, 1) and scaled when used, so that every layer learns at the same rate ("equalised learning
rate"); modulated ones scale the style in their place. The gain sqrt(2) that keeps the variance through a leaky ReLU is
part of what a layer multiplies with anyhow, since the ReLU commutes with positive factors: one pass over the
activations less. Weights are kept in float32, and convolutions use them in the precision of their input.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sorby.models.resample import conv_down, conv_up, downsample, turned

ACTIVATION_GAIN = math.sqrt(2)


def activate(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU of slope 0.2, held to at most `clamp` in size."""
    return held(F.leaky_relu(x, 0.2), clamp)


def held(x: Tensor, clamp: float | None) -> Tensor:
    """At most `clamp` in size; as it is without one."""
    return x if clamp is None else x.clamp(-clamp, clamp)


def normalise(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale each row to unit mean square."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Linear(nn.Module):
    """Fully connected layer with equalised learning rate; `lr_multiplier` slows its learning further."""

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = 1, bias: float = 0, lr_multiplier: float = 1
    ) -> None:
        super().__init__()
        # Divided in place: without memory (on "meta"), a new quotient would load PyTorch's compiler, for seconds.
        self.weight = nn.Parameter(torch.randn(outputs, inputs).div_(lr_multiplier))
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.weight_scale = gain * lr_multiplier / math.sqrt(inputs)
        self.bias_scale = gain * lr_multiplier

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        return F.linear(x, self.scaled(), self.bias * self.bias_scale)

    def scaled(self) -> Float[Tensor, "o i"]:
        """The weight as it is used."""
        return self.weight * self.weight_scale


class Conv(nn.Module):
    """Convolution with equalised learning rate; `down` filters and halves the size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, gain: float = 1, bias: bool = True, down: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = gain
        self.weight_scale = gain / math.sqrt(inputs * kernel**2)
        self.down = down

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o _ _"]:
        weight, bias = self.scaled(x.dtype)
        kernel = weight.shape[-1]
        if self.down and kernel == 3:
            return conv_down(x, weight, bias)
        return F.conv2d(downsample(x) if self.down else x, weight, bias, padding=kernel // 2)

    def scaled(self, dtype: torch.dtype) -> tuple[Float[Tensor, "o i k k"], Float[Tensor, " o"] | None]:
        """Weight and bias as they are used."""
        bias = None if self.bias is None else (self.bias * self.gain).to(dtype)
        return (self.weight * self.weight_scale).to(dtype), bias


class FromGrey(Conv):
    """1 x 1 convolution of the channels of the picture (fromRGB of the paper), as the matrix product that it is.

    As a convolution it is slower, so few are the channels (docs/trials.md).
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(channels, outputs, 1, gain=ACTIVATION_GAIN)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h w"]:
        weight, bias = self.scaled(x.dtype)
        return F.linear(x.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)


class ModulatedConv(nn.Module):
    """3 x 3 convolution whose input channels are scaled by a style (Karras et al. 2020a, equations 1 and 3).

    Scaling the activations before and after one shared convolution gives the same numbers as
    one kernel an image, without a grouped convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, up: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.weight_scale = 1 / (3 * math.sqrt(inputs))
        self.up = up
        self.frozen: tuple[Tensor, Tensor] | None = None
        """Weight and energy, once they do not change any more."""

    def forward(
        self, x: Float[Tensor, "n i h w"], style: Float[Tensor, "n i"]
    ) -> tuple[Float[Tensor, "n o _ _"], Float[Tensor, "n o 1 1"]]:
        """Convolution of the scaled input, and the factors sigma of equation 3, not yet applied, that demodulate it."""
        style = style * self.weight_scale  # of which there are far fewer than of weights
        weight, energy = self.frozen or self.weight_and_energy(x.dtype)
        sigma = (style.square() @ energy + 1e-8).rsqrt()[:, :, None, None]
        x = x * style[:, :, None, None].to(x.dtype)
        return (conv_up(x, weight) if self.up else F.conv2d(x, weight, padding=1)), sigma

    def weight_and_energy(self, dtype: torch.dtype) -> tuple[Float[Tensor, "_ _ 3 3"], Float[Tensor, "i o"]]:
        """The weight in `dtype`, not yet scaled, and its energy from each input channel to each output channel."""
        used = turned(self.weight) if self.up else self.weight
        return used.to(dtype, memory_format=torch.channels_last), self.weight.square().sum((2, 3)).T


class ModulatedPointwise(nn.Module):
    """1 x 1 convolution to few channels, whose input channels are scaled by a style; not demodulated.

    One kernel an image: with so few outputs that is less work than to scale the input.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.weight_scale = 1 / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "n i h w"], style: Float[Tensor, "n i"]) -> Float[Tensor, "n o h w"]:
        kernels = (style * self.weight_scale)[:, :, None] * self.weight.flatten(1).T
        pixels = x.flatten(2).transpose(1, 2)
        return (pixels @ kernels.to(x.dtype)).transpose(1, 2).unflatten(2, x.shape[2:])


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias and activation: one layer of the synthesis network."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        w_dim: int,
        noise: float = 0,
        noise_shape: tuple[int, ...] = (),
        up: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = Linear(w_dim, inputs, bias=1)
        self.conv = ModulatedConv(inputs, outputs, up=up)
        self.noise_strength = nn.Parameter(torch.full(noise_shape, float(noise)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, x: Float[Tensor, "n i _ _"], w: Float[Tensor, "n d"], noise: Float[Tensor, "_ 1 h w"]
    ) -> Float[Tensor, "n o h w"]:
        y, sigma = self.conv(x, self.affine(w))
        bias = (self.bias * ACTIVATION_GAIN)[:, None, None].to(y.dtype)
        y = torch.addcmul(bias, y, (sigma * ACTIVATION_GAIN).to(y.dtype))
        return activate(y + (noise * (self.noise_strength * ACTIVATION_GAIN)).to(y.dtype), self.clamp)


class ToGrey(nn.Module):
    """Modulated 1 x 1 convolution to the channels of the picture, without demodulation (ToRGB of the paper)."""

    def __init__(self, inputs: int, channels: int, *, w_dim: int, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = Linear(w_dim, inputs, bias=1)
        self.conv = ModulatedPointwise(inputs, channels)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        y = self.conv(x, self.affine(w))
        return held(y.float() + self.bias[:, None, None], self.clamp)


class MinibatchStd(nn.Module):
    """Append one channel: the standard deviation within groups of images (Karras et al. 2018, section 3).

    A group is `group` neighbours in the batch, or the largest divisor of the batch below that; so real and generated
    images may share one call as long as they do not share a group.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c+1 h w"]:
        n, c, h, w = x.shape
        size = max(g for g in range(1, min(self.group, n) + 1) if n % g == 0)
        groups = x.reshape(n // size, size, c, h, w).float()
        std = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        plane = std.repeat_interleave(size)[:, None, None, None].expand(n, 1, h, w)
        return torch.cat([x, plane.to(x.dtype)], 1)

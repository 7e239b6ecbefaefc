"""Twofold up- and downsampling with a small low-pass filter (Zhang 2019; Karras et al. 2020a, section 2.2).

The filter [1, 3, 3, 1] / 8 is applied along both axes. Borders are continued with zeros.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sorby.models.convolution import convolve_transposed

Map = Callable[[Tensor], Tensor]


def low_pass(x: Float[Tensor, "n c h w"], *, padding: int, gain: float = 1) -> Tensor:
    """Filter each channel by itself; a constant image keeps its value, times `gain`, away from the border.

    `padding` is 0 to 3.
    """
    # The filter is symmetric: what one padding cuts off, the other brings back.
    filtered = partial(_filtered, gain=gain)
    return _linear(x, partial(filtered, padding=padding), partial(filtered, padding=3 - padding))


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Double height and width."""
    return _linear(x, partial(_doubled, gain=4), partial(_halved, gain=4))


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
    """Halve height and width, which are even."""
    return _linear(x, partial(_halved, gain=1), partial(_doubled, gain=1))


def turned(weight: Float[Tensor, "d c k k"]) -> Float[Tensor, "c d k k"]:
    """Flip the kernel and swap in- and outputs: the weight of a convolution as `conv_up` takes it."""
    return weight.flip(2, 3).transpose(0, 1)


def conv_up(x: Float[Tensor, "n c h w"], turned_weight: Float[Tensor, "c d 3 3"]) -> Float[Tensor, "n d 2*h 2*w"]:
    """Double height and width and convolve, as one transposed convolution followed by the filter.

    Equals inserting zeros, convolving with the 3 x 3 weight that was `turned` and filtering, at a quarter of the work.
    """
    return low_pass(convolve_transposed(x, turned_weight, stride=2), padding=1, gain=4)


def conv_down(
    x: Float[Tensor, "n c h w"], weight: Float[Tensor, "d c 3 3"], bias: Float[Tensor, " d"] | None = None
) -> Float[Tensor, "n d h//2 w//2"]:
    """Filter, then convolve with stride 2."""
    return F.conv2d(low_pass(x, padding=2), weight, bias, stride=2)


def _filtered(x: Float[Tensor, "n c h w"], *, padding: int, gain: float) -> Tensor:
    # [1, 3, 3, 1] / 8, made where it is used: what comes from the CPU makes a GPU wait.
    taps = 0.5 - (torch.arange(4, dtype=x.dtype, device=x.device) - 1.5).abs() / 4
    kernel = (taps[:, None] * taps * gain).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def _doubled(x: Float[Tensor, "n c h w"], *, gain: float) -> Float[Tensor, "n c 2*h 2*w"]:
    n, c, h, w = x.shape
    spread = x.new_zeros(n, 2 * h + 3, 2 * w + 3, c).permute(0, 3, 1, 2)  # channels last
    spread[:, :, 2:-1:2, 2:-1:2] = x
    return _filtered(spread, padding=0, gain=gain)


def _halved(x: Float[Tensor, "n c h w"], *, gain: float) -> Float[Tensor, "n c h//2 w//2"]:
    # Filtering all and keeping every second is faster on a CPU than a strided depthwise convolution.
    kept = _filtered(x, padding=1, gain=gain)[:, :, ::2, ::2]
    return kept.contiguous(memory_format=torch.channels_last)  # and not a view of all


def _linear(x: Tensor, function: Map, adjoint: Map) -> Tensor:
    """`function`, which is linear, of `x`; its gradient is the `adjoint` of the gradient, to any order.

    PyTorch's own of a depthwise convolution is slower, and its second gradient finds that of the filter as well.
    """
    return _Linear.apply(x, function, adjoint) if torch.is_grad_enabled() else function(x)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Map, adjoint: Map) -> Tensor:
        ctx.function, ctx.adjoint = function, adjoint
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _Linear.apply(gradients[0], ctx.adjoint, ctx.function), None, None

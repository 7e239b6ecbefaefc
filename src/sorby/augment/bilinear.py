"""Bilinear lookup that may be differentiated twice with respect to the images (a gradient penalty needs that)."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bilinear(images: Float[Tensor, "n c h w"], grid: Float[Tensor, "n i j 2"]) -> Float[Tensor, "n c i j"]:
    """Look up (x, y) positions, where -1 and 1 are the centres of the first and last pixels; no gradient to `grid`."""
    return _Lookup.apply(images, grid)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The transpose of `_Lookup`: what comes from a position goes to the pixels around it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        # The lookup is linear in the images, so they need not be known; only their shape is.
        images = values.new_empty(1).expand(shape)
        return torch.ops.aten.grid_sampler_2d_backward(values, images, grid, 0, 0, True, [True, False])[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Lookup.apply(gradient, grid), None, None

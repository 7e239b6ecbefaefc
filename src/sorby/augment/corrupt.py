"""Additive noise and cutout (Karras et al. 2020, appendix B)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sorby.augment.moves import PixelMove, Shape


def noise_field(shape: Shape, rng: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Independent N(0, sigma**2) for every value, with one sigma = abs(N(0, 0.1**2)) per image."""
    sigma = 0.1 * torch.randn(shape[0], 1, 1, 1, generator=rng, device=rng.device).abs()
    return sigma * torch.randn(shape, generator=rng, device=rng.device)


def cutout_centre(shape: Shape, rng: torch.Generator) -> Float[Tensor, "n 2"]:
    """(x, y) as fractions of the image, uniform."""
    return torch.rand(shape[0], 2, generator=rng, device=rng.device)


def cutout(images: Float[Tensor, "n c h w"], centre: Float[Tensor, "n 2"]) -> Float[Tensor, "n c h w"]:
    """Set a rectangle of half the width and half the height to mid-grey."""
    columns, rows = _inside(centre[:, 0], images.shape[3]), _inside(centre[:, 1], images.shape[2])
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _inside(centre: Float[Tensor, " n"], size: int) -> Bool[Tensor, "n {size}"]:
    start = ((centre - 0.25) * size).round()[:, None]
    pixel = torch.arange(size, device=centre.device)
    return (pixel >= start) & (pixel < start + size // 2)


NOISE = (PixelMove("noise", noise_field, torch.add),)
CUTOUT = (PixelMove("cutout", cutout_centre, cutout),)

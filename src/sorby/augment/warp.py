"""Carry out geometric matrices: pixel for pixel where the entries are whole numbers, else by one resampling."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sorby.augment.chance import changed, on_subset
from sorby.augment.wavelets import SYM6_CENTRE, SYM6_MARGIN, doubling, halving, mirror
from sorby.models.place import upload


def warp(images: Float[Tensor, "n c s s"], matrices: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n c s s"]:
    """Look through each matrix (see `geometry`) at its square image, mirrored beyond the first and last pixels."""
    whole = (matrices == matrices.round()).flatten(1).all(dim=1)
    images = on_subset(images, matrices, whole & changed(matrices), permute)
    return on_subset(images, matrices, ~whole, resample)


def permute(images: Float[Tensor, "n c s s"], matrices: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n c s s"]:
    """Look through matrices of whole numbers: every output pixel is some input pixel, to the bit."""
    size = images.shape[-1]
    xy = mirror(_lookup(matrices, torch.arange(size, dtype=images.dtype, device=images.device), size), size)
    column, row = xy.round().long().unbind(1)
    index = (row * size + column).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view(images.shape)


def resample(images: Float[Tensor, "n c s s"], matrices: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n c s s"]:
    """Look through any matrices: sym6 to twice the size, bilinear, sym6 back (Karras et al. 2020, appendix B)."""
    size = images.shape[-1]
    up, down = (upload(matrix, images.device).to(images.dtype) for matrix in (doubling(size), halving(size)))
    fine_px = torch.arange(-SYM6_MARGIN, 2 * size + SYM6_MARGIN, dtype=images.dtype, device=images.device)
    xy = mirror(_lookup(matrices, (fine_px - SYM6_CENTRE) / 2, size), size)
    # Pixel k lies at 2k + SYM6_CENTRE of the doubled image, whose first and last pixel the grid calls -1 and 1.
    grid = xy.mul_(4 / (2 * size - 1)).add_(2 * SYM6_CENTRE / (2 * size - 1) - 1)
    fine = F.grid_sample(up @ images @ up.T, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=True)
    return down @ fine @ down.T


def _lookup(matrices: Float[Tensor, "n 3 3"], pixels: Float[Tensor, " m"], size: int) -> Float[Tensor, "n 2 m m"]:
    """Where (x, y), in pixels of the image, each point of the raster pixels x pixels looks."""
    centre = (size - 1) / 2
    along_x = matrices[:, :2, 0, None, None] * (pixels - centre)
    along_y = matrices[:, :2, 1, None, None] * (pixels - centre)[:, None]
    return along_x + (along_y + matrices[:, :2, 2, None, None] + centre)

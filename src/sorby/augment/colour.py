"""Colour moves (Karras et al. 2020, appendix B): one 4x4 matrix per image, acting on rows (red, green, blue, 1).

Grey values lie in -1..1, mid-grey is 0. One channel is a picture whose three colours are equal: hue and saturation
leave it alone.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sorby.augment.chance import changed, on_subset
from sorby.augment.moves import MatrixMove, choice, normal, uniform

Drawn = Float[Tensor, " n"]
Matrices = Float[Tensor, "n 4 4"]


def brightness(b: Drawn) -> Matrices:
    """Add b to every grey value."""
    return F.pad(b.view(-1, 1, 1).expand(-1, 1, 3), (0, 1, 3, 0)) + torch.eye(4, dtype=b.dtype, device=b.device)


def contrast(a: Drawn) -> Matrices:
    """Scale grey values about mid-grey by 2**a."""
    return _along_and_across_grey(torch.exp2(a), torch.exp2(a))


def luma_flip(flipped: Drawn) -> Matrices:
    """Make light dark and dark light, and keep the hue, where 1; leave where 0."""
    return _along_and_across_grey(1 - 2 * flipped, torch.ones_like(flipped))


def saturation(a: Drawn) -> Matrices:
    """Scale the distance from grey by 2**a."""
    return _along_and_across_grey(torch.ones_like(a), torch.exp2(a))


def hue(angle: Drawn) -> Matrices:
    """Turn colours about the grey axis by radians (Rodrigues' formula)."""
    third = angle.new_tensor([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]]) / math.sqrt(3)
    return _along_and_across_grey(torch.ones_like(angle), angle.cos()) + F.pad(
        angle.sin().view(-1, 1, 1) * third, (0, 1, 0, 1)
    )


# The luma flip comes only to those who ask for it: it makes ferrite of martensite.
LUMA_FLIP = MatrixMove("luma_flip", choice(2), luma_flip)
COLOUR = (
    MatrixMove("brightness", normal(0.2), brightness),
    MatrixMove("contrast", normal(0.5), contrast),
    LUMA_FLIP,
    MatrixMove("hue", uniform(math.pi), hue),
    MatrixMove("saturation", normal(1.0), saturation),
)


def recolour(images: Float[Tensor, "n c h w"], matrices: Matrices) -> Float[Tensor, "n c h w"]:
    """Carry out colour matrices on images of one or three channels."""
    return on_subset(images, matrices, changed(matrices), _mix)


def _mix(images: Float[Tensor, "n c h w"], matrices: Matrices) -> Float[Tensor, "n c h w"]:
    linear, offset = matrices[:, :3, :3], matrices[:, 3, :3, None, None]
    if images.shape[1] == 1:
        return images * linear[:, :, :1].sum(dim=1)[..., None, None] + offset[:, :1]
    return torch.einsum("nchw,ncd->ndhw", images, linear) + offset


def _along_and_across_grey(along: Drawn, across: Drawn) -> Matrices:
    """Scale the grey axis, and the plane across it, about mid-grey."""
    grey = along.new_full((3, 3), 1 / 3)
    linear = along.view(-1, 1, 1) * grey + across.view(-1, 1, 1) * (torch.eye(3).to(grey) - grey)
    return F.pad(linear, (0, 1, 0, 1)) + torch.diag(linear.new_tensor([0.0, 0.0, 0.0, 1.0]))

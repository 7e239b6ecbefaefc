"""Pixel blitting and geometric moves (Karras et al. 2020, appendix B): one 3x3 matrix per image, one resampling.

A matrix says where an output pixel looks in the picture: (x, y, 1) in pixels from the centre, x to the right and
y down. Looking through one move after another multiplies the matrices from left to right.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sorby.augment.moves import MatrixMove, Shape, choice, normal, uniform

Drawn = Float[Tensor, " n"]
Matrices = Float[Tensor, "n 3 3"]


def flip(flipped: Drawn) -> Matrices:
    """Mirror left to right where 1, leave where 0."""
    return _linear(1 - 2 * flipped, 0, 0, 1)


def rotate90(turns: Drawn) -> Matrices:
    """Turn counter-clockwise by right angles."""
    angle = turns * (math.pi / 2)
    # Whole numbers to the bit, so that no pixel has to be interpolated.
    return _linear(angle.cos().round(), -angle.sin().round(), angle.sin().round(), angle.cos().round())


def rotate(angle: Drawn) -> Matrices:
    """Turn counter-clockwise by radians."""
    return _linear(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def scale(a: Drawn) -> Matrices:
    """Magnify by 2**a."""
    return _linear(torch.exp2(-a), 0, 0, torch.exp2(-a))


def stretch(a: Drawn) -> Matrices:
    """Magnify by 2**a along x and by 2**-a along y; areas stay."""
    return _linear(torch.exp2(-a), 0, 0, torch.exp2(a))


def translate(shift_px: Float[Tensor, "n 2"]) -> Matrices:
    """Move to the right and down by (x, y) pixels."""
    matrix = torch.eye(3, dtype=shift_px.dtype, device=shift_px.device).repeat(len(shift_px), 1, 1)
    matrix[:, :2, 2] = -shift_px
    return matrix


def whole_shift(shape: Shape, rng: torch.Generator) -> Float[Tensor, "n 2"]:
    """Whole pixels, uniform up to 1/8 of the image along each axis."""
    fraction = (2 * torch.rand(shape[0], 2, generator=rng, device=rng.device) - 1) / 8
    return (fraction * shape[-1]).round()


def free_shift(shape: Shape, rng: torch.Generator) -> Float[Tensor, "n 2"]:
    """Pixels, normal with a standard deviation of 1/8 of the image along each axis."""
    return torch.randn(shape[0], 2, generator=rng, device=rng.device) * (shape[-1] / 8)


# Rotation stands before and after the stretch, so that any direction may be stretched.
ROTATE = MatrixMove("rotate", uniform(math.pi), rotate)
BLIT = (
    MatrixMove("flip", choice(2), flip),
    MatrixMove("rotate90", choice(4), rotate90),
    MatrixMove("shift", whole_shift, translate),
)
GEOM = (
    MatrixMove("scale", normal(0.2), scale),
    ROTATE,
    MatrixMove("stretch", normal(0.2), stretch),
    ROTATE,
    MatrixMove("slide", free_shift, translate),
)


def _linear(xx: Drawn, xy: Drawn | int, yx: Drawn | int, yy: Drawn | int) -> Matrices:
    matrix = xx.new_zeros(len(xx), 3, 3)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 2, 2] = xx, xy, yx, yy, 1
    return matrix

"""Ways between two vectors, of any shape, which count as one long vector each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

PARALLEL = 1e-6
"""Vectors whose directions differ by less have no plane of their own."""


def lerp(a: Float[Tensor, "*s"], b: Float[Tensor, "*s"], t: float) -> Float[Tensor, "*s"]:
    """The straight line from a (t = 0) to b (t = 1)."""
    return a + t * (b - a)


def slerp(a: Float[Tensor, "*s"], b: Float[Tensor, "*s"], t: float) -> Float[Tensor, "*s"]:
    """The shortest great circle from a to b at even speed, of both normalised first (Shoemake 1985).

    The length goes evenly from |a| to |b|. Between opposite vectors, where every great circle is as short, one is
    chosen that depends on a alone. Raises no error: the zero vector has no direction, and is taken for its neighbour.
    """
    beside, angle = _plane(a, b)
    return _turned(a, beside, angle * t) * (1 + t * (_norm(b) / _norm(a) - 1))


def circle(a: Float[Tensor, "*s"], b: Float[Tensor, "*s"], t: float) -> Float[Tensor, "*s"]:
    """The great circle that begins at a and leads through the direction of b, once around as t goes from 0 to 1."""
    beside, _ = _plane(a, b)
    return _turned(a, beside, 2 * math.pi * t)


def angle_between(a: Float[Tensor, "*s"], b: Float[Tensor, "*s"]) -> float:
    """In radians, 0 to pi."""
    return _plane(a, b)[1]


def _plane(a: Tensor, b: Tensor) -> tuple[Tensor, float]:
    """A vector as long as a and at right angles to it, on the side of b; and the angle between a and b."""
    u, v = (x.double() / _norm(x) for x in (a, b))
    along = float((u * v).sum())
    beside = v - along * u
    across = float(beside.norm())
    if across < PARALLEL:
        beside = _any_beside(u)
    return (beside / beside.norm() * _norm(a)).to(a.dtype), math.atan2(across, along)


def _any_beside(u: Tensor) -> Tensor:
    """Some vector at right angles to the unit vector u."""
    axis = torch.zeros_like(u).flatten()
    axis[u.abs().argmin()] = 1
    axis = axis.view_as(u)
    return axis - (axis * u).sum() * u


def _turned(a: Tensor, beside: Tensor, angle: float) -> Tensor:
    return math.cos(angle) * a + math.sin(angle) * beside


def _norm(x: Tensor) -> float:
    return max(float(x.double().norm()), torch.finfo(torch.float32).tiny)

"""What a move is: numbers drawn for each image, and what they do. Drawing knows nothing of the pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Shape = tuple[int, ...]
"""n, c, h, w of the images."""
Sampler = Callable[[Shape, torch.Generator], Tensor]
"""Draws one row per image, on the device of the generator."""


@dataclass(frozen=True)
class MatrixMove:
    """A move that is one matrix per image, so that several are multiplied and then done at once."""

    name: str
    sample: Sampler
    matrix: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PixelMove:
    """A move done to the pixels by itself."""

    name: str
    sample: Sampler
    apply: Callable[[Tensor, Tensor], Tensor]


def normal(std: float) -> Sampler:
    """Draw from N(0, std**2)."""
    return lambda shape, rng: std * torch.randn(shape[0], generator=rng, device=rng.device)


def uniform(reach: float) -> Sampler:
    """Draw from -reach..reach."""
    return lambda shape, rng: reach * (2 * torch.rand(shape[0], generator=rng, device=rng.device) - 1)


def choice(num: int) -> Sampler:
    """Draw 0, 1, ... or num - 1 with equal chance."""
    return lambda shape, rng: torch.randint(num, shape[:1], generator=rng, device=rng.device).float()

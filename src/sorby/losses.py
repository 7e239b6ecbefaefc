"""Losses of paper A: one value an image, or a score; no mean, no weight, no logging inside."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def logistic_real(scores: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """-log sigmoid(score): low where the discriminator calls an image real (Goodfellow et al. 2014, non-saturating)."""
    return F.softplus(-scores)


def logistic_fake(scores: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """-log(1 - sigmoid(score)): low where the discriminator calls an image generated."""
    return F.softplus(scores)


def r1_penalty(scores: Float[Tensor, "n s"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Squared norm of the gradient by each image of its scores' sum, >= 0 (Mescheder et al. 2018, equation 9)."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def path_lengths(
    images: Float[Tensor, "n c h w"], ws: Float[Tensor, "n l d"], *, rng: torch.Generator
) -> Float[Tensor, " n"]:
    """How far a picture moves in a random direction for a small step in w (Karras et al. 2020a, section 3.2), >= 0.

    The norm of J^T y, with y ~ N(0, 1) an image divided by the root of the number of pixels.
    """
    height, width = images.shape[2:]
    y = torch.randn(images.shape, generator=rng, device=rng.device) / (height * width) ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()

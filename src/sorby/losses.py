"""Losses of papers A and B: one value an image, or a score; no mean, no weight, no logging inside."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sorby.seeds import Rows


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
    images: Float[Tensor, "n c h w"], ws: Float[Tensor, "n l d"], *, rng: torch.Generator, rows: Rows | None = None
) -> Float[Tensor, " n"]:
    """How far a picture moves in a random direction for a small step in w (Karras et al. 2020a, section 3.2), >= 0.

    The norm of J^T y, with y ~ N(0, 1) an image divided by the root of the number of pixels. Images that are `rows` of
    a batch get the y of theirs.
    """
    rows = rows or Rows.whole(len(images))
    height, width = images.shape[2:]
    drawn = torch.randn(rows.of, *images.shape[1:], generator=rng, device=rng.device)
    y = rows.take(drawn) / (height * width) ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def wasserstein_real(scores: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """What a critic pays for a real image, and a generator for its own (Arjovsky et al. 2017; paper B, equation 2)."""
    return -scores


def wasserstein_fake(scores: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """What a critic pays for a generated image."""
    return scores


def gradient_penalty(scores: Float[Tensor, "n s"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """How far the norm of the gradient by each image of its scores' sum is from 1, squared (Gulrajani et al. 2017)."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


def class_contrast(
    image: Float[Tensor, "m d"],
    condition: Float[Tensor, "m d"],
    y: Float[Tensor, "m k"],
    *,
    temperature: float,
    printed: bool = False,
) -> Float[Tensor, " m"]:
    """Pull images of equal conditions together, and push others apart (Kang & Park 2020; paper B, equation 3), >= 0.

    `image` is l(x), `condition` e(y), made unit vectors here; `y` the conditions themselves. The pair of an image with
    itself counts neither above nor below the line; `printed` has it above alone, as the equation is printed: then
    random vectors cost less than clustered ones, and the loss may be negative.
    """
    l_x, e_y = F.normalize(image, dim=1), F.normalize(condition, dim=1)
    to_own_condition = (l_x * e_y).sum(1, keepdim=True) / temperature
    to_images = l_x @ l_x.T / temperature
    itself = torch.eye(len(l_x), dtype=torch.bool, device=l_x.device)
    alike = (y[:, None] == y).all(2)
    attracted = alike if printed else alike & ~itself
    above = torch.cat([to_own_condition, to_images.masked_fill(~attracted, -math.inf)], 1)
    below = torch.cat([to_own_condition, to_images.masked_fill(itself, -math.inf)], 1)
    return below.logsumexp(1) - above.logsumexp(1)


def continuous_contrast(
    image: Float[Tensor, "m d"], y: Float[Tensor, "m k"], *, alpha: float, delta: float
) -> Float[Tensor, " m"]:
    """Hold the distances of images to those of their conditions (paper B, equation 1, mended), >= 0.

    `image` is l(x), made unit vectors here, 0 to 2 apart; `y` the standardised conditions, whose distance is the root
    mean square over them: nothing that is learnt, so that vectors fallen into one point cost. A pair may be off by
    `delta`; the mean is over the other images, so that the loss does not grow with the batch.
    """
    target = alpha * distances(y) / y.shape[1] ** 0.5
    return _misfit(distances(F.normalize(image, dim=1)), target, delta).sum(1) / max(len(y) - 1, 1)


def continuous_contrast_printed(
    image: Float[Tensor, "m d"], condition: Float[Tensor, "m d"], *, alpha: float, delta: float
) -> Float[Tensor, " m"]:
    """The same as paper B prints it: between l(x) and e(y), both learnt; 0 where each has fallen into one point."""
    l_x, e_y = F.normalize(image, dim=1), F.normalize(condition, dim=1)
    return _misfit(distances(l_x), alpha * distances(e_y), delta).sum(1)


def distances(vectors: Float[Tensor, "m d"]) -> Float[Tensor, "m m"]:
    """Euclidean distance of each pair, exactly 0 between equal vectors, where it pulls nowhere."""
    return torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")


def spread(vectors: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """Root mean square distance of all pairs of the vectors, made unit vectors: 0 in one point, at most sqrt(2)."""
    return (2 * F.normalize(vectors, dim=1).var(0, unbiased=False).sum()).sqrt()


def _misfit(found: Float[Tensor, "m m"], target: Float[Tensor, "m m"], delta: float) -> Float[Tensor, "m m"]:
    """How far pairs are from their target, beyond `delta`; an image and itself are 0 apart in both."""
    return ((found - target).abs() - delta).clamp(min=0)

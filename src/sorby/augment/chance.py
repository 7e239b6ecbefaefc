"""The one place where a probability decides which image gets which move."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from sorby.augment.moves import MatrixMove, PixelMove, Shape
from sorby.models.place import upload
from sorby.seeds import Rows


def compose(
    moves: Sequence[MatrixMove], shape: Shape, *, size: int, ps: Sequence[float], rng: torch.Generator
) -> Float[Tensor, "n {size} {size}"]:
    """Product, in order, of the moves that each image gets, each with its probability; the identity where it gets none.

    A move that stands k times in the list acts each time with 1 - (1 - p)**(1/k), so that it acts at all with
    probability p (p_rot of Karras et al. 2020, appendix B).
    """
    product = torch.eye(size, device=rng.device).repeat(shape[0], 1, 1)
    for move, p in zip(moves, ps, strict=True):
        p_each = 1 - (1 - p) ** (1 / moves.count(move))
        chosen = torch.rand(shape[0], 1, 1, generator=rng, device=rng.device) < p_each
        product = torch.where(chosen, product @ move.matrix(move.sample(shape, rng)), product)
    return product


def apply_some(
    move: PixelMove, images: Float[Tensor, "n c h w"], *, p: float, rng: torch.Generator, rows: Rows
) -> Float[Tensor, "n c h w"]:
    """Do `move` to each image with probability `p`; the images are these `rows` of a batch."""
    shape = whole_shape(images, rows)
    chosen = rows.take(torch.rand(shape[0], generator=rng, device=rng.device) < p)
    return on_subset(images, rows.take(move.sample(shape, rng)), chosen, move.apply)


def whole_shape(images: Float[Tensor, "n c h w"], rows: Rows) -> Shape:
    """Of the batch, or batches, that the images are rows of."""
    return (len(images) // max(rows.num, 1) * rows.of, *images.shape[1:])


def on_subset(
    images: Float[Tensor, "n c h w"],
    drawn: Shaped[Tensor, "n *k"],
    chosen: Bool[Tensor, " n"],
    function: Callable[[Tensor, Tensor], Tensor],
) -> Float[Tensor, "n c h w"]:
    """Replace the chosen images by `function(images, drawn)`; the others keep every bit and cost nothing.

    Waits for the device if `chosen` lives there, and not for a CUDA device if it lives on the CPU.
    """
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return images
    if len(index) == len(images):
        return function(images, upload(drawn, images.device).to(images.dtype))
    there = upload(index, images.device)
    return images.index_copy(0, there, function(images[there], upload(drawn[index], images.device).to(images.dtype)))


def changed(matrices: Float[Tensor, "n d d"]) -> Bool[Tensor, " n"]:
    """Which matrices are not the identity."""
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    return (matrices != identity).flatten(1).any(dim=1)

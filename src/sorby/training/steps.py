"""What the steps of both models share. A step returns its scalars as tensors, not waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.build import largest_activation
from sorby.models.conditioning import Judged
from sorby.seeds import Rows
from sorby.training.share import Share, add

Scalars = dict[str, Tensor]
Augmentation = Callable[[Tensor, Rows], Tensor]
"""Images, and the rows of the batch that they are."""


class Batch(NamedTuple):
    """What one step of a run is given."""

    number: int
    """Steps before it."""
    real: Float[Tensor, "m c h w"]
    """Those that this process has of the batch."""
    condition: Float[Tensor, "m k"]
    """Of the real images."""
    asked: tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]
    """Conditions for the generated pictures of the whole batch, twice."""


def compute_dtype(config: TrainConfig) -> torch.dtype:
    """Precision of the convolutions, in settings that leave it open no more."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.precision]


def largest_tensor(config: TrainConfig, images: int) -> int:
    """What the largest features of so many generated pictures take, in bytes."""
    return images * largest_activation(config.network) * compute_dtype(config).itemsize


def contrast(judged: Judged, y: Float[Tensor, "m k"], config: TrainConfig, share: Share) -> Float[Tensor, ""]:
    """The contrastive loss of the settings, weighted; 0 for none. `y` are the conditions of the images judged.

    Each process compares all images of the batch, and counts as many as are its own.
    """
    if judged.image is None or judged.condition is None:
        return judged.scores.new_zeros(())
    judged, y = _gathered(judged, share), share.gathered(y)
    assert judged.image is not None
    assert judged.condition is not None
    form, alpha, delta = config.contrastive, config.contrastive_alpha, config.contrastive_delta
    if form in ("class", "class-printed"):
        printed = form == "class-printed"
        loss = losses.class_contrast(judged.image, judged.condition, y, temperature=config.temperature, printed=printed)
    elif form == "continuous":
        loss = losses.continuous_contrast(judged.image, y, alpha=alpha, delta=delta)
    else:
        loss = losses.continuous_contrast_printed(judged.image, judged.condition, alpha=alpha, delta=delta)
    weighted = config.contrastive_weight * loss.mean()
    return weighted - weighted.detach() * (1 - share.rows.share)  # the gradient is that of the own images already


def spreads(judged: Judged, share: Share) -> Scalars:
    """How far l(x), and e(y), lie apart: 0 where they have fallen into one point; nothing where none are given."""
    if judged.image is None or judged.condition is None:
        return {}
    apart = {"spread_l": judged.image, "spread_e": judged.condition}
    return {name: losses.spread(share.gathered(x.detach())) * share.rows.share for name, x in apart.items()}


def _gathered(judged: Judged, share: Share) -> Judged:
    """With the vectors of the whole batch."""
    return Judged(judged.scores, *(None if x is None else share.gathered(x) for x in judged[1:]))


def descend(
    loss_of: Callable[[Rows], tuple[Tensor, Scalars]], optimiser: torch.optim.Optimizer, share: Share, *used: nn.Module
) -> Scalars:
    """One step of the optimiser down the gradient of the batch's loss, and the sums of the scalars.

    `loss_of` gives what some rows add to the loss and to the scalars; `used` are the networks whose buffers it moves.
    """
    optimiser.zero_grad(set_to_none=True)
    sums: Scalars = {}
    for rows in share.parts(*used):
        loss, scalars = loss_of(rows)
        loss.backward()
        add(sums, scalars)
    share.sum_gradients(optimiser)
    optimiser.step()
    return sums


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """While the network judges and does not learn; afterwards those of its weights learn again that did before."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_()

"""What the steps of both models share. A step returns its scalars as tensors, not waited for."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.conditioning import Judged

Scalars = dict[str, Tensor]
Augmentation = Callable[[Tensor], Tensor]


class Batch(NamedTuple):
    """What one step of a run is given."""

    number: int
    """Steps before it."""
    real: Float[Tensor, "n c h w"]
    condition: Float[Tensor, "n k"]
    """Of the real images."""
    asked: tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]
    """Conditions for generated pictures, twice."""


def compute_dtype(config: TrainConfig) -> torch.dtype:
    """Precision of the convolutions."""
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def contrast(judged: Judged, y: Float[Tensor, "m k"], config: TrainConfig) -> Float[Tensor, ""]:
    """The contrastive loss of the settings, weighted; 0 for none. `y` are the conditions of the images judged."""
    if judged.image is None or judged.condition is None:
        return judged.scores.new_zeros(())
    form, alpha, delta = config.contrastive, config.contrastive_alpha, config.contrastive_delta
    if form in ("class", "class-printed"):
        printed = form == "class-printed"
        loss = losses.class_contrast(judged.image, judged.condition, y, temperature=config.temperature, printed=printed)
    elif form == "continuous":
        loss = losses.continuous_contrast(judged.image, y, alpha=alpha, delta=delta)
    else:
        loss = losses.continuous_contrast_printed(judged.image, judged.condition, alpha=alpha, delta=delta)
    return config.contrastive_weight * loss.mean()


def spreads(judged: Judged) -> Scalars:
    """How far l(x), and e(y), lie apart: 0 where they have fallen into one point; nothing where none are given."""
    if judged.image is None or judged.condition is None:
        return {}
    return {"spread_l": losses.spread(judged.image.detach()), "spread_e": losses.spread(judged.condition.detach())}


def descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """One step of the optimiser down the gradient of `loss`."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()

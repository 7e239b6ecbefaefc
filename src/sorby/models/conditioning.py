"""How networks take a condition in, and the vectors of images and conditions that a critic may give besides scores."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.models.layers import ACTIVATION_GAIN, Linear, activate, normalise

VECTOR = 64
"""Length of the vectors that are contrasted (Jain et al. 2024, table 2)."""
SLOW = 0.01
"""How much slower than others the layers of a mapping learn."""
FEATURES = 256
"""Random features of a condition."""
REACH = 2.0
"""How far what is learnt at one condition holds, in standard deviations of the data."""


class ConditionFeatures(nn.Module):
    """Random Fourier features of an encoded condition (Rahimi & Recht 2007): of mean square 1, and never trained.

    The mean product of the features of a and b is about exp(-|a - b|**2 / (2 REACH**2)): what is learnt at one
    condition holds for its neighbours.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, condition_dim: int, features: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(condition_dim, features) / REACH)
        self.register_buffer("phases", 2 * math.pi * torch.rand(features))

    def forward(self, condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        return math.sqrt(2) * torch.cos(condition @ self.frequencies + self.phases)


class ConditionVector(nn.Sequential):
    """A condition "n k" to a vector "n d" that a network learns to make of its features; of mean square `gain`**2."""

    def __init__(self, condition_dim: int, dim: int, *, gain: float = 1) -> None:
        super().__init__(ConditionFeatures(condition_dim, FEATURES), Linear(FEATURES, dim, gain=gain))


class ConditionMapping(nn.Module):
    """A condition "n k" to a vector "n d" by a linear map, scaled to unit mean square, and connected layers.

    The official code's, whose scores are projected onto it; its number of layers is not that of the generator.
    """

    def __init__(self, condition_dim: int, dim: int, *, num_layers: int = 8) -> None:
        super().__init__()
        self.embed = Linear(condition_dim, dim)
        self.layers = nn.ModuleList(
            Linear(dim, dim, gain=ACTIVATION_GAIN, lr_multiplier=SLOW) for _ in range(num_layers)
        )

    def forward(self, condition: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        vector = normalise(self.embed(condition))
        for layer in self.layers:
            vector = activate(layer(vector))
        return vector


class Judged(NamedTuple):
    """Scores of images, and the vectors that contrastive losses compare, of a network that was made to give them."""

    scores: Float[Tensor, "n s"]
    image: Float[Tensor, "n d"] | None = None
    """l(x)"""
    condition: Float[Tensor, "n d"] | None = None
    """e(y)"""

    def first(self, num: int) -> "Judged":
        """Of the first `num` images alone."""
        scores, image, condition = self
        return Judged(
            scores[:num], None if image is None else image[:num], None if condition is None else condition[:num]
        )


class ContrastiveHead(nn.Module):
    """Features of an image to l(x), and a condition to e(y)."""

    def __init__(self, features: int, condition_dim: int) -> None:
        super().__init__()
        self.hidden = Linear(features, features, gain=ACTIVATION_GAIN)
        self.image = Linear(features, VECTOR)
        self.condition = Linear(condition_dim, VECTOR)

    def forward(
        self, features: Float[Tensor, "n f"], condition: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        return self.image(activate(self.hidden(features))), self.condition(condition)

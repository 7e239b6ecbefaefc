"""What all files of other programs are read to: the shape of Sorby's networks, and weights by Sorby's names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sorby.config import NetworkConfig
from sorby.errors import WeightsError, unfit
from sorby.models.weights import check_weights
from sorby.seeds import rng_for

N = TypeVar("N", bound=nn.Module)
Tensors = Mapping[str, Tensor]
MEAN_OF = 10_000
"""Latents whose mean w stands for one that a file does not hold."""
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
"""The filter of Sorby's up- and downsampling, along one axis."""


@dataclass(frozen=True)
class Foreign:
    """Networks of another program as Sorby's, and what the file tells of them."""

    origin: str
    """The program that made it."""
    network: NetworkConfig
    G_ema: Tensors
    """The generator that pictures are drawn from: the running average."""
    G: Tensors | None = None
    """The generator that learns; None where the file has none."""
    D: Tensors | None = None
    """The discriminator; None where the file has none, or one that Sorby has not."""
    kimg: float | None = None
    """Thousands of images that it was trained with; None where the file does not tell."""
    p: float | None = None
    """Augmentation probability; None where the file does not tell."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the file tells of the training data."""
    remarks: tuple[str, ...] = ()
    """What was not carried over, a sentence each."""


def network_config(
    what: str,
    *,
    widths: Mapping[int, int],
    channels: int,
    z_dim: int,
    w_dim: int,
    mapping_layers: int,
    condition_dim: int = 0,
    clamp: float | None = None,
) -> NetworkConfig:
    """The settings that give these feature maps at each resolution. Raises `WeightsError` where there are none."""
    widest, size = max(widths.values()), max(widths)
    base = max(side * width for side, width in widths.items() if width < widest or side == size)
    expected = {side: min(base // side, widest) for side in widths}
    if dict(widths) != expected or sorted(widths) != [2**i for i in range(2, int(math.log2(size)) + 1)]:
        raise WeightsError(f"{what} has feature maps {dict(widths)} by resolution, and Sorby's networks {expected}.")
    try:
        return NetworkConfig(
            size=size,
            channels=channels,
            condition_dim=condition_dim,
            condition_in="z" if condition_dim else "w",
            z_dim=z_dim,
            w_dim=w_dim,
            mapping_layers=mapping_layers,
            channel_base=base,
            channel_max=widest,
            clamp=clamp,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "network"
        raise WeightsError(f"{what} is of a shape that Sorby has not ({where}: {unfit(first)}).") from None


def fitted(make: Callable[[NetworkConfig], N], config: NetworkConfig, tensors: Tensors, what: str) -> N:
    """The network with these weights. Raises `WeightsError` for the first that is missing, unfit or not finite."""
    with torch.device("meta"):  # takes no memory before the shapes are known to be those of the file
        network = make(config)
    check_weights(network, tensors, what, unfit="it is of another kind than Sorby's")
    network.load_state_dict(dict(tensors), assign=True)
    return network


def tensor_of(tensors: Tensors, name: str, what: str) -> Tensor:
    """The tensor of a name. Raises `WeightsError` where `what` has none."""
    if name not in tensors:
        raise WeightsError(f"{what} has no {name}: it is of another kind than the networks that Sorby reads.")
    return tensors[name]


@torch.no_grad()
def mean_w(mapping: nn.Module, z_dim: int) -> Tensor:
    """The mean of w over many latents of a mapping without conditions."""
    z = torch.randn(MEAN_OF, z_dim, generator=rng_for(0, "mean w"))
    mean: Tensor = mapping(z, z[:, :0]).mean(0)
    return mean


def is_low_pass(kernel: Tensor, gain: float = 1) -> bool:
    """Whether a filter, along both axes, is Sorby's."""
    return kernel.shape == (4, 4) and bool(torch.allclose(kernel, TAPS[:, None] * TAPS * gain))

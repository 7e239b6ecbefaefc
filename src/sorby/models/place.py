"""Where networks live, and in which order their weights lie."""

from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def place(network: N, device: torch.device | str) -> N:
    """Move a network to a device, channels last: the layout in which convolutions are fastest."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

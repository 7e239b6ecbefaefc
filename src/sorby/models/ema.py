"""Running average of the generator's weights (Karras et al. 2018), the one that pictures are drawn from."""

import torch
from torch import nn


def decay(batch_size: int, images_seen: int, *, half_life_images: float, rampup: float | None) -> float:
    """Factor that the old average keeps at a step.

    The half-life grows with training, `rampup` times the images seen, until it reaches `half_life_images`
    (Karras et al. 2020b): early averages would otherwise remember the random start.
    """
    half_life = half_life_images if rampup is None else min(half_life_images, images_seen * rampup)
    return 0.5 ** (batch_size / max(half_life, 1e-8))


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, beta: float) -> None:
    """Pull each parameter of `average` to that of `network`; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - beta)
    for mean, new in zip(average.buffers(), network.buffers(), strict=True):
        mean.copy_(new)

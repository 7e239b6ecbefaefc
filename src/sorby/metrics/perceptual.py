"""Perceptual distance (Zhang et al. 2018): how far apart two pictures are for a network that has learnt to see.

As in their baseline without weights of its own (equation 1 with w = 1), on EfficientNet-lite0, which is on hand
offline; so a distance is comparable with others of this function only, and not with a published LPIPS.
"""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from sorby.errors import DataError
from sorby.generator import from_grey_values
from sorby.metrics.efficientnet import EfficientNetLite0, Stages
from sorby.metrics.features import load_network
from sorby.models.projected import MIN_VIEW_PX

BATCH = 8


class PerceptualDistance(nn.Module):
    """Distances of pictures in [-1, 1], differentiable by both; 0 for equal ones, 4 at most.

    `stages` gives maps "n _ _ _" of pictures "n 3 h w", which are enlarged to 128 px at least.
    """

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        self.stages = stages.requires_grad_(False)

    def forward(self, a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """Distance of each picture of `a` from its partner in `b`."""
        return (self.embed(a) - self.embed(b)).square().sum(1)

    def embed(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Vectors whose squared Euclidean distances are the perceptual ones.

        Each map has unit vectors over its channels; squared differences are averaged over places, then over maps.
        """
        maps = self.stages(_view(images))
        parts = [(F.normalize(x, dim=1) / math.sqrt(x[0, 0].numel() * len(maps))).flatten(1) for x in maps]
        return torch.cat(parts, 1)


def load_perceptual(*, path: Path | None = None, device: torch.device | str = "cpu") -> PerceptualDistance:
    """The distance on EfficientNet-lite0. Raises `WeightsError` where there are no weights of it."""
    network = load_network("efficientnet-lite0", path=path, device=device).module
    assert isinstance(network, EfficientNetLite0)
    return PerceptualDistance(Stages(network))


@torch.inference_mode()
def perceptual_distance(
    a: UInt8[np.ndarray, "n c h w"], b: UInt8[np.ndarray, "_ _ _ _"], *, metric: PerceptualDistance | None = None
) -> Float[np.ndarray, " n"]:
    """Distance of each picture of `a` from its partner in `b`, grey or RGB, by `metric` or the one on EfficientNet.

    Raises `DataError` where the two are not of one shape.
    """
    if a.shape != b.shape:
        raise DataError(f"Pictures of shapes {a.shape} and {b.shape} came to be compared: give pairs of one size.")
    measure = metric or load_perceptual()
    device = next(measure.parameters(), torch.zeros(())).device
    parts = [
        measure(*(from_grey_values(torch.tensor(side[start : start + BATCH]).to(device)) for side in (a, b)))
        for start in range(0, len(a), BATCH)
    ]
    return torch.cat(parts).cpu().numpy() if parts else np.zeros(0, np.float32)


def _view(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 v u"]:
    """What the network sees: large enough, and of three channels."""
    h, w = images.shape[2:]
    zoom = MIN_VIEW_PX / min(h, w)
    if zoom > 1:
        size = (round(h * zoom), round(w * zoom))
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

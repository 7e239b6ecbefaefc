"""Brightness and contrast of generated pictures, matched to those of the data.

A discriminator hardly minds a few per cent of contrast, and trainings mostly end below the real one by that much
(docs/trials.md). Two numbers mend it, as two knobs of a microscope do; nothing else of a picture changes.
"""

import copy
from collections.abc import Iterable
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import UInt8

from sorby.fields import one_channel
from sorby.models.layers import ToGrey
from sorby.models.stylegan2 import GeneratorNetwork

MOST = 2.0
"""Contrast is not raised or lowered by more than this factor: what is further off has not learnt yet."""


class Greys(NamedTuple):
    """Of some pictures, in grey levels of 0 to 255."""

    mean: float
    contrast: float
    """The standard deviation within a picture, averaged over them."""


def greys_of(pictures: Iterable[UInt8[np.ndarray, "c h w"]]) -> Greys:
    """Measure; of colours their mean.

    >>> greys_of(np.array([[[[0, 200]]], [[[50, 150]]]], np.uint8))
    Greys(mean=100.0, contrast=75.0)
    """
    found = [(grey.mean(), grey.std()) for grey in map(one_channel, pictures)]
    mean, contrast = np.mean(found, axis=0)
    return Greys(float(mean), float(contrast))


def matched(network: GeneratorNetwork, found: Greys, wanted: Greys) -> GeneratorNetwork:
    """A copy whose pictures have the greys `wanted` where those of `network`, which is not frozen, have `found`.

    But for what is cut off at black and white, and for contrast beyond `MOST`.
    """
    gain = min(max(wanted.contrast / max(found.contrast, 1e-6), 1 / MOST), MOST)
    level = (wanted.mean - 127.5) / 127.5 - gain * (found.mean - 127.5) / 127.5
    network = copy.deepcopy(network)
    layers = cast(list[ToGrey], list(network.synthesis.to_grey))
    with torch.no_grad():
        for layer in layers:  # the picture is the sum of theirs
            layer.conv.weight.mul_(gain)
            layer.bias.mul_(gain)
        layers[-1].bias.add_(level)
    return network

"""Brightness and contrast of generated pictures: a run begins with those of its data, and a generator is saved so.

An untrained generator draws far beyond black and white, where a discriminator that sees already may drive it further
off. A trained one mostly has a few per cent too little contrast, which a discriminator hardly minds (docs/trials.md).
Two numbers mend either, as two knobs of a microscope do; nothing else of a picture changes.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sorby.fields import one_channel
from sorby.models.layers import ToGrey
from sorby.models.stylegan2 import GeneratorNetwork

MOST = 2.0
"""Contrast that was learnt is not raised or lowered by more than this factor: further off, little was learnt yet."""
FLATTEST = 1.0
"""Contrast that a run begins with at least, in grey levels: none at all would leave no gradient."""
AT_ONCE = 8
"""Pictures of an untrained network that are drawn in one call."""
LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in grey (ITU-R BT.601), as in `one_channel`."""


class Greys(NamedTuple):
    """Of some pictures, in grey levels of 0 to 255."""

    mean: float
    contrast: float
    """The standard deviation within a picture, averaged over them."""


def greys_of(pictures: Iterable[UInt8[np.ndarray, "c h w"]]) -> Greys:
    """Measure; of colours their luma.

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
    network = copy.deepcopy(network)
    gain = min(max(wanted.contrast / max(found.contrast, 1e-6), 1 / MOST), MOST)
    _adjust(network, found, wanted, gain=gain)
    return network


@torch.no_grad()
def begin_with(
    wanted: Greys, networks: Sequence[GeneratorNetwork], condition: Float[Tensor, "n k"], *, rng: torch.Generator
) -> None:
    """Give untrained `networks`, which are all alike, the greys `wanted`.

    What they draw before is measured on n pictures of these conditions; the `rng` is on the device of the networks.
    """
    network, found = networks[0], []
    for rows in condition.split(AT_ONCE):
        z = torch.randn(len(rows), network.z_dim, generator=rng, device=rng.device)
        pictures = network(z, rows, network.synthesis.draw_noise(len(rows), rng=rng))
        weights = LUMA if pictures.shape[1] == len(LUMA) else (1.0,)
        grey = 127.5 * (torch.einsum("nchw,c->nhw", pictures, pictures.new_tensor(weights)) + 1)
        found.append(torch.stack([grey.mean((1, 2)), grey.std((1, 2), correction=0)], 1))
    untrained = Greys(*torch.cat(found).mean(0).tolist())
    gain = max(wanted.contrast, FLATTEST) / untrained.contrast
    for network in networks:
        _adjust(network, untrained, wanted, gain=gain)


@torch.no_grad()
def _adjust(network: GeneratorNetwork, found: Greys, wanted: Greys, *, gain: float) -> None:
    """Multiply contrast by `gain`, and move the mean from the one `found` to the one `wanted`."""
    level = (wanted.mean - 127.5) / 127.5 - gain * (found.mean - 127.5) / 127.5
    layers = cast(list[ToGrey], list(network.synthesis.to_grey))
    for layer in layers:  # the picture is the sum of theirs
        layer.conv.weight.mul_(gain)
        layer.bias.mul_(gain)
    layers[-1].bias.add_(level)

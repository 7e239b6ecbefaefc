"""Datasets whose area fraction is their condition, and a feature network that costs nothing."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.metrics.features import FEATURE_NETWORKS, FILTER, FeatureNetwork
from sorby.simulation.random_field import two_phase

FRACTIONS = (0.2, 0.3, 0.4, 0.5, 0.6)


def fields(path, *, seed, shows=None, parents=4, each=3, held_out=(), size=24):
    """Pictures at each area fraction, in percent; `shows` gives the fraction that is drawn instead."""
    rng, items = np.random.default_rng(seed), []
    for asked in FRACTIONS:
        for parent in range(parents):
            split = "held-out-condition" if asked in held_out else ("held-out" if parent == 0 else "train")
            for number in range(each):
                fraction = asked if shows is None else shows(asked, rng)
                mask = two_phase((size, size), volume_fraction=fraction, correlation_length_px=2, rng=rng)
                patch = Patch(
                    file=f"{asked}-{parent}-{number}.png",
                    parent=f"{asked}-{parent}",
                    pixel_size_um=0.1,
                    split=split,
                    conditions={"fraction": f"{100 * asked:g}"},
                )
                items.append((patch, np.where(mask, 180, 70).astype(np.uint8)))
    space = ConditionSpace.from_rows([patch.conditions for patch, _ in items], ["fraction:%"])
    write_dataset(path, items, space=space, recipe={})
    return path


def block_means():
    """The mean grey values of 16 blocks, three times."""
    blueprint = replace(FEATURE_NETWORKS["efficientnet-lite0"], size_px=24, dim=48)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    return FeatureNetwork("block means", 48, FILTER, "0" * 64, blueprint, module, torch.device("cpu"))

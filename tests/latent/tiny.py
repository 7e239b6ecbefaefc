"""Small generators with random weights."""

import torch

from sorby.card import GeneratorCard
from sorby.conditions import Condition, ConditionSpace
from sorby.config import NetworkConfig
from sorby.generator import Generator
from sorby.models.build import generator_network

CLASSES = Condition(name="phase", kind="class", classes=("ferrite", "pearlite"))
TEMPERATURE = Condition(name="temperature", unit="°C", low=800, high=1000, mean=900, std=50)
SPACE = ConditionSpace(conditions=(CLASSES, TEMPERATURE))
SEEN = ({"phase": "ferrite", "temperature": 800.0}, {"phase": "pearlite", "temperature": 1000.0})


def tiny(*, conditional=False, pixel_size_um=0.25, **network):
    torch.manual_seed(0)
    space = SPACE if conditional else ConditionSpace()
    sizes = {"size": 32, "z_dim": 16, "channel_base": 256, "channel_max": 16}
    if network.get("model") != "contragan":
        sizes["w_dim"] = 16
    config = NetworkConfig(**sizes | network, condition_dim=space.dim)
    card = GeneratorCard(
        network=config,
        pixel_size_um=pixel_size_um,
        space=space,
        seen_conditions=SEEN if conditional else (),
        seen_counts=(1, 1) if conditional else (),
    )
    net = generator_network(config)
    if config.model == "stylegan2":
        for conv in net.synthesis.convs:
            conv.noise_strength.data.fill_(0.2)
    return Generator(net, card)

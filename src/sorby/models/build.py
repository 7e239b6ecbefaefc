"""The generator that a configuration names, whichever it is."""

from sorby.config import NetworkConfig
from sorby.models import contragan
from sorby.models.bilinear import BilinearSynthesis
from sorby.models.contragan import ContraganGenerator
from sorby.models.stylegan2 import GeneratorNetwork, Synthesis, channels_at

AnyGenerator = GeneratorNetwork | ContraganGenerator
"""Networks with a mapping of latent and condition to w, and a synthesis of w and noise to pictures."""
AnySynthesis = Synthesis | BilinearSynthesis | contragan.Synthesis


def generator_network(config: NetworkConfig) -> AnyGenerator:
    """The generator of `config.model`, with new weights."""
    return ContraganGenerator(config) if config.model == "contragan" else GeneratorNetwork(config)


def largest_activation(config: NetworkConfig) -> int:
    """Most numbers that one picture takes at once while it is drawn."""
    if config.model == "contragan":
        return contragan.largest_activation(config)
    # A transposed convolution is a pixel wider than what is made of it.
    return max(channels_at(2**i, config) * (2**i + 1) ** 2 for i in range(2, config.size.bit_length()))

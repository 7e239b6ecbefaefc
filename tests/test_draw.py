import numpy as np
import pytest
import torch
from PIL import Image

from sorby.card import GeneratorCard
from sorby.config import NetworkConfig
from sorby.draw import draw
from sorby.generator import Generator
from sorby.micrograph import read_micrograph
from sorby.models.stylegan2 import GeneratorNetwork


def generator(channels):
    torch.manual_seed(0)
    network = NetworkConfig(size=32, channels=channels, z_dim=16, w_dim=16, channel_base=256, channel_max=16)
    return Generator(GeneratorNetwork(network), GeneratorCard(network=network, pixel_size_um=0.25))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_file_holds_the_pixels_of_its_seed_in_grey_or_colour(tmp_path, channels, suffix):
    G = generator(channels)
    paths = list(draw(G, range(2, 4), tmp_path, suffix=suffix))
    with Image.open(paths[1]) as image:
        pixels = np.atleast_3d(np.asarray(image))
    np.testing.assert_array_equal(pixels.transpose(2, 0, 1), G.images([2, 3])[1])
    assert read_micrograph(paths[1]).pixel_size_um == pytest.approx(0.25)

import pytest
import torch

from sorby.config import NetworkConfig
from sorby.models.layers import ModulatedConv
from sorby.models.stylegan2 import Discriminator, GeneratorNetwork, num_styles

SMALL = NetworkConfig(size=32, z_dim=16, w_dim=16, channel_base=256, channel_max=16)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(G, n=4, condition=None, dtype=torch.float32):
    condition = torch.zeros(n, 0) if condition is None else condition
    z = torch.randn(n, 16, generator=rng())
    return G(z, condition, G.synthesis.draw_noise(n, rng=rng(1)), dtype=dtype)


@pytest.mark.parametrize("size", [32, 64, 1024])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_have_the_size_and_channels_asked_for(size, channels):
    config = SMALL.model_copy(update={"size": size, "channels": channels, "channel_base": 1024})
    assert draw(GeneratorNetwork(config), n=1).shape == (1, channels, size, size)


def test_a_picture_of_1024_px_takes_18_styles():
    assert num_styles(1024) == 18  # Karras et al. 2019, section 2


def test_the_feature_maps_are_those_of_the_published_networks():
    """Karras et al. 2020a, config F at 1024 px: 30.37 and 29.01 million parameters."""
    config = NetworkConfig(size=1024, channels=3, channel_base=32768, mapping_layers=8)
    count = [sum(p.numel() for p in network(config).parameters()) for network in (GeneratorNetwork, Discriminator)]
    assert [round(n / 1e6, 2) for n in count] == [30.37, 29.01]


def test_an_untrained_picture_has_moderate_contrast():
    assert 0.1 < draw(GeneratorNetwork(SMALL), n=8).std() < 3


def test_bfloat16_pictures_are_those_of_float32_to_its_precision():
    torch.manual_seed(0)
    G = GeneratorNetwork(SMALL)
    exact, rough = draw(G), draw(G, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("upsampling", ["filtered", "bilinear"])
def test_layers_of_4_and_8_px_compute_in_float32_and_the_others_in_bfloat16_frozen_or_not(upsampling):
    torch.manual_seed(0)
    G = GeneratorNetwork(SMALL.model_copy(update={"upsampling": upsampling}))
    found: dict[int, set[torch.dtype]] = {}
    for module in G.modules():
        if isinstance(module, ModulatedConv):
            module.register_forward_hook(
                lambda *given: found.setdefault(given[2][0].shape[-1], set()).add(given[2][0].dtype)
            )
    trained = draw(G, dtype=torch.bfloat16)
    assert found == {side: {torch.float32 if side <= 8 else torch.bfloat16} for side in (4, 8, 16, 32)}
    G.freeze(torch.bfloat16)
    assert torch.equal(draw(G, dtype=torch.bfloat16), trained)


def test_a_picture_does_not_depend_on_its_neighbours():
    torch.manual_seed(0)
    G = GeneratorNetwork(SMALL)
    z, noise = torch.randn(4, 16), G.synthesis.draw_noise(4, rng=rng())
    whole = G(z, torch.zeros(4, 0), noise)
    alone = G(z[2:3], torch.zeros(1, 0), [layer[2:3] for layer in noise])
    torch.testing.assert_close(whole[2:3], alone, rtol=1e-4, atol=1e-5)


def test_scaling_z_changes_nothing():
    torch.manual_seed(0)
    G, z = GeneratorNetwork(SMALL), torch.randn(2, 16)
    torch.testing.assert_close(G.mapping(z, torch.zeros(2, 0)), G.mapping(7 * z, torch.zeros(2, 0)))


def test_styles_act_on_their_own_resolution():
    torch.manual_seed(0)
    G = GeneratorNetwork(SMALL)
    ws, noise = torch.randn(1, 8, 16), G.synthesis.draw_noise(1, rng=rng())
    changed = ws.clone()
    changed[:, -1] += 1  # the last style only colours the last features
    difference = G.synthesis(changed, noise) - G.synthesis(ws, noise)
    assert difference.abs().max() > 0
    coarse = ws.clone()
    coarse[:, 0] += 1
    assert (G.synthesis(coarse, noise) - G.synthesis(ws, noise)).abs().mean() > difference.abs().mean()


def test_the_condition_changes_picture_and_score():
    torch.manual_seed(0)
    config = SMALL.model_copy(update={"condition_dim": 3})
    G, D = GeneratorNetwork(config), Discriminator(config)
    one, other = torch.eye(3)[:1].repeat(4, 1), torch.eye(3)[1:2].repeat(4, 1)
    pictures = draw(G, condition=one)
    assert (pictures - draw(G, condition=other)).abs().max() > 0.01
    assert (D(pictures, one) - D(pictures, other)).abs().max() > 1e-4


@pytest.mark.parametrize(("layout", "low", "high"), [("learnt", 0, 1e-6), ("random", 0.1, 3)])
def test_where_the_layout_is_random_pictures_of_one_latent_differ_before_anything_is_learnt(layout, low, high):
    torch.manual_seed(0)
    G = GeneratorNetwork(SMALL.model_copy(update={"layout": layout}))
    ws = G.styles(torch.randn(1, 16), torch.zeros(1, 0)).expand(8, -1, -1)
    assert low <= G.synthesis(ws, G.synthesis.draw_noise(8, rng=rng())).std(0).mean() < high


def test_a_random_layout_stays_random_where_training_turns_all_noise_off():
    """A learnt constant does not: so a generator may end with one plan for all pictures."""
    torch.manual_seed(0)
    spreads = []
    for layout in ("learnt", "random"):
        G = GeneratorNetwork(SMALL.model_copy(update={"layout": layout}))
        for name, parameter in G.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.zero_()
        ws = G.styles(torch.randn(1, 16), torch.zeros(1, 0)).expand(8, -1, -1)
        pictures = G.synthesis(ws, G.synthesis.draw_noise(8, rng=rng()))
        spreads.append((pictures.std(0).mean() / pictures.std()).item())
    assert spreads[0] < 1e-6
    assert spreads[1] > 0.5


def test_the_discriminator_gives_one_score_an_image_and_real_and_generated_may_share_a_call():
    torch.manual_seed(0)
    D, images = Discriminator(SMALL), torch.randn(8, 1, 32, 32)
    together = D(images, torch.zeros(8, 0))
    apart = torch.cat([D(half, torch.zeros(4, 0)) for half in images.chunk(2)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns():
    torch.manual_seed(0)
    config = SMALL.model_copy(update={"condition_dim": 2})
    G, D = GeneratorNetwork(config), Discriminator(config)
    condition = torch.eye(2).repeat(2, 1)
    D(draw(G, condition=condition), condition).sum().backward()
    still = [name for network in (G, D) for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("size", [16, 48, 2048])
def test_sizes_other_than_powers_of_two_from_32_to_1024_are_refused(size):
    with pytest.raises(ValueError, match="power of two"):
        NetworkConfig(size=size)

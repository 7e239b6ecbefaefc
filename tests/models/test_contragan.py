import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sorby.config import NetworkConfig
from sorby.models.contragan import ContraganGenerator, Critic, SelfAttention, largest_activation

PAPER = NetworkConfig(model="contragan", size=128, condition_dim=8, z_dim=128, channel_base=2048, channel_max=512)
SMALL = PAPER.model_copy(update={"size": 64, "condition_dim": 3, "z_dim": 16, "channel_base": 256})
CLEAN = SMALL.model_copy(update={"condition_by": "features", "normalisation": "layer"})


def sizes_through(network, kinds, *inputs):
    """Sizes without the batch that go in and come out of each layer of these kinds, in the order of the calls."""
    seen = []
    for layer in network.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(
                lambda m, i, o: seen.append((type(m), tuple(i[0].shape[1:]), tuple(o.shape[1:])))
            )
    network(*inputs)
    return seen


def draw(G, n=4, *, seed=0, condition=None, **how):
    condition = torch.eye(3)[torch.arange(n) % 3] if condition is None else condition
    return G(torch.randn(n, G.z_dim, generator=torch.Generator().manual_seed(seed)), condition, **how)


def made(network, *args, **keywords):
    torch.manual_seed(0)
    return network(*args, **keywords)


def test_the_generator_has_the_layers_of_table_1():
    kinds = (nn.Linear, nn.ConvTranspose2d, nn.BatchNorm2d, SelfAttention)
    layers = sizes_through(ContraganGenerator(PAPER), kinds, torch.randn(2, 128), torch.eye(8)[:2])
    up, batch_norm = nn.ConvTranspose2d, nn.BatchNorm2d
    assert layers == [
        (nn.Linear, (8,), (128,)),
        (nn.Linear, (128,), (8192,)),
        (up, (512, 4, 4), (256, 8, 8)),
        (batch_norm, (256, 8, 8), (256, 8, 8)),
        (up, (256, 8, 8), (128, 16, 16)),
        (batch_norm, (128, 16, 16), (128, 16, 16)),
        (up, (128, 16, 16), (64, 32, 32)),
        (batch_norm, (64, 32, 32), (64, 32, 32)),
        (SelfAttention, (64, 32, 32), (64, 32, 32)),
        (up, (64, 32, 32), (64, 64, 64)),
        (batch_norm, (64, 64, 64), (64, 64, 64)),
        (up, (64, 64, 64), (1, 128, 128)),
        (batch_norm, (1, 128, 128), (1, 128, 128)),
    ]


def test_the_critic_has_the_layers_of_table_2():
    critic = Critic(PAPER, contrastive=True)
    critic.forward = critic.judge
    layers = sizes_through(
        critic, (nn.Linear, nn.Conv2d, nn.BatchNorm2d), torch.randn(2, 1, 128, 128), torch.eye(8)[:2]
    )
    conv, batch_norm = nn.Conv2d, nn.BatchNorm2d
    assert layers == [
        (nn.Linear, (8,), (64,)),
        (conv, (1, 128, 128), (64, 64, 64)),
        (conv, (64, 64, 64), (64, 32, 32)),
        (batch_norm, (64, 32, 32), (64, 32, 32)),
        (conv, (64, 32, 32), (128, 16, 16)),
        (batch_norm, (128, 16, 16), (128, 16, 16)),
        (conv, (128, 16, 16), (256, 8, 8)),
        (batch_norm, (256, 8, 8), (256, 8, 8)),
        (conv, (257, 8, 8), (128, 4, 4)),
        (batch_norm, (128, 4, 4), (128, 4, 4)),
        (nn.Linear, (2048,), (1,)),
        (nn.Linear, (2048,), (1024,)),
        (nn.Linear, (1024,), (64,)),
    ]


def test_every_convolution_is_4_by_4_with_stride_2_and_padding_1():
    convs = [
        layer
        for network in (ContraganGenerator(PAPER).synthesis.layers, Critic(PAPER, contrastive=True))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.kernel_size != (1, 1)
    ]
    assert len(convs) == 10
    assert {(conv.kernel_size, conv.stride, conv.padding) for conv in convs} == {((4, 4), (2, 2), (1, 1))}


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_size_lie_between_minus_one_and_one_and_get_one_score_each(size, channels):
    config = SMALL.model_copy(update={"size": size, "channels": channels})
    pictures = draw(ContraganGenerator(config))
    assert pictures.shape == (4, channels, size, size)
    assert 0.1 < pictures.abs().max() <= 1
    judged = Critic(config, contrastive=True).judge(pictures, torch.eye(3).repeat(2, 1)[:4])
    assert [tuple(vectors.shape) for vectors in judged] == [(4, 1), (4, 64), (4, 64)]


def test_without_conditions_the_noise_alone_decides():
    config = SMALL.model_copy(update={"condition_dim": 0})
    none = torch.zeros(4, 0)
    pictures = draw(made(ContraganGenerator, config), condition=none)
    assert Critic(config, contrastive=False)(pictures, none).shape == (4, 1)


def test_the_latent_is_the_noise_times_the_projected_condition():
    G, z = made(ContraganGenerator, SMALL), torch.randn(3, 16)
    embed = G.mapping.embed
    torch.testing.assert_close(G.mapping(z, torch.eye(3)), z * (embed.weight.T + embed.bias))


@pytest.mark.parametrize("config", [SMALL, CLEAN])
def test_the_condition_changes_picture_score_and_vector(config):
    G, critic = made(ContraganGenerator, config).eval(), made(Critic, config, contrastive=True)
    one, other = torch.eye(3)[:1].repeat(4, 1), torch.eye(3)[1:2].repeat(4, 1)
    pictures = draw(G, condition=one)
    assert (pictures - draw(G, condition=other)).abs().max() > 1e-3
    assert (critic(pictures, one) - critic(pictures, other)).abs().max() > 1e-4
    assert (critic.judge(pictures, one).condition - critic.judge(pictures, other).condition).abs().max() > 0.01


@pytest.mark.parametrize("config", [SMALL, CLEAN])
def test_every_parameter_learns(config):
    G, critic = made(ContraganGenerator, config), made(Critic, config, contrastive=True)
    attention = next(layer for layer in G.modules() if isinstance(layer, SelfAttention))
    attention.strength.data.fill_(1)
    condition = torch.eye(3).repeat(2, 1)
    sum(
        (part * torch.randn_like(part)).sum() for part in critic.judge(draw(G, 6, condition=condition), condition)
    ).backward()
    still = [n for network in (G, critic) for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_attention_is_the_published_sum_over_all_places_and_starts_as_nothing():
    layer, x = made(SelfAttention, 16), torch.randn(2, 16, 5, 5)
    assert torch.equal(layer(x), x)
    layer.strength.data.fill_(0.7)
    query, key, value = (part(x).flatten(2) for part in (layer.query, layer.key, layer.value))
    shares = torch.softmax(torch.einsum("nci,ncj->nij", query, key) / 2**0.5, 2)  # two channels inside
    seen = torch.einsum("nij,ncj->nci", shares, value).reshape(2, 2, 5, 5)
    torch.testing.assert_close(layer(x), x + 0.7 * F.conv2d(seen, layer.out.weight, layer.out.bias))


def test_a_picture_does_not_depend_on_its_neighbours_where_normalisation_is_by_the_picture():
    G, condition = made(ContraganGenerator, CLEAN), torch.eye(3).repeat(2, 1)
    z = torch.randn(6, 16)
    torch.testing.assert_close(G(z, condition)[2:3], G(z[2:3], condition[2:3]), rtol=1e-4, atol=1e-5)
    images, critic = torch.randn(6, 1, 64, 64), made(Critic, CLEAN, contrastive=False)
    torch.testing.assert_close(
        critic(images, condition)[2:3], critic(images[2:3], condition[2:3]), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("config", [SMALL, CLEAN])
def test_bfloat16_is_float32_to_its_precision(config):
    G, critic = made(ContraganGenerator, config), made(Critic, config, contrastive=True)
    condition = torch.eye(3).repeat(2, 1)
    exact, rough = draw(G, 6, condition=condition), draw(G, 6, condition=condition, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().mean() < 0.01
    for one, other in zip(
        critic.judge(exact, condition), critic.judge(exact, condition, dtype=torch.bfloat16), strict=True
    ):
        assert other.dtype == torch.float32
        assert (one - other).abs().max() < 0.05 * one.abs().max()


def test_the_largest_activation_is_at_64_px():
    assert largest_activation(PAPER) == 64 * 64 * 64

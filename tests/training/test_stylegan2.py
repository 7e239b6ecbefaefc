import copy

import pytest
import torch
from torch.nn import functional as F

from sorby.losses import class_contrast
from sorby.training.state import new_state
from sorby.training.stylegan2 import discriminator_step, draw_fakes, generator_step, mixed_styles, simultaneous_step
from tests.training.conftest import tiny_config


def same(images, rows):
    return images


@pytest.fixture
def config():
    return tiny_config(updates="simultaneous")


def inputs(config, *, num=4):
    rng = torch.Generator().manual_seed(1)
    size = config.network.size
    return torch.rand(num, 1, size, size, generator=rng) * 2 - 1, torch.zeros(num, 0)


def test_the_two_networks_descend_from_their_own_losses_each_by_the_other_as_it_was(config):
    state = new_state(config)
    real, condition = inputs(config)
    before = copy.deepcopy((state.G.state_dict(), state.D.state_dict()))
    state.opt_G = torch.optim.SGD(state.G.parameters(), lr=1)
    state.opt_D = torch.optim.SGD(state.D.parameters(), lr=1)
    rng = torch.Generator().manual_seed(2)
    _, scores = simultaneous_step(state, real, condition, condition, config, augment=same, rng=rng)

    alone = new_state(config)
    alone.G.load_state_dict(before[0])
    alone.D.load_state_dict(before[1])
    fake, _ = draw_fakes(alone, condition, config, rng=torch.Generator().manual_seed(2))
    F.softplus(-alone.D(fake, condition)).mean().backward()
    alone.D.zero_grad()
    loss_D = F.softplus(-alone.D(real, condition)).mean() + F.softplus(alone.D(fake.detach(), condition)).mean()
    loss_D.backward()

    for network, expected in ((state.G, alone.G), (state.D, alone.D)):
        wanted = {name: parameter.grad for name, parameter in expected.named_parameters()}
        assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-6)
            torch.testing.assert_close(parameter, expected.get_parameter(name) - wanted[name])
    alone.D.load_state_dict(before[1])
    torch.testing.assert_close(scores, alone.D(real, condition).detach())


CLASSES = torch.eye(2).repeat(2, 1)


def contrasted(judged):
    return class_contrast(judged.image, judged.condition, CLASSES, temperature=0.1).mean()


def rng():
    return torch.Generator().manual_seed(2)


@pytest.fixture
def with_contrast():
    """A state that contrasts two classes and descends by plain gradients, a copy of it, and its settings."""
    network = {**tiny_config().network.model_dump(), "condition_dim": 2}
    config = tiny_config(network=network, contrastive="class")
    state = new_state(config)
    state.opt_G = torch.optim.SGD(state.G.parameters(), lr=1)
    state.opt_D = torch.optim.SGD(state.D.parameters(), lr=1)
    return state, copy.deepcopy(state), config


def assert_descended(network, before, loss):
    """`network` is one plain step from `before`, down the gradient of `loss`, which `before` was part of."""
    loss.backward()
    for name, parameter in network.named_parameters():
        old = before.get_parameter(name)
        torch.testing.assert_close(parameter, old - old.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_a_generator_is_contrasted_by_its_own_pictures(with_contrast):
    state, before, config = with_contrast
    generator_step(state, CLASSES, config, augment=same, rng=rng())
    judged = before.D.judge(draw_fakes(before, CLASSES, config, rng=rng())[0], CLASSES)
    assert_descended(state.G, before.G, F.softplus(-judged.scores).mean() + contrasted(judged))


def test_a_discriminator_is_contrasted_by_the_real_images_alone(with_contrast):
    state, before, config = with_contrast
    real, _ = inputs(config)
    discriminator_step(state, real, CLASSES, CLASSES, config, augment=same, rng=rng())
    drawn = rng()
    ws = mixed_styles(before.G, CLASSES, probability=config.style_mixing, rng=drawn)
    fake = before.G.synthesis(ws, before.G.synthesis.draw_noise(4, rng=drawn)).detach()
    of_real, of_fake = before.D.judge(real, CLASSES), before.D.judge(fake, CLASSES)
    logistic = F.softplus(-of_real.scores).mean() + F.softplus(of_fake.scores).mean()
    assert_descended(state.D, before.D, logistic + contrasted(of_real))

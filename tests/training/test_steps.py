import copy

import pytest
import torch
from torch.nn import functional as F

from sorby.training.state import new_state
from sorby.training.steps import draw_fakes, simultaneous_step
from tests.training.conftest import tiny_config


def same(images):
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
    fake = draw_fakes(alone, condition, config, rng=torch.Generator().manual_seed(2))
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

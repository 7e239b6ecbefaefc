import copy

import numpy as np
import pytest
import torch

from sorby.config import resolve
from sorby.errors import DataError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.losses import class_contrast, continuous_contrast
from sorby.models.contragan import ContraganGenerator
from sorby.training import run
from sorby.training.contragan import clip, critic_step, draw, generator_step, mixed, step
from sorby.training.state import new_state
from sorby.training.steps import Batch
from tests.training.conftest import tiny_config, tiny_contragan
from tests.training.test_run import StopError, assert_same_end, end, fake_scorer

Y = torch.eye(2).repeat(2, 1)
REAL = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
PENALISED = {"weight_clip": None, "gradient_penalty": 10, "contrastive": "continuous", "optimiser": "adam"}
LAYERS = {"condition_by": "features", "normalisation": "layer"}


def same(images, rows):
    return images


def rng():
    return torch.Generator().manual_seed(2)


def made(**changes):
    config = tiny_contragan(**changes)
    config = config.model_copy(update={"network": config.network.model_copy(update={"condition_dim": 2})})
    return new_state(config), config


@pytest.fixture(autouse=True)
def _no_feature_network(monkeypatch):
    monkeypatch.setattr(run, "quick_scorer", fake_scorer)


def train(dataset, out, config, **keywords):
    return run.train(dataset, out, config, tensorboard=False, **{"warn": lambda _: None} | keywords)


def expected_of_critic(state, config):
    """The loss of paper B, equations 2 and 3 or 1, written out."""
    state = copy.deepcopy(state)
    drawn = rng()
    fake = draw(state, Y, config, rng=drawn).detach()
    judged = state.D.judge(REAL, Y)
    if config.contrastive == "class":
        contrast = class_contrast(judged.image, judged.condition, Y, temperature=0.1).mean()
    else:
        contrast = continuous_contrast(judged.image, Y, alpha=0.5, delta=0.1).mean()
    loss = -judged.scores.mean() + state.D(fake, Y).mean() + contrast
    if config.gradient_penalty:
        share = torch.rand(4, 1, 1, 1, generator=drawn)
        between = ((1 - share) * REAL + share * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(state.D(between, Y).sum(), between, create_graph=True)
        loss = loss + 10 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    state.D.zero_grad()
    loss.backward()
    return state


@pytest.mark.parametrize("changes", [{}, PENALISED])
def test_the_critic_descends_from_wasserstein_loss_contrast_and_penalty(changes):
    state, config = made(**changes)
    expected = expected_of_critic(state, config)
    state.opt_D = torch.optim.SGD(state.D.parameters(), lr=0.1)
    free = config.model_copy(update={"weight_clip": None})
    critic_step(state, REAL, Y, free, augment=same, rng=rng())
    for (name, parameter), other in zip(state.D.named_parameters(), expected.D.parameters(), strict=True):
        torch.testing.assert_close(parameter, other - 0.1 * other.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_the_generator_ascends_the_scores_and_learns_the_contrast_of_its_own_pictures():
    state, config = made()
    expected = copy.deepcopy(state)
    judged = expected.D.judge(draw(expected, Y, config, rng=rng()), Y)
    contrast = class_contrast(judged.image, judged.condition, Y, temperature=0.1).mean()
    (contrast - judged.scores.mean()).backward()
    state.opt_G = torch.optim.SGD(state.G.parameters(), lr=0.1)
    critic_before = copy.deepcopy(state.D.state_dict())
    generator_step(state, Y, config, augment=same, rng=rng())
    for (name, parameter), other in zip(state.G.named_parameters(), expected.G.parameters(), strict=True):
        torch.testing.assert_close(parameter, other - 0.1 * other.grad, rtol=1e-3, atol=1e-5, msg=name)
    assert all(torch.equal(critic_before[name], parameter) for name, parameter in state.D.named_parameters())


def test_both_networks_learn_by_rmsprop_at_the_rate_of_the_settings():
    """Not slowed for lazy regularisers, which are StyleGAN2's."""
    state = new_state(tiny_contragan(learning_rate=0.0002))
    for optimiser in (state.opt_G, state.opt_D):
        assert isinstance(optimiser, torch.optim.RMSprop)
        assert optimiser.param_groups[0]["lr"] == 0.0002
    adam = new_state(tiny_contragan(optimiser="adam", learning_rate=0.0002, beta1=0.5)).opt_D.param_groups[0]
    assert (adam["lr"], adam["betas"]) == (0.0002, (0.5, 0.99))


def test_the_generator_learns_from_every_third_batch_where_n_critic_is_three():
    state, config = made()
    learnt = ["loss_G" in step(state, Batch(n, REAL, Y, (Y, Y)), config, augment=same, rng=rng())[0] for n in range(7)]
    assert learnt == [False, False, True, False, False, True, False]


def test_weights_of_the_critic_stay_within_the_clip_and_what_was_within_is_untouched():
    state, config = made()
    before = [parameter.detach().clone() for parameter in state.D.parameters()]
    clip(state.D, 0.009)
    for parameter, old in zip(state.D.parameters(), before, strict=True):
        assert parameter.abs().max() <= 0.009
        assert torch.equal(parameter, old.clamp(-0.009, 0.009))
    critic_step(state, REAL, Y, config, augment=same, rng=rng())
    assert max(parameter.abs().max() for parameter in state.D.parameters()) <= 0.009


def test_the_penalty_is_taken_between_a_real_and_a_generated_image():
    real, fake = torch.zeros(1000, 1, 2, 2), torch.ones(1000, 1, 2, 2)
    between = mixed(real, fake, rng=rng())
    assert between.flatten(1).std(1).max() == 0
    assert between.aminmax()[0] >= 0
    assert between.mean().item() == pytest.approx(0.5, abs=0.04)


def test_scores_are_counted_from_the_middle_so_that_the_level_of_a_critic_says_nothing():
    state, config = made()
    said = []
    for level in (0.0, 5.0):
        free = copy.deepcopy(state)
        free.D.out.bias.data += level
        free.opt_D = torch.optim.SGD(free.D.parameters(), lr=0)
        batch = Batch(0, REAL, Y, (Y, Y))
        unclipped = config.model_copy(update={"weight_clip": None})
        said.append(step(free, batch, unclipped, augment=same, rng=rng())[1])
    torch.testing.assert_close(*said, rtol=1e-3, atol=1e-4)
    assert said[0].abs().max() > 1e-3


@pytest.mark.parametrize("changes", [{}, PENALISED | {"network": {**tiny_contragan().network.model_dump(), **LAYERS}}])
def test_a_run_resumes_bit_for_bit(two_kinds, tmp_path, changes):
    def crash(state):
        if state.images_seen == 40:
            raise StopError

    config = tiny_contragan(**changes)
    with pytest.raises(StopError):
        train(two_kinds, tmp_path / "run", config, on_step=crash)
    train(two_kinds, tmp_path / "run", config)
    assert_same_end(train(two_kinds, tmp_path / "whole", config), tmp_path / "run")


def test_a_run_gives_a_generator_that_draws_each_class_and_says_what_it_is(two_kinds, tmp_path):
    out = train(two_kinds, tmp_path / "run", tiny_contragan())
    generator = Generator.load(out)
    assert isinstance(generator.network, ContraganGenerator)
    pictures = {kind: generator.images(range(3), condition={"kind": kind}) for kind in ("discs", "stripes")}
    assert pictures["discs"].shape == (3, 1, 32, 32)
    assert abs(pictures["discs"].astype(int) - pictures["stripes"]).max() > 3
    whole, half, none = (generator.images(range(8), truncation=psi).astype(float).std(0).mean() for psi in (1, 0.5, 0))
    assert whole > half > none
    assert generator.card.training["contrast"] == "class"
    assert {"spread_l", "spread_e", "score_real", "r_t"} <= end(out)[1][0].keys()
    assert summarise(out).facts["conditions"] == "kind one of discs, stripes"
    assert summarise(out / "last").title.startswith("Generator")


def test_a_generator_learns_which_class_is_which(two_kinds, tmp_path):
    """Discs cover 5 to 20 % of a picture, stripes half of it."""
    changes = {"network": {"size": 32, "channel_base": 256, "z_dim": 32}, "contrastive": "class", "kimg": 3.0}
    config = resolve("contragan-64", {**changes, "score_ticks": 0})
    generator = Generator.load(train(two_kinds, tmp_path / "run", config), dtype=torch.float32)
    bright = {
        kind: (generator.images(range(32), condition={"kind": kind}) > 130).mean((1, 2, 3))
        for kind in ("discs", "stripes")
    }
    assert np.mean(bright["discs"] < 0.3) > 0.9
    assert np.mean(bright["stripes"] > 0.3) > 0.9


@pytest.mark.parametrize("form", ["class", "continuous", "class-printed", "continuous-printed"])
def test_stylegan2_learns_every_contrast_too(shares, tmp_path, form):
    lines = []
    config = tiny_config(contrastive=form, updates="simultaneous", kimg=0.016)
    train(shares, tmp_path / "run", config, on_tick=lambda _, line: lines.append(line))
    assert 0 < lines[0]["spread_l"] < 2**0.5


def test_stylegan2_with_contrast_resumes_bit_for_bit(shares, tmp_path):
    def crash(state):
        if state.images_seen == 20:
            raise StopError

    config = tiny_config(contrastive="continuous", kimg=0.032, discriminator="projected", r1_gamma=0)
    with pytest.raises(StopError):
        train(shares, tmp_path / "run", config, on_step=crash)
    train(shares, tmp_path / "run", config)
    assert_same_end(train(shares, tmp_path / "whole", config), tmp_path / "run")


def test_contrast_without_conditions_is_refused_before_anything_is_written(tiny_dataset, tmp_path):
    with pytest.raises(DataError, match=r"no conditions.*--condition.*contrastive=none"):
        train(tiny_dataset, tmp_path / "run", tiny_contragan())
    assert not (tmp_path / "run").exists()


def test_without_contrast_and_conditions_it_trains_all_the_same(tiny_dataset, tmp_path):
    out = train(tiny_dataset, tmp_path / "run", tiny_contragan(contrastive="none", kimg=0.016))
    assert Generator.load(out / "last").images(range(2)).shape == (2, 1, 32, 32)

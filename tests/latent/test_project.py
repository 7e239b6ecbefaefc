import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sorby.errors import ConfigError, DataError
from sorby.latent.project import (
    JITTER,
    autocorrelation,
    jitter_at,
    nearest_conditions,
    project,
    rate_at,
    spread,
)
from sorby.metrics.perceptual import PerceptualDistance, load_perceptual, perceptual_distance
from tests.latent.tiny import SEEN, tiny


class Blurs(nn.Module):
    """A stand-in for a pretrained network: the picture beside a constant, at 1/2 to 1/16 of its side."""

    def forward(self, images):
        grey = images.mean(1, keepdim=True)
        return [torch.cat([x := F.avg_pool2d(grey, 2**i), torch.ones_like(x)], 1) for i in (1, 2, 3, 4)]


QUICK = PerceptualDistance(Blurs())


def without_noise(**settings):
    generator = tiny(**settings)
    for conv in generator.network.synthesis.convs:
        conv.noise_strength.data.fill_(0)
    return generator


def mean_picture(generator):
    """What the mean of w draws, with the noise that a projection begins with."""
    return project(generator, generator.images([0]), steps=1, metric=QUICK).images


def test_own_pictures_are_found_far_nearer_than_the_mean_picture():
    """On the real network, as users have it."""
    generator, metric = tiny(), load_perceptual()
    pictures = generator.images([5])
    found = project(generator, pictures, steps=40, metric=metric)
    before = perceptual_distance(mean_picture(generator), pictures, metric=metric)
    assert found.distances[0] < 0.4 * before[0]
    np.testing.assert_allclose(found.distances, perceptual_distance(found.images, pictures, metric=metric), rtol=1e-5)


def test_w_itself_is_found_where_it_is_all_that_draws():
    generator = tiny(model="contragan", channel_base=128)
    z, _ = generator.latents([3])
    ws = generator.styles(z, generator.encoded([3]))
    found = project(generator, generator.images([3]), steps=150, metric=QUICK)
    away = (ws - generator.mean_w(generator.encoded([3]))[:, None]).norm()
    assert (found.ws - ws).norm() < 0.3 * away
    error = np.abs(found.images.astype(int) - generator.images([3])).mean()
    assert error < 0.1 * np.abs(mean_picture(generator).astype(int) - generator.images([3])).mean()


def test_w_is_one_for_all_layers_and_w_plus_is_one_for_each():
    generator = tiny()
    pictures = generator.images([0])
    one, each = (project(generator, pictures, space=space, steps=5, metric=QUICK).ws for space in ("w", "w+"))
    assert one.shape == each.shape == (1, generator.network.num_styles, 16)
    assert (one == one[:, :1]).all()
    assert not (each == each[:, :1]).all()


def test_two_pictures_at_once_are_found_where_each_is_alone():
    generator = tiny()
    pictures = generator.images([0, 1])
    together = project(generator, pictures, steps=10, metric=QUICK)
    alone = [project(generator, pictures[i : i + 1], steps=10, metric=QUICK) for i in (0, 1)]
    torch.testing.assert_close(together.ws, torch.cat([found.ws for found in alone]), rtol=1e-3, atol=1e-3)
    for i, layer in enumerate(together.noise):
        torch.testing.assert_close(layer, torch.cat([found.noise[i] for found in alone]), rtol=1e-3, atol=1e-3)


def test_many_pictures_are_found_in_batches():
    generator, done = tiny(), []
    found = project(generator, generator.images(range(9)), steps=2, metric=QUICK, on_step=done.append)
    assert len(found.ws) == len(found.images) == len(found.distances) == len(found.conditions) == 9
    assert all(len(layer) == 9 for layer in found.noise)
    assert [(step.done, step.total) for step in done] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [len(step.ws) for step in done] == [8, 8, 1, 1]


def test_the_same_seed_finds_the_same_and_another_seed_another():
    generator = tiny()
    a, b, c = (project(generator, generator.images([0]), steps=5, seed=s, metric=QUICK) for s in (0, 0, 1))
    assert torch.equal(a.ws, b.ws)
    assert all(map(torch.equal, a.noise, b.noise))
    assert not torch.equal(a.ws, c.ws)


@pytest.mark.parametrize("layout", ["learnt", "random"])
def test_what_is_found_draws_the_picture_and_its_noise_is_normal(layout):
    generator = tiny(layout=layout)
    found = project(generator, generator.images([0, 1]), steps=10, metric=QUICK)
    assert np.abs(generator.draw(found.ws, found.noise).astype(int) - found.images).max() <= 1
    for layer in found.noise:
        torch.testing.assert_close(layer.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(layer.square().mean((1, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)


def test_noise_that_is_held_is_that_of_the_seed():
    generator = tiny()
    a, b = (
        project(generator, generator.images([i]), steps=s, fit_noise=False, metric=QUICK) for i, s in ((0, 1), (1, 5))
    )
    assert all(map(torch.equal, a.noise, b.noise))
    assert not torch.equal(a.ws, b.ws)


def test_a_trained_generator_is_left_as_it_is():
    generator = tiny()
    before = generator.hash
    project(generator, generator.images([0]), steps=2, metric=QUICK)
    assert generator.hash == before
    assert all(parameter.grad is None for parameter in generator.network.parameters())


def test_the_nearest_condition_is_that_which_drew_the_picture():
    generator = without_noise(conditional=True)
    for values in SEEN:
        encoded = generator.encoded([0], values)
        noise = generator.latents([7]).noise
        w = generator.mean_w(encoded)[:, None].expand(-1, generator.network.num_styles, -1)
        picture = generator.draw(w, noise)
        found = project(generator, picture, steps=1, metric=QUICK)
        assert found.conditions == (values,)


def test_a_condition_that_is_asked_for_is_taken():
    generator = tiny(conditional=True)
    asked = {"phase": "pearlite", "temperature": 900.0}
    found = project(generator, generator.images([0]), condition=asked, steps=1, metric=QUICK)
    assert found.conditions == (asked,)
    torch.testing.assert_close(found.ws[:, 0], generator.mean_w(generator.encoded([0], asked)), atol=0.01, rtol=0)


def test_without_conditions_there_is_nothing_to_choose():
    generator = tiny()
    assert nearest_conditions(generator, torch.zeros(2, 1, 32, 32), QUICK) == [{}, {}]


def test_the_spread_of_a_normal_w_is_the_root_of_its_dimension():
    """The w of an unconditional contragan is z, N(0, 1) in each of 16 dimensions."""
    generator = tiny(model="contragan", channel_base=128)
    assert spread(generator, torch.zeros(0)).item() == pytest.approx(4, rel=0.02)


def test_constant_noise_has_the_largest_autocorrelation():
    """Products of neighbours are 1, across and down; a map twice as small and twice as large in value gives 16 each."""
    assert autocorrelation(torch.ones(1, 1, 8, 8)).item() == pytest.approx(2)
    assert autocorrelation(torch.ones(1, 1, 16, 16)).item() == pytest.approx(2 + 2 * 16)


def test_a_chessboard_is_as_far_from_white_noise_as_a_constant_and_vanishes_when_halved():
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    assert autocorrelation(board[None, None]).item() == pytest.approx(2)


def test_white_noise_has_that_of_chance():
    """The mean of N products of independent numbers has the variance 1/N: two of them a map."""
    noise = torch.randn(4000, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = sum(2 / side**2 for side in (32, 16, 8))
    assert autocorrelation(noise).mean().item() == pytest.approx(expected, rel=0.05)


def test_maps_below_8_px_are_free():
    assert autocorrelation(torch.ones(2, 3, 4, 4)).tolist() == [0, 0]


def test_the_schedules_begin_and_end_as_published():
    assert rate_at(0) == 0
    assert rate_at(0.025) == pytest.approx(0.5)
    assert rate_at(0.05) == rate_at(0.5) == rate_at(0.75) == 1
    assert rate_at(0.875) == pytest.approx(0.5)
    assert rate_at(1) == pytest.approx(0)
    assert jitter_at(0) == JITTER
    assert jitter_at(0.375) == pytest.approx(JITTER / 4)
    assert jitter_at(0.75) == jitter_at(1) == 0
    assert not math.isnan(rate_at(0.999))


@pytest.mark.parametrize("shape", [(0, 1, 32, 32), (1, 1, 16, 16), (1, 3, 32, 32)])
def test_pictures_that_the_generator_cannot_draw_are_refused(shape):
    with pytest.raises(DataError, match="expected some of"):
        project(tiny(), np.zeros(shape, np.uint8), metric=QUICK)


def test_no_steps_and_other_precisions_are_refused():
    generator = tiny()
    with pytest.raises(ConfigError, match="1 or more"):
        project(generator, generator.images([0]), steps=0, metric=QUICK)
    generator.dtype = torch.bfloat16
    with pytest.raises(ConfigError, match="float32"):
        project(generator, np.zeros((1, 1, 32, 32), np.uint8), metric=QUICK)


def test_an_unknown_condition_is_refused():
    with pytest.raises(ConfigError, match="austenite"):
        project(
            tiny(conditional=True),
            np.zeros((1, 1, 32, 32), np.uint8),
            condition={"phase": "austenite", "temperature": 900.0},
            metric=QUICK,
        )

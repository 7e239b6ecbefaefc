"""Pictures of a trained and of an untrained generator get the mean and the contrast of the data, and nothing else."""

import copy

import numpy as np
import pytest
import torch

from sorby.training.greys import MOST, Greys, begin_with, greys_of, matched
from tests.latent.tiny import tiny

SEEDS = range(40)


def drawn(network, like, seeds=SEEDS):
    z, noise = like.latents(seeds)
    with torch.inference_mode():
        return network(z, like.encoded(seeds), noise).numpy()


def grey_of(pictures):
    """Colours as luma, of which black is -1 and white 1 too."""
    return np.tensordot(pictures, [0.299, 0.587, 0.114], (1, 0))[:, None] if pictures.shape[1] == 3 else pictures


def in_grey(pictures):
    """Grey levels as `Greys` counts them, not rounded and not cut off."""
    grey = 127.5 * (pictures.astype(float) + 1)
    return Greys(grey.mean(), grey.std((1, 2, 3)).mean())


@pytest.mark.parametrize("kind", [{}, {"conditional": True}, {"layout": "random"}, {"upsampling": "bilinear"}], ids=str)
def test_matched_pictures_have_the_greys_asked_for_and_change_by_two_numbers_alone(kind):
    generator = tiny(**kind)
    before = drawn(generator.network, generator)
    found = in_grey(before)
    wanted = Greys(found.mean - 20, 1.3 * found.contrast)
    after = drawn(matched(generator.network, found, wanted), generator)
    assert in_grey(after) == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_allclose(after, 1.3 * before + (after.mean() - 1.3 * before.mean()), atol=1e-4)


def test_the_network_itself_stays_as_it_is():
    generator = tiny()
    before = drawn(generator.network, generator)
    matched(generator.network, Greys(100, 20), Greys(120, 30))
    assert np.array_equal(drawn(generator.network, generator), before)


def test_what_matches_already_is_left_alone():
    generator = tiny()
    same = matched(generator.network, Greys(100, 20), Greys(100, 20))
    np.testing.assert_allclose(drawn(same, generator), drawn(generator.network, generator), atol=1e-6)


def test_flat_pictures_are_not_blown_up():
    generator = tiny()
    before = drawn(generator.network, generator)
    after = drawn(matched(generator.network, Greys(127.5, 0), Greys(127.5, 40)), generator)
    np.testing.assert_allclose(after, MOST * before, atol=1e-4)


def test_greys_are_measured_on_each_picture():
    pictures = np.zeros((2, 1, 2, 2), np.uint8)
    pictures[0] = 100  # flat, and so without contrast
    pictures[1, 0, 0] = 200
    assert greys_of(pictures) == Greys(mean=100, contrast=50)


@pytest.mark.parametrize("kind", [{}, {"conditional": True}, {"layout": "random"}, {"channels": 3}], ids=str)
def test_untrained_networks_begin_with_the_greys_asked_for(kind):
    generator, wanted = tiny(**kind), Greys(90, 6)  # a soft micrograph: further from what was drawn than MOST
    networks = [generator.network, copy.deepcopy(generator.network)]
    assert in_grey(drawn(networks[0], generator)).contrast > MOST * wanted.contrast
    begin_with(wanted, networks, generator.encoded(range(500)), rng=torch.Generator().manual_seed(0))
    of_other_latents = (drawn(network, generator, range(500)) for network in networks)
    after, same = (in_grey(grey_of(pictures)) for pictures in of_other_latents)
    assert after == same
    assert tuple(after) == pytest.approx(wanted, rel=0.1)


def test_flat_data_leave_something_to_learn_from():
    generator = tiny()
    begin_with(Greys(90, 0), [generator.network], generator.encoded(range(64)), rng=torch.Generator().manual_seed(0))
    assert in_grey(drawn(generator.network, generator)).contrast == pytest.approx(1, rel=0.2)

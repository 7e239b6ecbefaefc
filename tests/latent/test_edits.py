"""Edits of a place in the space."""

import numpy as np
import pytest

from sorby.errors import ConfigError
from sorby.latent.directions import Spread, pca
from sorby.latent.edits import Edit, edited
from sorby.latent.walk import stops

from .tiny import tiny

CONDITION = {"phase": "pearlite", "temperature": 900.0}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "conditional"])
def generator(request):
    return tiny(conditional=request.param)


@pytest.fixture(scope="module")
def condition(generator):
    return CONDITION if generator.card.space.dim else {}


@pytest.fixture(scope="module")
def place(generator, condition):
    return stops(generator, [3], conditions=[condition or None])[0]


def drawn(generator, point):
    return generator.draw(point.ws[None], [layer[None] for layer in point.noise])[0].astype(int)


def picture(generator, condition, seed, **how):
    return generator.images([seed], condition=condition or None, **how)[0].astype(int)


def test_no_edit_leaves_the_picture_as_it_is(generator, condition, place):
    found = drawn(generator, edited(generator, place, Edit(), condition=condition))
    assert np.abs(found - picture(generator, condition, 3)).max() <= 1


@pytest.mark.parametrize("truncation", [0.0, 0.5])
def test_truncation_and_noise_are_those_of_generate(generator, condition, place, truncation):
    edit = Edit(truncation=truncation, noise_seed=8)
    found = drawn(generator, edited(generator, place, edit, condition=condition))
    expected = picture(generator, condition, 3, truncation=truncation, noise_seed=8)
    assert np.abs(found - expected).max() <= 1


def test_the_walk_ends_at_the_picture_of_the_seed(generator, condition, place):
    found = drawn(generator, edited(generator, place, Edit(seed=5, share=1.0, truncation=0.7), condition=condition))
    assert np.abs(found - picture(generator, condition, 5, truncation=0.7)).max() <= 1


def test_moves_add_up_in_standard_deviations(generator, condition, place):
    directions = tuple(pca(Spread(generator, samples=200), range(generator.network.num_styles), num=2))
    edit = Edit(moves={"pca-1": 2.0, "pca-2": -1.0})
    ws = edited(generator, place, edit, condition=condition, directions=directions).ws
    expected = place.ws + 2 * directions[0].vector - directions[1].vector
    np.testing.assert_allclose(ws, expected, atol=1e-5)
    assert edit.tell() == "pca-1 +2 sd, pca-2 -1 sd"


def test_what_cannot_be_done_is_refused(generator, condition, place):
    for edit, said in (
        (Edit(truncation=2), "Truncation is 2"),
        (Edit(share=-1), "way to a seed"),
        (Edit(moves={"x": 1}), "Direction 'x' is not known"),
    ):
        with pytest.raises(ConfigError, match=said):
            edited(generator, place, edit, condition=condition)

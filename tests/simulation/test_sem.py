from dataclasses import replace

import numpy as np
import pytest

from sorby.errors import ConfigError
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem import CHARGE_PX, SemLook, photograph

BARE = SemLook(greys=(0.2, 0.7, 0.4), texture=0, edge=0, charging=0, shading=0, focus_px=0.01, electrons=1e7)
"""Nothing but the contrast of the phases."""


@pytest.fixture(scope="module")
def labels():
    """Three phases."""
    rng = np.random.default_rng(0)
    labels = two_phase((160, 200), volume_fraction=0.3, correlation_length_px=14, rng=rng).astype(int)
    labels[two_phase((160, 200), volume_fraction=0.1, correlation_length_px=8, rng=rng)] = 2
    return labels


def taken(labels, look, seed=0):
    return photograph(labels, look, rng=np.random.default_rng(seed)).astype(float)


def test_each_phase_has_its_grey(labels):
    picture = taken(labels, BARE)
    for phase, grey in enumerate(BARE.greys):
        np.testing.assert_allclose(picture[labels == phase], 255 * grey, atol=1.5)


def test_all_at_once_the_phases_keep_their_order_in_brightness(labels):
    picture = taken(labels, replace(SemLook(), greys=BARE.greys, charging=0.3))
    dark, bright, between = (picture[labels == phase].mean() for phase in range(3))
    assert dark < between < bright


def test_the_rim_of_the_bright_phase_alone_is_brighter_and_fades(labels):
    rim = taken((labels == 1).astype(int), replace(BARE, greys=(0.2, 0.5), edge=0.3, edge_px=2.0)) / 255
    only = taken((labels == 1).astype(int), replace(BARE, greys=(0.2, 0.5))) / 255
    gain = rim - only
    assert gain[labels != 1].max() < 0.01
    edge = (labels == 1) & (np.roll(labels == 0, 1, 0) & (np.arange(160) > 0)[:, None])
    assert gain[edge].mean() == pytest.approx(0.3, abs=0.02)
    assert np.percentile(gain[labels == 1], 5) < 0.05


def test_the_noise_is_that_of_counting():
    flat = np.zeros((200, 200), int)
    for grey, electrons in ((0.5, 100), (0.5, 400), (0.2, 400)):
        picture = taken(flat, replace(BARE, greys=(grey,), electrons=electrons)) / 255
        assert picture.mean() == pytest.approx(grey, abs=0.005)
        assert picture.std() == pytest.approx(np.sqrt(grey / electrons), rel=0.03)


def test_a_beam_out_of_focus_blurs_the_edge():
    step = np.repeat([[0, 1]], 40, 0).repeat(40, 1)
    sharp, blurred = (taken(step, replace(BARE, focus_px=focus)).mean(0) for focus in (0.01, 3))
    assert np.sum((sharp > 60) & (sharp < 170)) == 0
    assert np.sum((blurred > 60) & (blurred < 170)) >= 5


def test_charging_leaves_a_dark_trail_behind_what_is_bright_that_leaks_away():
    labels = np.zeros((60, 300), int)
    labels[20:40, 60:120] = 1
    picture = taken(labels, replace(BARE, charging=1.0))
    before, behind, later = (picture[22:38, x : x + 8].mean() for x in (48, 122, 122 + 6 * CHARGE_PX))
    assert behind < before - 20
    assert later == pytest.approx(before, abs=12)


def test_the_same_seed_gives_the_same_picture(labels):
    look = replace(SemLook(), greys=BARE.greys)
    np.testing.assert_array_equal(taken(labels, look), taken(labels, look))
    assert (taken(labels, look) != taken(labels, look, seed=1)).any()


def test_one_phase_alone_can_be_photographed():
    assert taken(np.zeros((16, 24), int), SemLook()).shape == (16, 24)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_grey_is_named(label):
    with pytest.raises(ConfigError, match=f"Labels run from .*{label}.*2 greys"):
        taken(np.array([[0, label]]), SemLook())

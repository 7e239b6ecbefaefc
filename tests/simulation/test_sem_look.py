import numpy as np
import pytest

from sorby.simulation.random_field import two_phase
from sorby.simulation.sem_look import sem_look, with_info_bar

PIXEL_SIZE_UM = 0.05


@pytest.fixture(scope="module")
def phases():
    return two_phase((192, 256), volume_fraction=0.3, correlation_length_px=18, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def micrograph(phases):
    return sem_look(phases, pixel_size_um=PIXEL_SIZE_UM, rng=np.random.default_rng(1))


def test_martensite_is_brighter_than_ferrite_in_nearly_every_pixel(phases, micrograph):
    level = np.median([micrograph[phases].mean(), micrograph[~phases].mean()])
    assert ((micrograph > level) == phases).mean() > 0.95


def test_martensite_is_brightest_at_its_edge(phases, micrograph):
    inner = phases & np.roll(phases, 5, 0) & np.roll(phases, -5, 0) & np.roll(phases, 5, 1) & np.roll(phases, -5, 1)
    assert micrograph[phases & ~inner].mean() > micrograph[inner].mean() + 10


def test_the_grey_values_are_neither_black_nor_white(micrograph):
    assert ((micrograph == 0) | (micrograph == 255)).mean() < 0.01


def test_the_same_seed_gives_the_same_micrograph(phases, micrograph):
    again = sem_look(phases, pixel_size_um=PIXEL_SIZE_UM, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again, micrograph)


def test_a_micrograph_of_one_phase_alone_can_be_drawn():
    for phase in (False, True):
        alone = sem_look(np.full((48, 64), phase), pixel_size_um=PIXEL_SIZE_UM, rng=np.random.default_rng(0))
        assert alone.shape == (48, 64)


def test_the_info_bar_lies_below_the_untouched_micrograph(micrograph):
    with_bar = with_info_bar(micrograph, pixel_size_um=PIXEL_SIZE_UM)
    assert len(with_bar) == len(micrograph) + len(micrograph) // 10
    np.testing.assert_array_equal(with_bar[: len(micrograph)], micrograph)


@pytest.mark.parametrize(("pixel_size_um", "length_um"), [(0.05, 2), (0.0625, 2), (0.1, 5), (2.0, 100)])
def test_the_scale_bar_is_a_round_length_drawn_to_scale(micrograph, pixel_size_um, length_um):
    bar = with_info_bar(micrograph, pixel_size_um=pixel_size_um)[len(micrograph) :]
    middle = bar[len(bar) // 2]
    left = int(np.argmax(middle == 255))
    assert np.argmax(middle[left:] != 255) == round(length_um / pixel_size_um)

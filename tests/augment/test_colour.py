import math

import pytest
import torch

from sorby.augment.colour import brightness, contrast, hue, luma_flip, recolour, saturation


@pytest.fixture(params=[1, 3])
def images(request):
    return torch.rand(2, request.param, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_brightness_adds_a_constant(images):
    moved = recolour(images, brightness(torch.tensor([0.25, -0.5])))
    torch.testing.assert_close(moved, images + torch.tensor([0.25, -0.5]).view(2, 1, 1, 1))


def test_contrast_scales_about_mid_grey_by_powers_of_two(images):
    moved = recolour(images, contrast(torch.tensor([1.0, -1.0])))
    torch.testing.assert_close(moved, images * torch.tensor([2.0, 0.5]).view(2, 1, 1, 1))


def test_brightness_then_contrast_scales_the_added_brightness_too(images):
    moved = recolour(images, brightness(torch.full((2,), 0.1)) @ contrast(torch.full((2,), 1.0)))
    torch.testing.assert_close(moved, 2 * (images + 0.1))


def test_luma_flip_negates_the_mean_of_the_colours_and_keeps_their_differences(images):
    moved = recolour(images, luma_flip(torch.tensor([1.0, 0.0])))
    mean = images[0].mean(dim=0, keepdim=True)
    torch.testing.assert_close(moved[0], images[0] - 2 * mean)
    assert torch.equal(moved[1], images[1])


@pytest.mark.parametrize("move", [hue, saturation])
def test_hue_and_saturation_leave_grey_as_it_is(move):
    grey = torch.rand(1, 1, 8, 8)
    matrices = move(torch.tensor([1.3]))
    torch.testing.assert_close(recolour(grey, matrices), grey)
    torch.testing.assert_close(recolour(grey.expand(1, 3, 8, 8), matrices), grey.expand(1, 3, 8, 8))


def test_a_third_of_a_turn_of_hue_passes_each_colour_to_the_next():
    images = torch.rand(1, 3, 8, 8)
    moved = recolour(images, hue(torch.tensor([2 * math.pi / 3])))
    torch.testing.assert_close(moved, images.roll(1, dims=1))


def test_saturation_scales_the_distance_from_grey():
    images = torch.rand(1, 3, 8, 8)
    grey = images.mean(dim=1, keepdim=True)
    torch.testing.assert_close(recolour(images, saturation(torch.tensor([1.0]))), grey + 2 * (images - grey))

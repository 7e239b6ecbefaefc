import math

import numpy as np
import pytest
import torch

from sorby.augment.geometry import flip, rotate, rotate90, scale, stretch, translate
from sorby.augment.warp import permute, resample, warp


def noise_images(n=1, c=1, size=16, seed=0):
    return torch.randn(n, c, size, size, generator=torch.Generator().manual_seed(seed))


def blob(x, y, *, at=(3.0, -5.0), width=4.0):
    """A smooth elongated spot that no symmetry leaves alone."""
    return torch.exp(-((x - at[0]) ** 2 / width**2 + (y - at[1]) ** 2 / (1.5 * width) ** 2) / 2)


def mirrored(u):
    """Positions in an image of 64 pixels whose centre is 0, walked to and fro between the outer pixels."""
    there_and_back = torch.remainder(u + 63 / 2, 126)
    return torch.minimum(there_and_back, 126 - there_and_back) - 63 / 2


def raster(size):
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def test_flip_is_numpy_fliplr_to_the_bit():
    image = noise_images()
    np.testing.assert_array_equal(warp(image, flip(torch.ones(1)))[0, 0], np.fliplr(image[0, 0]))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotate90_is_numpy_rot90_to_the_bit(turns):
    image = noise_images()
    moved = warp(image, rotate90(torch.tensor([float(turns)])))
    np.testing.assert_array_equal(moved[0, 0], np.rot90(image[0, 0], turns))


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, -1), (-2, 2)])
def test_whole_shift_is_a_crop_of_numpys_reflect_padding_to_the_bit(right, down):
    image = noise_images(c=3)
    moved = warp(image, translate(torch.tensor([[float(right), float(down)]])))
    padded = np.pad(image[0], ((0, 0), (4, 4), (4, 4)), mode="reflect")
    np.testing.assert_array_equal(moved[0], padded[:, 4 - down : 20 - down, 4 - right : 20 - right])


def test_moves_of_whole_pixels_follow_one_another_in_order():
    image = noise_images(size=8)
    one, two, three = flip(torch.ones(1)), rotate90(torch.ones(1)), translate(torch.tensor([[1.0, -1.0]]))
    together = warp(image, one @ two @ three)
    inside = slice(1, -1)
    step_by_step = warp(warp(warp(image, one), two), three)
    assert torch.equal(together[..., inside, inside], step_by_step[..., inside, inside])


@pytest.mark.parametrize(
    ("matrix", "lookup"),
    [
        (
            rotate(torch.tensor([0.7])),
            lambda x, y: (math.cos(0.7) * x - math.sin(0.7) * y, math.sin(0.7) * x + math.cos(0.7) * y),
        ),
        (scale(torch.tensor([0.4])), lambda x, y: (x / 2**0.4, y / 2**0.4)),
        (scale(torch.tensor([-0.4])), lambda x, y: (x * 2**0.4, y * 2**0.4)),
        (stretch(torch.tensor([0.3])), lambda x, y: (x / 2**0.3, y * 2**0.3)),
        (translate(torch.tensor([[2.3, -4.6]])), lambda x, y: (x - 2.3, y + 4.6)),
        (flip(torch.ones(1)) @ scale(torch.tensor([0.2])), lambda x, y: (-x / 2**0.2, y / 2**0.2)),
    ],
    ids=["rotate", "magnify", "shrink", "stretch", "slide", "flip then magnify"],
)
def test_resampling_equals_the_analytic_image_at_the_transformed_place(matrix, lookup):
    x, y = raster(64)
    moved = resample(blob(x, y)[None, None], matrix)
    torch.testing.assert_close(moved[0, 0], blob(*map(mirrored, lookup(x, y))), atol=4e-3, rtol=0)


def test_composed_moves_equal_the_analytic_image_at_the_composed_place():
    x, y = raster(64)
    matrix = scale(torch.tensor([0.2])) @ rotate(torch.tensor([2.1])) @ stretch(torch.tensor([-0.3]))
    matrix = matrix @ rotate(torch.tensor([-0.4])) @ translate(torch.tensor([[1.5, 3.2]]))
    lx, ly, _ = (matrix[0] @ torch.stack([x, y, torch.ones_like(x)]).flatten(1)).view(3, 64, 64)
    torch.testing.assert_close(
        resample(blob(x, y)[None, None], matrix)[0, 0], blob(mirrored(lx), mirrored(ly)), atol=4e-3, rtol=0
    )


def test_fractional_slide_turns_the_phase_of_a_sinusoid():
    x, _ = raster(64)
    k = 2 * math.pi / 16
    moved = resample(torch.sin(k * x)[None, None], translate(torch.tensor([[2.5, 0.0]])))
    torch.testing.assert_close(moved[0, 0, :, 8:-8], torch.sin(k * (x - 2.5))[:, 8:-8], atol=0.02, rtol=0)


def test_resampling_with_a_whole_turn_changes_next_to_nothing():
    image = noise_images(size=64)
    turned = resample(image, rotate(torch.tensor([2 * math.pi])))
    torch.testing.assert_close(turned[..., 4:-4, 4:-4], image[..., 4:-4, 4:-4], atol=1e-4, rtol=0)


def test_resampling_a_right_angle_equals_permuting_pixels():
    # The asymmetry of sym6, were it not allowed for, would show here as a shift of 0.4 pixels.
    x, y = raster(64)
    image = blob(x, y)[None, None]
    for turns in (1.0, 2.0, 3.0):
        matrix = rotate90(torch.tensor([turns]))
        torch.testing.assert_close(resample(image, matrix), permute(image, matrix), atol=3e-3, rtol=0)


@pytest.mark.parametrize("shift", [0.5, 20.3, 300.7])
def test_borders_are_mirrored_however_far_the_picture_slides(shift):
    x, _ = raster(32)
    k = math.pi / 31  # even about the first and the last pixel, so that mirroring continues it
    image = torch.cos(k * (x + 31 / 2))
    moved = resample(image[None, None], translate(torch.tensor([[shift, 0.0]])))
    torch.testing.assert_close(moved[0, 0], torch.cos(k * (x + 31 / 2 - shift)), atol=0.01, rtol=0)


def test_a_constant_stays_under_any_move():
    flat = torch.full((4, 1, 32, 32), 0.7)
    angles = torch.tensor([0.1, 1.0, 2.0, 3.0])
    moved = resample(flat, rotate(angles) @ scale(angles / 5) @ translate(torch.stack([angles, 9 * angles], 1)))
    torch.testing.assert_close(moved, flat, atol=1e-5, rtol=0)


def test_images_without_a_move_keep_every_bit_beside_moved_ones():
    images = noise_images(n=3, size=32)
    matrices = torch.cat([torch.eye(3)[None], rotate(torch.tensor([0.5])), rotate90(torch.ones(1))])
    moved = warp(images, matrices)
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[2], torch.rot90(images[2], 1, (1, 2)))
    torch.testing.assert_close(moved[1:2], resample(images[1:2], matrices[1:2]))

from functools import partial

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch.nn import functional as F

from sorby.models.resample import conv_down, conv_up, downsample, low_pass, turned, upsample

KERNEL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_low_pass_is_a_full_convolution_with_the_binomial_kernel():
    x = noise(1, 2, 5, 7)
    expected = np.stack([convolve2d(channel, KERNEL, mode="full") for channel in x[0].numpy()])
    np.testing.assert_allclose(low_pass(x, padding=3)[0], expected)


def test_a_constant_image_stays_constant_inside():
    ones = torch.ones(1, 3, 8, 8)
    torch.testing.assert_close(upsample(ones)[:, :, 2:-2, 2:-2], torch.ones(1, 3, 12, 12))
    torch.testing.assert_close(downsample(ones)[:, :, 1:-1, 1:-1], torch.ones(1, 3, 2, 2))


def test_upsampling_is_bilinear_inside():
    x = noise(1, 1, 6, 6)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(x)[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


def test_downsampling_is_the_transpose_of_upsampling_over_four():
    small, large = noise(1, 1, 4, 4), noise(1, 1, 8, 8).flip(2)
    torch.testing.assert_close((upsample(small) * large).sum(), 4 * (small * downsample(large)).sum())


def test_conv_up_is_zero_insertion_then_convolution_then_filter():
    x, weight = noise(2, 3, 4, 4), noise(5, 3, 3, 3)
    spread = x.new_zeros(2, 3, 8, 8)
    spread[:, :, ::2, ::2] = x
    full = F.conv2d(spread, weight, padding=2)[:, :, :9, :9]  # the even filter's taps sit between pixels
    torch.testing.assert_close(conv_up(x, turned(weight)), low_pass(full, padding=1, gain=4))


def test_conv_down_is_filter_then_every_second_convolution():
    x, weight = noise(2, 3, 8, 8), noise(5, 3, 3, 3)
    torch.testing.assert_close(conv_down(x, weight), F.conv2d(low_pass(x, padding=2), weight)[:, :, ::2, ::2])


@pytest.mark.parametrize(
    "function",
    [
        upsample,
        downsample,
        *(partial(low_pass, padding=padding, gain=3) for padding in range(4)),
        lambda x: conv_up(x, torch.ones(1, 1, 3, 3).double()),
        lambda x: conv_down(x, torch.ones(1, 1, 3, 3).double()),
    ],
)
def test_gradients_and_second_gradients_are_right(function):
    x = noise(1, 1, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize("function", [upsample, downsample, partial(low_pass, padding=1)])
def test_gradients_lie_channels_last_as_what_they_are_of(function):
    x = noise(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(function(x).square().sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)

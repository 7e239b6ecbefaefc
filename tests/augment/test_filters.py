import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from sorby.augment.filters import POWER, amplify, band, filter_axes, gauss, gauss_sigma, median
from sorby.augment.wavelets import band_filters

FREQUENCIES = [math.pi / 16, math.pi * 3 / 16, math.pi * 3 / 8, math.pi * 3 / 4]


def noise_images(n=1, c=1, size=32):
    return torch.randn(n, c, size, size, generator=torch.Generator().manual_seed(0))


def test_equal_gains_are_the_identity():
    images = noise_images(n=2, c=3)
    kernels = band_filters().float().sum(dim=0).expand(2, -1)
    torch.testing.assert_close(filter_axes(images, kernels), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", range(4))
def test_a_band_gains_what_was_asked_relative_to_the_others(number):
    gains = band(torch.tensor([2.0]), number=number)[0].diagonal()
    expected = torch.ones(4)
    expected[number] = 4
    torch.testing.assert_close(gains / gains.min(), expected)


def test_gains_keep_the_expected_power():
    a = torch.linspace(-3, 3, 7)
    for number in range(4):
        gains = band(a, number=number).diagonal(dim1=1, dim2=2)
        torch.testing.assert_close(gains.square() @ torch.tensor(POWER), torch.ones(7))


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_sinusoid_is_scaled_by_the_response_of_the_mixed_filter(frequency):
    gains = torch.tensor([0.5, 3.0, 1.5, 0.25])
    n = torch.arange(-21, 22)
    at_frequency, at_zero = band_filters().float() @ torch.cos(frequency * n), band_filters().float().sum(dim=1)
    wave = torch.sin(frequency * torch.arange(128.0)).expand(1, 1, 128, 128)
    filtered = amplify(wave, torch.diag(gains)[None])
    # Constant along y, so the columns are scaled by the gain of the mean.
    expected = wave * (gains @ at_frequency) * (gains @ at_zero)
    torch.testing.assert_close(filtered[..., 24:-24], expected[..., 24:-24], atol=1e-4, rtol=0)


def test_amplify_mirrors_at_the_borders_as_scipy_does():
    images = noise_images()
    gains = torch.tensor([0.5, 3.0, 1.5, 0.25])
    kernel = (gains.double() @ band_filters()).numpy()
    expected = ndimage.correlate1d(images.double().numpy(), kernel, axis=2, mode="mirror")
    expected = ndimage.correlate1d(expected, kernel, axis=3, mode="mirror")
    np.testing.assert_allclose(amplify(images, torch.diag(gains)[None]), expected, atol=1e-5)


def test_each_image_gets_its_own_kernel():
    images = noise_images(n=2, c=3)
    kernels = torch.tensor([[0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    filtered = filter_axes(images, kernels)
    torch.testing.assert_close(filtered[0], images[0])
    expected = ndimage.uniform_filter(images[1].numpy(), size=(1, 3, 3), mode="mirror")
    np.testing.assert_allclose(filtered[1], expected, atol=1e-6)


def test_median_equals_scipys():
    images = noise_images(n=2, c=3)
    expected = ndimage.median_filter(images.numpy(), size=(1, 1, 3, 3), mode="mirror")
    np.testing.assert_array_equal(median(images, torch.empty(2, 0)), expected)


def test_the_gradient_of_a_median_goes_to_the_pixel_taken():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 1:4, 1:4] = torch.tensor([[1.0, 9.0, 2.0], [8.0, 7.0, 3.0], [4.0, 6.0, 5.0]])
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(median(image, torch.empty(1, 0))[0, 0, 2, 2], image)
    assert gradient.nonzero().tolist() == [[0, 0, 3, 3]]  # where the 5 stands


def test_gauss_equals_scipys():
    images = noise_images(n=3)
    sigma = torch.tensor([0.001, 0.8, 2.0])
    blurred = gauss(images, sigma)
    assert torch.equal(blurred[0], images[0])
    for index in (1, 2):
        expected = ndimage.gaussian_filter(images[index, 0].numpy(), float(sigma[index]), mode="mirror", radius=9)
        np.testing.assert_allclose(blurred[index, 0], expected, atol=1e-5)


def test_sigma_of_the_blur_stays_within_its_kernel():
    sigma = gauss_sigma((100_000, 1, 8, 8), torch.Generator().manual_seed(0))
    assert 0 < sigma.min() < sigma.max() == 3
    assert float(sigma.mean()) == pytest.approx(math.sqrt(2 / math.pi), abs=0.01)

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sorby.models import convolution
from sorby.models.convolution import DifferentiatedTwice, convolve, convolve_transposed

CASES = [(1, 1, 3, 5), (1, 0, 1, 4), (2, 0, 3, 5), (2, 1, 4, 6), ((2, 1), (0, 1), 3, 6)]
"""Stride, padding, kernel, side; with the last, the stride leaves a row over."""


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(("stride", "padding", "kernel", "side"), CASES)
def test_a_convolution_and_its_derivatives_are_right(stride, padding, kernel, side):
    inputs = noise(2, 3, side, side), noise(2, 3, kernel, kernel, seed=1), noise(2, seed=2)
    function = partial(convolve, stride=stride, padding=padding)
    torch.testing.assert_close(function(*inputs), F.conv2d(*inputs, stride=stride, padding=padding))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_and_its_derivatives_are_right(stride):
    inputs = noise(2, 3, 3, 4), noise(3, 2, 3, 2, seed=1)
    function = partial(convolve_transposed, stride=stride)
    torch.testing.assert_close(function(*inputs), F.conv_transpose2d(*inputs, stride=stride))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def gradients_of_a_gradient(layers, x):
    """Of the parameters, by the squared gradient of what `layers` make of `x`."""
    (gradient,) = torch.autograd.grad(layers(x).square().sum(), x, create_graph=True)
    return torch.autograd.grad(gradient.square().sum(), list(layers.parameters()), allow_unused=True)


def test_within_the_mode_layers_have_the_same_second_derivatives():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 8, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 8, 3, padding="same", groups=2),
        nn.Conv2d(8, 8, 3, dilation=2),
        nn.Conv2d(8, 1, 1, bias=False),
    )
    x = torch.randn(3, 1, 16, 16).requires_grad_()
    expected = gradients_of_a_gradient(layers, x)
    with DifferentiatedTwice():
        found = gradients_of_a_gradient(layers, x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_the_kernels_of_training_agree_with_double_precision(dtype, tolerance):
    def second_derivatives(dtype):
        x, weight, turned = (
            tensor.detach().to(dtype, memory_format=torch.channels_last).requires_grad_()
            for tensor in (noise(4, 16, 9, 9), noise(16, 16, 3, 3, seed=1) / 12, noise(16, 16, 3, 3, seed=2) / 12)
        )
        y = convolve_transposed(convolve(x, weight, stride=2), turned, stride=2)
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        assert gradient.is_contiguous(memory_format=torch.channels_last)
        return torch.autograd.grad(gradient.square().sum(), [x, weight, turned])

    for found, expected in zip(second_derivatives(dtype), second_derivatives(torch.float64), strict=True):
        assert (found.double() - expected).norm() < tolerance * expected.norm()


def test_gradients_of_weights_are_not_computed_where_those_of_pictures_alone_are_asked_for(monkeypatch):
    x, weight = noise(2, 3, 5, 5), noise(2, 3, 3, 3, seed=1)
    y = convolve_transposed(convolve(x, weight), weight, stride=2)
    monkeypatch.setattr(convolution, "_correlate", None)  # would fail if called
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert gradient.requires_grad

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

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

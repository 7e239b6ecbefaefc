import math

import pytest
import torch
from torch.nn import functional as F

from sorby.models.layers import (
    ACTIVATION_GAIN,
    Conv,
    FromGrey,
    Linear,
    MinibatchStd,
    ModulatedConv,
    ModulatedPointwise,
    StyledConv,
    activate,
    normalise,
)
from sorby.models.resample import conv_up, turned


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def modulated_by_the_paper(x, weight, style, *, up):
    """Equations 1 and 3 of Karras et al. 2020a, one image and one kernel at a time."""
    outputs = []
    for image, s in zip(x, style, strict=True):
        w = weight * s[None, :, None, None]
        w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        outputs.append(conv_up(image[None], turned(w)) if up else F.conv2d(image[None], w, padding=1))
    return torch.cat(outputs)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_convolution_equals_one_kernel_an_image(up):
    layer, x, style = ModulatedConv(5, 7, up=up), torch.randn(3, 5, 8, 8), torch.randn(3, 5) + 1
    y, sigma = layer(x, style)
    expected = modulated_by_the_paper(x, layer.weight * layer.weight_scale, style, up=up)
    torch.testing.assert_close(y * sigma, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_the_layer_to_grey_equals_one_kernel_an_image(channels, dtype, tolerance):
    layer, style = ModulatedPointwise(16, channels), torch.randn(3, 16) + 1
    x = torch.randn(3, 16, 8, 12).to(dtype, memory_format=torch.channels_last)
    kernels = layer.weight * layer.weight_scale * style[:, None, :, None, None]
    expected = torch.cat([F.conv2d(image[None].float(), kernel) for image, kernel in zip(x, kernels, strict=True)])
    y = layer(x, style)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_layer_from_grey_equals_its_convolution_and_keeps_channels_last(channels):
    layer, x = FromGrey(channels, 16), torch.randn(3, channels, 8, 12)
    with torch.no_grad():
        layer.bias.normal_()
    y = layer(x.contiguous(memory_format=torch.channels_last))
    expected = F.conv2d(x, layer.weight / math.sqrt(channels), layer.bias) * ACTIVATION_GAIN
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_demodulation_gives_unit_variance_whatever_the_style():
    layer, x, style = ModulatedConv(64, 64), torch.randn(2, 64, 32, 32), 10 * torch.rand(2, 64)
    y, sigma = layer(x, style)
    assert (y * sigma)[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, abs=0.02)


def test_a_styled_convolution_adds_noise_and_bias_before_the_activation():
    layer = StyledConv(4, 6, w_dim=8)
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.bias.normal_()
    x, w, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 8), torch.randn(2, 1, 8, 8)
    plain = modulated_by_the_paper(x, layer.conv.weight * layer.conv.weight_scale, layer.affine(w), up=False)
    expected = activate(plain + 0.3 * noise + layer.bias[:, None, None]) * ACTIVATION_GAIN
    torch.testing.assert_close(layer(x, w, noise), expected, rtol=1e-4, atol=1e-5)


def test_equalised_layers_keep_the_variance_through_the_activation():
    x = torch.randn(64, 256)
    for layer in (Linear(256, 256, gain=ACTIVATION_GAIN), Linear(256, 256, gain=ACTIVATION_GAIN, lr_multiplier=0.01)):
        assert activate(layer(x)).square().mean().item() == pytest.approx(1.04, abs=0.08)  # (1 + 0.2**2) / 2 * gain**2
    y = activate(Conv(64, 64, 3, gain=ACTIVATION_GAIN)(torch.randn(4, 64, 32, 32)))[:, :, 1:-1, 1:-1]
    assert y.square().mean().item() == pytest.approx(1.04, abs=0.08)


def test_a_learning_rate_multiplier_slows_a_step_by_itself():
    outputs = []
    for multiplier in (1, 0.01):
        torch.manual_seed(1)
        layer = Linear(8, 8, lr_multiplier=multiplier)
        before = layer(torch.ones(1, 8))
        with torch.no_grad():
            layer.bias += 1  # one step of Adam moves every weight by about the learning rate
        outputs.append((layer(torch.ones(1, 8)) - before).mean().item())
    assert outputs == pytest.approx([1, 0.01])


def test_normalised_rows_have_unit_mean_square():
    torch.testing.assert_close(normalise(5 * torch.randn(3, 64)).square().mean(1), torch.ones(3))


def test_minibatch_std_of_a_group_is_the_mean_standard_deviation_of_its_members():
    x = torch.randn(8, 3, 4, 4)
    y = MinibatchStd(4)(x)
    torch.testing.assert_close(y[:, :3], x)
    for group in (slice(0, 4), slice(4, 8)):
        expected = (x[group].var(0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(y[group, 3], expected.expand(4, 4, 4))


def test_groups_of_minibatch_std_do_not_see_each_other():
    x = torch.randn(8, 3, 4, 4)
    torch.testing.assert_close(MinibatchStd(4)(x)[:4], MinibatchStd(4)(x[:4]))


@pytest.mark.parametrize("n", [1, 6, 7])
def test_minibatch_std_takes_any_batch(n):
    assert MinibatchStd(4)(torch.randn(n, 2, 4, 4)).shape == (n, 3, 4, 4)


def test_identical_images_have_no_minibatch_std():
    assert MinibatchStd(4)(torch.ones(4, 2, 4, 4))[:, 2].max().item() == pytest.approx(math.sqrt(1e-8))

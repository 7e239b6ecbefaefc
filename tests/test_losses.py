import math

import pytest
import torch
from torch.nn import functional as F

from sorby.losses import logistic_fake, logistic_real, path_lengths, r1_penalty


def test_an_undecided_discriminator_costs_log_2_either_way():
    assert logistic_real(torch.zeros(1, 1)).item() == pytest.approx(math.log(2))
    assert logistic_fake(torch.zeros(1, 1)).item() == pytest.approx(math.log(2))


def test_logistic_losses_are_the_cross_entropy_of_their_label():
    scores = torch.linspace(-4, 4, 9)[:, None]
    for loss, label in ((logistic_real, 1.0), (logistic_fake, 0.0)):
        expected = F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label), reduction="none")
        torch.testing.assert_close(loss(scores), expected)


def test_r1_penalty_of_a_linear_critic_is_its_squared_weight():
    weight = torch.randn(1, 1, 4, 4)
    images = torch.randn(3, 1, 4, 4, requires_grad=True)
    scores = (images * weight).sum(dim=(1, 2, 3))[:, None]
    torch.testing.assert_close(r1_penalty(scores, images), weight.square().sum().expand(3))


def test_r1_penalty_can_be_descended():
    weight = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    images = torch.randn(1, 1, 2, 2, requires_grad=True)
    r1_penalty((images * weight).sum(dim=(1, 2, 3))[:, None], images).sum().backward()
    torch.testing.assert_close(weight.grad, 2 * weight.detach())


def test_path_length_of_an_orthogonal_map_is_one_on_average():
    """With w to pixels an orthogonal matrix Q, |Q^T y| = |y|, and y has variance 1/pixels for each of the pixels."""
    pixels = 64
    q, _ = torch.linalg.qr(torch.randn(pixels, pixels, generator=torch.Generator().manual_seed(0)))
    ws = torch.randn(500, 1, pixels, requires_grad=True)
    images = (ws[:, 0] @ q.T).reshape(-1, 1, 8, 8)
    lengths = path_lengths(images, ws, rng=torch.Generator().manual_seed(1))
    assert lengths.mean().item() == pytest.approx(1, abs=0.02)


def test_path_length_grows_with_the_generator_and_averages_over_its_layers():
    ws = torch.randn(4, 2, 16, requires_grad=True)
    one = path_lengths(ws[:, 0].reshape(4, 1, 4, 4), ws, rng=torch.Generator().manual_seed(1))
    three = path_lengths(3 * ws[:, 0].reshape(4, 1, 4, 4), ws, rng=torch.Generator().manual_seed(1))
    both = path_lengths((ws[:, 0] + ws[:, 1]).reshape(4, 1, 4, 4), ws, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(three, 3 * one)
    torch.testing.assert_close(both, math.sqrt(2) * one)

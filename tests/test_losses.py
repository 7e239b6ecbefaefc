import math

import pytest
import torch
from torch.nn import functional as F

from sorby.losses import (
    class_contrast,
    continuous_contrast,
    continuous_contrast_printed,
    distances,
    gradient_penalty,
    logistic_fake,
    logistic_real,
    path_lengths,
    r1_penalty,
    spread,
    wasserstein_fake,
    wasserstein_real,
)
from sorby.seeds import Rows, rng_for


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


def test_each_image_moves_in_a_direction_of_its_own_and_some_of_a_batch_in_theirs():
    """Four equal images differ by their y alone; the second and third of the batch meet what they meet in it."""
    ws = torch.zeros(4, 1, 16, requires_grad=True)
    whole = path_lengths(ws.reshape(4, 1, 4, 4), ws, rng=rng_for(0))
    assert whole.unique().numel() == 4
    two = ws[1:3]
    some = path_lengths(two.reshape(2, 1, 4, 4), two, rng=rng_for(0), rows=Rows(1, 3, of=4))
    torch.testing.assert_close(some, whole[1:3])


def test_a_path_length_can_be_descended():
    """It is as many times longer as the generator is stronger, so that it grows at once by its own length."""
    strength, ws = torch.ones((), requires_grad=True), torch.zeros(1, 1, 16, requires_grad=True)
    length = path_lengths(strength * ws.reshape(1, 1, 4, 4), ws, rng=rng_for(0))
    length.sum().backward()
    torch.testing.assert_close(strength.grad, length.sum().detach())


def test_a_critic_pays_for_low_scores_of_real_and_high_scores_of_generated_images():
    scores = torch.tensor([[2.0], [-1.0]])
    assert wasserstein_real(scores).tolist() == [[-2], [1]]
    assert wasserstein_fake(scores).tolist() == [[2], [-1]]


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_the_gradient_penalty_of_a_linear_critic_is_the_square_of_its_slope_off_one(norm):
    weight = torch.full((1, 1, 4, 4), norm / 4)
    images = torch.randn(3, 1, 4, 4, requires_grad=True)
    scores = (images * weight).sum(dim=(1, 2, 3))[:, None]
    torch.testing.assert_close(gradient_penalty(scores, images), torch.full((3,), (norm - 1) ** 2))


def test_the_gradient_penalty_can_be_descended():
    """Of four weights of 3 the norm is 6; (6 - 1)^2 grows with each of them by 2 (6 - 1) 3 / 6."""
    weight = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    images = torch.randn(1, 1, 2, 2, requires_grad=True)
    gradient_penalty((images * weight).sum(dim=(1, 2, 3))[:, None], images).sum().backward()
    torch.testing.assert_close(weight.grad, torch.full((1, 1, 2, 2), 5.0))


CLASSES = torch.eye(8).repeat(16, 1)
"""Conditions of paper B's batch: 128 images, of 8 classes."""


def clustered(noise):
    """l(x) about one direction a class, and e(y), that direction."""
    rng = torch.Generator().manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(8, 64, generator=rng), dim=1).repeat(16, 1)
    return centres + noise * torch.randn(128, 64, generator=rng), centres


def scattered():
    return torch.randn(128, 64, generator=torch.Generator().manual_seed(1)), clustered(0)[1]


def class_loss(vectors, *, printed=False):
    return class_contrast(*vectors, CLASSES, temperature=0.1, printed=printed).mean().item()


def test_equation_3_of_paper_b_as_printed_prefers_random_vectors_and_mended_clustered_ones():
    """The four numbers of the two cases; noise of 0.147 is a cosine of 0.65 to the centre."""
    found = [class_loss(vectors, printed=p) for p in (True, False) for vectors in (clustered(0.147), scattered())]
    assert found == pytest.approx([-2.32, -4.38, 0.13, 2.19], abs=0.1)


def test_the_class_loss_by_hand():
    """Classes in orthogonal directions, all images on them: 1 + 15 times e^10 above, 112 times e^0 more below."""
    directions = torch.eye(64)[:8].repeat(16, 1)
    on_them = class_contrast(directions, directions, CLASSES, temperature=0.1)
    torch.testing.assert_close(on_them, torch.full((128,), math.log(1 + 112 / (16 * math.exp(10)))))
    printed = class_contrast(directions, directions, CLASSES, temperature=0.1, printed=True)
    torch.testing.assert_close(printed, torch.full((128,), math.log((16 * math.exp(10) + 112) / (17 * math.exp(10)))))
    in_one_point = torch.ones(128, 64)
    fallen = class_contrast(in_one_point, in_one_point, CLASSES, temperature=0.1)
    torch.testing.assert_close(fallen, torch.full((128,), math.log(128 / 16)))


def test_the_class_loss_of_three_images_by_hand():
    """Image 0 is alone in its class; images 1 and 2 share one, at right angles; t = 1."""
    image, condition = torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([[1.0, 0], [0, 1], [0, 1]])
    found = class_contrast(image, condition, torch.tensor([[0.0], [1], [1]]), temperature=1)
    e = math.e
    expected = [math.log((e + e + 1) / e), math.log((1 + 1 + e) / (1 + 1)), math.log((e + 1 + 1) / (e + 1))]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_an_image_alone_pays_nothing_to_itself_or_to_others():
    one = torch.randn(1, 8)
    assert class_contrast(one, one, torch.zeros(1, 1), temperature=0.1).item() == 0
    assert continuous_contrast(one, torch.zeros(1, 1), alpha=0.5, delta=0).item() == 0


def test_contrast_knows_no_length_no_order_and_no_turn_of_the_vectors():
    (image, condition), y = clustered(0.2), CLASSES + torch.linspace(0, 1, 128)[:, None].round()
    order = torch.randperm(128, generator=torch.Generator().manual_seed(2))
    turn = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(3)))[0]
    lengths = torch.linspace(0.1, 10, 128)[:, None]
    for loss in (
        lambda a, b, c: class_contrast(a, b, c, temperature=0.1),
        lambda a, b, c: class_contrast(a, b, c, temperature=0.1, printed=True),
        lambda a, _, c: continuous_contrast(a, c, alpha=0.5, delta=0.1),
        lambda a, b, _: continuous_contrast_printed(a, b, alpha=0.5, delta=0.1),
    ):
        before = loss(image, condition, y)
        assert before.min() < before.max()
        torch.testing.assert_close(loss(lengths * image, lengths.flip(0) * condition, y), before)
        torch.testing.assert_close(loss(image @ turn, condition @ turn, y), before, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loss(image[order], condition[order], y[order]), before[order])


def test_the_class_loss_is_computed_where_its_images_are():
    elsewhere = torch.ones(4, 8, device="meta")
    assert class_contrast(elsewhere, elsewhere, elsewhere, temperature=1).device.type == "meta"


def test_equation_1_of_paper_b_as_printed_is_nothing_where_all_falls_into_one_point_and_mended_it_costs():
    y = torch.linspace(-1.5, 1.5, 16)[:, None]
    fallen = torch.ones(16, 64)
    assert continuous_contrast_printed(fallen, fallen, alpha=0.5, delta=0.0).max() == 0
    expected = 0.5 * (y - y.T).abs().sum(1) / 15  # each pair is off by its whole target
    torch.testing.assert_close(continuous_contrast(fallen, y, alpha=0.5, delta=0.0), expected)
    assert spread(fallen).item() == pytest.approx(0, abs=1e-3)


def test_vectors_as_far_apart_as_their_conditions_cost_nothing_and_others_what_is_beyond_the_tolerance():
    """Two images at an angle of 60 degrees are 1 apart, as are two conditions of 0 and 2 with alpha = 0.5."""
    image = torch.tensor([[1.0, 0], [0.5, math.sqrt(0.75)]])
    near, far = torch.tensor([[0.0], [2]]), torch.tensor([[0.0], [3]])
    assert continuous_contrast(image, near, alpha=0.5, delta=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert continuous_contrast(image, far, alpha=0.5, delta=0.2).tolist() == pytest.approx([0.3, 0.3])


def test_conditions_given_twice_and_the_batch_do_not_change_what_a_distance_is():
    """The root mean square over the conditions; and the mean over the other images."""
    image, y = torch.randn(6, 8), torch.randn(6, 1)
    once = continuous_contrast(image, y, alpha=0.5, delta=0.1)
    torch.testing.assert_close(continuous_contrast(image, y.repeat(1, 3), alpha=0.5, delta=0.1), once)
    two, two_y = torch.eye(8)[:2], torch.zeros(2, 1)
    many = continuous_contrast(two.repeat_interleave(50, 0), two_y.repeat(50, 1), alpha=0.5, delta=0)
    torch.testing.assert_close(many, torch.full((100,), math.sqrt(2) * 50 / 99))


def test_contrast_of_equal_vectors_has_a_finite_gradient():
    image = torch.ones(4, 8, requires_grad=True)
    y = torch.linspace(0, 1, 4)[:, None]
    continuous_contrast(image, y, alpha=0.5, delta=0.0).sum().backward()
    assert image.grad.isfinite().all()


def test_equal_vectors_are_exactly_0_apart_however_many_there_are():
    """|a|^2 + |b|^2 - 2 ab, which is faster for many, would be about 1e-3 off."""
    vectors = torch.randn(40, 64, generator=rng_for(0)).repeat(2, 1)
    found = distances(vectors)
    assert torch.equal(found[:40, 40:].diag(), torch.zeros(40))
    torch.testing.assert_close(found, (vectors[:, None] - vectors).norm(dim=2))


def test_the_spread_is_the_root_mean_square_distance_of_all_pairs():
    vectors = torch.randn(10, 5)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    pairs = [(a - b).square().sum().item() for a in unit for b in unit]
    assert spread(vectors).item() == pytest.approx(math.sqrt(sum(pairs) / 100), rel=1e-5)

import math

import numpy as np
import pytest
import torch
from torch import nn

from sorby.errors import DataError, WeightsError
from sorby.generator import from_grey_values
from sorby.metrics.perceptual import PerceptualDistance, load_perceptual, perceptual_distance


@pytest.fixture(scope="module")
def metric():
    return load_perceptual()


def discs(n, size=64, channels=1):
    """Discs of different radii on grey, which have something to see."""
    y, x = np.mgrid[:size, :size] - size / 2
    radii = np.linspace(0.1, 0.4, n)[:, None, None] * size
    return np.where(np.hypot(x, y) < radii, 220, 80).astype(np.uint8)[:, None].repeat(channels, 1)


def noisy(pictures, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, pictures.shape)
    return (pictures + noise).clip(0, 255).astype(np.uint8)


class Given(nn.Module):
    """Stages that see what they are told to."""

    def __init__(self, *maps):
        super().__init__()
        self.maps = list(maps)

    def forward(self, images):
        return [one[: len(images)] * images.mean((1, 2, 3), keepdim=True) for one in self.maps]


class Seen(nn.Module):
    """Stages that keep what they are shown."""

    def forward(self, images):
        self.images = images
        return [images]


@pytest.mark.parametrize(
    ("shown", "seen"), [((32, 48), (128, 192)), ((80, 64), (160, 128)), ((100, 130), (128, 166)), ((128, 200),) * 2]
)
def test_pictures_are_enlarged_until_their_shorter_side_has_128_px_and_none_is_made_smaller(shown, seen):
    metric = PerceptualDistance(Seen())
    metric.embed(torch.zeros(2, 1, *shown))
    assert metric.stages.images.shape == (2, 3, *seen)


def test_enlarging_keeps_the_mean_of_every_picture():
    pictures = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    metric = PerceptualDistance(Seen())
    metric.embed(pictures)
    torch.testing.assert_close(metric.stages.images.mean((1, 2, 3)), pictures.mean((1, 2, 3)))


def test_the_network_is_that_of_the_path_on_the_device_and_learns_nothing(metric, tmp_path):
    assert not any(weights.requires_grad for weights in metric.parameters())
    assert {weights.device.type for weights in load_perceptual(device="meta").parameters()} == {"meta"}
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        load_perceptual(path=tmp_path / "nowhere.pth")


def test_equal_pictures_are_at_zero_and_no_others(metric):
    pictures = discs(4)
    np.testing.assert_array_equal(perceptual_distance(pictures, pictures, metric=metric), 0)
    assert (perceptual_distance(pictures, pictures[::-1].copy(), metric=metric) > 0.05).all()


def test_the_order_of_a_pair_does_not_matter(metric):
    a, b = discs(4), noisy(discs(4), 20)
    ahead, back = perceptual_distance(a, b, metric=metric), perceptual_distance(b, a, metric=metric)
    np.testing.assert_allclose(ahead, back, rtol=1e-5)


def test_more_noise_is_farther_away(metric):
    pictures = discs(3)
    distances = [perceptual_distance(pictures, noisy(pictures, sigma), metric=metric) for sigma in (2, 5, 10, 20, 40)]
    assert (np.diff(distances, axis=0) > 0).all()


def test_a_distance_depends_on_its_own_pair_alone(metric):
    a, b = discs(10), noisy(discs(10), 20)
    together = perceptual_distance(a, b, metric=metric)
    alone = [perceptual_distance(a[i : i + 1], b[i : i + 1], metric=metric)[0] for i in range(10)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_grey_is_rgb_of_equal_channels(metric):
    grey = perceptual_distance(discs(2), noisy(discs(2), 20), metric=metric)
    rgb = perceptual_distance(discs(2, channels=3), noisy(discs(2), 20).repeat(3, 1), metric=metric)
    np.testing.assert_allclose(grey, rgb, rtol=1e-5)


def test_without_a_metric_it_is_that_on_efficientnet(metric):
    a, b = discs(2), noisy(discs(2), 20)
    np.testing.assert_array_equal(perceptual_distance(a, b), perceptual_distance(a, b, metric=metric))


def test_it_is_the_mean_over_maps_and_places_of_squared_differences_of_unit_vectors():
    """One map of opposite vectors at one of four places, one of vectors at right angles everywhere."""
    here = torch.ones(2, 2, 2, 2)
    here[1, :, 0, 0] = -1
    across = torch.tensor([[3.0, 0], [0, 0.1]])[:, :, None, None].expand(2, 2, 4, 4)
    embedded = PerceptualDistance(Given(here, across)).embed(torch.full((2, 1, 128, 128), 0.5))
    distance = (embedded[0] - embedded[1]).square().sum()
    assert distance.item() == pytest.approx((4 / 4 + 2) / 2)


def test_opposite_vectors_are_the_farthest_away():
    metric = PerceptualDistance(Given(torch.ones(1, 3, 4, 4)))
    light = torch.full((1, 1, 32, 32), 0.5)
    assert metric(light, -light).item() == pytest.approx(4)


def test_the_gradient_is_that_of_finite_differences(metric):
    exact = load_perceptual().double()
    rng = torch.Generator().manual_seed(0)
    target, picture = (from_grey_values(torch.from_numpy(p)).double() for p in (discs(2)[:1], discs(2)[1:]))
    picture = picture + 0.05 * torch.randn(picture.shape, generator=rng, dtype=torch.float64)
    along = torch.randn(picture.shape, generator=rng, dtype=torch.float64)
    picture.requires_grad_()
    (gradient,) = torch.autograd.grad(exact(picture, target).sum(), picture)
    h = 1e-8  # the network is piecewise linear: longer steps cross its kinks
    with torch.no_grad():
        ends = [exact(picture + step * along, target).item() for step in (-h, h)]
    assert (gradient * along).sum().item() == pytest.approx((ends[1] - ends[0]) / (2 * h), rel=1e-5)


def test_a_flat_map_gives_no_nan():
    picture = torch.zeros(1, 1, 32, 32, requires_grad=True)
    PerceptualDistance(Given(torch.zeros(1, 3, 4, 4)))(picture, picture + 1).sum().backward()
    assert math.isfinite(picture.grad.sum().item())


def test_no_pictures_have_no_distances(metric):
    assert perceptual_distance(discs(0), discs(0), metric=metric).shape == (0,)


def test_pictures_of_two_sizes_are_refused(metric):
    with pytest.raises(DataError, match="one size"):
        perceptual_distance(discs(2), discs(2, size=32), metric=metric)

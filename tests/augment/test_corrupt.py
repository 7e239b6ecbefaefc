import math

import pytest
import torch

from sorby.augment.corrupt import cutout, noise_field


def test_noise_has_one_half_normal_sigma_per_image():
    noise = noise_field((2000, 1, 16, 16), torch.Generator().manual_seed(0))
    sigma = noise.flatten(1).std(dim=1)
    assert float(sigma.square().mean().sqrt()) == pytest.approx(0.1, rel=0.05)
    assert float(sigma.mean()) == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.05)
    assert abs(float(noise.mean())) < 1e-3


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.25, 0.75), (0.4137, 0.6011)])
def test_cutout_inside_the_image_sets_exactly_a_quarter_to_mid_grey(centre):
    cut = cutout(torch.ones(1, 3, 16, 32), torch.tensor([centre]))
    assert (cut[0] == 0).sum(dim=(1, 2)).tolist() == [16 * 32 // 4] * 3
    assert cut.unique().tolist() == [0, 1]


def test_cutout_is_a_rectangle_about_its_centre():
    cut = cutout(torch.ones(1, 1, 8, 8), torch.tensor([[0.5, 0.25]]))
    expected = torch.ones(8, 8)
    expected[0:4, 2:6] = 0
    assert torch.equal(cut[0, 0], expected)


def test_cutout_at_a_corner_keeps_to_the_image():
    cut = cutout(torch.ones(1, 1, 16, 16), torch.tensor([[0.0, 0.0]]))
    assert int((cut == 0).sum()) == 16

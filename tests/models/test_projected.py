import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sorby.config import NetworkConfig
from sorby.models.projected import ProjectedDiscriminator, frozen

SMALL = NetworkConfig(size=32, z_dim=16, w_dim=16)
CHANNELS = (2, 3, 4, 5)
STDS = (4.0, 3.0, 2.0, 1.0)


class Pyramid(nn.Module):
    """A stand-in for a pretrained network: linear maps at 1/4 to 1/32 of the side."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, c, 1) for c in CHANNELS)

    def forward(self, images):
        return [conv(F.avg_pool2d(images, 4 * 2**i)) for i, conv in enumerate(self.convs)]


def discriminator(**changes):
    torch.manual_seed(0)
    return ProjectedDiscriminator(SMALL.model_copy(update=changes), Pyramid(), channels=CHANNELS, stds=STDS)


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (64, 3), (256, 1)])
def test_four_scores_an_image_whatever_its_size(size, channels):
    D = discriminator(size=size)
    assert D(torch.randn(2, channels, size, size), torch.zeros(2, 0)).shape == (2, 4)


def test_the_heads_learn_and_nothing_else():
    D = discriminator(condition_dim=2)
    D(torch.randn(4, 1, 32, 32), torch.eye(2).repeat(2, 1)).square().sum().backward()
    still = [name for name, p in D.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert {name.split(".")[0] for name, _ in D.named_parameters()} == {"heads", "condition"}


def test_the_pretrained_network_is_not_saved_but_the_random_projections_are():
    saved = {name.split(".")[0] for name in discriminator().state_dict()}
    assert saved == {"heads", "projections", "mixers"}


def test_a_frozen_network_computes_what_it_did():
    pyramid, images = Pyramid(), torch.randn(1, 3, 32, 32)
    before = pyramid(images)
    after = frozen(pyramid, saved=False)(images)
    assert list(pyramid.parameters()) == []
    torch.testing.assert_close(after, before)


def test_the_gradient_reaches_every_pixel():
    images = torch.randn(2, 1, 32, 32, requires_grad=True)
    discriminator()(images, torch.zeros(2, 0)).sum().backward()
    assert images.grad.all()


def test_maps_have_unit_variance():
    """White features of the stated standard deviations, but for what enlarging smooths away."""
    D = discriminator()
    white = [
        s * torch.randn(64, c, 32 // 2**i, 32 // 2**i) for i, (c, s) in enumerate(zip(CHANNELS, STDS, strict=True))
    ]
    stds = [x.std().item() for x in D.projected(white)]
    assert stds[-1] == pytest.approx(1, abs=0.2)
    assert all(0.4 < std < 1.2 for std in stds)


def test_coarse_features_reach_the_finer_scales_and_not_the_reverse():
    def changes(scale):
        features = [torch.full((1, c, 32 // 2**i, 32 // 2**i), float(i == scale)) for i, c in enumerate(CHANNELS)]
        return [bool(x.any()) for x in discriminator().projected(features)]

    assert changes(3) == [True, True, True, True]
    assert changes(0) == [True, False, False, False]


def test_heads_are_spectrally_normalised():
    """After enough power iterations the largest singular value of every weight is 1 (Miyato et al. 2018)."""
    D = discriminator()
    images = torch.randn(1, 1, 32, 32)
    for _ in range(200):
        D(images, torch.zeros(1, 0))
    norms = [
        torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() for m in D.modules() if hasattr(m, "parametrizations")
    ]
    assert len(norms) == 14  # 3 + 2 + 1 + 0 halvings and two more layers at each of four scales
    assert norms == pytest.approx([1] * len(norms), abs=0.01)


def test_a_score_tells_how_unlike_the_images_of_its_group_are_and_nothing_of_other_groups():
    D, none = discriminator(minibatch_std_group=4).eval(), torch.zeros(8, 0)
    images = torch.randn(8, 1, 32, 32)
    alike, others = images.clone(), images.clone()
    alike[1:4] = images[0]
    others[4:] = torch.randn(4, 1, 32, 32)
    scores = D(images, none)
    assert (D(alike, none)[0] - scores[0]).abs().min() > 1e-4
    torch.testing.assert_close(D(others, none)[:4], scores[:4])


def test_the_condition_changes_the_scores_and_only_through_the_dot_product():
    D = discriminator(condition_dim=3).eval()
    images = torch.randn(4, 1, 32, 32)
    one, other = (D(images, torch.eye(3)[k : k + 1].expand(4, -1)) for k in (0, 1))
    assert (one - other).abs().max() > 1e-4


def test_bfloat16_heads_give_the_scores_of_float32_to_its_precision():
    D = discriminator().eval()
    images, none = torch.randn(4, 1, 32, 32), torch.zeros(4, 0)
    exact, rough = D(images, none), D(images, none, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().max() < 0.03 * exact.abs().max()

import math

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.augment import FAMILIES, MOVES, Augment
from sorby.augment.chance import changed, compose
from sorby.augment.geometry import GEOM
from sorby.errors import ConfigError

EACH = [(family,) for family in FAMILIES]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_images(n=4, c=1, size=32, **options):
    return torch.randn(n, c, size, size, generator=seeded(1)).to(**options)


def changed_images(before, after):
    return (before != after).flatten(1).any(dim=1)


@pytest.mark.parametrize("families", [*EACH, FAMILIES, ()], ids=str)
def test_p_0_gives_back_the_same_object(families):
    images = noise_images()
    assert Augment(families=families)(images, p=0.0, rng=seeded()) is images


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_family_changes_images_and_keeps_their_form(families, channels):
    images = noise_images(c=channels)
    moved = Augment(families=families)(images, p=1.0, rng=seeded())
    assert moved.shape == images.shape
    assert moved.dtype == images.dtype
    assert moved.isfinite().all()
    assert changed_images(images, moved).float().mean() > 0.5


# A flip is drawn as no flip half the time, a right angle as none a quarter of it, and of 8 pixels a whole shift is
# -1, 0 or 1 along each axis, 0 half the time.
@pytest.mark.parametrize(
    ("family", "only", "share"),
    [
        ("blit", "flip", 1 / 2),
        ("blit", "rotate90", 3 / 4),
        ("blit", "shift", 1 - (1 / 2) ** 2),
        ("geom", "scale", 1),
        ("geom", "rotate", 1),
        ("geom", "stretch", 1),
        ("geom", "slide", 1),
        ("colour", "brightness", 1),
        ("colour", "contrast", 1),
        ("blur", "median", 1),
        ("noise", "noise", 1),
        ("cutout", "cutout", 1),
    ],
)
def test_share_of_changed_images_is_p(family, only, share):
    n, p = 1500, 0.3
    images = noise_images(n=n, size=8)
    augment = Augment(families=(family,), without=tuple(name for name in MOVES if name != only))
    num_changed = int(changed_images(images, augment(images, p=p, rng=seeded())).sum())
    expected = p * share
    assert abs(num_changed / n - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize(("family", "only"), [("cutout", "cutout"), ("geom", "scale")])
@pytest.mark.parametrize(("strength", "expected"), [(0.5, 0.15), (0, 0), (2, 0.6), (10, 1)])
def test_a_family_has_its_own_share_of_p(family, only, strength, expected):
    n, other = 1500, "noise"
    without = tuple(name for name in MOVES if name not in (only, "noise"))
    images = noise_images(n=n, size=8)
    augment = Augment(families=(family, other), without=without, strengths={family: strength, other: 0})
    share = int(changed_images(images, augment(images, p=0.3, rng=seeded())).sum()) / n
    assert abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def test_a_strength_of_one_changes_nothing():
    images = noise_images()
    one, other = (Augment(families=FAMILIES, strengths=s) for s in ({}, dict.fromkeys(FAMILIES, 1.0)))
    assert torch.equal(one(images, p=0.4, rng=seeded()), other(images, p=0.4, rng=seeded()))
    with pytest.raises(ConfigError, match="Unknown augmentation with a strength 'color': choose from"):
        Augment(strengths={"color": 1.0})


def test_moves_are_chosen_independently():
    matrices = compose(GEOM, (20_000, 1, 64, 64), size=3, ps=[0.3] * len(GEOM), rng=seeded())
    # Scale, stretch and slide with p each, rotation with p altogether.
    assert float(changed(matrices).float().mean()) == pytest.approx(1 - 0.7**4, abs=0.012)


def test_distributions_are_those_of_the_paper():
    shape, rng = (200_000, 1, 64, 64), seeded()
    draw = {move.name: move.sample(shape, rng) for move in GEOM}
    assert float(draw["scale"].std()) == pytest.approx(0.2, rel=0.01)
    assert float(draw["stretch"].std()) == pytest.approx(0.2, rel=0.01)
    assert float(draw["slide"].std()) == pytest.approx(64 / 8, rel=0.01)
    assert float(draw["rotate"].abs().max()) == pytest.approx(math.pi, rel=1e-3)
    assert float(draw["rotate"].abs().mean()) == pytest.approx(math.pi / 2, rel=0.01)


def test_blit_moves_pixels_without_making_new_values():
    images = torch.arange(32.0 * 32).view(1, 1, 32, 32).repeat(20, 1, 1, 1)
    moved = Augment(families=("blit",))(images, p=1.0, rng=seeded())
    assert torch.equal(moved, moved.round())
    shifts = Augment(families=("blit",), without=("flip", "rotate90"))(images, p=1.0, rng=seeded())
    corner = shifts[:, 0, 16, 16] - images[:, 0, 16, 16]
    down, right = (corner / 32).round(), corner - 32 * (corner / 32).round()
    assert down.abs().max() <= 4
    assert right.abs().max() <= 4


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
def test_the_same_generator_state_gives_the_same_images(families):
    images, augment = noise_images(), Augment(families=families)
    first, second = (augment(images, p=0.5, rng=seeded(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(images, p=0.5, rng=seeded(8)))


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
def test_draws_do_not_depend_on_what_the_images_show_nor_on_p(families):
    states = []
    for images, p in ((noise_images(), 0.1), (torch.zeros(4, 1, 32, 32), 1.0)):
        rng = seeded()
        Augment(families=families)(images, p=p, rng=rng)
        states.append(rng.get_state())
    assert torch.equal(*states)


@pytest.mark.parametrize("families", [("blit", "geom"), ("colour",), ("filter",), ("noise",), ("cutout",)], ids=str)
def test_augmentation_is_linear_up_to_an_offset(families):
    def augment(images):
        return Augment(families=families)(images, p=0.7, rng=seeded())

    a, b = noise_images(n=8), torch.rand(8, 1, 32, 32, generator=seeded(2))
    torch.testing.assert_close(
        augment(a + b) + augment(torch.zeros_like(a)), augment(a) + augment(b), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
def test_gradients_to_the_images_are_right(families):
    images = noise_images(n=2, size=24, dtype=torch.float64).requires_grad_()

    def augment(images):
        return Augment(families=families)(images, p=1.0, rng=seeded())

    assert torch.autograd.gradcheck(augment, images, fast_mode=True, eps=1e-5, atol=1e-4)


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
def test_bf16_is_computed_in_fp32_also_under_autocast(families):
    images, augment = noise_images(), Augment(families=families)
    images = images.bfloat16().float()
    exact = augment(images, p=1.0, rng=seeded())
    assert torch.equal(augment(images.bfloat16(), p=1.0, rng=seeded()), exact.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment(images, p=1.0, rng=seeded()), exact)


@pytest.mark.parametrize("families", [*EACH, FAMILIES], ids=str)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_memory_format_is_kept(families, memory_format):
    images = noise_images(c=3, memory_format=memory_format)
    moved = Augment(families=families)(images, p=0.5, rng=seeded())
    assert moved.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(moved, Augment(families=families)(images.contiguous(), p=0.5, rng=seeded()))


@pytest.mark.parametrize("channels", [1, 3])
def test_luma_never_flips_unless_asked(channels):
    ramp = torch.linspace(-1, 1, 32).expand(500, channels, 32, 32)
    moves = ("brightness", "contrast", "hue", "saturation")

    def rises(augment):
        moved = augment(ramp, p=1.0, rng=seeded()).mean(dim=1)
        return moved[:, 0, -1] > moved[:, 0, 0]

    assert rises(Augment(families=("colour",))).all()
    flipped = rises(Augment(families=("colour",), without=moves, luma_flip=True))
    assert 200 < int(flipped.sum()) < 300


def test_moves_left_out_do_not_happen():
    images = noise_images(n=64)
    rolled = Augment(families=("blit",), without=("rotate90", "shift"))
    moved = rolled(images, p=1.0, rng=seeded())
    same, mirrored = ~changed_images(images, moved), ~changed_images(images.flip(3), moved)
    assert (same ^ mirrored).all()
    nothing = Augment(families=("blit", "geom"), without=MOVES)
    assert torch.equal(nothing(images, p=1.0, rng=seeded()), images)


def test_geometric_augmentation_keeps_the_mean_of_micrographs(shared_data):
    files = sorted((shared_data / "uhcs600" / "images").iterdir())[:8]
    crops = [np.asarray(Image.open(file).convert("L"), dtype=np.float32)[100:228, 100:228] for file in files]
    images = torch.from_numpy(np.stack(crops) / 127.5 - 1)[:, None].repeat(8, 1, 1, 1)
    moved = Augment()(images, p=0.8, rng=seeded())
    assert float(moved.mean()) == pytest.approx(float(images.mean()), abs=0.02)
    assert float(moved.std()) == pytest.approx(float(images.std()), rel=0.1)
    edge = torch.cat([moved[..., 0, :], moved[..., -1, :], moved[..., 0], moved[..., -1]])
    assert float(edge.mean()) == pytest.approx(float(images.mean()), abs=0.05)


def test_unknown_moves_are_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'spin': choose from flip, rotate90, shift, scale, rotate"):
        Augment(without=("spin",))


@pytest.mark.parametrize("p", [-0.1, 1.01, 21.8, math.nan])
def test_p_outside_0_to_1_is_refused(p):
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        Augment()(noise_images(), p=p, rng=seeded())

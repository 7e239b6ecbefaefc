import math

import numpy as np
import pytest

from sorby.micrograph import read_micrograph
from sorby.microstructure.lamellae import Lamellae, lamellar_spacing, mean_random_spacing
from sorby.simulation.random_field import gaussian_field, two_phase

NONE = Lamellae(None, None, None)


def lamellae(spacing, angle_deg, *, share=0.5, noise=0.0, size=128, seed=0):
    """Grey picture of lamellae along `angle_deg`; those of the bright kind, 100 levels up, fill `share` of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    across = x * math.sin(math.radians(angle_deg)) + y * math.cos(math.radians(angle_deg)) + rng.uniform(0, spacing)
    grey = 80 + 100 * (across % spacing < share * spacing) + noise * rng.standard_normal((size, size))
    return np.clip(grey, 0, 255).astype(np.uint8)


def waves(*parts, shape=(128, 128)):
    """Grey picture of waves, each with its amplitude in levels and its periods down and across the image."""
    y, x = (axis / n for axis, n in zip(np.indices(shape), shape, strict=True))
    phases = ((amplitude, 2 * math.pi * (down * y + across * x) + 1) for amplitude, down, across in parts)
    return np.rint(128 + sum(amplitude * np.cos(phase) for amplitude, phase in phases)).astype(np.uint8)


def angle_between(a_deg, b_deg):
    return abs((a_deg - b_deg + 90) % 180 - 90)


def to_grey(values):
    return np.clip(128 + 40 * values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("angle_deg", [0, 10, 33, 45, 90, 117])
@pytest.mark.parametrize("spacing", [4.7, 7.3, 10, 13.9])
def test_the_spacing_is_right_to_one_per_cent_and_the_direction_to_half_a_degree(spacing, angle_deg):
    found = lamellar_spacing(lamellae(spacing, angle_deg))
    assert found.spacing_px == pytest.approx(spacing, rel=0.01)
    assert angle_between(found.direction_deg, angle_deg) < 0.5


@pytest.mark.parametrize("angle_deg", [0, 33, 117])
@pytest.mark.parametrize("spacing", [4.7, 13.9])
def test_noise_as_strong_as_the_lamellae_leaves_the_spacing_right_to_two_per_cent(spacing, angle_deg):
    # A step of 100 levels is a standard deviation of 50.
    for seed in range(3):
        found = lamellar_spacing(lamellae(spacing, angle_deg, noise=50, seed=seed))
        assert found.spacing_px == pytest.approx(spacing, rel=0.02)
        assert angle_between(found.direction_deg, angle_deg) < 1


def test_in_a_larger_image_the_spacing_is_right_to_three_in_a_thousand():
    found = lamellar_spacing(lamellae(11.37, 72, noise=20, size=400))
    assert found.spacing_px == pytest.approx(11.37, rel=0.003)
    assert angle_between(found.direction_deg, 72) < 0.1


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_thin_lamellae_of_either_grey_have_their_spacing_and_not_an_overtone(share):
    assert lamellar_spacing(lamellae(12.6, 64, share=share)).spacing_px == pytest.approx(12.6, rel=0.01)


@pytest.mark.parametrize("shape", [(100, 260), (260, 100)])
def test_the_sides_of_the_image_may_differ(shape):
    grey = lamellae(8.6, 25, size=260)[: shape[0], : shape[1]]
    found = lamellar_spacing(grey)
    assert found.spacing_px == pytest.approx(8.6, rel=0.01)
    assert angle_between(found.direction_deg, 25) < 0.5


def test_turning_the_image_by_90_degrees_turns_the_direction_alone():
    grey = lamellae(9.3, 20, noise=20)
    before, after = lamellar_spacing(grey), lamellar_spacing(np.rot90(grey))
    assert after.spacing_px == pytest.approx(before.spacing_px)
    assert after.direction_deg == pytest.approx(before.direction_deg + 90)
    assert after.prominence == pytest.approx(before.prominence)


def test_sixteen_bits_give_what_eight_bits_give():
    grey = lamellae(9.3, 20, noise=20)
    assert lamellar_spacing(grey.astype(np.uint16) * 257).spacing_px == pytest.approx(lamellar_spacing(grey).spacing_px)


def test_the_prominence_falls_with_noise():
    clear, noisy = (lamellar_spacing(lamellae(9.3, 20, noise=noise)).prominence for noise in (5, 50))
    assert clear > 10 * noisy > 1000


@pytest.mark.parametrize(("down", "across"), [(0, 10), (10, 0), (9, 12)])
def test_the_prominence_of_a_wave_without_noise_is_its_power_over_that_of_rounding(down, across):
    """A window w takes a wave of amplitude a to a peak (a / 2 sum w)², and a variance of 1 / 12 to sum w² / 12."""
    rows = np.exp(-18 * ((np.arange(128) - 63.5) / 128) ** 2)
    over = rows.sum() ** 4 / np.square(rows).sum() ** 2
    assert lamellar_spacing(waves((60, down, across))).prominence == pytest.approx(3 * 60**2 * over, rel=0.02)


@pytest.mark.parametrize(("down", "across"), [(0, 6), (6, 0), (0, 51), (0, 63), (0, 64), (64, 0), (45, 45)])
def test_spacings_down_to_two_pixels_and_up_to_a_sixth_of_the_image_are_found(down, across):
    spacing = lamellar_spacing(waves((60, down, across))).spacing_px
    assert spacing == pytest.approx(128 / math.hypot(down, across), rel=0.001)


@pytest.mark.parametrize(("down", "across"), [(0, 5.4), (46, 46)])
def test_spacings_beyond_are_not(down, across):
    assert lamellar_spacing(waves((60, down, across))) == NONE


@pytest.mark.parametrize("strong", [(11.5, -12.5), (16.5, 8.5), (0.5, 27.5), (27.5, 0.5)])
@pytest.mark.parametrize("weak", [(0, 20), (20, 0), (14, 14)])
def test_of_two_stacks_the_stronger_is_found_whether_or_not_it_falls_between_frequencies(weak, strong):
    found = lamellar_spacing(waves((30, *weak), (34, *strong)))
    assert found.spacing_px == pytest.approx(128 / math.hypot(*strong), rel=0.001)


@pytest.mark.parametrize(
    ("shape", "down", "across"),
    [((260, 100), 64, 10), ((260, 100), -64, 10), ((100, 260), 10, 30), ((128, 128), 10, 30), ((64, 1500), 0, 700)],
)
@pytest.mark.parametrize(("share", "held"), [(0.2, False), (0.45, True)])
def test_what_has_a_third_of_the_power_and_is_coarser_in_the_same_direction_is_held_against_it(
    shape, down, across, share, held
):
    """The fundamental of an overtone; in the long image one between a sixth and a seventh of the frequency."""
    part = 0.5 if across < 100 else 112 / 700
    found = lamellar_spacing(
        waves((40, down, across), (40 * math.sqrt(share), part * down, part * across), shape=shape)
    )
    spacing = 1 / math.hypot(down / shape[0], across / shape[1])
    assert found.spacing_px == (None if held else pytest.approx(spacing, rel=0.001))


@pytest.mark.parametrize("down", [1, -1])
def test_what_is_coarser_and_a_little_askew_is_held_against_it_whichever_way_it_leans(down):
    assert lamellar_spacing(waves((40, 0, 32), (31, down, 16))) == NONE
    assert lamellar_spacing(waves((40, 32, 0), (31, 16, down))) == NONE


@pytest.mark.parametrize(("lines", "light"), [((0, 16), (1, 0)), ((16, 0), (0, 1))])
def test_light_that_changes_along_the_lamellae_is_not_held_against_them(lines, light):
    assert lamellar_spacing(waves((40, *lines), (36, *light))).spacing_px == pytest.approx(8, rel=0.001)


def test_a_bright_frame_that_the_window_hardly_sees_is_not_held_against_the_lamellae():
    grey = waves((20, 0, 16))
    grey[:4] = grey[-4:] = grey[:, :4] = grey[:, -4:] = 255
    assert lamellar_spacing(grey).spacing_px == pytest.approx(8, rel=0.01)


def one_band(rng, size=128):
    y, x = np.mgrid[:size, :size] - size / 2
    angle = rng.uniform(0, np.pi)
    across = x * np.sin(angle) + y * np.cos(angle)
    return to_grey(3.0 * ((across > 0) & (across < rng.uniform(4, 20))) + 0.3 * rng.standard_normal((size, size)))


def random_structure(rng, **settings):
    return np.uint8(200) * two_phase((256, 256), volume_fraction=0.3, rng=rng, **settings)[:128, :128]


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.integers(0, 256, (128, 128), dtype=np.uint8),
        lambda rng: to_grey(gaussian_field((256, 256), correlation_length_px=4, rng=rng)[:128, :128]),
        lambda rng: to_grey(gaussian_field((256, 256), correlation_length_px=20, nu=0.5, rng=rng)[:128, :128]),
        lambda rng: random_structure(rng, correlation_length_px=6),
        lambda rng: random_structure(rng, correlation_length_px=6, aspect_ratio=4, angle_deg=30),
        one_band,
    ],
    ids=["white noise", "smooth noise", "rough noise", "islands", "stretched islands", "one band"],
)
def test_what_has_no_period_has_no_spacing_in_forty_of_forty_images(make):
    assert [lamellar_spacing(make(np.random.default_rng(seed))) for seed in range(40)] == [NONE] * 40


@pytest.mark.parametrize("periods", [1.5, 2, 3, 4, 5])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_fewer_than_six_lamellae_have_no_spacing_rather_than_that_of_an_overtone(periods, share):
    for angle_deg in (0, 10, 45):
        assert lamellar_spacing(lamellae(128 / periods, angle_deg, share=share)) == NONE


def test_an_even_image_and_a_tiny_one_have_no_spacing():
    assert lamellar_spacing(np.full((64, 64), 9, dtype=np.uint8)) == NONE
    assert lamellar_spacing(np.arange(6, dtype=np.uint8).reshape(2, 3)) == NONE


@pytest.mark.parametrize("angle_deg", [0, 13, 26, 45, 101])
def test_along_random_lines_parallel_lamellae_are_half_pi_of_their_spacing_apart(angle_deg):
    mask = lamellae(16, angle_deg, share=0.4, size=320) > 128
    # Eight directions stand for all: 1.5 %. The number of lamellae in the image: 2 %.
    assert mean_random_spacing(mask) == pytest.approx(math.pi / 2 * 16, rel=0.03)


def test_over_random_sections_the_mean_random_spacing_is_twice_the_true_spacing():
    # Isotropic sections through lamellae 9 px apart: equal steps of the cosine between the normals.
    cosines = (np.arange(12) + 0.5) / 12
    seen = 9 / np.sqrt(1 - cosines**2)
    lines = [1 / mean_random_spacing(lamellae(spacing, 15 * i, size=320) > 128) for i, spacing in enumerate(seen)]
    assert 1 / np.mean(lines) == pytest.approx(2 * 9, rel=0.03)


def test_a_single_phase_has_no_random_spacing():
    assert mean_random_spacing(np.ones((9, 9), dtype=bool)) is None


def test_pearlite_may_be_lamellar_and_spheroidite_is_not(shared_data):
    rows = [line.split(",")[:2] for line in (shared_data / "uhcs600" / "labels.csv").read_text().splitlines()[1:]]
    found = {"pearlite": [], "spheroidite": []}
    for name, kind in rows:
        if kind in found and len(found[kind]) < 12:
            found[kind].append(lamellar_spacing(read_micrograph(shared_data / "uhcs600" / name).grey).spacing_px)
    assert found["spheroidite"] == [None] * 12
    assert len([spacing for spacing in found["pearlite"] if spacing]) >= 1


def test_a_pearlite_colony_has_the_spacing_counted_by_eye(shared_data):
    found = lamellar_spacing(read_micrograph(shared_data / "uhcs600" / "images" / "micrograph360.jpg").grey)
    # Down column 300 from row 109 there are seven spaces in 97 px, which fall to the right by 33 degrees.
    assert found.spacing_px == pytest.approx(97 / 7 * math.cos(math.radians(33)), rel=0.1)
    assert angle_between(found.direction_deg, 180 - 33) < 3


def test_a_fingerprint_runs_in_all_directions_and_has_no_one_spacing(shared_data):
    mask = np.load(shared_data / "mcrpy_binary" / "images" / "copolymer_resized.npy").astype(bool)
    assert lamellar_spacing(np.uint8(255) * mask) == NONE

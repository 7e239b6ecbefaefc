from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from sorby.data.cracks import crack_length
from sorby.data.duplicates import near_duplicates, thumbnail
from sorby.data.quality import Measures, find_fault, measure
from sorby.data.recipe import Limits

from .made import texture, with_crack

SHAPE = (300, 400)


def reason_of(grey: np.ndarray) -> str | None:
    fault = find_fault(measure(grey, grey, cracks=True), Limits())
    return fault.reason if fault else None


def blurred(grey: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, grey.shape)
    soft = gaussian_filter(grey.astype(float), 8)
    return np.rint(128 + 10 * (soft - soft.mean()) + noise).clip(1, 254).astype(np.uint8)


def saturated(grey: np.ndarray) -> np.ndarray:
    return (128 + (grey.astype(int) - 128) * 20).clip(0, 255).astype(np.uint8)


def only_noise(grey: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(128, 30, grey.shape).clip(1, 254).astype(np.uint8)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda grey: np.full_like(grey, 90), "blank"),
        (lambda grey: grey // 32 + 100, "blank"),
        (only_noise, "blank: only noise"),
        (blurred, "blurred"),
        (saturated, "saturated"),
        (with_crack, "cracked"),
    ],
    ids=["constant", "few levels", "noise", "blurred", "saturated", "cracked"],
)
def test_a_known_fault_is_named_and_its_clean_twin_is_kept(fault, reason):
    clean = texture(0, SHAPE, std=20)
    assert reason_of(clean) is None
    assert reason_of(fault(clean)) == reason


def test_deep_data_that_use_a_part_of_their_range_are_not_blank():
    grey = texture(0, SHAPE)
    measures = measure(grey.astype(np.uint16) * 16, grey, cracks=False)
    assert find_fault(measures, Limits()) is None


def test_a_fault_states_what_was_measured_and_the_limit():
    sound = measure(texture(0), texture(0), cracks=False)
    fault = find_fault(replace(sound, saturated=0.75), Limits())
    assert (fault.reason, fault.measured, fault.limit) == ("saturated", "75% black or white", "at most 60%")


def test_sharpness_does_not_depend_on_contrast_or_brightness():
    grey = texture(0, SHAPE)
    dim = (grey // 2 + 60).astype(np.uint8)
    assert measure(dim, dim, cracks=False).sharpness == pytest.approx(
        measure(grey, grey, cracks=False).sharpness, rel=0.01
    )


def test_the_noise_of_a_noisy_picture_is_measured():
    # Smooth shading of standard deviation about 20 under noise of 12.
    y = np.linspace(0, 4 * np.pi, 400)
    rng = np.random.default_rng(0)
    grey = np.rint(128 + 28 * np.sin(y)[:, None] + rng.normal(0, 12, (400, 400))).clip(0, 255).astype(np.uint8)
    assert measure(grey, grey, cracks=False).noise * grey.std() == pytest.approx(12, rel=0.03)


def test_a_shaded_picture_is_less_even():
    grey = texture(0, SHAPE, std=20)
    shaded = (grey * np.linspace(0.5, 1.3, 400)).clip(0, 255).astype(np.uint8)
    even, uneven = (measure(g, g, cracks=False).evenness for g in (grey, shaded))
    assert uneven < 3 * even < 0


@pytest.mark.parametrize("shape", [(8, 8), (8, 300), (9, 11)])
def test_the_smallest_pictures_can_be_measured(shape):
    assert isinstance(measure(texture(0, shape), texture(0, shape), cracks=True), Measures)


# ---- cracks


def test_the_length_of_a_crack_is_measured_in_shorter_sides():
    assert crack_length(with_crack(texture(0, SHAPE, std=20))) == pytest.approx(1.0, abs=0.05)


def test_a_dark_network_is_no_crack():
    grey = texture(0, SHAPE, std=15)
    for position in range(20, 300, 40):
        grey[position : position + 4] = 2
        grey[:, position : position + 4] = 2
    assert crack_length(grey) < 0.5


def test_a_dark_particle_is_no_crack():
    grey = texture(0, SHAPE, std=15)
    grey[100:250, 100:220] = 2
    assert crack_length(grey) == 0


def test_no_uhcs_micrograph_is_called_blank_blurred_saturated_or_cracked(shared_data):
    paths = sorted((shared_data / "uhcs600/images").glob("*.jpg"))[::6]
    reasons = {path.name: reason_of(np.asarray(Image.open(path).convert("L"))) for path in paths}
    assert {name: reason for name, reason in reasons.items() if reason} == {}


# ---- duplicates


def test_the_same_field_taken_again_is_found_in_spite_of_brightness_noise_and_a_small_shift():
    # Structure of about 20 px, since structure that the thumbnail does not resolve cannot be compared.
    field = texture(0, (300, 400), sigma=12)
    rng = np.random.default_rng(1)
    again = np.rint(field[2:, 3:] * 0.6 + 40 + rng.normal(0, 8, (298, 397))).clip(0, 255).astype(np.uint8)
    ((later, earlier, correlation),) = near_duplicates([thumbnail(field), thumbnail(again)], 0.9)
    assert (later, earlier) == (1, 0)
    assert correlation > 0.9


def test_different_fields_of_one_specimen_are_no_duplicates():
    thumbnails = [thumbnail(texture(seed, sigma=4)) for seed in range(30)]
    assert list(near_duplicates(thumbnails, 0.8)) == []


def test_the_same_shading_does_not_make_a_duplicate():
    shade = np.linspace(0.3, 1.3, 200)
    thumbnails = [thumbnail((texture(s, std=15) * shade).clip(0, 255).astype(np.uint8)) for s in range(10)]
    assert list(near_duplicates(thumbnails, 0.8)) == []


def test_duplicates_are_found_across_chunks(monkeypatch):
    monkeypatch.setattr("sorby.data.duplicates.CHUNK", 4)
    thumbnails = [thumbnail(texture(seed, sigma=4)) for seed in [*range(9), 2, 8]]
    assert [(later, earlier) for later, earlier, _ in near_duplicates(thumbnails, 0.95)] == [(9, 2), (10, 8)]

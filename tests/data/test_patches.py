import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.data.patches import UnusableError, plan_cutting
from sorby.data.recipe import make_recipe

from .made import texture


def plan(recipe, shape, *, top=0, pixel_size_um=None):
    return plan_cutting(recipe, width_px=shape[1], top_px=top, bottom_px=top + shape[0], pixel_size_um=pixel_size_um)


def test_uhcs_images_give_fifteen_patches_of_128():
    cutting = plan(make_recipe(size=128), (475, 645))
    assert len(cutting.corners) == 15
    assert cutting.corners[0] == (2, 45)


def test_a_centre_crop_is_the_middle():
    grey = texture(0, (101, 201))
    cutting = plan(make_recipe(cut="centre", size=64), (101, 201))
    (picture,) = cutting.cut(cutting.resample(grey))
    np.testing.assert_array_equal(picture, grey[18:82, 68:132])


def test_patches_without_resampling_are_exactly_their_boxes():
    grey = texture(0)
    cutting = plan(make_recipe(size=32, stride=24), grey.shape)
    for picture, box in zip(cutting.cut(cutting.resample(grey)), cutting.boxes(), strict=True):
        x, y = int(box.x_px), int(box.y_px)
        np.testing.assert_array_equal(picture, grey[y : y + 32, x : x + 32])


def test_boxes_count_from_the_top_of_the_parent():
    with_bar, without = plan(make_recipe(size=32), (100, 100), top=17), plan(make_recipe(size=32), (100, 100))
    assert [box.y_px - 17 for box in with_bar.boxes()] == [box.y_px for box in without.boxes()]


@settings(deadline=None, max_examples=50)
@given(
    st.integers(20, 400),
    st.integers(20, 400),
    st.floats(0.2, 1.0),
    st.integers(8, 40),
    st.integers(4, 40),
)
def test_every_box_lies_in_the_parent_and_has_the_side_of_a_patch(height, width, scale, size, stride):
    recipe = make_recipe(size=size, stride=stride, scale=scale)
    try:
        cutting = plan(recipe, (height, width), top=5)
    except UnusableError:
        assert min(height, width) * scale < size + 1
        return
    for box in cutting.boxes():
        assert box.width_px == box.height_px == pytest.approx(size / scale)
        assert -1e-6 <= box.x_px <= width - box.width_px + 1e-6
        assert 5 - 1e-6 <= box.y_px <= 5 + height - box.height_px + 1e-6


@pytest.mark.parametrize("scale", [0.5, 0.37, 0.21])
def test_a_mark_is_found_at_the_place_that_its_box_says(scale):
    grey = np.zeros((300, 400), np.uint8)
    grey[90:110, 220:240] = 255  # centre at x 230, y 100
    cutting = plan(make_recipe(size=60, scale=scale), grey.shape)
    pictures = cutting.cut(cutting.resample(grey))
    picture, box = max(zip(pictures, cutting.boxes(), strict=True), key=lambda pair: pair[0].sum())
    y, x = (np.average(np.arange(60) + 0.5, weights=picture.sum(axis=axis)) for axis in (1, 0))
    assert box.x_px + x / scale == pytest.approx(230, abs=0.5)
    assert box.y_px + y / scale == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("pixel_size_um", [0.02, 0.013, 0.05])
def test_a_wave_keeps_its_length_in_micrometres(pixel_size_um):
    wavelength_um, target_um = 1.0, 0.05
    x_um = (np.arange(int(60 / pixel_size_um)) + 0.5) * pixel_size_um
    grey = np.tile(np.rint(128 + 100 * np.sin(2 * np.pi * x_um / wavelength_um)).astype(np.uint8), (300, 1))
    cutting = plan(make_recipe(size=8, um_per_px=target_um), grey.shape, pixel_size_um=pixel_size_um)
    line = cutting.resample(grey)[cutting.height_px // 2].astype(float)
    frequency = np.abs(np.fft.rfft((line - line.mean()) * np.hanning(len(line)), 2**16)).argmax() / 2**16
    assert target_um / frequency == pytest.approx(wavelength_um, rel=0.002)


def test_details_finer_than_the_new_pixels_do_not_turn_into_false_coarse_ones():
    stripes = np.tile(np.array([0, 255], np.uint8), (300, 150))  # period 2 px, shrunk to a third
    cutting = plan(make_recipe(size=8, scale=1 / 3), stripes.shape)
    assert cutting.resample(stripes)[:, 5:-5].std() < 3


@pytest.mark.parametrize(
    ("changes", "shape", "pixel_size_um", "reason"),
    [
        ({"size": 64}, (63, 200), None, "smaller than a patch"),
        ({"size": 64, "scale": 0.5}, (127, 200), None, "smaller than a patch"),
        ({"size": 64}, (1, 1), None, "smaller than a patch"),
        ({"size": 64, "um_per_px": 0.05}, (200, 200), None, "no pixel size"),
        ({"size": 64, "um_per_px": 0.05}, (200, 200), 0.0626, "too coarse"),
    ],
)
def test_what_cannot_be_cut_says_why(changes, shape, pixel_size_um, reason):
    with pytest.raises(UnusableError) as caught:
        plan(make_recipe(**changes), shape, pixel_size_um=pixel_size_um)
    assert caught.value.reason.startswith(reason)
    assert caught.value.measured
    assert caught.value.limit


def test_enlarging_up_to_the_stated_factor_is_allowed():
    assert plan(make_recipe(size=64, um_per_px=0.05), (200, 200), pixel_size_um=0.06).scale == pytest.approx(1.2)

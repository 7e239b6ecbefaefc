import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sorby.report import plots
from sorby.report.scale_bar import bar_um, with_scale_bar


@pytest.mark.parametrize(
    ("picture_px", "pixel_size_um", "length_um"),
    [(64, 0.1, 2.0), (64, 0.03, 0.5), (128, 0.05, 2.0), (512, 0.0125, 2.0), (64, 40.0, 1000.0), (32, 0.21, 2.0)],
)
def test_the_bar_is_as_long_as_its_label_says(picture_px, pixel_size_um, length_um):
    sheet = np.full((40, 6 * picture_px, 1), 100, np.uint8)
    strip = with_scale_bar(sheet, picture_px=picture_px, pixel_size_um=pixel_size_um)[40:, :, 0]
    bar = strip[np.argmax(strip[:, 0] == 0), : int(length_um / pixel_size_um) + 1]
    assert bar_um(picture_px, pixel_size_um) == length_um
    assert (1 - bar / 255).sum() * pixel_size_um == pytest.approx(length_um, abs=pixel_size_um / 255)


@pytest.mark.parametrize("picture_px", [48, 64, 100, 256, 1000])
@pytest.mark.parametrize("pixel_size_um", [0.007, 0.1, 0.33, 2.5])
def test_the_bar_is_a_fair_part_of_a_picture(picture_px, pixel_size_um):
    length_um = bar_um(picture_px, pixel_size_um)
    assert 0.16 * (1 - 1e-9) <= length_um / pixel_size_um / picture_px <= 0.4 * (1 + 1e-9)
    assert f"{length_um:.0e}"[0] in "125"


def test_no_pixel_of_the_pictures_is_covered():
    sheet = np.random.default_rng(0).integers(0, 256, (50, 394, 3), dtype=np.uint8)
    with_bar = with_scale_bar(sheet, picture_px=64, pixel_size_um=0.1)
    np.testing.assert_array_equal(with_bar[:50], sheet)
    assert with_bar.shape[1:] == (394, 3)
    assert len(with_bar) > 50


def test_the_strip_is_white_but_for_a_bar_and_a_label():
    sheet = np.zeros((10, 394, 1), np.uint8)
    strip = with_scale_bar(sheet, picture_px=64, pixel_size_um=0.1)[10:, :, 0]
    inked = np.flatnonzero((strip < 255).any(axis=0))
    bar, label = inked[inked < 20], inked[inked >= 20]
    np.testing.assert_array_equal(bar, np.arange(20))  # 2 µm at 0.1 µm
    assert label.min() > 22
    assert label.max() < 100


def picture(uri):
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_the_bar_is_in_the_picture_that_is_saved_and_only_with_a_pixel_size():
    images = np.random.default_rng(1).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    plain, scaled = (picture(plots.grid(images, columns=4, pixel_size_um=um, about={})) for um in (None, 0.1))
    assert plain.shape == (32, 134)
    np.testing.assert_array_equal(scaled[:32], plain)
    assert (scaled[32:] == 0).any()

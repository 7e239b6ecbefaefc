from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sorby.data.grey import grey_range, to_8bit
from sorby.data.infobar import find_info_bar, frame_rows, has_scale_bar
from sorby.micrograph import read_micrograph

from .made import texture, with_bar


def grey_of(path: Path) -> np.ndarray:
    grey = read_micrograph(path).grey
    return to_8bit(grey, *grey_range(grey, "image"))[0]


@pytest.mark.parametrize(("ground", "ink"), [(255, 0), (0, 255), (90, 240)], ids=["white", "black", "grey"])
@pytest.mark.parametrize("std", [8, 40])
def test_a_bar_is_found_to_the_row(ground, ink, std):
    picture = texture(0, (300, 400), std=std)
    assert find_info_bar(with_bar(picture, ground=ground, ink=ink)) == (0, 300)


def test_a_bar_on_top_is_found_to_the_row():
    framed = with_bar(texture(0, (300, 400)))[::-1]
    assert find_info_bar(framed) == (40, 340)


def test_a_bar_survives_jpeg(tmp_path):
    Image.fromarray(with_bar(texture(0, (300, 400)))).save(tmp_path / "a.jpg", quality=85)
    top, bottom = find_info_bar(np.asarray(Image.open(tmp_path / "a.jpg")))
    assert (top, bottom) == (0, pytest.approx(300, abs=2))


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_without_a_bar_is_left_whole(seed):
    assert find_info_bar(texture(seed, (300, 400))) == (0, 300)


def test_a_dark_hole_at_the_lower_edge_is_no_bar():
    picture = texture(0, (300, 400))
    y, x = np.mgrid[:300, :400]
    picture[(x - 200) ** 2 / 4 + (y - 330) ** 2 < 75**2] = 0
    assert find_info_bar(picture) == (0, 300)


def test_an_even_picture_is_no_bar():
    assert find_info_bar(np.full((300, 400), 7, np.uint8)) == (0, 300)


def test_rows_can_be_stated_and_the_search_switched_off():
    framed = with_bar(texture(0))
    assert frame_rows(framed, "none") == (0, 200)
    assert frame_rows(framed, "55") == (0, 145)


def test_the_zeiss_bar_is_found_where_its_labels_say(shared_data):
    path = shared_data / "vendor_sem_tiff/images/zeiss_smartsem_nanoporous_gold.tif"
    assert find_info_bar(grey_of(path)) == (0, 691)


@pytest.mark.parametrize(
    "pattern", ["uhcs600/images/*.jpg", "ni_superalloy/images/*.tif", "vendor_sem_tiff/images/*lift*"]
)
def test_no_bar_and_no_scale_bar_is_seen_where_there_is_none(shared_data, pattern):
    paths = sorted(shared_data.glob(pattern))
    pictures = ((path.name, grey_of(path)) for path in paths)
    wrong = [name for name, grey in pictures if find_info_bar(grey) != (0, len(grey)) or has_scale_bar(grey)]
    assert paths
    assert wrong == []


@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("ticks", [False, True])
def test_a_scale_bar_in_the_picture_is_seen(fill, ticks):
    image = Image.fromarray(texture(0, (300, 400)))
    draw = ImageDraw.Draw(image)
    draw.rectangle([(300, 270), (370, 274)], fill=fill)
    if ticks:
        draw.rectangle([(300, 262), (302, 282)], fill=fill)
        draw.rectangle([(368, 262), (370, 282)], fill=fill)
    assert has_scale_bar(np.asarray(image))


def test_a_white_square_is_no_scale_bar():
    picture = texture(0, (300, 400))
    picture[100:150, 100:150] = 255
    assert not has_scale_bar(picture)

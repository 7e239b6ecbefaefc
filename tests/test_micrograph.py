"""Micrographs are read back as they were written, with their scale and their origin."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sorby.errors import DataError
from sorby.micrograph import Micrograph, read_micrograph, write_micrograph
from sorby.sources import find_images

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (6, 9), np.uint8)
GREY16 = RNG.integers(0, 65536, (6, 9), np.uint16)


def saved(path: Path, image: Image.Image, **options: object) -> Micrograph:
    image.save(path, **options)
    return read_micrograph(path)


def test_source_is_the_name_that_the_user_knows(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "s/a.png")
    (file,) = find_images([tmp_path / "z.zip"])
    assert read_micrograph(file).source == "z.zip/s/a.png"
    assert read_micrograph(tmp_path / "a.png").source == str(tmp_path / "a.png")
    assert read_micrograph(str(tmp_path / "a.png")).source == str(tmp_path / "a.png")


ABOUT: Mapping[str, str] = {
    "synthetic": "true",
    "seed": "3",
    "condition": '{"temperature": 1100, "unit": "°C"}',
    "condition 温度": "高",
    "back\\slash µ": "1 \\ 2\nlines",
}


@pytest.mark.parametrize("pixel_size_um", [None, 0.1, 5.429688e-4, 1 / 3, 1e-5, 999.9])
@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
@pytest.mark.parametrize("grey", [GREY8, GREY16, GREY8[:1, :1]], ids=["8", "16", "1x1"])
def test_what_is_written_is_read_back_exactly(tmp_path, grey, suffix, pixel_size_um):
    write_micrograph(tmp_path / f"a.{suffix}", grey, pixel_size_um=pixel_size_um, description=ABOUT)
    micrograph = read_micrograph(tmp_path / f"a.{suffix}")
    assert micrograph.grey.dtype == grey.dtype
    np.testing.assert_array_equal(micrograph.grey, grey)
    assert micrograph.pixel_size_um == pixel_size_um
    assert ABOUT.items() <= micrograph.notes.items()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_equal_input_gives_equal_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        write_micrograph(tmp_path / f"{name}.{suffix}", GREY16, pixel_size_um=0.1, description={"seed": "1"})
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_other_programs_read_the_scale_and_the_text(tmp_path):
    for name in ("a.png", "a.tif"):
        write_micrograph(tmp_path / name, GREY8, pixel_size_um=0.1, description={"seed": "1"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"][0] == pytest.approx(254000, rel=1e-6)
        assert image.info["seed"] == "1"
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        assert file.imagej_metadata["unit"] == "um"
        assert tuple(file.pages[0].tags["XResolution"].value) == (10, 1)
        assert not {34118, 34680, 34682, 306} & {tag.code for tag in file.pages[0].tags}


def test_own_image_resized_by_another_program_loses_its_pixel_size_but_not_its_origin(tmp_path):
    write_micrograph(tmp_path / "a.png", GREY8, pixel_size_um=0.1, description={"synthetic": "true"})
    with Image.open(tmp_path / "a.png") as image:
        kept = Image.new("L", (3, 2))
        from_text = {key: value for key, value in image.info.items() if isinstance(value, str)}
    info = PngInfo()
    for key, value in from_text.items():
        info.add_text(key, value)
    micrograph = saved(tmp_path / "b.png", kept, pnginfo=info)
    assert micrograph.pixel_size_um is None
    assert micrograph.notes["synthetic"] == "true"


def test_text_of_a_foreign_png_is_not_kept(tmp_path):
    info = PngInfo()
    info.add_text("Author", "Jane Doe")
    assert "Author" not in saved(tmp_path / "a.png", Image.fromarray(GREY8), pnginfo=info).notes


def test_other_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError, match=r"a\.jpg cannot be written: expected a name ending in \.png"):
        write_micrograph(tmp_path / "a.jpg", GREY8, pixel_size_um=None, description={})
    assert list(tmp_path.iterdir()) == []

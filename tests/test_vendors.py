"""Pixel size and provenance from vendors' headers: real files, and files made after the vendors' layouts."""

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sorby.micrograph import Micrograph, read_micrograph
from sorby.vendors import Header, read_header

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def tiff_with(path: Path, *, tag: int, text: str) -> Micrograph:
    """Read back a TIFF of 8 x 6 pixels that has `text` in the ASCII tag number `tag`."""
    tifffile.imwrite(path, GREY, metadata=None, extratags=[(tag, 2, 0, text.encode("cp1252"), True)])
    return read_micrograph(path)


def beside(folder: Path, text: str) -> Micrograph:
    """Read a plain image of 8 x 6 pixels with `text` in the `.txt` beside it."""
    Image.fromarray(GREY).save(folder / "a.bmp")
    (folder / "a.txt").write_text(text)
    return read_micrograph(folder / "a.bmp")


# ---- real files


def test_real_vendor_files_give_the_labelled_values(shared_data):
    folder = shared_data / "vendor_sem_tiff"
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["pixels_readable"] == "yes"]
    assert len(rows) == 2
    for row in rows:
        micrograph = read_micrograph(folder / row["file"])
        assert micrograph.grey.shape == (int(row["height_px"]), int(row["width_px"]))
        assert micrograph.pixel_size_um == pytest.approx(float(row["pixel_size_nm"]) / 1000, rel=1e-6)
        expected = {key: row[key] for key in ("kV", "detector", "magnification") if row[key]}
        assert {key: micrograph.notes[key] for key in expected} == expected


def test_notes_of_real_files_keep_no_stage_user_or_sample(shared_data):
    for path in sorted((shared_data / "vendor_sem_tiff" / "images").glob("[fz]ei[s_][sh]*.tif")):
        assert set(read_micrograph(path).notes) <= {
            "vendor", "instrument", "kV", "working_distance_mm", "detector", "magnification",
            "pixel_size_from", "bits", "colour",
        }  # fmt: skip


# ---- Zeiss


def zeiss_text(
    *, exact_m: float = 5.429688e-10, image: str = "543.0 pm", store: str = "8 * 6", mag: str = "4.00 K X"
) -> str:
    numbers = ["0", "0", "0", repr(exact_m), "500000.0", "6"]
    entries = [
        *("AP_PIXEL_SIZE", "Pixel Size = 272.0 pm"),
        *(("AP_IMAGE_PIXEL_SIZE", f"Image Pixel Size = {image}") if image else ()),
        *("AP_WD", "WD = 6.2 mm", "AP_MAG", f"Mag = {mag}", "AP_ACTUALKV", "EHT = 5.00 kV"),
        *("DP_DETECTOR_CHANNEL", "Signal A = InLens", "DP_IMAGE_STORE", f"Store resolution = {store}"),
        *("DP_SEM", "Sem = Sigma 300", "SV_USER_NAME", "User Name = Jane Doe", "AP_STAGE_AT_X", "Stage at X = 1 mm"),
    ]
    return "\r\n".join([*numbers, *entries, ""])


def test_zeiss_gives_the_exact_value_behind_the_rounded_one(tmp_path):
    micrograph = tiff_with(tmp_path / "a.tif", tag=34118, text=zeiss_text())
    assert micrograph.pixel_size_um == pytest.approx(5.429688e-4, rel=1e-9)
    assert micrograph.notes == {
        "vendor": "Zeiss", "instrument": "Sigma 300", "kV": "5", "working_distance_mm": "6.2", "detector": "InLens",
        "magnification": "4000", "bits": "8",
        "pixel_size_from": "Zeiss tag 34118, unnamed first entry (AP_IMAGE_PIXEL_SIZE in full)",
    }  # fmt: skip


@pytest.mark.parametrize(("text", "size_um"), [("111.7 nm", 0.1117), ("1.117 µm", 1.117), ("250.0 pm", 2.5e-4)])
def test_zeiss_image_pixel_size_wins_where_the_unnamed_entry_is_another(tmp_path, text, size_um):
    micrograph = tiff_with(tmp_path / "a.tif", tag=34118, text=zeiss_text(image=text))
    assert micrograph.pixel_size_um == pytest.approx(size_um)
    assert micrograph.notes["pixel_size_from"] == "Zeiss AP_IMAGE_PIXEL_SIZE"


def test_zeiss_screen_pixel_size_alone_is_never_used(tmp_path):
    micrograph = tiff_with(tmp_path / "a.tif", tag=34118, text=zeiss_text(image="", exact_m=0.0))
    assert micrograph.pixel_size_um is None
    assert "implausible" in micrograph.notes["pixel_size"]


def test_zeiss_header_of_an_image_of_another_width_is_not_believed(tmp_path):
    micrograph = tiff_with(tmp_path / "a.tif", tag=34118, text=zeiss_text(store="1024 * 768"))
    assert micrograph.pixel_size_um is None
    assert "written for an image 1024 px wide, but this one has 8 px" in micrograph.notes["pixel_size"]


# ---- FEI


FEI = """[User]\r\nUserText=secret\r\n[System]\r\nSystemType=Quanta\r\n[Beam]\r\nHV=15000\r\nBeam=EBeam\r\nScan=EScan\r
[EBeam]\r\nHV=15000\r\nHFW=8e-006\r\nWD=0.0102\r\nStageX=1\r\n{scan}[Image]\r\nResolutionX={width}\r
[Detectors]\r\nNumber=1\r\nName=ETD\r\n"""


@pytest.mark.parametrize("tag", [34680, 34682])
@pytest.mark.parametrize(
    ("scan", "size_um", "origin"),
    [
        ("[Scan]\r\nPixelWidth=2.5e-007\r\n[EScan]\r\nPixelWidth=5e-7\r\n", 0.25, "FEI [Scan] PixelWidth"),
        ("[EScan]\r\nPixelWidth=5e-7\r\n", 0.5, "FEI the beam's scan section PixelWidth"),
        ("[Scan]\r\nPixelWidth=\r\n", 1.0, "FEI HFW over the width in pixels"),
        ("", 1.0, "FEI HFW over the width in pixels"),
    ],
)
def test_fei_pixel_width_or_else_field_width_over_pixels(tmp_path, tag, scan, size_um, origin):
    micrograph = tiff_with(tmp_path / "a.tif", tag=tag, text=FEI.format(scan=scan, width=8))
    assert micrograph.pixel_size_um == pytest.approx(size_um)
    assert micrograph.notes == {
        "vendor": "FEI/Thermo Fisher", "instrument": "Quanta", "kV": "15", "working_distance_mm": "10.2",
        "detector": "ETD", "bits": "8", "pixel_size_from": origin,
    }  # fmt: skip


def test_fei_header_of_an_image_of_another_width_is_not_believed(tmp_path):
    assert tiff_with(tmp_path / "a.tif", tag=34682, text=FEI.format(scan="", width=1536)).pixel_size_um is None


# ---- Hitachi, JEOL


HITACHI = """[SemImageFile]
InstructName=SU5000
SampleName=secret
DataSize=8x6
PixelSize=24.80469
SignalName=SE(L)
Magnification=4000
AcceleratingVoltage=15000 Volt
WorkingDistance=8300 um
StagePositionX=1
"""

JEOL = """$SEM_DATA_VERSION 1
$CM_TITLE secret
$CM_INSTRUMENT JSM-7001F
$CM_ACCEL_VOLT 15.00
$CM_MAG 5000
$CM_SIGNAL SEI
$CM_FULL_SIZE 8 6
$CM_OPERATOR secret
$$SM_WD 10.1
$$SM_MICRON_BAR 117
$$SM_MICRON_MARKER {marker}
"""


def test_hitachi_text_gives_nanometres_per_pixel(tmp_path):
    micrograph = beside(tmp_path, HITACHI)
    assert micrograph.pixel_size_um == pytest.approx(0.02480469)
    assert micrograph.notes == {
        "vendor": "Hitachi", "instrument": "SU5000", "kV": "15", "working_distance_mm": "8.3", "detector": "SE(L)",
        "magnification": "4000", "pixel_size_from": "Hitachi .txt PixelSize", "bits": "8",
    }  # fmt: skip


@pytest.mark.parametrize(("marker", "um"), [("1um", 1), ("100nm", 0.1), ("10µm", 10), ("0.5 mm", 500)])
def test_jeol_text_gives_marker_over_bar(tmp_path, marker, um):
    micrograph = beside(tmp_path, JEOL.format(marker=marker))
    assert micrograph.pixel_size_um == pytest.approx(um / 117)
    assert micrograph.notes == {
        "vendor": "JEOL", "instrument": "JSM-7001F", "kV": "15", "working_distance_mm": "10.1", "detector": "SEI",
        "magnification": "5000", "pixel_size_from": "JEOL .txt micron marker over bar", "bits": "8",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "my notes: PixelSize=3", "[SemImageFile]\nPixelSize=abc\n", "$CM_MAG 5\n"])
def test_text_without_a_pixel_size_gives_none(tmp_path, text):
    assert beside(tmp_path, text).pixel_size_um is None


def test_image_cropped_in_imagej_takes_its_scale_and_not_the_stale_text(tmp_path):
    (tmp_path / "a.txt").write_text(HITACHI.replace("8x6", "1280x960"))
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    micrograph = read_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == 0.25
    assert micrograph.notes["vendor"] == "Hitachi"


# ---- ImageJ, OME, resolution


@pytest.mark.parametrize(
    ("unit", "um"), [("um", 1), (r"\u00B5m", 1), ("micron", 1), ("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("inch", 25400)]
)
def test_imagej_scale_is_pixels_per_its_unit(tmp_path, unit, um):
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(80 * um, 80 * um), metadata={"unit": unit})
    micrograph = read_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == pytest.approx(1 / 80, rel=1e-6)
    assert micrograph.notes["pixel_size_from"] == "ImageJ unit and XResolution"


@pytest.mark.parametrize("unit", ["pixel", "furlong", None])
def test_imagej_without_a_length_unit_gives_none(tmp_path, unit):
    metadata = {"unit": unit} if unit else {}
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(80, 80), metadata=metadata)
    assert read_micrograph(tmp_path / "a.tif").pixel_size_um is None


@pytest.mark.parametrize(("unit", "um"), [("µm", 1), ("nm", 1e-3), ("mm", 1e3), (None, 1)])
def test_ome_physical_size_is_in_its_unit(tmp_path, unit, um):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.025 / um} | ({"PhysicalSizeXUnit": unit} if unit else {})
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, ome=True, metadata=metadata)
    micrograph = read_micrograph(tmp_path / "a.ome.tif")
    assert micrograph.pixel_size_um == pytest.approx(0.025)
    assert micrograph.notes["pixel_size_from"] == "OME PhysicalSizeX"


@pytest.mark.parametrize(("unit", "per_unit"), [("CENTIMETER", 1e4 / 0.5), ("INCH", 25400 / 0.5)])
def test_plain_tiff_resolution_in_a_physical_unit_is_used(tmp_path, unit, per_unit):
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(per_unit, per_unit), resolutionunit=unit, metadata=None)
    assert read_micrograph(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("dpi", [72, 75, 96, 100, 220, 254, 300, 1200, 2400])
def test_resolution_of_a_screen_or_printer_is_no_pixel_size_and_says_so(tmp_path, dpi):
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(dpi, dpi), resolutionunit="INCH", metadata=None)
    Image.fromarray(GREY).save(tmp_path / "a.png", dpi=(dpi, dpi))
    Image.fromarray(GREY).save(tmp_path / "a.jpg", dpi=(dpi, dpi))
    for name in ("a.tif", "a.png", "a.jpg"):
        micrograph = read_micrograph(tmp_path / name)
        assert micrograph.pixel_size_um is None
        assert f"{dpi} dpi" in micrograph.notes["pixel_size"]


def test_resolution_of_a_foreign_png_is_used(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png", dpi=(25400, 25400))
    assert read_micrograph(tmp_path / "a.png").pixel_size_um == pytest.approx(1, rel=1e-6)


def test_image_that_says_nothing_has_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    micrograph = read_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.notes["pixel_size"] == "none: no tag and no text file states one"


def test_odd_keywords_of_a_foreign_png_are_no_trouble():
    assert read_header(Header(8, text={"\\x": "1", "Software": "other"}))[0] is None


# ---- what cannot be believed


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "1000001", "1e400", "two", ""])
def test_implausible_pixel_size_is_absent_with_a_note(value):
    size, notes = read_header(Header(8, sidecar=f"[SemImageFile]\nPixelSize={value}\n"))
    assert size is None
    assert notes["pixel_size"].startswith("none: Hitachi .txt PixelSize ")


@pytest.mark.parametrize("tags", [
    {34118: {"": (1, 2), "ap_image_pixel_size": (), "ap_wd": "x", "dp_sem": None, "ap_mag": ("Mag", None)}},
    {34118: b"\0"}, {34680: {"Beam": 3, "Scan": {"PixelWidth": [1]}}}, {34682: "text"},
    {270: "ImageJ=1\nunit=um\n", 282: (1, 0)}, {270: "ImageJ=1\nunit=um\n", 282: "x"}, {270: "<OME"}, {270: "<OME/>"},
    {270: 3}, {50839: {"Info": "{"}}, {50839: {"Info": "[1]"}}, {50839: 7}, {50839: {"Info": json.dumps({"a": 1})}},
])  # fmt: skip
def test_malformed_tags_give_no_pixel_size_and_no_exception(tags):
    assert read_header(Header(8, tags))[0] is None


@pytest.mark.parametrize(
    "text",
    [
        "[SemImageFile]" + "\n" * 2**20,
        "[SemImageFile]\nPixelSize=" + " " * 2**20 + "x",
        "[SemImageFile]\nAcceleratingVoltage=" + "E" * 2**20,
        "$CM_MAG" + " " * 2**20 + "x",
        " " * 2**20 + "$",
    ],
    ids=["lines", "spaces", "letters", "spaces of JEOL", "no header"],
)
def test_a_text_of_a_megabyte_takes_no_time_whatever_it_repeats(text):
    began = time.process_time()
    size, _ = read_header(Header(8, sidecar=text))
    assert size is None
    assert time.process_time() - began < 2


@pytest.mark.parametrize("unit", ["unit=" + " " * 2**20 + "x", "unit=\n" * 2**17])
def test_a_description_of_a_megabyte_takes_no_time(unit):
    began = time.process_time()
    assert read_header(Header(8, tags={270: f"ImageJ=1\n{unit}", 282: (1, 1)}))[0] is None
    assert time.process_time() - began < 2


def test_xml_that_multiplies_or_names_files_is_not_followed():
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    for dtd, inside in ((entities, "&a11;"), ('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;")):
        text = f"<!DOCTYPE OME [{dtd}]><OME><Pixels>{inside}</Pixels></OME>"
        assert read_header(Header(8, tags={270: text}))[0] is None
    odd = '<?xml version="1.0" encoding="none"?><OME/>'
    assert read_header(Header(8, tags={270: odd}))[0] is None


def test_notes_of_a_header_hold_nothing_that_moves_a_cursor():
    about = {"Software": "sorby", "seed\\x1b": "a\x1b[2J\nb\ud800", "pixel_size_um": 10**400}
    size, notes = read_header(Header(8, tags={50839: {"Info": json.dumps(about)}}))
    assert size is None
    assert notes["seed\\x1b"] == "a�[2J\nb�"

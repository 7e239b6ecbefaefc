import base64
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.micrograph import read_micrograph
from sorby.phase_map import write_phase_map

PHASES = ["ferrite", "α' martensite", "pore"]
ABOUT = {"generator": "uhcs-64", "seed": "7", "note": "two\nlines"}
L_SHAPE = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 2]])
"""Seen from above: 1 runs down the left side, 2 is at the lower right."""


def written(folder, name, phase_map=L_SHAPE, *, pixel_size_um=0.1):
    path = folder / name
    write_phase_map(path, phase_map, pixel_size_um=pixel_size_um, phases=PHASES, about=ABOUT)
    return path


def decoded(array, dtype):
    """VTK's compressed block, as the format's description has it: a header in Base64, then the blocks in Base64."""
    text = array.text.strip()
    num, size, last, packed = struct.unpack("<4I", base64.b64decode(text[:24]))
    data = zlib.decompress(base64.b64decode(text[24:]))
    assert (num, size, last, packed) == (1, len(data), len(data), len(base64.b64decode(text[24:])))
    return np.frombuffer(data, dtype)


def read_vti(path):
    image = ElementTree.parse(path).getroot().find("ImageData")
    material = image.find("Piece/CellData/DataArray[@Name='material']")
    first_last = np.array(image.get("WholeExtent").split(), int).reshape(3, 2)
    cells = first_last[:, 1] - first_last[:, 0]
    return image, decoded(material, "<i4").reshape(cells[::-1]), cells


def read_abaqus(path):
    """Nodes, elements and sets, from keywords and the lines below them."""
    nodes, elements, sets = {}, {}, {}
    for block in re.split(r"^\*(?=[A-Z])", path.read_text("ascii"), flags=re.MULTILINE)[1:]:
        keyword, *lines = [line for line in block.splitlines() if not line.startswith("**")]
        numbers = [[float(n) for n in line.split(",")] for line in lines] if "HEADING" not in keyword else []
        if keyword == "NODE":
            nodes = {int(n): xy for n, *xy in numbers}
        elif keyword.startswith("ELEMENT"):
            elements = {int(n): [int(c) for c in corners] for n, *corners in numbers}
        elif "SET=" in keyword:
            sets[keyword] = [int(n) for line in numbers for n in line]
    return nodes, elements, sets


def area(corners):
    """Shoelace formula: positive where the corners go round anticlockwise."""
    (x, y), (x_next, y_next) = np.array(corners).T, np.roll(corners, -1, axis=0).T
    return 0.5 * np.sum(x * y_next - x_next * y)


def test_the_vti_has_one_layer_of_cubic_cells_in_metres(tmp_path):
    image, material, cells = read_vti(written(tmp_path, "map.vti"))
    assert cells.tolist() == [4, 3, 1]
    assert material.size == 12
    assert image.get("Spacing").split() == ["1e-07"] * 3
    assert image.get("Origin") == "0 0 0"
    assert image.find("Piece").get("Extent") == image.get("WholeExtent")


def test_the_lower_row_of_the_picture_comes_first_in_the_vti(tmp_path):
    _, material, _ = read_vti(written(tmp_path, "map.vti"))
    assert material[0].tolist() == [[1, 1, 1, 2], [1, 0, 0, 0], [1, 0, 0, 0]]  # by y, then x


def test_the_vti_says_where_it_is_from_and_what_the_phases_are(tmp_path):
    image, _, _ = read_vti(written(tmp_path, "map.vti"))
    array = image.find("FieldData/Array[@Name='comments']")
    notes = decoded(array, np.uint8).tobytes().decode().split("\0")[:-1]
    assert len(notes) == int(array.get("NumberOfTuples"))
    assert {"generator: uhcs-64", "seed: 7", "phase 1: α' martensite"} <= set(notes)


def test_the_vti_has_the_lines_that_damask_looks_for(tmp_path):
    """DAMASK reads by lines (its VTI.f90): tags with their attributes on one, encoded data on one below."""
    lines = written(tmp_path, "map.vti").read_text().splitlines()
    assert sum("<VTKFile" in line and "LittleEndian" in line and 'header_type="UInt32"' in line for line in lines) == 1
    assert sum("<ImageData" in line and 'Direction="1 0 0 0 1 0 0 0 1"' in line for line in lines) == 1
    assert "<CellData>" in [line.strip() for line in lines]
    start = next(i for i, line in enumerate(lines) if 'Name="material"' in line)
    assert 'format="binary"' in lines[start]
    assert re.fullmatch("[A-Za-z0-9+/=]+", lines[start + 1].strip())
    assert lines[start + 2].strip() == "</DataArray>"


def test_the_elements_fill_the_picture_and_go_round_anticlockwise(tmp_path):
    nodes, elements, _ = read_abaqus(written(tmp_path, "map.inp"))
    areas = [area([nodes[n] for n in corners]) for corners in elements.values()]
    assert len(nodes) == 4 * 5
    assert areas == pytest.approx([0.1**2] * 12)
    assert nodes[1] == [0, 0]
    assert nodes[20] == pytest.approx([0.4, 0.3])  # µm


def test_each_phase_is_a_set_of_the_elements_where_the_picture_shows_it(tmp_path):
    nodes, elements, sets = read_abaqus(written(tmp_path, "map.inp"))
    seen = np.full(L_SHAPE.shape, -1)
    for number, label in enumerate(["PHASE_0_FERRITE", "PHASE_1_MARTENSITE", "PHASE_2_PORE"]):
        for element in sets[f"ELSET, ELSET={label}"]:
            x, y = np.mean([nodes[n] for n in elements[element]], axis=0) / 0.1
            seen[2 - int(y), int(x)] = number
        assert sets[f"NSET, NSET={label}, ELSET={label}"] == []  # its nodes, by Abaqus' own rule
    np.testing.assert_array_equal(seen, L_SHAPE)


def test_the_sides_are_sets_of_nodes(tmp_path):
    nodes, _, sets = read_abaqus(written(tmp_path, "map.inp"))
    for label, axis, value, num in (("LEFT", 0, 0, 4), ("RIGHT", 0, 0.4, 4), ("BOTTOM", 1, 0, 5), ("TOP", 1, 0.3, 5)):
        found = sets[f"NSET, NSET={label}"]
        assert len(set(found)) == num
        assert [nodes[n][axis] for n in found] == pytest.approx([value] * num)


def test_the_abaqus_file_keeps_to_the_rules_of_its_lines(tmp_path):
    text = written(tmp_path, "map.inp", np.arange(60).reshape(6, 10) % 2).read_text("ascii")
    data = [line for line in text.splitlines() if line[0] not in "*P"]
    assert max(line.count(",") for line in data) == 15  # sixteen numbers
    assert "** note: two lines" in text
    assert "PORE" not in re.sub(r"\*\*.*", "", text)  # a set cannot be empty
    assert "micrometres" in text.splitlines()[1]


@pytest.mark.parametrize("name", ["map.png", "map.tif"])
@pytest.mark.parametrize("pixel_size_um", [0.1, None])
def test_an_image_holds_the_numbers_of_the_phases_and_the_scale(tmp_path, name, pixel_size_um):
    back = read_micrograph(written(tmp_path, name, pixel_size_um=pixel_size_um))
    np.testing.assert_array_equal(back.grey, L_SHAPE)
    assert back.pixel_size_um == (pytest.approx(pixel_size_um) if pixel_size_um else None)
    assert back.notes["phase 2"] == "pore"
    assert back.notes["seed"] == "7"


def test_a_mask_is_a_map_of_two_phases(tmp_path):
    _, material, _ = read_vti(written(tmp_path, "map.vti", L_SHAPE > 0))
    assert set(material.ravel()) == {0, 1}


@pytest.mark.parametrize("name", ["map.vti", "map.inp", "map.png"])
def test_equal_maps_give_equal_bytes(tmp_path, name):
    first = written(tmp_path, name).read_bytes()
    assert written(tmp_path, name).read_bytes() == first


@pytest.mark.parametrize(
    ("name", "phase_map", "pixel_size_um", "words"),
    [
        ("map.vti", L_SHAPE, None, "without a pixel size"),
        ("map.inp", L_SHAPE, None, "without a pixel size"),
        ("map.inp", L_SHAPE, 0, "pixel size is 0"),
        ("map.stl", L_SHAPE, 0.1, "ending in .vti"),
        ("map.vti", L_SHAPE + 1, 0.1, "phases 0 to 2"),
        ("map.vti", L_SHAPE - 1, 0.1, "phases 0 to 2"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_line_and_leaves_no_file(
    tmp_path, name, phase_map, pixel_size_um, words
):
    with pytest.raises(DataError, match=words) as raised:
        written(tmp_path, name, phase_map, pixel_size_um=pixel_size_um)
    assert "\n" not in str(raised.value)
    assert list(Path(tmp_path).iterdir()) == []

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.data.labels import read_table
from sorby.data.pack import pack
from sorby.errors import ConfigError, DataError
from sorby.interop.stylegan_zip import what_is_lost, write_stylegan_zip

CLASSES = [{"phase": phase} for phase in ("b", "a", "c", "a", "b", "c")]
NUMBERS = [{"T": 800 + 10 * i, "rate": 10.0 ** -(i % 3), "phase": "ab"[i % 2]} for i in range(6)]


def dataset(path, *, rows=({},) * 6, columns=(), shape=(32, 32), num_train=4):
    rng = np.random.default_rng(0)
    rows = [{name: str(value) for name, value in row.items()} for row in rows]
    patches = [
        Patch(
            file=f"00000/p{i}.png",
            parent=f"m{i}.tif",
            pixel_size_um=0.05,
            split="train" if i < num_train else "held-out",
            conditions=row,
        )
        for i, row in enumerate(rows)
    ]
    space = ConditionSpace.from_rows(rows, columns) if columns else ConditionSpace()
    pictures = rng.integers(0, 256, (len(rows), *shape), dtype=np.uint8)
    return write_dataset(path, zip(patches, pictures, strict=True), space=space, recipe={}, licence="CC0-1.0")


def table_of(path):
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("dataset.json"))


@pytest.mark.parametrize(("shape", "mode"), [((32, 32), "L"), ((3, 32, 32), "RGB")])
def test_the_zip_holds_what_the_dataset_tool_of_stylegan_writes(tmp_path, shape, mode):
    """Read as that code does: PNGs by sorted name, and labels by that name, of pictures alone."""
    data = dataset(tmp_path / "steel.zip", rows=CLASSES, columns=["phase"], shape=shape)
    assert write_stylegan_zip(data, tmp_path / "sg.zip") == 4
    with zipfile.ZipFile(tmp_path / "sg.zip") as file:
        names = sorted(name for name in file.namelist() if name.endswith(".png"))
        assert names == [f"00000/img{i:08d}.png" for i in range(4)]
        assert sorted(file.namelist()) == [*names, "dataset.json"]
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
        pictures = [Image.open(io.BytesIO(file.read(name))) for name in names]
    assert {picture.mode for picture in pictures} == {mode}
    for picture, own in zip(pictures, data.images(range(4)), strict=True):
        np.testing.assert_array_equal(np.asarray(picture), own[0] if mode == "L" else own.transpose(1, 2, 0))
    assert dict(table_of(tmp_path / "sg.zip")["labels"]) == dict(zip(names, [1, 0, 2, 0], strict=True))


def test_labels_of_numbers_are_what_the_networks_read(tmp_path):
    data = dataset(tmp_path / "steel.zip", rows=NUMBERS, columns=["T:°C", "rate:1/s:log", "phase"])
    write_stylegan_zip(data, tmp_path / "sg.zip")
    labels = np.array([label for _, label in table_of(tmp_path / "sg.zip")["labels"]])
    np.testing.assert_allclose(labels, data.conditions(range(4)), atol=1e-6)


def test_without_conditions_there_are_no_labels(tmp_path):
    write_stylegan_zip(dataset(tmp_path / "steel.zip"), tmp_path / "sg.zip")
    assert table_of(tmp_path / "sg.zip")["labels"] is None


@pytest.mark.parametrize(
    ("rows", "columns"), [(CLASSES, ["phase"]), (NUMBERS, ["T:°C", "rate:1/s:log", "phase"]), (({},) * 6, [])]
)
def test_the_way_back_keeps_pictures_units_and_pixel_size(tmp_path, rows, columns):
    data = dataset(tmp_path / "steel.zip", rows=rows, columns=columns).split("train")
    write_stylegan_zip(data, tmp_path / "sg.zip")
    back = pack(Dataset.open(tmp_path / "sg.zip"), tmp_path / "back.zip")
    np.testing.assert_array_equal(back.images(), data.images())
    assert (back.hash, back.space, back.pixel_size_um, back.licence) == (data.hash, data.space, 0.05, "CC0-1.0")
    for ours, first in zip(back.patches, data.patches, strict=True):
        assert {name: as_number(value) for name, value in ours.conditions.items()} == {
            name: as_number(value) for name, value in first.conditions.items()
        }
    np.testing.assert_allclose(back.conditions(), data.conditions(), atol=1e-5)


def as_number(text):
    try:
        return float(text)
    except ValueError:
        return text


def test_another_side_of_the_split_is_a_zip_of_its_own_and_what_is_lost_is_told(tmp_path):
    data = dataset(tmp_path / "steel.zip")
    assert write_stylegan_zip(data, tmp_path / "held-out.zip", split="held-out") == 2
    np.testing.assert_array_equal(Dataset.open(tmp_path / "held-out.zip").images(), data.images([4, 5]))
    assert "2 patches that are not of train" in what_is_lost(data, "train")
    assert "\n" not in what_is_lost(data, "train")


def test_labels_of_a_zip_are_a_table_for_prepare(tmp_path):
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as file:
        file.writestr("dataset.json", json.dumps({"labels": [["00000/img00000000.png", 3], ["00000/b.png", 0]]}))
    assert read_table(tmp_path / "theirs.zip") == [
        {"file": "00000/img00000000.png", "class": "3"},
        {"file": "00000/b.png", "class": "0"},
    ]
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as file:
        file.writestr("a.txt", "")
    with pytest.raises(DataError, match=r"none\.zip has no labels"):
        read_table(tmp_path / "none.zip")


@pytest.mark.parametrize(
    ("labels", "message"),
    [([["a.png", 3]], "label of a.png is 3"), ([["a.png", [1.0]]], "has 1 numbers, expected 2")],
)
def test_labels_that_are_not_of_their_space_are_refused(tmp_path, labels, message):
    space = ConditionSpace.from_rows([{"phase": "a"}, {"phase": "b"}], ["phase"])
    buffer = io.BytesIO()
    Image.new("L", (32, 32)).save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("a.png", buffer.getvalue())
        about = {"space": space.model_dump()}
        file.writestr("dataset.json", json.dumps({"labels": labels, "sorby": about}))
    with pytest.raises(DataError, match=message):
        Dataset.open(tmp_path / "bad.zip")


def test_a_table_of_meanings_that_is_damaged_is_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        buffer = io.BytesIO()
        Image.new("L", (32, 32)).save(buffer, "PNG")
        file.writestr("a.png", buffer.getvalue())
        file.writestr("dataset.json", json.dumps({"labels": None, "sorby": {"pixel_size_um": -1}}))
    with pytest.raises(DataError, match=r"bad\.zip: dataset\.json") as error:
        Dataset.open(tmp_path / "bad.zip")
    assert "\n" not in str(error.value)


def test_what_would_be_no_zip_or_overwrite_anything_is_refused(tmp_path):
    data = dataset(tmp_path / "steel.zip")
    before = (tmp_path / "steel.zip").read_bytes()
    with pytest.raises(DataError, match=r"steel\.zip is there"):
        write_stylegan_zip(data, tmp_path / "steel.zip")
    assert (tmp_path / "steel.zip").read_bytes() == before
    with pytest.raises(ConfigError, match=r"does not end in \.zip"):
        write_stylegan_zip(data, tmp_path / "folder")
    odd = dataset(tmp_path / "odd.zip", shape=(24, 24))
    with pytest.raises(DataError, match="24 px, expected a power of two"):
        write_stylegan_zip(odd, tmp_path / "sg.zip")
    with pytest.raises(DataError, match="no held-out-condition patches"):
        write_stylegan_zip(data, tmp_path / "sg.zip", split="held-out-condition")
    assert not (tmp_path / "sg.zip").exists()

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from sorby.conditions import ConditionSpace
from sorby.data.dataset import FORMAT, Dataset, Patch, is_dataset, write_dataset
from sorby.errors import ConfigError, DataError

NONE = ConditionSpace()


def pictures(n: int = 6, shape: tuple[int, ...] = (16, 16)) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8))


def patches(n: int = 6) -> list[Patch]:
    return [
        Patch(
            file=f"00000/p{i}.png",
            parent=f"m{i // 2}.tif",
            x_px=1.25 * i,
            pixel_size_um=0.05,
            split="held-out" if i // 2 == 2 else "train",
        )
        for i in range(n)
    ]


def write(path, images=None, *, space=NONE, listed=None) -> Dataset:
    return write_dataset(
        path, zip(listed or patches(), images or pictures(), strict=True), space=space, recipe={"size": 16}
    )


@pytest.fixture(params=["set.zip", "set"])
def dataset(request, tmp_path) -> Dataset:
    return write(tmp_path / request.param)


@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16), (3, 16, 16)])
def test_pictures_come_back_as_they_were(tmp_path, shape):
    images = pictures(shape=shape)
    dataset = write(tmp_path / "set.zip", images)
    np.testing.assert_array_equal(dataset.images(), np.reshape(images, (6, -1, 16, 16)))
    assert (dataset.size, dataset.channels) == (16, 3 if shape[0] == 3 else 1)


def test_chosen_pictures_come_in_the_order_asked_for(dataset):
    np.testing.assert_array_equal(dataset.images([4, 1]), dataset.images()[[4, 1]])


def test_patches_come_back_as_they_were(dataset):
    import dataclasses

    assert [dataclasses.replace(patch, sha256="") for patch in dataset.patches] == patches()


def test_parents_are_listed_once_and_counted(dataset):
    assert dataset.parents == ("m0.tif", "m1.tif", "m2.tif")
    np.testing.assert_array_equal(dataset.parent_of, [0, 0, 1, 1, 2, 2])


def test_split_parts_the_patches(dataset):
    assert len(dataset.split("train")) == 4
    assert dataset.split("held-out").parents == ("m2.tif",)


def test_a_split_without_patches_says_so(tmp_path):
    only_training = write(tmp_path / "set.zip").split("train")
    with pytest.raises(DataError, match="no held-out patches"):
        only_training.split("held-out")


def test_a_subset_holds_whole_parents_and_lies_within_larger_ones(dataset):
    one, two = dataset.subset(1, seed=3), dataset.subset(2, seed=3)
    assert (len(one), len(two)) == (2, 4)
    assert set(one.parents) < set(two.parents)


@pytest.mark.parametrize("number", [0, 4])
def test_a_subset_of_an_impossible_number_is_refused(dataset, number):
    with pytest.raises(ConfigError, match="has 3"):
        dataset.subset(number, seed=0)


def test_the_hash_depends_on_the_pictures_and_not_on_zip_or_folder(tmp_path):
    a, b = write(tmp_path / "a.zip"), write(tmp_path / "b")
    changed = pictures()
    changed[5][0, 0] ^= 1
    assert a.hash == b.hash != write(tmp_path / "c.zip", changed).hash
    assert a.split("train").hash != a.hash


def test_common_pixel_size_is_none_where_mixed(tmp_path):
    mixed = [*patches()[:5], Patch(file="00000/p5.png", parent="m2.tif", pixel_size_um=0.1)]
    assert write(tmp_path / "a.zip").pixel_size_um == 0.05
    assert write(tmp_path / "b.zip", listed=mixed).pixel_size_um is None


def test_equal_contents_give_equal_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        write(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_dataset_survives_pickling(dataset):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).images(), dataset.images())


def test_the_licence_stays_with_every_view(tmp_path):
    items = zip(patches(), pictures(), strict=True)
    dataset = write_dataset(tmp_path / "a.zip", items, space=NONE, recipe={}, licence="CC-BY-4.0")
    assert dataset.split("train").subset(1, seed=0).licence == "CC-BY-4.0"
    assert write(tmp_path / "b.zip").licence is None


# ---- labels


def labelled(tmp_path, columns, rows) -> tuple[Dataset, list]:
    space = ConditionSpace.from_rows(rows, columns)
    listed = [Patch(file=f"00000/p{i}.png", parent=f"m{i}", conditions=row) for i, row in enumerate(rows)]
    dataset = write_dataset(tmp_path / "set.zip", zip(listed, pictures(len(rows)), strict=True), space=space, recipe={})
    with zipfile.ZipFile(tmp_path / "set.zip") as file:
        return dataset, json.loads(file.read("dataset.json"))["labels"]


def test_stylegan_labels_of_one_class_are_integers(tmp_path):
    dataset, labels = labelled(tmp_path, ["phase"], [{"phase": p} for p in ("b", "a", "b")])
    assert labels == [["00000/p0.png", 1], ["00000/p1.png", 0], ["00000/p2.png", 1]]
    np.testing.assert_array_equal(dataset.conditions(), [[0, 1], [1, 0], [0, 1]])


def test_stylegan_labels_of_numbers_are_the_encoded_vectors(tmp_path):
    dataset, labels = labelled(tmp_path, ["t:C"], [{"t": "800"}, {"t": "1000"}])
    assert labels == [["00000/p0.png", [-1.0]], ["00000/p1.png", [1.0]]]
    np.testing.assert_allclose(dataset.conditions([1]), [[1.0]])


def test_stylegan_labels_without_conditions_are_null(dataset):
    assert json.loads(dataset.archive.read("dataset.json")) == {"labels": None}
    assert dataset.conditions().shape == (6, 0)


# ---- datasets of other tools


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def foreign(path, files: dict[str, bytes], labels=None) -> Dataset:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
        if labels is not None:
            file.writestr("dataset.json", json.dumps({"labels": labels}))
    return Dataset.open(path)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3)])
def test_a_foreign_zip_opens_with_every_file_its_own_parent(tmp_path, shape):
    images = pictures(3, shape)
    dataset = foreign(tmp_path / "f.zip", {f"00000/img{i}.png": png(image) for i, image in enumerate(images)})
    assert dataset.parents == ("00000/img0.png", "00000/img1.png", "00000/img2.png")
    assert dataset.channels == (3 if len(shape) == 3 else 1)
    expected = np.stack([image.reshape(16, 16, -1).transpose(2, 0, 1) for image in images])
    np.testing.assert_array_equal(dataset.images(), expected)
    assert len(dataset.hash) == 64


def test_foreign_integer_labels_become_a_class(tmp_path):
    files = {f"{i}.png": png(image) for i, image in enumerate(pictures(3))}
    dataset = foreign(tmp_path / "f.zip", files, [["0.png", 10], ["1.png", 2], ["2.png", 10]])
    np.testing.assert_array_equal(dataset.conditions(), [[0, 1], [1, 0], [0, 1]])


def test_foreign_vector_labels_become_linear_conditions(tmp_path):
    files = {f"{i}.png": png(image) for i, image in enumerate(pictures(2))}
    dataset = foreign(tmp_path / "f.zip", files, [["0.png", [1.0, 5.0]], ["1.png", [3.0, 5.0]]])
    np.testing.assert_allclose(dataset.conditions(), [[-1, 0], [1, 0]])


def test_sorbys_own_archive_reads_like_a_stylegan_zip(tmp_path):
    own = write(tmp_path / "own.zip")
    with zipfile.ZipFile(tmp_path / "own.zip") as file:
        files = {name: file.read(name) for name in file.namelist() if name.endswith(".png")}
    np.testing.assert_array_equal(foreign(tmp_path / "f.zip", files).images(), own.images())


@pytest.mark.parametrize(
    ("files", "labels", "message"),
    [
        ({"a.txt": b"x"}, None, "holds no PNG"),
        ({"a.png": b"hello"}, None, "a.png is not a readable PNG"),
        ({"a.png": png(pictures(1)[0]), "b.png": png(pictures(1, (8, 8))[0])}, None, "one size.*b.png 8 x 8"),
        ({"a.png": png(pictures(1, (16, 8))[0])}, None, "square.*8 x 16"),
        ({"a.png": png(pictures(1, (16, 16, 4))[0])}, None, "mode RGBA"),
        ({"a.png": png(pictures(1)[0])}, [["b.png", 1]], "no label for a.png"),
        ({"a.png": png(pictures(1)[0])}, [["a.png", "x"]], "label of a.png"),
        ({"a.png": png(pictures(1)[0])}, 5, "no list of"),
    ],
)
def test_a_foreign_zip_that_cannot_be_used_says_why(tmp_path, files, labels, message):
    with pytest.raises(DataError, match=message):
        foreign(tmp_path / "f.zip", files, labels)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.png": png(pictures(1)[0]), "b.png": png(pictures(1)[0]), "LICENSE.txt": b""}, True),
        ({"a.png": png(pictures(1)[0]), "dataset.json": b"{}"}, True),
        ({"a.png": png(pictures(1)[0]), "b.png": png(pictures(1, (8, 8))[0])}, False),
        ({"a.png": png(pictures(1, (16, 8))[0])}, False),
        ({"a.png": png(pictures(1)[0].astype(np.uint16))}, False),
        ({"a.png": png(pictures(1)[0]), "b.tif": b""}, False),
        ({"thesis.txt": b""}, False),
    ],
)
def test_a_zip_is_a_dataset_where_it_has_tables_or_nothing_but_equal_squares(tmp_path, files, expected):
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    assert is_dataset(tmp_path / "f.zip") == expected
    if expected:
        assert len(Dataset.open(tmp_path / "f.zip")) > 0


@pytest.mark.parametrize(("table", "expected"), [("dataset.toml", True), ("dataset.json", True), ("notes.txt", False)])
def test_a_folder_of_pictures_is_a_dataset_only_by_its_tables(tmp_path, table, expected):
    (tmp_path / "a.png").write_bytes(png(pictures(1)[0]))
    (tmp_path / table).write_text("")
    assert is_dataset(tmp_path) == expected


def test_what_sorby_writes_is_a_dataset_and_a_lone_or_missing_file_is_not(dataset, tmp_path):
    (tmp_path / "a.png").write_bytes(png(pictures(1)[0]))
    assert is_dataset(dataset.path)
    assert not is_dataset(tmp_path / "a.png")
    assert not is_dataset(tmp_path / "none.zip")


# ---- damage


def test_a_damaged_member_of_a_deflated_zip_is_one_clear_line(tmp_path):
    foreign(tmp_path / "f.zip", {"a.png": png(pictures(1, (64, 64))[0])})
    data = bytearray((tmp_path / "f.zip").read_bytes())
    data[30 + len("a.png")] = 0x07  # a deflate block of the reserved type
    (tmp_path / "f.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"f.zip: a.png cannot be read \(Error -3 .*invalid block type"):
        Dataset.open(tmp_path / "f.zip")


def changed_about(path, old: str, new: str) -> None:
    with zipfile.ZipFile(path) as file:
        text = file.read("dataset.toml").decode()
    assert old in text
    rewritten(path, {"dataset.toml": text.replace(old, new).encode()})


def test_a_newer_format_asks_for_a_newer_sorby(tmp_path):
    write(tmp_path / "set.zip")
    changed_about(tmp_path / "set.zip", f"format = {FORMAT}", f"format = {FORMAT + 1}")
    changed_about(tmp_path / "set.zip", "conditions = []", 'conditions = [{ name = "t", kind = "cubic" }]')
    with pytest.raises(DataError, match=f"has format {FORMAT + 1}, this Sorby reads up to {FORMAT}: update Sorby"):
        Dataset.open(tmp_path / "set.zip")


def test_a_damaged_condition_is_told_on_one_line(tmp_path):
    write(tmp_path / "set.zip")
    changed_about(tmp_path / "set.zip", "conditions = []", 'conditions = [{ name = "t", kind = "cubic" }]')
    with pytest.raises(DataError, match=r"damaged \(conditions.0.kind: expected .*\): prepare") as error:
        Dataset.open(tmp_path / "set.zip")
    assert "\n" not in str(error.value)


def rewritten(path, change: dict[str, bytes | None]) -> None:
    with zipfile.ZipFile(path) as file:
        files = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in {**files, **change}.items():
            if data is not None:
                file.writestr(name, data)


def test_a_missing_picture_is_found_on_opening(tmp_path):
    write(tmp_path / "set.zip")
    rewritten(tmp_path / "set.zip", {"00000/p3.png": None})
    with pytest.raises(DataError, match=r"lacks 00000/p3.png"):
        Dataset.open(tmp_path / "set.zip")


@pytest.mark.parametrize("name", ["manifest.csv", "dataset.toml"])
def test_damaged_tables_are_found_on_opening(tmp_path, name):
    write(tmp_path / "set.zip")
    rewritten(tmp_path / "set.zip", {name: b"damaged"})
    with pytest.raises(DataError, match="prepare the dataset again"):
        Dataset.open(tmp_path / "set.zip")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(pictures(1)[0] // 2), "was changed"),
        (png(pictures(1, (8, 8))[0]), "shape"),
        (png(pictures(1)[0])[:60], "not a readable PNG"),
        (b"", "not a readable PNG"),
    ],
)
def test_a_damaged_picture_is_found_on_reading(tmp_path, data, message):
    write(tmp_path / "set.zip")
    rewritten(tmp_path / "set.zip", {"00000/p0.png": data})
    with pytest.raises(DataError, match=f"00000/p0.png.*{message}"):
        Dataset.open(tmp_path / "set.zip").images()


def test_a_truncated_zip_and_a_missing_path_say_so(tmp_path):
    write(tmp_path / "set.zip")
    data = (tmp_path / "set.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut.zip is not a readable zip"):
        Dataset.open(tmp_path / "cut.zip")
    with pytest.raises(DataError, match=r"none.zip does not exist"):
        Dataset.open(tmp_path / "none.zip")


def test_pictures_that_do_not_fit_leave_nothing_behind(tmp_path):
    with pytest.raises(DataError, match="one size"):
        write(tmp_path / "set.zip", [*pictures(5), np.zeros((8, 8), np.uint8)])
    with pytest.raises(DataError, match="no pictures"):
        write_dataset(tmp_path / "set.zip", [], space=NONE, recipe={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mine.zip", "folder"])
def test_what_is_no_dataset_is_never_overwritten(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        (path / "thesis.txt").write_text("years of work")
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("thesis.txt", "years of work")
    with pytest.raises(DataError, match="no dataset of Sorby's"):
        write(path)
    assert path.exists()


@pytest.mark.parametrize("name", ["set.zip", "set"])
def test_a_dataset_with_another_file_in_it_is_never_overwritten(tmp_path, name):
    path = tmp_path / name
    write(path)
    if path.is_dir():
        (path / "00000" / "thesis.png").write_text("years of work")
    else:
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("00000/thesis.png", "years of work")
    with pytest.raises(DataError, match=r"00000/thesis.png.* not Sorby's"):
        write(path)
    assert "00000/thesis.png" in Dataset.open(path).archive.names()


def test_a_file_put_there_during_the_work_is_not_lost(tmp_path):
    def slow():
        for patch, picture in zip(patches(), pictures(), strict=True):
            (tmp_path / "set" / "thesis.tex").write_text("years of work")
            yield patch, picture

    write(tmp_path / "set")
    with pytest.raises(DataError, match=r"thesis.tex is in the way"):
        write_dataset(tmp_path / "set", slow(), space=NONE, recipe={})
    assert (tmp_path / "set" / "thesis.tex").read_text() == "years of work"

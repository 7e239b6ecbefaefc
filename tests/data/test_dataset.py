import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Dataset, Patch, write_dataset
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


# ---- damage


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

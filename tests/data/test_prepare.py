import csv
import errno
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sorby.data.dataset import Dataset
from sorby.data.prepare import prepare, review_path
from sorby.data.recipe import make_recipe
from sorby.errors import ConfigError, DataError
from sorby.micrograph import write_micrograph

from .made import save, texture, textures, with_bar, with_crack


def made(folder: Path, out: Path | None = None, *, labels=None, workers=2, **changes) -> Dataset:
    recipe = make_recipe(**{"size": 32, **changes})
    return prepare([folder], out or folder.with_suffix(".zip"), recipe=recipe, labels=labels, workers=workers)


def rejected(dataset: Dataset) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(dataset.archive.read("rejected.csv").decode()))
    return {row["file"]: row["reason"] for row in rows}


def table(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder.with_suffix(".csv")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def raw(tmp_path) -> Path:
    return textures(tmp_path / "raw", 6)


# ---- what is made


def test_patches_are_cut_from_where_the_manifest_says(raw):
    dataset = made(raw)
    assert len(dataset) == 6 * 5 * 6
    for index in (0, 47, 179):
        patch = dataset.patches[index]
        parent = np.asarray(Image.open(raw / patch.parent))
        x, y = int(patch.x_px), int(patch.y_px)
        np.testing.assert_array_equal(dataset.images([index])[0, 0], parent[y : y + 32, x : x + 32])


@pytest.mark.parametrize("out", ["a.zip", "a"])
def test_the_same_input_and_recipe_give_the_same_bytes_whatever_the_number_of_workers(raw, tmp_path, out):
    def content(path: Path) -> dict[str, bytes]:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}

    made(raw, tmp_path / "1" / out, workers=1, match=True, median=3)
    made(raw, tmp_path / "2" / out, workers=3, match=True, median=3)
    assert content(tmp_path / "1" / out) == content(tmp_path / "2" / out)
    assert review_path(tmp_path / "1" / out).read_bytes() == review_path(tmp_path / "2" / out).read_bytes()


def test_the_recipe_is_recorded_and_makes_the_same_dataset_again(raw, tmp_path):
    first = made(raw, tmp_path / "a.zip", match=True, scale=0.8)
    again = prepare([raw], tmp_path / "b.zip", recipe=make_recipe(**dict(first.recipe)))
    assert again.hash == first.hash


def test_paper_a_takes_one_median_filtered_matched_square_from_the_middle(raw):
    dataset = made(raw, preset="paper-a", size=64, reference="t3.png")
    assert [patch.file for patch in dataset.patches][:2] == ["00000/t0.png", "00000/t1.png"]
    assert (dataset.recipe["median"], dataset.recipe["match"], dataset.recipe["cut"]) == (3, True, "centre")
    levels = np.sort(dataset.images(), axis=None)
    assert len(dataset) == 6
    assert levels.mean() == pytest.approx(128, abs=3)


def test_matching_brings_every_image_to_the_histogram_of_the_reference(tmp_path):
    dark, bright = texture(0, std=15) - 60, texture(1, std=30) + 40
    raw = save(tmp_path / "raw", dark=dark, bright=bright)
    dataset = made(raw, match=True, reference="bright.png", stride=8)
    medians = {
        p: np.median(dataset.images([i for i, x in enumerate(dataset.patches) if x.parent == p]))
        for p in dataset.parents
    }
    assert medians["dark.png"] == pytest.approx(medians["bright.png"], abs=4)


def test_a_reference_may_be_a_file_that_is_not_in_the_set(raw, tmp_path):
    save(tmp_path / "other", ref=texture(9, std=5))
    dataset = made(raw, match=True, reference=str(tmp_path / "other/ref.png"))
    assert dataset.images().std() == pytest.approx(5, abs=0.5)


def test_an_unknown_reference_is_an_error(raw):
    with pytest.raises(DataError, match=r"The reference x\.png is neither"):
        made(raw, match=True, reference="x.png")


def test_info_bars_never_reach_a_patch(tmp_path):
    raw = save(tmp_path / "raw", **{f"b{i}": with_bar(texture(i, std=20)) for i in range(3)})
    dataset = made(raw, stride=7)
    assert max(patch.y_px + patch.height_px for patch in dataset.patches) <= 160
    assert dataset.images().max() < 250


def test_the_16_bit_range_is_recorded_for_each_image(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for seed in range(3):
        tifffile.imwrite(raw / f"d{seed}.tif", texture(seed).astype(np.uint16) * 16)  # 12 bits in 16
    dataset = made(raw)
    rows = list(csv.DictReader(io.StringIO(dataset.archive.read("parents.csv").decode())))
    assert all(0 < float(row["clipped"]) <= 0.002 and int(row["grey_high"]) < 4096 for row in rows)
    assert dataset.images().std() > 35


def test_all_micrographs_come_to_one_length_scale(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for seed, pixel_size_um in enumerate([0.02, 0.04, 0.05]):
        write_micrograph(raw / f"m{seed}.tif", texture(seed, (400, 400)), pixel_size_um=pixel_size_um, description={})
    dataset = made(raw, um_per_px=0.05)
    assert dataset.pixel_size_um == 0.05
    lengths = {round(patch.width_px * size, 6) for patch, size in _with_sizes(dataset, [0.02, 0.04, 0.05])}
    assert lengths == {32 * 0.05}


def _with_sizes(dataset, sizes):
    return [(patch, sizes[dataset.parents.index(patch.parent)]) for patch in dataset.patches]


def test_pixel_size_comes_from_the_labels_then_the_recipe_and_shrinking_enlarges_it(raw):
    rows = [{"file": f"t{i}.png", "um": "0.1" if i == 0 else ""} for i in range(6)]
    dataset = made(raw, labels=table(raw, rows), pixel_size_column="um", pixel_size_um=0.3, scale=0.5)
    sizes = {patch.parent: patch.pixel_size_um for patch in dataset.patches}
    assert sizes["t0.png"] == pytest.approx(0.2)
    assert sizes["t1.png"] == pytest.approx(0.6)


def test_without_a_pixel_size_it_is_left_empty(raw):
    assert {patch.pixel_size_um for patch in made(raw).patches} == {None}


def test_names_that_would_clash_stay_apart(tmp_path):
    for folder in ("a", "b"):
        save(tmp_path / "raw" / folder, x=texture(ord(folder)))
    dataset = made(tmp_path / "raw", cut="centre")
    assert [(p.file, p.parent) for p in dataset.patches] == [("00000/x.png", "a/x.png"), ("00000/x-2.png", "b/x.png")]


# ---- labels and split


def test_labels_become_conditions_groups_and_specimens(raw):
    rows = [{"file": f"raw/t{i}.png", "phase": "ab"[i % 2], "fov": i // 2, "steel": "S1"} for i in range(6)]
    dataset = made(raw, labels=table(raw, rows), conditions=("phase",), group="fov", specimen="steel")
    patch = next(p for p in dataset.patches if p.parent == "t3.png")
    assert (dict(patch.conditions), patch.group, patch.specimen) == ({"phase": "b"}, "1", "S1")
    labels = dict(json.loads(dataset.archive.read("dataset.json"))["labels"])
    assert {labels[p.file] for p in dataset.patches if p.conditions["phase"] == "b"} == {1}


@settings(deadline=None, max_examples=8)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(0, 5))
def test_a_group_is_never_on_both_sides_of_the_split(tmp_path_factory, groups, seed):
    folder = tmp_path_factory.mktemp("split") / "raw"
    textures(folder, 8, (40, 40))
    labels = table(folder, [{"file": f"t{i}.png", "fov": f"f{group}"} for i, group in enumerate(groups)])
    dataset = made(folder, labels=labels, group="fov", held_out=0.3, seed=seed)
    train, held_out = ({p.group for p in dataset.patches if p.split == side} for side in ("train", "held-out"))
    assert not train & held_out
    assert train
    assert bool(held_out) == (len(set(groups)) > 1)


def test_only_the_chosen_rows_are_taken_and_the_others_are_not_called_rejected(raw):
    rows = [{"file": f"t{i}.png", "phase": "abc"[i % 3]} for i in range(6)]
    dataset = made(raw, labels=table(raw, rows), only=("phase=a", "phase=b"))
    assert dataset.parents == ("t0.png", "t1.png", "t3.png", "t4.png")
    assert rejected(dataset) == {}


def test_images_without_a_row_or_a_value_are_rejected_with_that_reason(raw):
    rows = [{"file": f"t{i}.png", "T": "" if i == 0 else 800 + i} for i in range(5)]
    dataset = made(raw, labels=table(raw, rows), conditions=("T:C",))
    assert rejected(dataset) == {"t0.png": "no label", "t5.png": "no row in the labels"}


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([{"file": "x1.png"}, {"file": "t0.png"}], {}, "names 1 files that are not among the images, such as x1.png"),
        ([{"file": "t0.png"}], {"group": "fov"}, "no column 'fov'"),
        ([{"file": "t0.png", "p": "a"}], {"only": ("p=b",)}, "no row with p=b"),
        ([{"file": "t0.png", "um": "-1"}], {"pixel_size_column": "um"}, "pixel size of t0.png is '-1'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(raw, rows, changes, message):
    with pytest.raises(DataError, match=message):
        made(raw, labels=table(raw, rows), **changes)
    assert not raw.with_suffix(".zip").exists()


def test_a_column_without_labels_is_refused(raw):
    with pytest.raises(DataError, match="--labels"):
        made(raw, group="fov")


# ---- rejection


def test_keep_and_reject_lists_go_before_all_measures(tmp_path):
    raw = save(tmp_path / "raw", a=texture(0), b=with_crack(texture(1, std=20)), c=with_crack(texture(2, std=20)))
    dataset = made(raw, keep=("b.png",), reject=("a.png",))
    assert dataset.parents == ("b.png",)
    assert rejected(dataset) == {"a.png": "on the reject list", "c.png": "cracked"}


def test_duplicates_of_every_kind_are_left_out_once(tmp_path):
    one = texture(0, sigma=8)
    again = (one // 2 + 50).astype(np.uint8)
    raw = save(tmp_path / "raw", a=one, b=one, c=again, d=texture(1, sigma=8))
    dataset = made(raw, limits={"sharpness": 0})
    assert dataset.parents == ("a.png", "d.png")
    assert rejected(dataset) == {"b.png": "duplicate", "c.png": "near-duplicate"}


def test_a_limit_can_be_changed(tmp_path):
    raw = save(tmp_path / "raw", a=with_crack(texture(1, std=20)))
    assert len(made(raw, limits={"crack": 0}).parents) == 1


# ---- bad input


def test_unreadable_images_are_rejected_with_a_reason_and_the_rest_goes_on(tmp_path):
    raw = textures(tmp_path / "raw", 2)
    tifffile.imwrite(raw / "whole.tif", texture(7))
    (raw / "cut.tif").write_bytes((raw / "whole.tif").read_bytes()[:-9000])
    (raw / "text.png").write_text("these are not the pixels you are looking for")
    (raw / "empty.png").touch()
    (raw / "huge.bmp").write_bytes(_bmp_header(100_000, 100_000))
    save(raw, dot=np.zeros((1, 1), np.uint8), small=texture(3, (20, 300)))
    Image.fromarray(np.dstack([texture(5)] * 3 + [np.full((160, 200), 255, np.uint8)])).save(raw / "rgba.png")
    dataset = made(raw)
    assert dataset.parents == ("rgba.png", "t0.png", "t1.png", "whole.tif")
    assert rejected(dataset) == {
        **dict.fromkeys(["cut.tif", "empty.png", "huge.bmp", "text.png"], "unreadable"),
        **dict.fromkeys(["dot.png", "small.png"], "smaller than a patch"),
    }


def _bmp_header(width: int, height: int) -> bytes:
    size, info = 54, 40
    numbers = [(size, 4), (0, 4), (size, 4), (info, 4), (width, 4), (height, 4), (1, 2), (8, 2)]
    return b"BM" + b"".join(value.to_bytes(length, "little") for value, length in numbers) + bytes(24)


def test_images_of_several_sizes_go_into_one_dataset(tmp_path):
    raw = save(tmp_path / "raw", a=texture(0, (64, 64)), b=texture(1, (100, 70)), c=texture(2, (33, 200)))
    assert Counter(patch.parent for patch in made(raw).patches) == {"a.png": 4, "b.png": 6, "c.png": 6}


def test_an_empty_folder_is_one_clear_line(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match=r"raw.* no image"):
        made(tmp_path / "raw")


def test_nothing_left_names_the_reason_and_leaves_no_file(tmp_path):
    raw = save(tmp_path / "raw", a=np.full((64, 64), 9, np.uint8), b=np.full((64, 64), 8, np.uint8))
    with pytest.raises(DataError, match=r"None of the 2 images.*blank, such as a.png \(0 grey levels, at least 8\)"):
        made(raw)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"size": 500},
            r"smaller than a patch, such as t0.png \(200 x 160 px, at least 500 px\): choose a smaller --size",
        ),
        ({"um_per_px": 0.1}, "no pixel size.*give it with --pixel-size-um"),
        ({"um_per_px": 0.1, "pixel_size_um": 0.5}, "too coarse.*enlarged 5 times, at most 1.25.*larger --um-per-px"),
    ],
)
def test_nothing_left_says_what_would_help(raw, changes, message):
    with pytest.raises(DataError, match=message):
        made(raw, **changes)


def test_a_zip_of_images_is_a_source_and_one_that_points_outside_is_refused(raw, tmp_path):
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as file:
        file.write(raw / "t0.png", "x/t0.png")
    assert made(tmp_path / "batch.zip", tmp_path / "a.zip").parents == ("batch.zip/x/t0.png",)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.write(raw / "t0.png", "../t0.png")
    with pytest.raises(DataError, match=r"bad.zip .*\.\./t0.png"):
        made(tmp_path / "bad.zip", tmp_path / "b.zip")


def test_the_source_is_never_overwritten(raw, tmp_path):
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as file:
        file.write(raw / "t0.png", "t0.png")
    before = (tmp_path / "batch.zip").read_bytes()
    for source in (tmp_path / "batch.zip", raw):
        with pytest.raises(DataError, match="choose another --out"):
            made(source, source)
    assert (tmp_path / "batch.zip").read_bytes() == before
    assert len(list(raw.iterdir())) == 6


def test_a_dataset_can_be_made_again_in_its_place(raw, tmp_path):
    for out in (tmp_path / "set.zip", tmp_path / "set"):
        made(raw, out)
        assert made(raw, out, size=64).size == 64


@pytest.mark.parametrize("number", [1, 2, 3])
def test_very_small_sets_work_and_always_train_on_something(tmp_path, number):
    dataset = made(textures(tmp_path / "raw", number))
    assert len({p.parent for p in dataset.patches if p.split == "held-out"}) == (1 if number > 1 else 0)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(raw, monkeypatch):
    def no_space(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", no_space)
    with pytest.raises(DataError, match=r"raw.zip could not be written \(No space left on device\)"):
        made(raw)
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "size"),
        ({"scale": 1.5}, "scale"),
        ({"median": 4}, "median is 4, expected an odd number"),
        ({"scale": 0.5, "um_per_px": 0.1}, "scale and um_per_px are both given"),
        ({"cut": "centre", "stride": 4}, "stride is for patches"),
        ({"info_bar": "some"}, "info_bar is 'some'"),
        ({"grey_range": "9:3"}, "grey_range is '9:3'"),
        ({"grey_range": "0:70000"}, "grey_range is '0:70000', expected image or LOW:HIGH up to 65535"),
        ({"conditions": ("T", "T")}, "'T' is given 2 times"),
        ({"only": ("phase",)}, "only is 'phase'"),
        ({"limits": {"blurry": 1}}, "limits.blurry is unknown: choose from grey_levels"),
        ({"colour": 1}, "colour is unknown: choose from info_bar"),
        ({"preset": "paper-z"}, "plain, paper-a, paper-b"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_recipe(**changes)


# ---- review sheet


def test_the_review_sheet_shows_all_and_asks_nothing_of_the_network(tmp_path):
    raw = save(tmp_path / "raw", good=texture(0), bad=with_crack(texture(1, std=20)), **{"a<b>": texture(2)})
    made(raw)
    sheet = review_path(raw.with_suffix(".zip")).read_text()
    assert "good.png" in sheet
    assert "cracked" in sheet
    assert "a&lt;b&gt;.png" in sheet
    assert sheet.count('class="box"') == 2 * 30
    assert not re.findall(r'(?:href|src)="(?!data:)|url\(|@import|<script|http', re.sub(r"base64,[^\"]*", "", sheet))


# ---- real micrographs


def test_uhcs_micrographs_become_fifteen_patches_each(shared_data, tmp_path):
    folder = shared_data / "uhcs600"
    recipe = make_recipe(
        size=64,
        scale=0.5,
        group="fov_group",
        conditions=("microconstituent",),
        only=("microconstituent=spheroidite",),
        allow_missing=True,
    )
    out = prepare([folder / "images/micrograph5*.jpg"], tmp_path / "a.zip", recipe=recipe, labels=folder / "labels.csv")
    assert len(out) == 15 * len(out.parents)
    assert len(out.parents) > 50
    assert out.space.conditions[0].classes == ("spheroidite",)
    assert len(out.split("held-out").parents) / len(out.parents) == pytest.approx(0.1, abs=0.03)
    assert rejected(out) == {}

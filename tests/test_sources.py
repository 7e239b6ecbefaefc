"""Finding the image files in what the user names."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest

from sorby import sources
from sorby.errors import DataError
from sorby.sources import ImageFile, find_images


def make(folder: Path, *names: str) -> Path:
    """Files that hold their own name; find_images does not look inside."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def make_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def names(*given: str | Path) -> list[str]:
    return [file.name for file in find_images(given)]


def test_folder_gives_all_images_below_it_sorted_and_nothing_else(tmp_path):
    make(
        tmp_path, "b.TIF", "a/c.jpeg", "a/b.png", "notes.txt", "b.txt", "x.bmp", ".hidden.png", ".cache/y.png", "z.csv"
    )
    assert names(tmp_path) == ["a/b.png", "a/c.jpeg", "b.TIF", "x.bmp"]


def test_file_pattern_and_zip_give_their_images(tmp_path):
    make(tmp_path, "a.tif", "p1.png", "p2.png", "p.txt")
    make_zip(tmp_path / "z.zip", "s/2.png", "s/1.png", "readme.md")
    assert names(tmp_path / "a.tif", tmp_path / "p*", tmp_path / "z.zip") == [
        "a.tif", "p1.png", "p2.png", "z.zip/s/1.png", "z.zip/s/2.png",
    ]  # fmt: skip


def test_pattern_reaches_into_folders_and_zips(tmp_path):
    make(tmp_path, "batch1/a.png", "batch2/b.png", "batch-notes/readme.md")
    make_zip(tmp_path / "batch3.zip", "c.png")
    assert names(tmp_path / "batch*") == ["a.png", "b.png", "batch3.zip/c.png"]


def test_brackets_in_an_existing_name_are_no_pattern(tmp_path):
    assert names(make(tmp_path, "a[1].png") / "a[1].png") == ["a[1].png"]


def test_file_named_twice_comes_once_in_its_first_place(tmp_path):
    make(tmp_path, "a.png", "b.png")
    assert names(tmp_path / "b.png", tmp_path, tmp_path / "*.png") == ["b.png", "a.png"]


def test_same_name_in_two_folders_is_told_apart_by_the_path(tmp_path, monkeypatch):
    make(tmp_path, "x/a.png", "y/a.png", "y/b.png")
    monkeypatch.chdir(tmp_path)
    assert names("x", "y") == ["x/a.png", "y/a.png", "b.png"]


def test_bytes_are_those_of_the_file_on_disk_and_in_a_zip(tmp_path):
    make(tmp_path, "a.png")
    make_zip(tmp_path / "z.zip", "b.png")
    assert [file.read() for file in find_images([tmp_path, tmp_path / "z.zip"])] == [b"a.png", b"b.png"]


def test_image_files_survive_pickling_into_another_process(tmp_path):
    make_zip(tmp_path / "z.zip", "b.png")
    (file,) = find_images([tmp_path / "z.zip"])
    assert pickle.loads(pickle.dumps(file)).read() == b"b.png"


def test_zip_packed_anew_is_read_anew(tmp_path):
    make_zip(tmp_path / "z.zip", "a.png")
    find_images([tmp_path / "z.zip"])
    make_zip(tmp_path / "z.zip", "b.png", "c.png")
    os.utime(tmp_path / "z.zip", (1, 1))
    assert names(tmp_path / "z.zip") == ["z.zip/b.png", "z.zip/c.png"]


@pytest.mark.parametrize("suffix", [".txt", ".TXT", ".Txt"])
def test_sidecar_is_the_text_of_the_same_stem(tmp_path, suffix):
    make(tmp_path, "s/a.tif", "s/b.tif", f"s/a{suffix}")
    make_zip(tmp_path / "z.zip", "s/a.tif", "s/b.tif", f"s/a{suffix}")
    for source in (tmp_path / "s", tmp_path / "z.zip"):
        assert [file.sidecar() for file in find_images([source])] == [f"s/a{suffix}", None]
    assert ImageFile.of(tmp_path / "s" / "a.tif").sidecar() == f"s/a{suffix}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_sidecar_is_read_in_the_encodings_that_microscopes_use(tmp_path, encoding):
    make(tmp_path, "a.tif")
    (tmp_path / "a.txt").write_bytes("10 µm".encode(encoding))
    assert find_images([tmp_path])[0].sidecar() == "10 µm"


def test_huge_text_file_is_no_sidecar(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_SIDECAR_BYTES", 3)
    make(tmp_path, "a.tif", "a.txt")
    make_zip(tmp_path / "z.zip", "a.tif", "a.txt")
    assert [file.sidecar() for file in find_images([tmp_path, tmp_path / "z.zip"])] == [None, None]


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    make(tmp_path, "outside/b.png", "folder/a.png")
    (tmp_path / "folder" / "link.png").symlink_to(tmp_path / "outside" / "b.png")
    (tmp_path / "folder" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "folder" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    assert names(tmp_path / "folder") == ["a.png"]


def test_folder_of_links_only_says_that_they_were_not_followed(tmp_path):
    make(tmp_path, "outside/b.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.png").symlink_to(tmp_path / "outside" / "b.png")
    with pytest.raises(DataError, match="links that lead out of it do not count"):
        find_images([tmp_path / "folder"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", "missing is not there: expected .*check the name"),
        ("*.nope", r"\*\.nope matches no image"),
        ("empty", "empty holds no image .*: expected .*; name the folder"),
        ("notes.txt", r"notes\.txt is not a TIFF, PNG, JPEG or BMP image"),
        ("texts.zip", r"texts\.zip holds no image: expected .* among its 1 files"),
        ("false.zip", r"false\.zip is not a zip that can be read"),
    ],
)
def test_source_without_images_is_one_line_naming_it(tmp_path, source, message):
    make(tmp_path, "notes.txt", "false.zip")
    (tmp_path / "empty").mkdir()
    make_zip(tmp_path / "texts.zip", "a.txt")
    with pytest.raises(DataError, match=message) as error:
        find_images([tmp_path / source])
    assert "\n" not in str(error.value)


def test_no_source_at_all_is_an_error():
    with pytest.raises(DataError, match="no source was named"):
        find_images([])


@pytest.mark.parametrize(
    "name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", "\\\\host\\a.png"]
)
def test_zip_that_points_outside_itself_is_refused_naming_the_member(tmp_path, name):
    make_zip(tmp_path / "z.zip", "good.png", name)
    with pytest.raises(DataError, match=r"z\.zip has the member .*a\.png', which points outside"):
        find_images([tmp_path / "z.zip"])


def test_encrypted_zip_is_refused(tmp_path):
    data = bytearray(make_zip(tmp_path / "z.zip", "a.png").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # bit 0 of the flags in the central directory
    (tmp_path / "z.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"encrypted member 'a\.png'"):
        find_images([tmp_path / "z.zip"])


def test_zip_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1001))
    with pytest.raises(DataError, match=r"'a\.png' of .* expected at most"):
        find_images([tmp_path / "z.zip"])


def test_zip_member_that_lies_about_its_size_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(5000))
    data = bytearray((tmp_path / "z.zip").read_bytes())
    size_at = data.index(b"PK\x01\x02") + 24
    data[size_at : size_at + 4] = (100).to_bytes(4, "little")
    (tmp_path / "z.zip").write_bytes(data)
    (file,) = find_images([tmp_path / "z.zip"])
    with pytest.raises(DataError, match=r"z\.zip/a\.png could not be read"):
        file.read()


def test_mac_leftovers_in_a_zip_are_passed_over(tmp_path):
    make_zip(tmp_path / "z.zip", "a.png", "__MACOSX/._a.png", ".b.png")
    assert names(tmp_path / "z.zip") == ["z.zip/a.png"]


def test_file_that_vanished_or_is_too_large_is_an_error_naming_it(tmp_path, monkeypatch):
    (file,) = find_images([make(tmp_path, "a.png")])
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2)
    with pytest.raises(DataError, match=r"^a\.png holds .* expected at most"):
        file.read()
    monkeypatch.undo()
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"^a\.png could not be read"):
        file.read()


def test_image_file_of_a_folder_or_nothing_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.png"):
        with pytest.raises(DataError, match="is not a file"):
            ImageFile.of(path)


@pytest.mark.parametrize("name", ["a\n.png", "a\x1b[2J.png", "\udcff.png"])
def test_a_name_that_is_no_one_line_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="control characters") as error:
        find_images([tmp_path])
    assert str(error.value).isprintable()

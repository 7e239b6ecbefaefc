import os

import pytest

from sorby.data.labels import NameIndex, join, read_list, read_table, resolve_names
from sorby.errors import DataError


def table(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_whatever_its_separator(tmp_path, separator):
    path = table(tmp_path, "file,T\na.tif, 800 \n".replace(",", separator))
    assert read_table(path) == [{"file": "a.tif", "T": "800"}]


def test_the_byte_order_mark_of_excel_does_not_matter(tmp_path):
    assert read_table(table(tmp_path, "file,T\na.tif,5\n", "utf-8-sig")) == [{"file": "a.tif", "T": "5"}]


def test_quoted_cells_and_short_rows_are_read(tmp_path):
    path = table(tmp_path, 'file,T,note\n"a,1.tif",5,"x, y"\nb.tif,6\n')
    assert read_table(path) == [
        {"file": "a,1.tif", "T": "5", "note": "x, y"},
        {"file": "b.tif", "T": "6", "note": ""},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,T\na,5\n", "no column `file` .it has name, T"),
        ("", "no column `file` .it has nothing"),
        ("file,T\n", "no rows"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(table(tmp_path, text))


def test_a_file_that_is_no_text_says_so(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(DataError, match="save it as CSV"):
        read_table(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("a.tif", ["x/a.tif", "y/a.tif"]),
        ("x/a.tif", ["x/a.tif"]),
        ("raw\\x\\a.tif", ["x/a.tif"]),
        ("images/b.tif", ["b.tif"]),
        ("c.tif", []),
        ("", []),
    ],
)
def test_names_fit_by_any_ending_of_the_path(written, fits):
    assert NameIndex(["x/a.tif", "y/a.tif", "b.tif"]).fitting(written) == fits


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.tif"], r"a\.tif fits x/a\.tif and y/a\.tif"),
        (["b.tif", "images/b.tif"], r"two rows for b\.tif"),
        (["b.tif", "c.tif", "d.tif"], r"names 2 files that are not among the images, such as c\.tif, d\.tif"),
    ],
)
def test_rows_that_do_not_fit_the_images_are_refused(tmp_path, files, message):
    rows = [{"file": name} for name in files]
    with pytest.raises(DataError, match=message):
        join(tmp_path / "l.csv", rows, ["x/a.tif", "y/a.tif", "b.tif"], allow_missing=False)


def test_missing_images_can_be_allowed_but_not_all(tmp_path):
    rows = [{"file": "b.tif"}, {"file": "c.tif"}]
    assert join(tmp_path / "l.csv", rows, ["b.tif"], allow_missing=True) == {"b.tif": rows[0]}
    with pytest.raises(DataError, match="names 1 files"):
        join(tmp_path / "l.csv", rows[1:], ["b.tif"], allow_missing=True)


def test_a_list_is_one_name_a_line(tmp_path):
    (tmp_path / "keep.txt").write_text("# good ones\na.tif\n\n  x/b.tif \n")
    assert read_list(tmp_path / "keep.txt") == ("a.tif", "x/b.tif")
    with pytest.raises(DataError, match=r"none.txt cannot be read"):
        read_list(tmp_path / "none.txt")


def test_an_unknown_name_in_a_list_is_an_error():
    assert resolve_names(["b.tif"], ["x/b.tif"], what="keep") == {"x/b.tif"}
    with pytest.raises(DataError, match=r"c\.tif of the keep list is not among the images"):
        resolve_names(["c.tif"], ["x/b.tif"], what="keep")


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="two columns 'T': leave one"):
        read_table(table(tmp_path, "file,T, T\na.tif,1,2\n"))


def test_a_pipe_is_no_table(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="no plain file"):
        read_table(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="no plain file"):
        read_list(tmp_path / "labels.csv")

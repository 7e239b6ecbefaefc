"""Files of others are read up to a size, and their tables run nothing."""

import csv
import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorby.errors import DataError, printable
from sorby.untrusted import (
    LONGEST_HEADER,
    UNREADABLE,
    cell,
    check_array,
    csv_of,
    is_plain_name,
    parse_json,
    parse_toml,
    plain_cell,
    read_bytes,
    read_member,
    read_text,
    rows_of,
    stays_inside,
    table_of,
)
from tests.trust.hostile import deflated

STARTS = "=+-@\t\r"


@given(st.text())
def test_no_cell_is_a_formula_and_every_text_comes_back(text):
    written = cell(text)
    assert plain_cell(written) == text
    if written[:1] in tuple(STARTS):
        float(written)  # a number is no formula


@pytest.mark.parametrize(
    "text", ["=1+1", "@SUM(A1)", "+A1", "-A1", "\t=1", "\r=1", "-1+cmd|' /C calc'!A0", "--1", "-", "+"]
)
def test_what_a_spreadsheet_would_compute_begins_with_an_apostrophe(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-2.5", "+1e-3", "-.5", "-inf", "ferrite", "a=b", "'quoted'", ""])
def test_numbers_and_plain_texts_stay_as_they_are(text):
    assert cell(text) == text


def test_a_table_comes_back_whatever_is_in_it():
    row = {"file": '=a,"b"\n.tif', "n": "-1", "@odd": "'=x"}
    text = csv_of([row.keys(), row.values()])
    assert [list(r) for r in csv.reader(io.StringIO(text))][1][0].startswith("'=")
    (came,) = rows_of(text)
    assert list(came.values()) == list(row.values())


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_tables_of_others_come_with_commas_semicolons_or_tabs(between):
    assert table_of(f"a{between}b\n1{between}2\n") == (["a", "b"], [{"a": "1", "b": "2"}])


def test_a_cell_of_a_megabyte_is_refused():
    with pytest.raises(ValueError, match="field larger than field limit"):
        list(rows_of("a\n" + "x" * 2**20))


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '"\\ud800"', "{", '{"a": ' * 50_000])
def test_json_that_is_none_or_too_deep_is_a_value_error(text):
    for given_as in (text, text.encode()):
        with pytest.raises(ValueError, match=r"."):
            parse_json(given_as)


def test_json_with_characters_of_two_halves_is_read():
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_toml_that_is_too_deep_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml(f"a = {'[' * 100_000}")


def test_only_plain_files_are_read_and_up_to_a_size(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(bytes(11))
    (tmp_path / "text").write_bytes(b"a\r\n\xc3\xa9")
    for name, message in {"pipe": "no plain file", "zero": "no plain file", "large": "larger than"}.items():
        with pytest.raises(OSError, match=message):
            read_bytes(tmp_path / name, 10)
    assert read_bytes(tmp_path / "large", 11) == bytes(11)
    tracemalloc.start()
    read_bytes(tmp_path / "large", 2**30)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert read_text(tmp_path / "text") == (tmp_path / "text").read_text(encoding="utf-8")


@pytest.mark.parametrize("declared", [1000, 2**31])
def test_a_zip_bomb_takes_no_memory(declared):
    file = zipfile.ZipFile(io.BytesIO(deflated("a", 200, declared=declared)))
    tracemalloc.start()
    with pytest.raises(UNREADABLE):
        read_member(file, "a", 2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_unpacks_without_bounds_is_refused(packing):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", packing) as file:
        file.writestr("a", bytes(2**20))
    with pytest.raises(ValueError, match="unusual way"):
        read_member(zipfile.ZipFile(data), "a", 2**30)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_whole_or_not_at_all(packing):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", packing) as file:
        file.writestr("a", b"0123456789" * 1000)
    assert read_member(zipfile.ZipFile(data), "a", 10_000) == b"0123456789" * 1000
    changed = bytearray(data.getvalue())
    struct.pack_into("<I", changed, changed.index(b"PK\1\2") + 16, 0)  # the checksum
    with pytest.raises(zipfile.BadZipFile):
        read_member(zipfile.ZipFile(io.BytesIO(changed)), "a", 10_000)


def test_a_link_stays_inside_or_does_not(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("")
    (tmp_path / "b").write_text("")
    (tmp_path / "in" / "to-a").symlink_to("a")
    (tmp_path / "in" / "to-b").symlink_to("../b")
    inside = {
        name: stays_inside(tmp_path / "in" / name, tmp_path / "in") for name in ("a", "to-a", "to-b", "../b", "c")
    }
    assert inside == {"a": True, "to-a": True, "to-b": False, "../b": False, "c": False}


def test_names_of_no_one_line_are_told_from_others():
    assert all(map(is_plain_name, ("a.tif", "Gefüge 1 (2).tif", "a\u0308.png", "高.bmp", "a\u00a0b")))
    assert not any(map(is_plain_name, ("a\n.tif", "\x1b[2J", "a\x7f", "\ud800", "a\0b", "a\x9b")))


def test_a_message_is_one_short_line_whatever_it_quotes():
    told = str(DataError(f"a\nb\x1b[2J\ud800 {'x' * 10_000}"))
    assert told.startswith("a b�[2J� xxx")
    assert told.endswith(" ...")
    assert told.isprintable()
    assert len(told) < 2100
    told.encode()
    assert printable("grün  µm") == "grün  µm"


@pytest.mark.parametrize("array", [np.eye(3), np.arange(5, dtype=np.uint8), np.array(["a.tif", "bb"]), np.array(1.5)])
def test_arrays_of_numbers_and_texts_pass_by_their_header(array):
    file = io.BytesIO()
    np.save(file, array)
    check_array(file.getvalue()[:LONGEST_HEADER])


@pytest.mark.parametrize("descr", ["'|O'", "'<f8' if 1 else 2", "[('a', '<f8')]", "(" * 200])
def test_other_headers_are_refused_before_python_reads_them(descr):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}".encode().ljust(117) + b"\n"
    with pytest.raises(ValueError, match="not that of an array"):
        check_array(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)

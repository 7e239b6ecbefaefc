import csv
import shlex
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from sorby.cli import app
from sorby.cli.demo import _run, closing
from sorby.data.infobar import find_info_bar
from sorby.demo import HIGH, LOW, PIXEL_SIZES_UM, SHAPE, commands, write_raw
from sorby.errors import DataError
from sorby.micrograph import read_micrograph


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder, num_specimens=2, micrographs_each=2)
    return folder


@pytest.fixture(scope="module")
def labels(raw):
    return list(csv.DictReader((raw / "labels.csv").read_text().splitlines()))


def test_the_labels_name_every_micrograph_and_the_range_of_martensite(raw, labels):
    assert sorted(row["file"] for row in labels) == sorted(path.name for path in raw.glob("*.tif"))
    assert [float(row["martensite"]) for row in labels] == [100 * LOW] * 2 + [100 * HIGH] * 2


def test_the_micrographs_have_two_magnifications_that_the_files_state(raw):
    sizes = [read_micrograph(path).pixel_size_um for path in sorted(raw.glob("*.tif"))]
    assert sizes == pytest.approx(PIXEL_SIZES_UM * 2)


def test_prepare_finds_the_info_bar_where_it_was_put(raw):
    for path in raw.glob("*.tif"):
        assert find_info_bar(read_micrograph(path).grey) == (0, SHAPE[0])


def test_the_raw_data_are_the_same_every_time(raw, tmp_path):
    write_raw(tmp_path, num_specimens=2, micrographs_each=2)
    for path in raw.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_nothing_is_left_of_a_larger_demo(tmp_path):
    for num in (2, 1):
        write_raw(tmp_path / "raw", num_specimens=num, micrographs_each=1)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["dp1-1.tif", "labels.csv"]


def test_files_that_the_demo_did_not_make_are_never_removed(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine.tif").touch()
    with pytest.raises(DataError, match=r"mine\.tif was not made by the demo.*choose another --out"):
        write_raw(tmp_path / "raw", num_specimens=1, micrographs_each=1)
    assert (tmp_path / "raw" / "mine.tif").exists()


def test_a_quick_demo_and_a_whole_one_have_folders_of_their_own(monkeypatch):
    folders = []
    monkeypatch.setattr("sorby.demo.write_raw", lambda folder, **_: folders.append(str(folder)))
    monkeypatch.setattr(sys.modules["sorby.cli.demo"], "_run", lambda _: None)
    for options in (["--quick"], [], ["--quick", "--out", "mine"]):
        assert CliRunner().invoke(app, ["demo", *options]).exit_code == 0
    assert folders == ["demo-quick/raw", "demo/raw", "mine/raw"]


@pytest.mark.parametrize("quick", [True, False])
def test_every_command_that_the_demo_shows_is_one_that_the_command_line_takes(tmp_path, quick):
    group = typer.main.get_command(app)
    for command in commands(tmp_path / "with space", quick=quick):
        program, *words = shlex.split(command)
        name, verb, rest = group.resolve_command(typer.Context(group), words)
        assert program == "sorby"
        verb.make_context(name, rest)


def test_a_step_that_fails_ends_the_demo_with_its_exit_code(tmp_path, capfd):
    with pytest.raises(typer.Exit) as stopped:
        _run(f"sorby inspect {tmp_path / 'nothing'}")
    assert stopped.value.exit_code == 2
    assert "nothing is nothing that can be inspected" in capfd.readouterr().err


def test_the_demo_ends_with_the_report_and_the_commands_for_own_images(tmp_path):
    text = closing(tmp_path, quick=False)
    assert f"{tmp_path}/report/report.html" in text
    for verb in ("prepare", "train", "generate", "evaluate"):
        assert f"  sorby {verb} " in text


def test_the_fraction_on_the_label_is_what_the_picture_shows(raw, labels):
    for row in labels:
        grey = read_micrograph(raw / row["file"]).grey[: SHAPE[0]].astype(float)
        low, high = np.percentile(grey, (2, 98))
        bright = (grey > (low + high) / 2).mean()
        assert bright == pytest.approx(float(row["martensite"]) / 100, abs=0.1)

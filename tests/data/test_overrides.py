"""Decisions of a person: their list, the options that say a recipe, and what a dataset records of each micrograph."""

import re

import pytest
import typer
from typer.testing import CliRunner

from sorby.cli.prepare import prepare as command
from sorby.data.dataset import Dataset
from sorby.data.overrides import overrides_path, read_overrides, write_overrides
from sorby.data.pack import pack
from sorby.data.prepare import prepare, review_path
from sorby.data.quality import Fault, Limits, find_fault, measure
from sorby.data.recipe import make_recipe, options
from sorby.data.review import previews
from sorby.data.verdicts import decisions_of, recipe_of, verdicts
from sorby.errors import ConfigError, DataError

from .made import save, texture, textures


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three sound pictures, a blurred one, and one that is no picture."""
    folder = textures(tmp_path_factory.mktemp("review") / "raw", 3, (64, 96))
    save(folder, blurred=texture(9, (64, 96), sigma=8))
    (folder / "text.png").write_text("no picture")
    return folder


def run(*arguments):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_a_list_comes_back_as_it_was_written_whatever_the_names(tmp_path):
    written = {"a,b.png": "keep", 'say "x".png': "reject", "#1.png": "keep", "µ/ß.tif": "reject", " a.png": "keep"}
    write_overrides(tmp_path / "a.csv", written)
    assert read_overrides(tmp_path / "a.csv") == written


def test_a_list_saved_by_a_spreadsheet_with_semicolons_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufefffile;decision;remark\r\na.png;keep;fine\r\n".encode())
    assert read_overrides(tmp_path / "a.csv") == {"a.png": "keep"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a.png\nb.png\n", "expected the columns file and decision"),
        (b"", "expected the columns file and decision"),
        (b"file,decision\na.png,perhaps\n", "a.png has the decision 'perhaps': expected one, keep or reject"),
        (b"file,decision\na.png\n", "a.png has the decision ''"),
        (b"decision,file\nkeep\nreject,b.tif\n", "a row without a name has the decision 'keep'"),
        (b"file,decision\n,keep\n", "a row without a name has the decision 'keep'"),
        (b"file,decision\na.png,keep\na.png,reject\n", "a.png has the decision 'reject': expected one"),
        (b"\xff\xfe\x00", "not a CSV in UTF-8"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read_overrides(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_the_command_keeps_and_rejects_what_the_list_says(raw, tmp_path):
    write_overrides(tmp_path / "o.csv", {"blurred.png": "keep", "t1.png": "reject"})
    run(raw, "--out", tmp_path / "a.zip", "--size", 32, "--overrides", tmp_path / "o.csv")
    assert Dataset.open(tmp_path / "a.zip").parents == ("blurred.png", "t0.png", "t2.png")


def test_a_list_beside_the_other_two_is_refused(raw, tmp_path):
    (tmp_path / "bad.txt").write_text("t1.png\n")
    write_overrides(tmp_path / "o.csv", {})
    with pytest.raises(ConfigError, match="leave out --keep and --reject"):
        run(raw, "--out", tmp_path / "a.zip", "--reject", tmp_path / "bad.txt", "--overrides", tmp_path / "o.csv")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"preset": "paper-a", "size": 32},
        {"size": 32, "stride": 16, "limits": {"crack": 0, "sharpness": 0.2}, "held_out": 0.3, "seed": 4},
        {"conditions": ("T:°C", "phase"), "only": ("phase=a b", "phase=c"), "group": "fov", "allow_missing": True},
    ],
)
def test_the_options_of_a_recipe_are_read_back_as_that_recipe(changes, monkeypatch):
    recipe, read = make_recipe(**changes), []

    def stop(_, settings, **__):
        read.append(settings)
        raise DataError("far enough")

    monkeypatch.setattr("sorby.data.plan.make_plan", stop)
    with pytest.raises(DataError, match="far enough"):
        run("raw", "--out", "a.zip", *options(recipe))
    assert read == [recipe]


@pytest.fixture(scope="module")
def dataset(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "a.zip"
    return prepare([raw], out, recipe=make_recipe(size=32, keep=("t1.png",), reject=("raw/t2.png",)), workers=1)


def test_a_dataset_records_every_micrograph_with_its_fault_and_what_it_measures(raw, dataset):
    found = {verdict.name: verdict for verdict in verdicts(dataset)}
    assert list(found) == ["blurred.png", "t2.png", "text.png", "t0.png", "t1.png"]
    grey = texture(9, (64, 96), sigma=8)
    measures = measure(grey, grey, cracks=True)
    assert found["blurred.png"].fault == find_fault(measures, Limits())
    assert found["blurred.png"].numbers["sharpness"] == pytest.approx(measures.sharpness, rel=1e-3)
    assert found["t2.png"].fault == Fault("on the reject list")
    assert found["text.png"].remedy == "export them again from the microscope's program"
    assert found["text.png"].numbers == {}
    assert found["t1.png"].fault is None
    assert found["t1.png"].num_patches == 6
    assert (found["t1.png"].remedy, found["t2.png"].remedy, found["blurred.png"].remedy) == ("", "", "")


@pytest.mark.parametrize("name", ["again.zip", "a.shards", "folder"])
def test_what_is_known_of_each_micrograph_goes_along_into_another_form(dataset, tmp_path, name):
    assert verdicts(pack(dataset, tmp_path / name)) == verdicts(dataset)


def test_decisions_of_a_recipe_are_told_by_the_full_names(dataset):
    found = verdicts(dataset)
    assert decisions_of(recipe_of(dataset), found) == {"t1.png": "keep", "t2.png": "reject"}


def test_the_review_sheet_gives_the_previews_back(dataset):
    found = previews(review_path(dataset.path).read_text())
    assert set(found) == {"blurred.png", "t0.png", "t1.png", "t2.png"}
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in found.values())


def test_the_list_lies_beside_the_dataset(tmp_path):
    assert overrides_path(tmp_path / "a.zip") == tmp_path / "a.overrides.csv"
    assert overrides_path(tmp_path / "a") == tmp_path / "a.overrides.csv"

"""What is hostile is refused with one clear line: nothing of it runs, nothing is written, little memory is taken."""

import csv
import os
import re
import resource
import shlex
import signal
import sys
from pathlib import Path

import pytest

from sorby.cli import main
from sorby.config import from_toml
from sorby.data.dataset import Dataset
from sorby.data.prepare import prepare
from sorby.data.recipe import Recipe
from sorby.errors import ConfigError
from sorby.inspect import resume_command
from sorby.measurement.run import measure
from sorby.training.run import train
from tests.data.made import textures
from tests.trust.hostile import CANARY, SECRET, TABLE, run_that_links_out

CASES = [(make, verb) for make, verbs in TABLE.items() for verb in verbs]
MOST_SECONDS = 60
MOST_MIB = 300


def sorby(monkeypatch, command):
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["sorby", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def all_in(folder: Path) -> set[str]:
    return {f"{place}/{name}" for place, folders, files in os.walk(folder) for name in (*folders, *files)}


def too_long(*_):
    raise TimeoutError


@pytest.fixture
def _soon():
    """A reader that waits for ever fails."""
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(("make", "verb"), CASES, ids=[f"{make.__name__}, {verb.split()[0]}" for make, verb in CASES])
def test_a_hostile_file_is_refused_with_one_line(make, verb, tmp_path, monkeypatch, capsys):
    make(tmp_path)
    before, memory = all_in(tmp_path), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capsys.readouterr()
    assert sorby(monkeypatch, verb.format(home=tmp_path)) == 2
    told = capsys.readouterr()
    *others, last = told.err.splitlines()
    assert last.startswith("sorby: ")
    assert last.isprintable()
    assert all(line.isprintable() and ("note: " in line or line.endswith("...")) for line in others)
    assert "Traceback" not in told.out + told.err
    assert all_in(tmp_path) == before
    assert not (tmp_path / CANARY).exists()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024 < MOST_MIB


def test_a_run_that_links_out_is_not_written_to(tmp_path):
    run_that_links_out(tmp_path)
    config = from_toml((tmp_path / "it" / "config.toml").read_text())
    with pytest.raises(ConfigError, match=r"real\.png is a link out of the run"):
        train(Dataset.open(tmp_path / "valid.zip"), tmp_path / "it", config)
    assert (tmp_path / SECRET).read_text() == "years of work"


FORMULA = "=HYPERLINK(A1).png"
MARKUP = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def named(tmp_path):
    """Sound micrographs with names that are more than names to a spreadsheet or a browser, and labels alike."""
    folder = textures(tmp_path / "raw", 4)
    for old, new in {"t0.png": FORMULA, "t1.png": MARKUP}.items():
        (folder / old).rename(folder / new)
    labels = tmp_path / "labels.csv"
    rows = [["file", "specimen", "phase"], [FORMULA, "@SUM(A1)", "+a"], [MARKUP, "b", "+b"], ["t2.png", "b", "-1"]]
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([*rows, ["t3.png", "-A1", "+b"]])
    recipe = Recipe(size=64, specimen="specimen", conditions=("phase",))
    return folder, prepare([folder], tmp_path / "d", recipe=recipe, labels=labels)


def cells_of(path):
    with path.open(newline="") as file:
        return [cell for row in csv.reader(file) for cell in row]


def is_formula(cell):
    return cell.startswith(("=", "+", "@", "-")) and not re.fullmatch(r"-[0-9.]+(e-?[0-9]+)?", cell)


def test_no_table_of_a_dataset_holds_a_formula_and_all_names_come_back(named):
    _, data = named
    for name in ("manifest.csv", "parents.csv", "rejected.csv"):
        assert not list(filter(is_formula, cells_of(data.path / name)))
    assert f"'{FORMULA}" in cells_of(data.path / "manifest.csv")
    again = Dataset.open(data.path)
    assert {FORMULA, MARKUP, "t2.png", "t3.png"} == set(again.parents)
    assert {patch.specimen for patch in again.patches} == {"@SUM(A1)", "b", "-A1"}
    assert again.space.conditions[0].classes == ("-1", "+a", "+b")


def test_the_table_of_measure_holds_no_formula(named, tmp_path):
    folder, _ = named
    measure(folder, tmp_path / "out.csv", overlays=0)
    cells = cells_of(tmp_path / "out.csv")
    assert f"'{FORMULA}" in cells
    assert not list(filter(is_formula, cells))


def test_the_review_sheet_shows_a_name_and_does_not_obey_it(named):
    _, data = named
    (sheet,) = data.path.parent.glob("*.review.html")
    text = sheet.read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in text


def test_the_command_that_goes_on_with_a_run_of_others_is_quoted(tmp_path):
    config = from_toml('preset = "demo"\nstart_from = "$(touch x); echo"\n')
    command = resume_command(tmp_path, config, "`touch y`")
    assert "start_from=$(touch x); echo" in shlex.split(command)
    assert shlex.split(command)[2] == "`touch y`"
    assert "'start_from=$(touch x); echo'" in command

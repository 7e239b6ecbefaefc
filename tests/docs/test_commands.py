"""Each command of README and the pages is one that the command line takes; those of the pages below are run in order.

What would take minutes is run with smaller numbers, which are appended, or without doing it (`--dry-run`).
"""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.docs.commands import commands, mentions, pages, parse, python, run
from tests.docs.folder import fill

RUN = (
    "index",
    "install",
    "tour",
    "prepare",
    "train",
    "transfer",
    "generate",
    "conditions",
    "evaluate",
    "measurement",
    "walk",
    "project",
    "predict",
    "design",
    "simulate",
    "studies",
    "large-data",
    "export",
)
"""Pages that one works by; the others tell of data, hours and machines that are not here."""
LONG = {
    "train": "--kimg 0.016 --set tick_kimg=0.016 --set score_ticks=0",
    "transfer": "--kimg 0.016 --set tick_kimg=0.016 --set score_ticks=0",
    "evaluate": "--num 24",
    "generate": "--num 2",
    "measure": "--num 8",
    "interpolate": "--frames 3",
    "directions": "--num 2 --seeds 8 --by-chance 8",
    "project": "--steps 2 --num 8",
    "predict": "--inputs descriptors --regressor ridge",
    "design": "--screened 8 --trials 0",
    "simulate spinodal": "--dry-run",
    "simulate random-field": "--images-per-condition 4 --size 32",
    "simulate superimpose": "--images-per-condition 2 --size 32",
    "study run": "--dry-run",
}
"""Verbs, and what is appended to them."""
NOT_HERE = (
    "ni_superalloy/images",
    "uhcs600/images",
    "spheroidite.zip",
    "theirs.zip",
    "--hub",
    "hf:you/steel",
    "--watch",
    "plot",
    "--by-condition",
)
"""Data that do not come with Sorby, a hub, what waits for another program, and what takes long however small."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("reader")
    fill(made)
    return made


@pytest.mark.parametrize("page", pages())
def test_every_command_of_a_page_is_one_that_sorby_takes(page):
    asked = [(words, True) for words in commands(page)] + [(words, False) for words in mentions(page)]
    assert {shlex.join(words): fault for words, whole in asked if (fault := fault_of(words, whole=whole))} == {}


@pytest.mark.parametrize("page", [f"docs/{name}.md" for name in RUN])
def test_the_commands_of_a_page_run_in_order(page, folder, tmp_path, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    monkeypatch.chdir(here)
    done = to_run(page)
    remove_what_is_made(here, done)
    for words in done:
        print("sorby", *words)
        run(words)
    if page == "docs/export.md":
        draws_without_sorby(python(page)[0])


def draws_without_sorby(example):
    """The example of the page draws what the file's own generator may: four grey pictures that differ."""
    pytest.importorskip("onnxruntime")
    assert "sorby" not in example
    names = {}
    exec(example, names)
    assert names["pictures"].shape == (4, 1, 64, 64)
    assert names["pictures"].std(axis=0).mean() > 1
    assert [path.name for path in sorted(Path().glob("synthetic*.png"))] == [f"synthetic{i}.png" for i in range(4)]


def fault_of(words, *, whole):
    try:
        parse(words, whole=whole)
    except Exception as error:  # as many kinds as there are options
        return str(error) or type(error).__name__
    return None


def to_run(page):
    """The commands, shorter; a second time only where the page shows that a training goes on."""
    done = []
    for words in commands(page):
        if not set(words) & set(NOT_HERE) and (words[0] == "train" or shorter(words) not in done):
            done.append(shorter(words))
    return done


def shorter(words):
    for verb, more in LONG.items():
        if words[: len(verb.split())] == verb.split() and "--dry-run" not in words:
            quick = [] if verb != "evaluate" or "--network" in words else ["--network", "efficientnet-lite0"]
            return words + more.split() + quick
    return words


def remove_what_is_made(here: Path, run_in_order):
    """Out of the folder goes what a page makes itself before it uses it."""
    used = set()
    for words in run_in_order:
        if "--dry-run" in words:
            continue
        made = words[words.index("--out") + 1] if "--out" in words else None
        used |= {word for word in words if word != made}
        if made is not None and made not in used:
            remove(here / made)
            used.add(made)


def remove(path: Path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def test_seventy_commands_and_more_are_not_only_parsed():
    every = [words for page in pages() for words in commands(page)]
    done = [words for name in RUN for words in to_run(f"docs/{name}.md")]
    dry = sum("--dry-run" in words for words in done)
    print(f"{len(every)} commands: {len(done) - dry} run, {dry} with --dry-run, the others parsed")
    assert len(done) >= 70


def test_an_option_that_there_is_not_is_found():
    assert "--kimgs" in fault_of(["train", "steel.zip", "--kimgs", "3"], whole=True)
    assert "--kimgs" in fault_of(["transfer", "uhcs-64", "steel.zip", "--kimgs", "3"], whole=True)
    assert "--kimgs" in fault_of(["train", "--kimgs", "3"], whole=False)

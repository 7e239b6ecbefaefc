"""Lines of the shell on the pages that are no `sorby` commands: benchmarks, `make`, `pip`, and programs of others.

Benchmarks take minutes to hours: each is begun with its arguments and ends where it has read them. Of `make` the target
is there, of `pip` the extra or the file. What `NOT_LOOKED_AT` has is neither run nor read.
"""

import argparse
import re
import runpy
import shlex
import sys
import tomllib
from itertools import dropwhile, pairwise

import pytest

from tests.docs.commands import ROOT, lines, mentions, pages, parse

PAGES = [*pages(), "benchmarks/README.md", "CONTRIBUTING.md"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NOT_LOOKED_AT = {
    "source": "of the shell",
    "git": "fetches the official code, for those who want to compare",
    "ray": "tests/study/test_cluster.py starts a cluster so",
    "jupyter": "tests/docs/test_notebooks.py runs the notebooks",
}


def words_of(program):
    """Of each line that begins so, or stands in the text between backticks, what comes after."""
    shown = [words[1:] for page in PAGES for words in plain_lines(page) if words[0] == program]
    told = [words for page in PAGES for words in mentions(page, program)]
    return list(dict.fromkeys(shlex.join(words) for words in shown + told))


def plain_lines(page):
    """Without settings of the environment before a command."""
    return [list(dropwhile(re.compile(r"[A-Z_]+=").match, words)) for words in lines(page)]


def of_the_makefile():
    """Arguments of Python there, without what depends on a variable."""
    return re.findall(r"python (benchmarks/[^$\n]+?) *(?:\$|\n)", MAKEFILE)


class HasReadError(Exception):
    """Ends a script that has read its arguments."""


@pytest.fixture
def ends_when_read(monkeypatch):
    """A script goes no further than its arguments, or than a browser."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(parser, *given):
        raise HasReadError(read(parser, *given))

    def browser():
        raise HasReadError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr("playwright.sync_api.sync_playwright", browser)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def begin(words, monkeypatch):
    """Run a script of the repository as Python does."""
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(ROOT / words[0]), run_name="__main__")


@pytest.mark.parametrize("line", [line for line in words_of("python") if not line.startswith("-m")] + of_the_makefile())
def test_a_script_takes_the_arguments_that_a_page_gives_it(line, ends_when_read, monkeypatch):
    with pytest.raises(HasReadError):
        begin(shlex.split(line), monkeypatch)


def test_an_argument_that_a_script_does_not_take_is_found(ends_when_read, monkeypatch):
    with pytest.raises(SystemExit):
        begin(["benchmarks/support.py", "ridge", "--seedlings", "300"], monkeypatch)


def test_modules_of_python_are_there(ends_when_read, monkeypatch):
    for line in words_of("python"):
        if line.startswith("-m "):
            module, *arguments = shlex.split(line)[1:]
            if module.startswith("tests."):
                with pytest.raises(HasReadError):
                    begin([f"{module.replace('.', '/')}.py", *arguments], monkeypatch)
                continue
            assert module in ("pytest", "sorby"), line
            assert all((ROOT / argument).exists() for argument in arguments), line


def test_every_target_of_make_is_there():
    known = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
    assert {target for line in words_of("make") for target in line.split() if "=" not in target} <= set(known)


def test_what_pip_installs_of_sorby_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in words_of("pip"):
        words = shlex.split(line)
        assert words[0] == "install", line
        assert set(re.findall(r"(?:sorby|\.)\[(\w+)\]", line)) <= set(project["optional-dependencies"])
        assert all((ROOT / file).is_file() for option, file in pairwise(words) if option == "-r")


def test_what_torchrun_starts_is_a_command_that_sorby_takes():
    for line in words_of("torchrun"):
        words = shlex.split(line)
        parse(words[words.index("sorby") + 1 :])


def test_every_line_begins_with_a_program_that_is_known():
    found = {words[0] for page in PAGES for words in plain_lines(page)}
    assert found == {"sorby", "python", "make", "pip", "torchrun", *NOT_LOOKED_AT}

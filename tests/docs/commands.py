"""What a page has its reader type: `sorby` commands, Python, and other lines of the shell."""

import re
import shlex
from pathlib import Path

import typer

from sorby.cli import app

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("bash", "")

Words = list[str]
"""A line of the shell."""


def pages() -> list[str]:
    """README and all pages, by path from the root."""
    return [str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]


def steps(page: str) -> list[Words | str]:
    """What the page shows, in order: the words of each line of the shell, and each block of Python as it stands."""
    found: list[Words | str] = []
    for block in FENCE.finditer((ROOT / page).read_text(encoding="utf-8")):
        if block["language"] == "python":
            found.append(block["text"])
        elif block["language"] in SHELL:
            lines = block["text"].replace("\\\n", " ").splitlines()
            found += [words for line in lines if (words := shlex.split(line, comments=True))]
    return found


def blocks(page: str) -> list[str]:
    """Its blocks of Python."""
    return [step for step in steps(page) if isinstance(step, str)]


def lines(page: str) -> list[Words]:
    """Its lines of the shell."""
    return [step for step in steps(page) if not isinstance(step, str)]


def commands(page: str) -> list[Words]:
    """Words after `sorby`, of each command that begins so."""
    return [words[1:] for words in lines(page) if words[0] == "sorby"]


def mentions(page: str, program: str = "sorby") -> list[Words]:
    """Words after the program of what stands between single backticks in the text: often without its arguments."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [shlex.split(words) for words in re.findall(rf"(?<!`)`{program} ([^`]+)`", text)]


def parse(words: Words, *, whole: bool = True) -> None:
    """Resolve the verb and read its options, and do nothing; arguments may be missing where it is not `whole`."""
    group = typer.main.get_command(app)
    name, verb, rest = group.resolve_command(typer.Context(group), list(words))
    if verb.name == "study" and rest:
        name, verb, rest = verb.resolve_command(typer.Context(verb), rest)
    if not whole:
        known = {option for of in verb.get_params(typer.Context(verb)) for option in (*of.opts, *of.secondary_opts)}
        if unknown := [word for word in rest if word.startswith("--") and word not in known]:
            raise ValueError(f"{name} has no {' '.join(unknown)}")
        return
    read = verb.make_context(name, rest)
    if verb.name == "transfer":  # the others are options of another verb
        parse(["train", "DATASET", *(read.params["options"] or [])])


def run(words: Words) -> None:
    """Do what the command says, in this process. Raises whatever goes wrong; `design` may answer no."""
    status = app(words, prog_name="sorby", standalone_mode=False)
    assert status in ((None, 0, 1) if words[0] == "design" else (None, 0)), f"exit code {status}"

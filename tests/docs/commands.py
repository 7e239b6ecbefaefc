"""The `sorby` commands of a page, as its reader would type them."""

import re
import shlex
from pathlib import Path

import typer

from sorby.cli import app

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("bash", "")


def pages() -> list[str]:
    """README and all pages, by path from the root."""
    return [str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]


def commands(page: str) -> list[list[str]]:
    """Words after `sorby`, of each command in a block of the shell, in order."""
    lines = [
        line
        for block in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
        if block["language"] in SHELL
        for line in block["text"].replace("\\\n", " ").splitlines()
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("sorby ")]


def python(page: str) -> list[str]:
    """The blocks of Python of a page, in order."""
    blocks = FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
    return [block["text"] for block in blocks if block["language"] == "python"]


def mentions(page: str) -> list[list[str]]:
    """Words after `sorby` of what stands between single backticks in the text: often without its arguments."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [shlex.split(words) for words in re.findall(r"(?<!`)`sorby ([^`]+)`", text)]


def parse(words: list[str], *, whole: bool = True) -> None:
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


def run(words: list[str]) -> None:
    """Do what the command says, in this process. Raises whatever goes wrong; `design` may answer no."""
    status = app(words, prog_name="sorby", standalone_mode=False)
    assert status in ((None, 0, 1) if words[0] == "design" else (None, 0)), f"exit code {status}"

"""Whatever README and the pages tell a reader to do is done: each `sorby` command, and each block of Python.

A page begins with the folder of `tests.docs.folder`, and its commands and blocks are done in their order, in this
process. What would take minutes is done with smaller numbers, which `tests.docs.shorter` has; studies are those that
come with Sorby, with two variants and trainings of a moment, whose runs are worked on here and not timed beforehand;
`sorby serve` ends once its page has come; and means of blocks stand in for the features that networks take of pictures,
but on the page about evaluation. Not done but only begun (`--dry-run`) is what `DRY` has, with the reason.
Lines of the shell that are no `sorby` commands are those of test_other_lines.py, which reads and does not run them.
"""

import re
import shlex
import shutil
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import uvicorn

from sorby.study.estimate import amount
from sorby.study.file import read_study
from tests.docs.commands import blocks, commands, mentions, pages, parse, run, steps
from tests.docs.folder import fill
from tests.docs.shorter import APPENDED, BEFORE, DRY, INSTEAD, LESS, has, less, shorter
from tests.evaluation.made import block_means
from tests.hub_server import as_the_hub
from tests.study.crews import Here
from tests.study.test_estimate import TIMING

SERVE = uvicorn.Server.run
WITH_STEPS = [page for page in pages() if commands(page) or blocks(page)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("reader")
    fill(made)
    return made


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """A copy of the folder, to work in."""
    shutil.copytree(folder, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def in_this_process(monkeypatch):
    """Studies begin no processes, and the explorer ends once its page has come."""
    monkeypatch.setattr("sorby.study.local.Local", lambda folder, *_, **__: Here(folder))
    monkeypatch.setattr("sorby.study.estimate.timed", lambda _, runs, *__, **___: [timing_of(run) for run in runs])
    monkeypatch.setattr("uvicorn.Server.run", answer_once)
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.fixture
def quick_features(request, monkeypatch):
    """Means of blocks are what networks say of pictures, but on the page about evaluation."""
    if request.getfixturevalue("page") != "docs/evaluate.md":
        for room in ("evaluation.scores", "metrics.quick", "study.measures"):
            monkeypatch.setattr(f"sorby.{room}.load_network", lambda *_, **__: block_means())


@pytest.fixture
def hub(request, monkeypatch, tmp_path):
    """The hub of the page about exports is a small one on this machine."""
    if request.getfixturevalue("page") != "docs/export.md":
        yield
        return
    with as_the_hub(monkeypatch, tmp_path):
        monkeypatch.setenv("HF_TOKEN", "good")
        yield


@pytest.fixture(scope="session")
def explorer():
    """The address of the explorer that docs/explorer.md asks."""
    from sorby.app.opened import open_all
    from sorby.app.server import application
    from tests.app.conftest import serving

    with serving(application(open_all([Path("uhcs-classes-64")]))) as address:
        yield address


@pytest.mark.parametrize("page", WITH_STEPS)
def test_what_a_page_shows_can_be_done_in_its_order(page, here, in_this_process, quick_features, hub, request):
    done = to_do(page)
    remove_what_is_made(here, done)
    names: dict[str, object] = {}
    for step in done:
        if isinstance(step, str):
            if "127.0.0.1:7860" in step:
                step = step.replace("http://127.0.0.1:7860", request.getfixturevalue("explorer"))
            print(step)
            exec(compile(step, page, "exec"), names)
        else:
            print("sorby", *step)
            run(step)


@pytest.mark.parametrize("page", pages())
def test_every_command_in_the_text_of_a_page_is_one_that_sorby_takes(page):
    faults = {shlex.join(words): fault_of(words, whole=False) for words in mentions(page)}
    assert {words: fault for words, fault in faults.items() if fault} == {}


def test_nothing_stands_among_what_is_shortened_that_no_page_has():
    every = [words for page in pages() for words in commands(page)]
    assert [those for those in (*APPENDED, *DRY) if not any(has(words, those) for words in every)] == []
    assert [word for word in INSTEAD if not any(word in words for words in every)] == []
    assert BEFORE.keys() | LESS.keys() <= set(pages())
    absent = {page: [part for part in LESS[page] if part not in "".join(blocks(page))] for page in LESS}
    assert {page: parts for page, parts in absent.items() if parts} == {}


def test_hardly_a_command_is_only_begun():
    every = [words for page in pages() for words in commands(page)]
    done = [shorter(words) for words in every]
    as_written = sum(words == more for words, more in zip(every, done, strict=True))
    dry = sum("--dry-run" in more and "--dry-run" not in words for words, more in zip(every, done, strict=True))
    pythons = [(page, block) for page in pages() for block in blocks(page)]
    shortened = sum(less(block, page) != block for page, block in pythons)
    print(f"{len(every)} commands: {as_written} as written, {dry} with --dry-run, the others with smaller numbers")
    print(f"{len(pythons)} blocks of Python, {shortened} of them with smaller numbers")
    assert len(every) >= 140
    assert dry <= 3


def test_an_option_that_there_is_not_is_found():
    assert "--kimgs" in fault_of(["train", "steel.zip", "--kimgs", "3"], whole=True)
    assert "--kimgs" in fault_of(["transfer", "uhcs-64", "steel.zip", "--kimgs", "3"], whole=True)
    assert "--kimgs" in fault_of(["train", "--kimgs", "3"], whole=False)


def timing_of(run):
    """Each step takes a second."""
    return TIMING.model_copy(update={"steps": dict.fromkeys(amount(run.config, 0).steps, 1.0)})


def fault_of(words, *, whole):
    try:
        parse(words, whole=whole)
    except Exception as error:  # as many kinds as there are options
        return str(error) or type(error).__name__
    return None


def to_do(page):
    """Commands and blocks, shorter; a second time only where the page shows that a training goes on."""
    done = [before.split() for before in BEFORE.get(page, [])]
    for step in steps(page):
        if isinstance(step, str):
            done.append(less(step, page))
        elif step[0] == "sorby" and (step[1] == "train" or shorter(step[1:]) not in done):
            done.append(shorter(step[1:]))
    return done


def remove_what_is_made(here: Path, done):
    """Out of the folder goes what a page makes itself before it uses it."""
    used = set()
    for step in done:
        if "--dry-run" in step and step[0] != "study":
            continue
        made, words = made_by(step)
        used |= {word for word in words if word != made}
        if made is not None and made not in used:
            remove(here / made)
            used.add(made)


def made_by(step):
    """What a command or a block makes, if anything, and all words or texts that it has."""
    if isinstance(step, str):
        made = re.search(r'sorby\.(?:train|simulate)\((?:dataset|"[\w-]+"), "([^"]+)"', step)
        return made and made[1], re.findall(r'"([^"]*)"', step)
    if step[0] == "study":
        return None, [*step, read_study(Path(step[2])).dataset.name]
    return step[step.index("--out") + 1] if "--out" in step else None, step


def remove(path: Path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def answer_once(server, sockets):
    """In place of serving for ever: what the explorer opened is there for a browser."""
    thread = threading.Thread(target=SERVE, args=(server, sockets))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with urlopen("http://{}:{}".format(*sockets[0].getsockname()[:2])) as page:
        assert b"<html" in page.read()
    server.should_exit = True
    thread.join()

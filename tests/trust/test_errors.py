"""Every error says, on one line, what came, what was expected and what to do; errors.py has them all."""

import ast
import re

import numpy as np
import pytest

from sorby.cli.choices import seeds_of
from sorby.cli.generate import _amount
from sorby.cli.prepare import _cut, _limits
from sorby.cli.train import assignments, chosen_device
from sorby.config import from_toml
from sorby.errors import SorbyError, unfit
from sorby.microstructure.describe import Segmentation
from sorby.microstructure.full import euler_density
from sorby.phase_map import write_phase_map
from sorby.report.video import write_video
from sorby.training import environment
from tests.trust.errors import SELDOM, Site, sites

LEAST_WORDS = 5
JARGON = re.compile(
    r"NoneType|Traceback|<class|object at 0x|\btensor\(|Errno|ndarray|\bValidation|Input should|Value error"
)
DO = re.compile(
    r"expected|\b(draw|give|choose|check|copy|prepare|run|look|add|leave|save|export|name|write|make|move|remove|start|train|"
    r"pip|set|ask|take|raise|lower|use|wait|try|load|correct|fill|mend|cut|find|pack|unpack|delete|project|import|"
    r"report|update|put|connect|go on|open|simulate|hold out|resample|merge|rename|see|goes? on|end|answer|judge|begin|"
    r"enlarge|did you mean|label|evaluate|walk|needs?|decide|bring|say|at most|at least|takes?)\b",
    re.IGNORECASE,
)
NOTHING_TO_DO = {
    "interop/": "networks of a kind that Sorby has not: each says which, and what Sorby's are like",
    "cli/generate.py: ConfigError(f'What is": "says where conditions go",
    "decode.py: DataError(f'{name} {reason}')": "the reason says it",
    "design/learned.py": "the verdict says it: the property does not follow from pictures",
    "evaluation/scores.py": "the note of the network says where its weights belong",
    "simulation/dataset.py: ConfigError(f'All pictures": "a simulator that cannot do it",
    'study/file.py: ConfigError(f"{path} has {name!r}': "tells the nearest name",
    "training/tick.py: ConfigError(f'{run.name}/config.toml: {error}')": "the error within says it",
}
"""Errors after which a user has no other choice than to leave it, by the beginning of their keys, and why."""


def words_of(site: Site) -> str:
    """The text of a message, each value that it quotes as VALUE."""
    call = ast.parse(site.code, mode="eval").body
    (told,) = call.args
    return "".join(
        part.value if isinstance(part, ast.Constant) else "VALUE"
        for part in (told.values if isinstance(told, ast.JoinedStr) else [told])
    )


@pytest.mark.parametrize("site", sites(), ids=lambda site: f"{site.file}:{site.first}")
def test_each_error_is_one_sentence_that_says_what_to_do(site):
    text = words_of(site)
    if text == "VALUE":  # made elsewhere, where its own tests read it
        return
    assert "\n" not in text
    assert len(text.split()) >= LEAST_WORDS or "VALUE" in text
    assert not JARGON.search(text)
    assert text.endswith((".", "?", "VALUE", "..."))
    if not any(site.key.startswith(start) for start in NOTHING_TO_DO):
        assert DO.search(text) or text.endswith("VALUE."), "neither what was expected nor what to do"


def test_no_error_is_called_seldom_that_there_is_not():
    assert [start for start in SELDOM if not any(site.key.startswith(start) for site in sites())] == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"type": "missing", "msg": "Field required", "input": {}}, "nothing came, expected a value"),
        (
            {"type": "float_type", "msg": "Input should be a valid number", "input": "x"},
            "expected a number (came: 'x')",
        ),
        (
            {"type": "greater_than", "msg": "Input should be greater than 0", "input": -1},
            "expected more than 0 (came: -1)",
        ),
        ({"type": "list_type", "msg": "Input should be a valid list", "input": {"a": [1]}}, "expected a list"),
    ],
)
def test_what_pydantic_finds_is_said_in_our_words(fault, words):
    assert unfit(fault) == words


def _too_many_phases(folder):
    names = [str(number) for number in range(300)]
    write_phase_map(folder / "a.png", np.zeros((2, 2), np.int64), pixel_size_um=1.0, phases=names, about={})


def _damaged_record(folder):
    (folder / environment.FILE).write_text("{}x\n")
    environment.read(folder)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _: seeds_of("--rows", "1,x"), "--rows '1,x': expected numbers from 0 on, such as 0,1,2."),
        (lambda _: _amount("pca-1", "far"), "--move pca-1=far: expected a number of standard deviations, such as 1.5."),
        (lambda _: _cut("left", patches=False), "--crop left: expected --crop centre, or --patches, not both."),
        (lambda _: _limits(["crack"]), "--limit crack: expected NAME=NUMBER, such as saturated=0.8."),
        (lambda _: from_toml("a = "), "The settings are not TOML ("),
        (lambda _: assignments(["network=1", "network.size=64"]), "network was already given a value of its own."),
        (
            lambda _: chosen_device("abacus"),
            "Device 'abacus' is not known: choose one of cpu, cuda, mps, xpu, or auto.",
        ),
        (lambda _: euler_density(np.zeros((1, 5), bool)), "The image has 1 x 5 px; expected 2 x 2 or more"),
        (lambda _: Segmentation(phases=99), "99 phases were asked for: expected 2 to "),
        (lambda _: Segmentation(window_px=5, phases=3), "a local threshold parts two phases by itself: leave out"),
        (lambda here: write_video(here / "a.avi", [], fps=1, about={}), "a.avi cannot be written as a film: expected"),
        (_too_many_phases, "cannot hold 300 phases: at most 256; write a .vti."),
        (_damaged_record, "environment.jsonl is damaged ("),
    ],
)
def test_errors_that_nothing_else_makes_read_well(call, says, tmp_path):
    with pytest.raises(SorbyError, match=re.escape(says)):
        call(tmp_path)

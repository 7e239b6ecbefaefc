"""Errors that a user can mend: each says what came, what was expected, and what to do.

    SorbyError
    ├── DataError      an image, a dataset or a table of labels
    ├── ConfigError    a setting, a preset, or a run folder of other settings
    ├── WeightsError   a generator, a checkpoint, or the weights of a feature network
    └── TrainingError  a training that can not go on

The command line prints the message on one line and exits with code 2. Anything else is a bug and keeps its traceback.
"""

from collections.abc import Mapping
from typing import Any

MOST_LETTERS = 2000
"""Of a message, which may quote what is longer."""


class SorbyError(Exception):
    """Something the user can mend. Its message is one line, whatever names and tables of others it quotes."""

    def __str__(self) -> str:
        line = printable(super().__str__())
        return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]} ..."


def printable(text: str) -> str:
    r"""`text` on one line, without what moves the cursor of a terminal or cannot be written.

    >>> printable("a\x1b[2J\nb")
    'a�[2J b'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text)


def unfit(fault: Mapping[str, Any]) -> str:
    """What does not fit, from what pydantic says of it.

    >>> unfit({"msg": "Input should be less than or equal to 1", "type": "less_than_equal", "input": 2})
    'expected at most 1 (came: 2)'
    >>> unfit({"msg": "Value error, 3 is odd: expected 2 or 4", "type": "value_error", "input": 3})
    '3 is odd: expected 2 or 4'
    """
    words = fault["msg"].removeprefix("Value error, ")
    for theirs, ours in _WORDS.items():
        words = words.replace(theirs, ours)
    tells = fault["type"] in ("value_error", "missing", "extra_forbidden") or not isinstance(
        fault["input"], str | int | float
    )
    return words if tells else f"{words} (came: {fault['input']!r})"


_WORDS = {
    "Input should be ": "expected ",
    "Field required": "nothing came, expected a value",
    "Extra inputs are not permitted": "nothing is called so: check the name",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "a valid dictionary or instance of NetworkConfig": "settings of the networks by their names, such as network.z_dim",
    "a valid boolean": "true or false",
    "a valid integer": "a whole number",
    "a valid ": "a ",
    ", unable to interpret input": "",
    ", unable to parse string as an integer": "",
    ", unable to parse string as a number": "",
    ", got a number with a fractional part": "",
}


class DataError(SorbyError):
    """An image, a dataset or a table of labels cannot be used."""


class ConfigError(SorbyError):
    """A setting is unknown, out of range, or contradicts another."""


class WeightsError(SorbyError):
    """Weights are missing, damaged, or belong to another network."""


class TrainingError(SorbyError):
    """The losses are not finite any more; the last checkpoint is from before."""

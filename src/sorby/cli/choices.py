"""Options that are one of a few words, or a list of numbers."""

from typing import Any, get_args

from sorby.errors import ConfigError

MARK = "Draw the word SYNTHETIC into each picture; leave it out where pictures are to be measured."


def chosen(option: str, text: str, words: object) -> Any:
    """`text`, one of the `words` of a Literal type; raises `ConfigError`, which tells them all, where it is not."""
    if text not in get_args(words):
        raise ConfigError(f"{option} {text!r} is not known: choose {', '.join(get_args(words))}.")
    return text


def seeds_of(option: str, text: str) -> list[int]:
    """Numbers from 0 on, between commas; raises `ConfigError` for anything else.

    >>> seeds_of("--seeds", "0,3")
    [0, 3]
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0:
        raise ConfigError(f"{option} {text!r}: expected numbers from 0 on, such as 0,1,2.")
    return seeds

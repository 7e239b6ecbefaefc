"""What a request asks for, from the words of its address."""

import math
from collections.abc import Sequence

from sorby.errors import ConfigError
from sorby.generator import Generator, Values

MOST_PICTURES = 64
"""Drawn for one request."""
FURTHEST_SD = 10.0
"""That one moves along a direction."""


def seeds_of(text: str) -> list[int]:
    """`0-3,9` to its numbers. Raises `ConfigError` for anything else, and for more than are drawn at once.

    >>> seeds_of("0-3,9")
    [0, 1, 2, 3, 9]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(first) > 9 or len(last) > 9:
            raise ConfigError(f"Seeds {text[:40]!r}: expected numbers from 0 on, such as 0-15 or 3,7.")
        if int(last or first) - int(first) >= MOST_PICTURES:
            raise ConfigError(f"Seeds {part}: at most {MOST_PICTURES} pictures are drawn at once.")
        seeds += range(int(first), int(last or first) + 1)
    if len(seeds) > MOST_PICTURES:
        raise ConfigError(f"{len(seeds)} seeds came: at most {MOST_PICTURES} pictures are drawn at once.")
    return seeds


def condition_of(generator: Generator, texts: Sequence[str]) -> tuple[Values | None, list[str]]:
    """`temperature=900` and so on to a condition, and what is outside the data; None where nothing is asked for.

    Raises `ConfigError` for what the generator does not know.
    """
    if not texts:
        return None, []
    asked: dict[str, str | float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in asked:
            raise ConfigError(f"Condition {text!r}: expected NAME=VALUE, each once, such as temperature=900.")
        asked[name] = value
    generator.card.space.encode(asked)  # refuses what cannot be drawn
    return asked, generator.card.space.out_of_range(asked)


def moves_of(texts: Sequence[str]) -> dict[str, float]:
    """`pca-1=1.5` and so on to standard deviations by the names of directions. Raises `ConfigError` for anything else.

    >>> moves_of(["pca-1=1.5", "sefa-2=-3"])
    {'pca-1': 1.5, 'sefa-2': -3.0}
    """
    moves: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            amount = float(value)
        except ValueError:
            amount = math.nan
        if not abs(amount) <= FURTHEST_SD or name in moves:
            raise ConfigError(
                f"Move {text[:40]!r}: expected NAME=SD, each once, of at most {FURTHEST_SD:g} standard deviations, "
                "such as pca-1=1.5."
            )
        moves[name] = amount
    return moves


def one_of(text: str, choices: Sequence[str], what: str) -> str:
    """`text`, which has to be one of `choices`. Raises `ConfigError`, which tells them, where it is not."""
    if text not in choices:
        raise ConfigError(f"{what} {text!r} is not known: choose from {', '.join(choices)}.")
    return text

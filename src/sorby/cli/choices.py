"""An option that is one of a few words."""

from typing import Any, get_args

from sorby.errors import ConfigError


def chosen(option: str, text: str, words: object) -> Any:
    """`text`, one of the `words` of a Literal type; raises `ConfigError`, which tells them all, where it is not."""
    if text not in get_args(words):
        raise ConfigError(f"{option} {text!r} is not known: choose {', '.join(get_args(words))}.")
    return text

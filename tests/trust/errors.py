"""Every error that Sorby can give a user, whether the tests reach it, and what it then says.

    python -m tests.trust.errors [--unreached]

prints them as a table, from what the last runs of the tests have left in the cache of pytest.
"""

import argparse
import ast
import functools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorby.errors import SorbyError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sorby"
KINDS = ("SorbyError", "DataError", "ConfigError", "WeightsError", "TrainingError", "LostError")
CACHED = "sorby/errors"
"""Where pytest's cache keeps what was said, site by site."""
MOST_KEPT = 3
"""Messages of one site."""


@dataclass(frozen=True)
class Site:
    """A place of the code that makes an error."""

    file: str
    """In src/sorby."""
    code: str
    """The call, as text: it stays the same where lines move."""
    first: int
    last: int
    """Lines."""

    @property
    def key(self) -> str:
        return f"{self.file}: {self.code}"


@functools.cache
def sites() -> list[Site]:
    """All places of the code that make an error for the user."""
    return [site for path in sorted(SOURCE.rglob("*.py")) for site in _sites_of(path)]


def _sites_of(path: Path) -> Iterator[Site]:
    file = path.relative_to(SOURCE).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            yield Site(file, ast.unparse(node), node.lineno, node.end_lineno or node.lineno)


class Recorder:
    """Writes down where each error is made, and its message, from `start` on."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, int], list[str]] = {}
        """Messages by file and line."""

    def start(self) -> None:
        """Let the errors themselves tell."""
        plain: Callable[..., None] = SorbyError.__init__

        def tell(error: SorbyError, *words: Any) -> None:
            plain(error, *words)
            frame = sys._getframe(1)
            messages = self.said.setdefault((frame.f_code.co_filename, frame.f_lineno), [])
            if len(messages) < MOST_KEPT and str(error) not in messages:
                messages.append(str(error))

        SorbyError.__init__ = tell  # type: ignore[method-assign]

    def by_site(self) -> dict[str, list[str]]:
        """Messages by key of the site."""
        found: dict[str, list[str]] = {}
        for (file, line), messages in self.said.items():
            for site in sites():
                if SOURCE / site.file == Path(file) and site.first <= line <= site.last:
                    found.setdefault(site.key, []).extend(messages)
        return found


def main() -> None:
    """Print all errors, or those that no test has reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unreached", action="store_true")
    unreached_only = parser.parse_args().unreached
    cache = ROOT / ".pytest_cache" / "v" / CACHED
    said: dict[str, list[str]] = json.loads(cache.read_text()) if cache.is_file() else {}
    for site in sites():
        messages = said.get(site.key, [])
        if messages and unreached_only:
            continue
        print(f"{site.file}:{site.first}  {'' if messages else site.code}")
        for message in messages:
            print(f"    {message}")
    print(f"{sum(site.key in said for site in sites())} of {len(sites())} errors were reached")


if __name__ == "__main__":
    main()

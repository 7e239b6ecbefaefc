"""Every error that Sorby can give a user, whether the tests reach it, and what it then says.

    python -m tests.trust.errors [--unreached]

prints them as a table, from what the last runs of the tests have left in the cache of pytest.
"""

import argparse
import ast
import functools
import json
import sys
from collections.abc import Callable, Container, Iterator
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

SELDOM = (
    "app/judge.py: ConfigError(f'Picture {number + 1} is not in this t",
    "app/nearest.py: ConfigError(f'{name} has {len(train)} training pict",
    "app/opened.py: ConfigError('nothing was named to be explored: give",
    "app/review.py: DataError(f'{sheet.name} cannot be read ({first_w",
    "app/runs.py: DataError(f'{folder.name} is being written just n",
    "app/studies.py: DataError(f'{name} is being written just now ({fir",
    "cli/design.py: ConfigError('--property is learned from pictures: g",
    "cli/interpolate.py: ConfigError(f'{name} has {len(given)} values, anoth",
    "data/archive.py: DataError(f\"{path} should be a {('file' if path.i",
    "data/dataset.py: DataError(f'{path} lacks any patch: prepare the d",
    "data/pixels.py: DataError(f'{name} has shape {came}, expected {sh",
    'data/prepare.py: DataError(f"The reference {recipe.reference} fits',
    "design/answers.py: ConfigError(f'{len(answers)} answers came: at most ",
    "design/inputs.py: DataError(f'{path} has latents of shape {table.sh",
    'design/inverse.py: ConfigError("design needs scikit-learn and Optuna: ',
    "design/labelled.py: ConfigError(f'{source} is a generator, whose pictur",
    "design/labelled.py: DataError(f'{path} has no row with {name}: fill t",
    'design/reference.py: ConfigError("design needs scikit-learn and Optuna: ',
    "evaluation/at_conditions.py: ConfigError(f'{real} is no dataset, which would say",
    "evaluation/scores.py: WeightsError(f'no feature network can be used. {note",
    "fields.py: DataError(f'--masks goes with a folder of microgr",
    'interop/foreign.py: WeightsError(f"{what} has feature maps {dict(widths)',
    "interop/imported.py: WeightsError(f'{path} holds weights of unknown shape",
    "interop/lucidrains.py: WeightsError(f'{beside} cannot be read ({first_w",
    "interop/nvidia.py: WeightsError(f'{self.what} has conv_clamp {self.clam",
    "interop/nvidia.py: WeightsError(f'{what} has more than {MOST_VALUES} va",
    'interop/rosinality.py: WeightsError(f"{what} has another {name} than [1, 3,',
    "latent/direction_files.py: WeightsError(f'{name} in {folder} is {told}, expecte",
    "latent/projection_files.py: WeightsError(f'{folder} holds {len(noise)} layers of",
    "metrics/record.py: ConfigError(f'The report has no {name} in {network}",
    "reproduce.py: ConfigError(f'{run} has no tick yet: train",
    'simulation/homogenise.py: ConfigError(f"no balance in {MOST_STEPS} steps: bri',
    "simulation/superimpose.py: DataError(f'No features of {one.name} and {other.",
    "study/cluster.py: ConfigError(\"A Ray cluster needs Ray: pip install '",
    "study/plan.py: DataError(f'{study.dataset} has no conditions, wh",
    "study/probes.py: DataError(f'A run like {run.name} was tried and k",
    "study/proposals.py: ConfigError(\"A search needs Optuna: pip install 'so",
    'study/proposals.py: ConfigError(f"{self.url} needs {error.name}: pip in',
    "study/search.py: ConfigError('This study has no [search]",
    "study/search.py: ConfigError('A trial of a search is one run: hold_o",
    "team.py: LostError('The first process has failed, and says",
    'team.py: ConfigError("Several devices need Lightning Fabric:',
    "team.py: LostError(f'The processes do not find each other ",
    "team.py: LostError(f'Another process has ended, or cannot ",
    "training/transfer.py: ConfigError(f'{source} has a discriminator of Style",
    "training/transfer.py: WeightsError(f'{source} does not fit this run at {st",
    "training/transfer.py: WeightsError(f'{source / START} cannot be read ({first_w",
    "training/transfer.py: WeightsError(f'{path} cannot be read ({first_words(e",
)
"""Errors that no test makes, by the beginning of their keys: of what is not installed, of clusters and processes
that are lost, of files damaged in rare places, and others that wait for a test. The list may only become shorter."""


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


def unreached(said: Container[str]) -> list[Site]:
    """Errors that were not made, and are not among those that seldom are."""
    return [site for site in sites() if site.key not in said and not site.key.startswith(SELDOM)]


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

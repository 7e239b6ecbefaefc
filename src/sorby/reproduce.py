"""A run once more from its folder and its data, and whether it comes to the same."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sorby.config import TrainConfig
from sorby.data.dataset import Dataset
from sorby.errors import ConfigError
from sorby.generator import Generator
from sorby.team import Team
from sorby.training import environment
from sorby.training.environment import Environment
from sorby.training.loop import crossed
from sorby.training.run import digest, train
from sorby.training.state import State
from sorby.training.tick import read_config, read_log
from sorby.untrusted import read_text

TIMES = ("img_s", "seconds")
"""Numbers of a log that are of no picture."""
PICTURES = 64


@dataclass(frozen=True)
class Tick:
    """How far the numbers of one tick agree."""

    kimg: float
    worst: str
    """The number that differs most; "" where all are the same to the bit."""
    was: float
    is_now: float

    @property
    def is_same(self) -> bool:
        """Whether every number is the same to the bit."""
        return not self.worst

    def tell(self) -> str:
        """For people."""
        same = f"{self.kimg:g} kimg: the same"
        return same if self.is_same else f"{self.kimg:g} kimg: {self.worst} was {self.was:g}, is {self.is_now:g}"


@dataclass(frozen=True)
class Outcome:
    """What running a run again came to."""

    ticks: tuple[Tick, ...]
    weights_same: bool | None
    """Whether the last generators are the same to the bit; None where the run was not repeated to its end."""
    grey_levels: float | None
    """Mean difference of pictures of the same seeds, of 255; None as above."""
    differences: tuple[str, ...]
    """Of the environments."""

    @property
    def is_same(self) -> bool:
        """Whether all that was compared is the same to the bit."""
        return all(tick.is_same for tick in self.ticks) and self.weights_same is not False


def reproduce(
    run: Path,
    dataset: Dataset,
    out: Path,
    *,
    kimg: float | None = None,
    device: torch.device | str = "cpu",
    on_tick: Callable[[Tick], None] = lambda _: None,
) -> Outcome:
    """Train anew into `out` with the settings of `run`, up to its end or to `kimg`, and compare tick by tick.

    On the same processor, with the same versions and as many threads, the same bits come out; the threads of the run
    are used. A run of several processes or of another device agrees to rounding only, which training lets grow.
    Raises `ConfigError` where `run` holds no run or no tick, or `dataset` is not what it was trained on.
    """
    if not (run / "config.toml").is_file():
        raise ConfigError(f"{run} is no run: expected the folder of a sorby train.")
    config, before = read_config(run), _by_images(read_log(run))
    if not before:
        raise ConfigError(f"{run} has no tick yet: train it first.")
    _check_data(run, dataset, config.subset, seed=config.seed)
    recorded, threads = environment.read(run), torch.get_num_threads()
    ticks: list[Tick] = []

    def compare(state: State, line: Mapping[str, Any]) -> None:
        if state.images_seen in before:
            ticks.append(compared(before[state.images_seen], line))
            on_tick(ticks[-1])

    try:
        torch.set_num_threads(recorded[0].threads if recorded else threads)
        for end in _ends(before, config, kimg):
            leg = config.model_copy(update={"kimg": end / 1000})
            train(dataset, out, leg, device=device, tensorboard=False, on_tick=compare)
        now = environment.this(Team(device), accumulate=1)
    finally:
        torch.set_num_threads(threads)
    last = _last_generators(run, out, max(before))
    return Outcome(
        tuple(ticks),
        None if last is None else last[0].hash == last[1].hash,
        None if last is None else _grey_levels(*last),
        _differences(recorded, now),
    )


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> Tick:
    """Two lines of logs. Scores are compared where both have them: the last tick of a run is scored out of turn.

    >>> compared({"kimg": 2, "p": 0.5, "seconds": 9}, {"kimg": 2, "p": 0.5, "seconds": 4}).tell()
    '2 kimg: the same'
    """
    names = [name for name in before if name in now and name not in TIMES and before[name] != now[name]]
    worst = max(names, key=lambda name: _apart(before[name], now[name]), default="")
    return Tick(before["kimg"], worst, before.get(worst, math.nan), now.get(worst, math.nan))


def _ends(before: Iterable[int], config: TrainConfig, kimg: float | None) -> list[int]:
    """Images at which the run was finished, and at last where to stop: what is logged are means from tick to tick."""
    last = max(before) if kimg is None else min(max(before), round(1000 * kimg))
    legs = (seen for seen in before if not crossed(seen, config.batch_size, every=config.tick_images))
    return [*(seen for seen in sorted(legs) if seen < last), last]


def _apart(one: float, other: float) -> float:
    """As a share of the larger."""
    return abs(one - other) / max(abs(one), abs(other))


def _by_images(log: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {line["images_seen"]: line for line in log}


def _check_data(run: Path, dataset: Dataset, subset: int | None, *, seed: int) -> None:
    data = dataset.split("train")
    data = data if subset is None else data.subset(subset, seed=seed)
    known = run / "data.sha256"
    if known.is_file() and read_text(known) != digest(data):
        raise ConfigError(f"{run} was trained on other images than {dataset.path} holds: name the dataset it was.")


def _last_generators(run: Path, out: Path, seen: int) -> tuple[Generator, Generator] | None:
    before, now = (Generator.load(folder / "last", dtype=torch.float32) for folder in (run, out))
    return (before, now) if before.card.images_seen == now.card.images_seen == seen else None


def _grey_levels(before: Generator, now: Generator) -> float:
    one, other = (generator.images(range(PICTURES)).astype(np.int16) for generator in (before, now))
    return float(np.abs(one - other).mean())


def _differences(recorded: Sequence[Environment], now: Environment) -> tuple[str, ...]:
    if not recorded:
        return ("what the run ran on was not recorded",)
    return tuple(dict.fromkeys(text for one in recorded for text in one.differences(now)))

"""What happens every tick: log, draw samples, score, keep the best, save, and say when something is wrong."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from sorby.atomic import write_text
from sorby.augment.controller import HIGH_P
from sorby.card import GeneratorCard
from sorby.config import TrainConfig, from_toml
from sorby.errors import ConfigError, DataError, TrainingError
from sorby.generator import Generator
from sorby.micrograph import write_micrograph
from sorby.models.build import AnyGenerator
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.training import checkpoint
from sorby.training.greys import Greys, greys_of, matched
from sorby.training.state import State
from sorby.training.steps import compute_dtype
from sorby.untrusted import first_words, parse_json, read_text

SCORE_SEED = 1_000_000  # first seed of the pictures that are scored, away from those that a user looks at
GREY_SEED = 2_000_000  # first seed of those whose greys are measured
GREY_PICTURES = 200
COLLAPSED = 0.1
LOGGED = ("kimg", "images_seen", "seconds")
"""Numbers of every line of the log."""
LARGEST = 1e15
"""No number of a log that counts something comes near it."""
MORE_HOLD = {"stylegan2": "r1_gamma doubled", "contragan": "n_critic doubled"}
"""What makes training of a model steadier."""


@runtime_checkable
class Scorer(Protocol):
    """Generated pictures to scores, `fid` and `recall` among them."""

    def __call__(self, generated: UInt8[np.ndarray, "n c h w"], /) -> dict[str, float]: ...


class Ticker:
    """Writes the run folder: `log.jsonl`, `samples/`, `best/`, `last/`, `checkpoint/`, TensorBoard events."""

    GRID: ClassVar[int] = 32

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        card: GeneratorCard,
        *,
        reals: UInt8[np.ndarray, "n c h w"],
        greys: Greys | None,
        scorer: Scorer | None,
        tensorboard: bool,
        report: Callable[[State, dict[str, float]], None],
        warn: Callable[[str], None],
    ) -> None:
        self.out, self.config, self.card = out, config, card
        self.model = config.network.model
        self.reals, self.greys, self.scorer = reals, greys, scorer
        self.report, self.warn = report, warn
        self.warned: set[str] = set()
        self.writer = _tensorboard(out) if tensorboard else None

    def begin(self, state: State, *, resumed: bool) -> None:
        """Start the clock; forget what was logged after the checkpoint."""
        lines = read_log(self.out) if resumed else []
        self.log = [line for line in lines if line["images_seen"] <= state.images_seen]
        self._seconds_before = self.log[-1]["seconds"] if self.log else 0.0
        self._started = self._last_time = time.perf_counter()
        self._last_images = state.images_seen
        if not resumed:
            (self.out / "samples").mkdir(exist_ok=True)
            write_micrograph(self.out / "samples" / "real.png", tile(self.reals), pixel_size_um=None, description={})

    def tick(self, state: State, averages: dict[str, float]) -> None:
        """Do everything of one tick. The checkpoint comes last: killed before it, the tick is done again."""
        self._alarm_not_finite(averages)
        network = self._network(state)
        generator = self._generator(state, network)
        pictures = generator.images(range(self.GRID))
        self._alarm_collapse(pictures)
        self._alarm_p(state)
        scores = self._score(generator, state)
        line = self._line(state, averages, scores)
        self.log.append(line)
        write_text(self.out / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in self.log))
        self._draw(pictures, state, generator)
        if scores and is_better(scores, state.best):
            state.best = {"kimg": state.images_seen / 1000, **scores}
            self._generator(state, network, scores).save(self.out / "best")
        self._generator(state, network, scores).save(self.out / "last")
        checkpoint.save(state, self.out / "checkpoint")
        self._to_tensorboard(line)
        self.report(state, line)

    def close(self) -> None:
        """Flush TensorBoard."""
        if self.writer is not None:
            self.writer.close()

    def _network(self, state: State) -> AnyGenerator:
        """The averaged weights, with the greys of the data if the settings ask for them."""
        if self.greys is None:
            return state.G_ema
        pictures = self._generator(state, state.G_ema).images(range(GREY_SEED, GREY_SEED + GREY_PICTURES))
        return matched(cast(GeneratorNetwork, state.G_ema), greys_of(pictures), self.greys)

    def _generator(self, state: State, network: AnyGenerator, scores: dict[str, float] | None = None) -> Generator:
        card = self.card.model_copy(update={"images_seen": state.images_seen, "scores": scores or {}})
        return Generator(network, card, device=state.device, dtype=compute_dtype(self.config))

    def _score(self, generator: Generator, state: State) -> dict[str, float]:
        number = state.images_seen // self.config.tick_images
        finished = state.images_seen >= self.config.total_images
        if self.scorer is None or (number % self.config.score_ticks and not finished):
            return {}
        seeds = range(SCORE_SEED, SCORE_SEED + self.config.score_images)
        return self.scorer(generator.images(seeds))

    def _line(self, state: State, averages: dict[str, float], scores: dict[str, float]) -> dict[str, Any]:
        now = time.perf_counter()
        speed = (state.images_seen - self._last_images) / (now - self._last_time)
        self._last_time, self._last_images = now, state.images_seen
        return {
            "kimg": state.images_seen / 1000,
            "images_seen": state.images_seen,
            "p": state.ada.p,
            **averages,
            **scores,
            "img_s": round(speed, 2),
            "seconds": round(self._seconds_before + now - self._started, 1),
        }

    def _draw(self, pictures: UInt8[np.ndarray, "n c h w"], state: State, generator: Generator) -> None:
        path = self.out / "samples" / f"{state.images_seen:010d}.png"
        about = {"synthetic": "true", "generator": generator.hash, "seeds": f"0 to {self.GRID - 1}"}
        write_micrograph(path, tile(pictures), pixel_size_um=self.card.pixel_size_um, description=about)

    def _to_tensorboard(self, line: dict[str, Any]) -> None:
        if self.writer is not None:
            for name, value in line.items():
                self.writer.add_scalar(name, value, line["images_seen"])
            self.writer.flush()

    def _alarm_not_finite(self, averages: dict[str, float]) -> None:
        bad = [name for name, value in averages.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(
                f"{', '.join(bad)} is not finite, training stopped; the checkpoint from before is kept in {self.out}: "
                f"start a new run with --set learning_rate halved, {MORE_HOLD[self.model]}, or precision=float32."
            )

    def _alarm_collapse(self, pictures: UInt8[np.ndarray, "n c h w"]) -> None:
        ratio = diversity(pictures) / max(diversity(self.reals), 1e-6)
        if ratio < COLLAPSED:
            self._warn_once(
                "collapse",
                f"the generated pictures differ {ratio:.0%} as much as real ones: early on, wait; if it lasts, start "
                f"a new run with {MORE_HOLD[self.model]}, or more images, or augmentation.",
            )

    def _alarm_p(self, state: State) -> None:
        if state.ada.p > HIGH_P and self.config.p is None:
            self._warn_once(
                "p",
                f"augmentation probability p is {state.ada.p:.2f}: the augmentations may leak into the pictures; more "
                f"images, {MORE_HOLD[self.model]} or fewer kimg help more than more augmentation.",
            )

    def _warn_once(self, name: str, message: str) -> None:
        if name not in self.warned:
            self.warned.add(name)
            self.warn(message)


def is_better(scores: dict[str, float], best: dict[str, float]) -> bool:
    """Lower FID times (1 + descriptor error), unless it was bought with half the variety.

    That is a recall below half of the best generator's. A descriptor error of half a standard deviation so weighs as
    much as a FID half as high again.
    """
    if not best:
        return True
    measured = "descriptor_error" in scores and "descriptor_error" in best
    rank, best_rank = (s["fid"] * (1 + s["descriptor_error"]) if measured else s["fid"] for s in (scores, best))
    return rank < best_rank and scores["recall"] >= best["recall"] / 2


def diversity(images: UInt8[np.ndarray, "n c h w"]) -> float:
    """Standard deviation over the images of each pixel, averaged, in grey values; 0 where all are alike."""
    return float(images.std(0).mean())


def tile(images: UInt8[np.ndarray, "n c h w"]) -> UInt8[np.ndarray, "H W"]:
    """One grey picture of all images, twice as wide as high; colours are averaged.

    >>> tile(np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1))
    array([[0, 1]], dtype=uint8)
    """
    n, _, h, w = images.shape
    columns = min(n, math.ceil(math.sqrt(2 * n)))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, h, w), np.uint8)
    sheet[:n] = images.mean(1).round().astype(np.uint8)
    return sheet.reshape(rows, columns, h, w).transpose(0, 2, 1, 3).reshape(rows * h, columns * w)


def read_log(run: Path) -> list[dict[str, Any]]:
    """Lines of a run's `log.jsonl`; empty where there is none. A last line that is still being copied is left out.

    Raises `DataError` where it cannot be read, or is none.
    """
    path = run / "log.jsonl"
    try:
        whole, _, _ = (read_text(path) if path.exists() else "").rpartition("\n")
        lines = [parse_json(line) for line in whole.splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"log.jsonl of {run.name} cannot be read now ({first_words(error)}): it is being written, so look again, "
            "or damaged: copy it again."
        ) from None
    if not all(map(_is_line, lines)):
        expected = f"expected {', '.join(LOGGED)} in each line"
        raise DataError(f"log.jsonl of {run.name} is no log of a training: {expected}; copy it again.")
    return lines


def read_config(run: Path) -> TrainConfig:
    """The settings of a run. Raises `ConfigError` where there are none that can be read."""
    try:
        return from_toml(read_text(run / "config.toml"))
    except ConfigError as error:
        raise ConfigError(f"{run.name}/config.toml: {error}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run.name} has no settings that can be read ({first_words(error)}): give a run.") from None


def _is_value(value: object) -> bool:
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST)


def _is_line(line: object) -> bool:
    if not isinstance(line, dict) or not all(map(_is_value, line.values())):
        return False
    return all(line.get(name) is not None and abs(line[name]) < LARGEST for name in LOGGED)


def _tensorboard(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))

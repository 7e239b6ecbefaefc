"""What the parts of a run cost on this machine: some steps, pictures and scores, timed in a process of their own.

`python -m sorby.study.probe` reads a request as JSON, and writes what it timed.
"""

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from sorby.allocator import keep_freed_memory
from sorby.config import TrainConfig
from sorby.data.dataset import Dataset, Split
from sorby.errors import SorbyError, WeightsError
from sorby.generator import Generator
from sorby.measurement.measured import descriptor_table
from sorby.metrics.cache import is_cached
from sorby.metrics.features import FEATURE_NETWORKS, FeatureNetwork, extract_features, load_network
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.neighbours import neighbour_scores
from sorby.metrics.quick import MIN_IMAGES, MOST_REAL
from sorby.metrics.sets import of_dataset
from sorby.micrograph import write_micrograph
from sorby.study.energy import JOULES_PER_KWH, Meter
from sorby.training import checkpoint
from sorby.training.batches import Batches
from sorby.training.loop import step
from sorby.training.run import augmentation, card_of, fit_to, settled
from sorby.training.state import State, new_state
from sorby.training.steps import compute_dtype, largest_tensor
from sorby.training.tick import Ticker, tile

QUICK_NETWORK = "efficientnet-lite0"
TYPICAL_P = 0.5
"""Augmentation probability of the steps timed, where a run adapts it: it begins at 0, where nothing is moved."""
MOST_PICTURES = 16
ROUNDS = 5

Clock = Callable[[], float]
T = TypeVar("T")


class Request(BaseModel):
    """What is timed."""

    model_config = ConfigDict(frozen=True)

    dataset: Path
    config: TrainConfig
    device: str
    network: str | None
    """Feature network that the run is measured with at its end; none where it is not."""
    seconds: float
    """How long the steps should take, and the pictures; a large network may take several times as long."""
    began: float
    """Time of day when the process was started."""


class Timing(BaseModel):
    """Seconds of the parts of a run on this machine, and the bytes that it needs."""

    model_config = ConfigDict(frozen=True)

    start: float
    """From nothing until the first image can be read."""
    steps: dict[str, float]
    """Of a step, by what is due in it, see `due`."""
    batch: int
    """Images of the steps timed; the seconds are scaled to the batch of the run."""
    read: float
    """A picture of the dataset."""
    draw: float
    """A generated picture."""
    save: float
    """Checkpoint and generators of a tick."""
    feature: float
    """A picture through the network of the quick scores; 0 where its weights are not on this machine."""
    features_left: int
    """Real pictures whose features no run has left for the others yet."""
    describe: float
    """The metallography of a picture."""
    compare: float
    """What a quick score costs beyond its pictures."""
    measure: float
    """A picture through the network that the run is measured with."""
    memory: float
    """Peak of the process, in bytes, with a few pictures of the dataset."""
    device_memory: float
    """Peak on the GPU, in bytes; 0 on a CPU."""
    device_total: float
    """What the GPU has."""
    checkpoint: float
    generator: float
    samples: float
    """Bytes of the files of a tick."""
    busy: float
    """Processor seconds a second."""
    watts: float | None
    energy_by: str


def due(number: int, config: TrainConfig) -> str:
    """What a step does beyond the least, such as "path_length+r1".

    The lazy regularisers of StyleGAN2, or the generator of a model whose critic learns more often.
    """
    if config.network.model == "contragan":
        return "generator" if number % config.n_critic == config.n_critic - 1 else ""
    path_length = config.path_length_weight and number % config.path_length_interval == 0
    r1 = config.r1_gamma and number % config.r1_interval == 0
    return "+".join(name for name, is_due in (("path_length", path_length), ("r1", r1)) if is_due)


def period(config: TrainConfig) -> int:
    """Steps after which `due` repeats itself."""
    if config.network.model == "contragan":
        return config.n_critic
    weights = {config.path_length_interval: config.path_length_weight, config.r1_interval: config.r1_gamma}
    return math.lcm(*(interval for interval, weight in weights.items() if weight))


def time_steps(
    do: Callable[[int], None], numbers: Mapping[str, int], *, seconds: float, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each kind of step; `numbers` has the number of one of each kind.

    Each is done once before it counts; where that alone takes longer than `seconds`, the others count at once.
    """
    began = clock()
    found: dict[str, list[float]] = {kind: [] for kind in numbers}
    first = next(iter(numbers.values()))
    _timed(do, first, clock)
    if (clock() - began) * len(numbers) < seconds:
        for number in numbers.values():
            _timed(do, number, clock)
    for _ in range(ROUNDS):
        for kind, number in numbers.items():
            found[kind].append(_timed(do, number, clock))
        if clock() - began >= seconds:
            break
    return {kind: statistics.median(times) for kind, times in found.items()}


def probe(request: Request) -> Timing:
    """Time the parts of a run. Raises `SorbyError` where it could not begin."""
    meter, began = Meter(request.device), time.perf_counter()
    data = Dataset.open(request.dataset)
    config, train = settled(fit_to(request.config, data), request.device), data.split("train")
    keep_freed_memory(largest_tensor(config, config.batch_size))
    state = new_state(config, device=request.device)
    quick = _network_or_none(QUICK_NETWORK, request.device) if config.score_ticks else None
    start = time.time() - request.began
    places = np.linspace(0, len(train) - 1, min(len(train), 2 * MOST_PICTURES)).astype(int)
    read, images = _each(lambda: train.images(places), len(places))
    of_steps = _Steps(state, config, torch.from_numpy(images), torch.from_numpy(train.conditions(places)))
    cpu, wall = time.process_time(), time.perf_counter()
    steps, batch, memory = of_steps.timed(seconds=request.seconds)
    busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
    generator = Generator(state.G_ema, card_of(train, config), device=state.device, dtype=compute_dtype(config))
    one, _ = _each(lambda: generator.images([0]), 1)
    num = int(min(max(request.seconds / 8 / one, 1), MOST_PICTURES))
    draw, pictures = _each(lambda: generator.images(range(num)), num)
    described = images[:num]
    descriptor_table([described[:1]])
    describe, _ = _each(lambda: descriptor_table([described]), len(described))
    held_out = sum(patch.split == "held-out" for patch in data.patches)
    save, sizes = _saved(state, generator, images)
    kwh, seconds = meter.kwh(), time.perf_counter() - began
    on_gpu = state.device.type == "cuda"
    return Timing(
        start=start,
        steps=steps,
        batch=batch,
        read=read,
        draw=draw,
        save=save,
        feature=_features(quick, pictures),
        features_left=_features_left(data, quick),
        describe=describe,
        compare=0.0 if quick is None else _comparison(config.score_images, len(train), held_out),
        measure=_features(_network_or_none(request.network, request.device), pictures) if request.network else 0.0,
        memory=max(memory, _peak()),
        device_memory=float(torch.cuda.max_memory_reserved(state.device)) if on_gpu else 0.0,
        device_total=float(torch.cuda.mem_get_info(state.device)[1]) if on_gpu else 0.0,
        busy=busy,
        watts=None if kwh is None else kwh * JOULES_PER_KWH / seconds,
        energy_by=meter.by,
        **sizes,
    )


def scale_of(whole: int, batch: int, seconds: float, *, few: int, of_few: float) -> float:
    """How much longer a step of `whole` images takes than one of `batch`, from that and one of `few`.

    On a line through the two; an image more costs at most its share, and half of it at least, lest noise decides.

    >>> scale_of(16, 4, 2.0, few=1, of_few=0.8), scale_of(16, 1, 2.0, few=1, of_few=2.0)
    (3.4, 16.0)
    """
    share = seconds / batch
    slope = (seconds - of_few) / (batch - few) if batch > few else share
    return 1 + min(max(slope, share / 2), share) * (whole - batch) / seconds


class _Steps:
    """Steps of a run, of as many images as there is time for."""

    def __init__(self, state: State, config: TrainConfig, images: torch.Tensor, conditions: torch.Tensor) -> None:
        self.state, self.config, self.augment = state, config, augmentation(config)
        self.images, self.conditions = images, conditions
        self.numbers = {due(number, config): number for number in reversed(range(1, period(config) + 1))}

    def timed(self, *, seconds: float) -> tuple[dict[str, float], int, float]:
        """Seconds of each kind of step at the run's batch, the images that they had, and the peak in bytes."""
        whole, few = self.config.batch_size, min(self._fewest(), self.config.batch_size)
        # Gradients and two moments of each weight come with the first step, however few its images.
        least = _resident() + 3.0 * sum(p.nbytes for net in (self.state.G, self.state.D) for p in net.parameters())
        one = self._seconds(1, few)
        if one < seconds:
            one = self._seconds(1, few)  # the first warms up, which is nothing beside a step of many seconds
        fitting = int(seconds / (one / few) / (3 * len(self.numbers))) // few * few
        batch = whole if fitting >= whole else max(fitting, few)
        if one < seconds:
            found = time_steps(lambda number: self.do(number, batch), self.numbers, seconds=seconds)
        else:
            found = {kind: one if n == 1 else self._seconds(n, few) for kind, n in self.numbers.items()}
        peak = _peak()
        factor = scale_of(whole, batch, found[due(1, self.config)], few=few, of_few=one)
        scaled = {kind: value * factor for kind, value in found.items()}
        return scaled, batch, peak + max(peak - least, 0.0) / batch * (whole - batch)

    def _seconds(self, number: int, batch: int) -> float:
        return _timed(lambda number: self.do(number, batch), number, time.perf_counter)

    def _fewest(self) -> int:
        """Images that a step can be made of: a contrast, and a mean over the batch, need two."""
        return 1 if self.config.network.model == "stylegan2" and self.config.contrastive == "none" else 2

    def do(self, number: int, batch: int) -> None:
        """Step `number` of a run with this batch."""
        group = min(self.config.network.minibatch_std_group, batch)
        network = self.config.network.model_copy(update={"minibatch_std_group": group})
        config = self.config.model_copy(update={"batch_size": batch, "network": network})
        batches = Batches(self.images, self.conditions, batch_size=batch, seed=0, symmetry=config.symmetry)
        self.state.images_seen = number * batch
        p = (TYPICAL_P if config.p is None else config.p) if config.augment else 0.0
        self.state.ada = replace(self.state.ada, p=p)
        step(self.state, batches, config, self.augment)
        if self.state.device.type == "cuda":
            torch.cuda.synchronize(self.state.device)


def _timed(do: Callable[[int], None], number: int, clock: Clock) -> float:
    began = clock()
    do(number)
    return clock() - began


def _each(do: Callable[[], T], num: int) -> tuple[float, T]:
    """Seconds for each of `num`, and what came of it."""
    began = time.perf_counter()
    result = do()
    return (time.perf_counter() - began) / num, result


def _comparison(generated: int, train: int, held_out: int) -> float:
    """Seconds of the numbers of a quick score, which the features that are compared do not change."""
    dim = FEATURE_NETWORKS[QUICK_NETWORK].dim
    rng = np.random.default_rng(0)
    sides = [min(num, MOST_REAL) for num in (train, held_out) if num >= MIN_IMAGES]
    fake = rng.random((max(generated, MIN_IMAGES), dim), np.float32)
    reals = [rng.random((num, dim), np.float32) for num in sides]
    known = [feature_stats(real) for real in reals]
    began = time.perf_counter()
    stats = feature_stats(fake)
    for real, real_stats in zip(reals, known, strict=True):
        frechet_distance(real_stats, stats)
        neighbour_scores(real, fake)
    for real in reals[:1]:
        kernel_distance(real, fake)
    return time.perf_counter() - began


def _features(network: FeatureNetwork | None, pictures: np.ndarray) -> float:
    """Seconds of a picture, where there is a network."""
    if network is None:
        return 0.0
    extract_features(network, [pictures[:1]])
    return _each(lambda: extract_features(network, [pictures]), len(pictures))[0]


def _features_left(data: Dataset, network: FeatureNetwork | None) -> int:
    """Real pictures that quick scores compare with, and whose features are not in the cache."""
    if network is None:
        return 0
    splits: tuple[Split, ...] = ("train", "held-out")
    sides = [data.split(side) for side in splits if sum(patch.split == side for patch in data.patches) >= MIN_IMAGES]
    sets = [of_dataset(side, "real").at_most(MOST_REAL, seed=0) for side in sides]
    return sum(len(images) for images in sets if not is_cached(images, network))


def _network_or_none(name: str, device: str) -> FeatureNetwork | None:
    try:
        return load_network(name, device=device)
    except WeightsError:
        return None  # the run says so; it trains without scores


def _saved(state: State, generator: Generator, images: np.ndarray) -> tuple[float, dict[str, float]]:
    """Seconds of what is written each tick, and the bytes of it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        began = time.perf_counter()
        checkpoint.save(state, out / "checkpoint")
        generator.save(out / "last")
        seconds = time.perf_counter() - began
        about = {"synthetic": "true", "generator": generator.hash}
        write_micrograph(out / "samples.png", tile(images), pixel_size_um=None, description=about)
        sizes = {"checkpoint": _bytes(out / "checkpoint"), "generator": _bytes(out / "last")}
        samples = (out / "samples.png").stat().st_size * Ticker.GRID / len(images)
    return seconds, {**sizes, "samples": samples}


def _bytes(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _peak() -> float:
    """The most memory that this process ever had, in bytes."""
    if found := _of_this_process("VmHWM"):  # what getrusage tells on Linux may be from before this program was loaded
        return found
    try:
        import resource
    except ImportError:
        return 0.0  # Windows
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _resident() -> float:
    """The memory that this process has now, in bytes; at most so much where only the peak is told."""
    return _of_this_process("VmRSS") or _peak()


def _of_this_process(name: str) -> float:
    """Bytes by a name that Linux has for them; 0 elsewhere."""
    status = Path("/proc/self/status")
    text = status.read_text() if status.is_file() else ""
    return next((float(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{name}:")), 0.0)


def main() -> None:
    """A probe's process: exit code 2 where the run could not begin, with one line that says why."""
    try:
        timing = probe(Request.model_validate_json(sys.stdin.read()))
    except SorbyError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)
    print(timing.model_dump_json())  # noqa: T201


if __name__ == "__main__":
    main()

"""What a study will take: time, memory, disk, energy and cost, from its parts timed on this machine."""

import heapq
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sorby.config import TrainConfig
from sorby.evaluation.at_conditions import keys_of
from sorby.study.crew import Place
from sorby.study.energy import JOULES_PER_KWH
from sorby.study.file import Study
from sorby.study.plan import Plan, Run, config_of
from sorby.study.probe import Timing, due, period
from sorby.study.probes import timed
from sorby.study.run import images_seen
from sorby.study.work import finished
from sorby.training.checkpoint import KEPT
from sorby.training.tick import Ticker

WATTS_PER_CORE = 12.0
"""Of a busy core whose processor is not known (Green Algorithms: Lannelongue, Grealey, Inouye 2021)."""


@dataclass(frozen=True)
class Amount:
    """What training has to do yet."""

    steps: Mapping[str, int]
    """By what is due in them."""
    ticks: int
    scores: int


@dataclass(frozen=True)
class Cost:
    """What one run will take."""

    seconds: float
    memory: float
    """Peak, in bytes."""
    disk: float
    """Bytes that it will add."""


@dataclass(frozen=True)
class Estimate:
    """What a study will take."""

    folder: Path
    runs: int
    finished: int
    begun: int
    """Not finished, with a checkpoint."""
    costs: tuple[Cost, ...]
    """Of each run that is not finished."""
    at_once: int
    """Runs that are worked on at once: as many as there are places, and as memory holds."""
    devices: int
    """Machines of CPUs, or GPUs, that are paid for."""
    wall_seconds: float
    cpu_seconds: float
    memory_free: float | None
    device_memory: float
    disk_free: float
    kwh: float | None
    energy_by: str
    price: float | None
    """Of one device for an hour."""
    notes: tuple[str, ...]

    @property
    def price_in_all(self) -> float | None:
        """Devices are paid for until the last run ends."""
        return None if self.price is None else self.price * self.devices * self.wall_seconds / 3600


def estimated(
    plan: Plan,
    folder: Path,
    places: Sequence[Place],
    *,
    threads: int = 1,
    price: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Estimate:
    """Time the parts of a study's runs on this machine, and add up what is left of them.

    Raises `DataError` or another `SorbyError` where a run could not begin.
    """
    runs = runs_of(plan)
    left = [run for run in runs if not finished(folder, run, plan.study)]
    at_once = min(len(places), len(left)) or 1
    notes: list[str] = []
    devices = [place.device for place in places[:at_once]]
    timings = timed(plan.study, left, devices, threads=threads, say=say, notes=notes)
    costs = [
        cost_of(run, timing, plan.study, seen=images_seen(folder / run.name), written=_bytes(folder / run.name))
        for run, timing in zip(left, timings, strict=True)
    ]
    memory_free, disk_free = available_memory(), float(shutil.disk_usage(_existing(folder)).free)
    fits = fitting(memory_free, max((cost.memory for cost in costs), default=0.0))
    on_each = min((fitting(timing.device_total, timing.device_memory) for timing in timings), default=1)
    fits = min(fits, sum(min(num, on_each) for num in Counter(devices).values()))
    if fits < at_once:
        notes.append(f"Memory holds {fits} of the {at_once} runs that there are places for.")
    at_once = min(at_once, fits)
    # The first runs take the features of the real pictures, and leave them for the others.
    first = [timing.feature * timing.features_left * (place < at_once) for place, timing in enumerate(timings)]
    costs = [replace(cost, seconds=cost.seconds + more) for cost, more in zip(costs, first, strict=True)]
    cpu = sum(cost.seconds * timing.busy for cost, timing in zip(costs, timings, strict=True))
    kwh, by = _energy(costs, timings, cpu, on_gpu=any(place.device != "cpu" for place in places))
    return Estimate(
        folder=folder,
        runs=len(runs),
        finished=len(runs) - len(left),
        begun=sum(images_seen(folder / run.name) > 0 for run in left),
        costs=tuple(costs),
        at_once=at_once,
        devices=len({place.device for place in places[:at_once]}),
        wall_seconds=wall([cost.seconds for cost in costs], at_once),
        cpu_seconds=cpu,
        memory_free=memory_free,
        device_memory=max((timing.device_memory for timing in timings), default=0.0),
        disk_free=disk_free,
        kwh=kwh,
        energy_by=by,
        price=price,
        notes=(*notes, *_warnings(costs, memory_free, disk_free)),
    )


def amount(config: TrainConfig, seen: int) -> Amount:
    """What is left of a training that has shown `seen` images."""
    batch, every = config.batch_size, config.tick_images
    first, last = -(-seen // batch), -(-config.total_images // batch)
    if seen >= config.total_images:
        return Amount({}, 0, 0)
    whole, rest = divmod(last - first, period(config))
    steps = Counter({kind: num * whole for kind, num in Counter(due(n, config) for n in range(period(config))).items()})
    steps.update(due(number, config) for number in range(first, first + rest))
    # A tick is a step that passes a multiple, and the last step.
    end = last * batch
    numbers = list(range(seen // every + 1, end // every + 1))
    passes_at_end = bool(numbers) and end - numbers[-1] * every < batch
    scored = sum(number % config.score_ticks == 0 for number in numbers) if config.score_ticks else 0
    scored_at_end = passes_at_end and bool(config.score_ticks) and numbers[-1] % config.score_ticks == 0
    scores = scored + (not scored_at_end) if config.score_ticks else 0
    return Amount({kind: num for kind, num in steps.items() if num}, len(numbers) + (not passes_at_end), scores)


def cost_of(run: Run, timing: Timing, study: Study, *, seen: int = 0, written: float = 0.0) -> Cost:
    """What is left of a run that has shown `seen` images and written so many bytes."""
    config, todo = run.config, amount(run.config, seen)
    patches = _num_patches(run)
    pictures = len(keys_of(run.data)) * study.num if study.measure == "conditions" else 0
    seconds = timing.start + timing.read * patches
    seconds += sum(timing.steps[kind] * num for kind, num in todo.steps.items())
    seconds += todo.ticks * (Ticker.GRID * timing.draw + timing.save)
    if todo.scores and timing.feature:
        of_real = min(_num(run, "train"), config.score_images) * (timing.read + timing.describe)
        picture = timing.draw + timing.feature + timing.describe
        seconds += of_real + todo.scores * (config.score_images * picture + timing.compare)
    seconds += pictures * (timing.draw + timing.measure + timing.describe)
    seconds += min(pictures, len(run.data)) * (timing.read + timing.measure + timing.describe)
    kept = patches + max(config.score_images, pictures)
    files = KEPT * timing.checkpoint + 2 * timing.generator + amount(config, 0).ticks * timing.samples
    return Cost(
        seconds=seconds,
        memory=timing.memory + kept * run.data.channels * run.data.size**2,
        disk=max(files - written, 0.0),
    )


def wall(seconds: Iterable[float], at_once: int) -> float:
    """Time until all runs are done, each begun in its turn at the first of so many places that is free.

    >>> wall([3, 1, 1, 1], 2), wall([], 2)
    (3.0, 0.0)
    """
    places = [0.0] * at_once
    for each in seconds:
        heapq.heapreplace(places, places[0] + each)
    return max(places)


def fitting(free: float | None, each: float) -> int:
    """Runs of `each` bytes that fit into what is free; at least one, which is tried in any case."""
    return max(int(free // each), 1) if free and each else sys.maxsize


def runs_of(plan: Plan) -> list[Run]:
    """All runs of a study; those of a search are taken to be as its first one."""
    search = plan.study.search
    if search is None:
        return list(plan.runs)
    config = config_of(plan.study, search.first, seed=plan.study.seeds[0], size=plan.data.size)
    num = search.trials + 2 * len(search.confirm)
    return [Run(f"trial-{number}", "", config, plan.data) for number in range(num)]


def available_memory() -> float | None:
    """Bytes that programs may still take here, or in this container; none where nobody tells."""
    found = []
    lines = _lines(Path("/proc/meminfo"))
    if "MemAvailable" in lines:
        found.append(float(lines["MemAvailable"].split()[0]) * 1024)
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        found.append(float(text) - float(used.read_text()))
    return min(found, default=None)


def told(estimate: Estimate) -> str:
    """The estimate for a person, as lines."""
    todo = estimate.runs - estimate.finished
    if not todo:
        return f"All {estimate.runs} runs are finished."
    so_far = [f"{num} {word}" for num, word in ((estimate.finished, "finished"), (estimate.begun, "begun")) if num]
    seconds = [cost.seconds for cost in estimate.costs]
    longest, memory = max(seconds), max(cost.memory for cost in estimate.costs)
    each = duration(longest) if longest < 1.5 * min(seconds) else f"{duration(min(seconds))} to {duration(longest)}"
    ends = datetime.now() + timedelta(seconds=estimate.wall_seconds)
    rows = {
        "runs": f"{', '.join([str(estimate.runs), *so_far])}; {estimate.at_once} at once",
        "time": f"{duration(estimate.wall_seconds)}, until {ends:%a %d %b %H:%M}; a run {each}",
        "processor": f"{duration(estimate.cpu_seconds)} of one core",
        "memory": f"{size(memory * estimate.at_once)}, a run {size(memory)}{_of(estimate.memory_free)}",
        "disk": f"{size(sum(cost.disk for cost in estimate.costs))}{_of(estimate.disk_free)}",
        "energy": f"{_kwh(estimate.kwh)} kWh, {estimate.energy_by}" if estimate.kwh is not None else estimate.energy_by,
    }
    if estimate.device_memory:
        rows["GPU memory"] = f"{size(estimate.device_memory)} a run"
    if estimate.price_in_all is not None:
        rows["cost"] = f"{estimate.price_in_all:,.2f}, at {estimate.price:g} an hour for {estimate.devices} device(s)"
    lines = [f"Estimate of what is left for {estimate.folder}, timed on this machine:"]
    lines += [f"  {name:<11}{value}" for name, value in rows.items()]
    return "\n".join([*lines, *(f"  {note}" for note in estimate.notes)])


def duration(seconds: float) -> str:
    """Time in two units at most.

    >>> duration(42.3), duration(60 * 7), duration(3600 * 5 + 60), duration(86400 * 33), duration(86400 * 900)
    ('42 s', '7 min', '5 h 1 min', '33 d 0 h', '2.5 years')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days < 365 else f"{days / 365:.1f} years"


def size(num: float) -> str:
    """Bytes for a person.

    >>> size(4.2e6), size(1.25e9), size(3e13)
    ('4.2 MB', '1.2 GB', '30 TB')
    """
    for unit, one in (("TB", 1e12), ("GB", 1e9)):
        if num >= one:
            return f"{num / one:.2g} {unit}" if num < 100 * one else f"{num / one:.0f} {unit}"
    return f"{num / 1e6:.2g} MB" if num < 100e6 else f"{num / 1e6:.0f} MB"


def _num(run: Run, split: str) -> int:
    return sum(patch.split == split for patch in run.data.patches)


def _num_patches(run: Run) -> int:
    """Pictures that a run is trained on."""
    if run.config.subset is None:
        return _num(run, "train")
    return len(run.data.split("train").subset(run.config.subset, seed=run.config.seed))


def _energy(
    costs: Sequence[Cost], timings: Sequence[Timing], cpu_seconds: float, *, on_gpu: bool
) -> tuple[float | None, str]:
    """Energy in kWh and how it is known; or none, and why."""
    joules = [
        None if timing.watts is None else timing.watts * cost.seconds
        for cost, timing in zip(costs, timings, strict=True)
    ]
    known = [each for each in joules if each is not None]
    if timings and len(known) == len(joules):
        return sum(known) / JOULES_PER_KWH, f"as in the timing ({timings[0].energy_by})"
    if on_gpu:
        return None, timings[0].energy_by if timings else ""
    return (
        cpu_seconds * WATTS_PER_CORE / JOULES_PER_KWH,
        f"assuming {WATTS_PER_CORE:g} W a busy core, as nothing measures it here",
    )


def _warnings(costs: Sequence[Cost], memory_free: float | None, disk_free: float) -> Iterator[str]:
    memory, disk = max((cost.memory for cost in costs), default=0.0), sum(cost.disk for cost in costs)
    if memory_free is not None and memory > memory_free:
        yield f"A run needs {size(memory)} of memory and {size(memory_free)} are free: it may be killed."
    if disk > disk_free:
        yield f"The study needs {size(disk)} of disk and {size(disk_free)} are free: it will stop."


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _bytes(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _lines(path: Path) -> dict[str, str]:
    """`name: value` lines of a file of the system; none where there is no such file."""
    text = path.read_text() if path.is_file() else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _of(free: float | None) -> str:
    return "" if free is None else f" of {size(free)} free"


def _kwh(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"

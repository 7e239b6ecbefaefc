"""Energy that a process used, where the machine tells, or where it can be estimated.

Several runs share a machine, whose counters count all of it. The energy of the processor packages between two readings
is therefore shared out by processor time: a process bears what it had of all the time in which processors were busy.
The shares of all processes add up to the whole, idle power included, and no energy is counted twice. The energy of a
GPU is shared equally by the processes that compute on it.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

POWERCAP = Path("/sys/class/powercap")
PROC_STAT = Path("/proc/stat")
JOULES_PER_KWH = 3.6e6
READ_SECONDS = 30.0
"""A package's counter overflows in minutes; it is read more often than that."""


class NoMeterError(Exception):
    """There is nothing to measure with, and why."""


@runtime_checkable
class Source(Protocol):
    """Something that tells energy."""

    by: str
    """How it is known."""

    def joules(self) -> float:
        """Share of this process since the last call, J. Raises `NoMeterError` where it is not told any more."""
        ...


class Meter:
    """Energy of this process on a device, and of the processor that feeds it, from its beginning."""

    def __init__(self, device: str = "cpu", *, sources: Sequence[Source] | None = None) -> None:
        """`sources` in place of those that this machine has."""
        self._joules, self._lock = 0.0, threading.Lock()
        self._sources: list[Source] = []
        try:
            self._sources, self.by = (list(sources), _told(sources)) if sources else _found(device)
        except NoMeterError as reason:
            self.by = f"not measured: {reason}"
        if any(isinstance(source, Rapl) for source in self._sources):
            threading.Thread(target=_keep_reading, args=(weakref.ref(self),), daemon=True).start()

    def kwh(self) -> float | None:
        """Energy so far; none where it cannot be measured."""
        with self._lock:
            try:
                self._joules += sum(source.joules() for source in self._sources)
            except NoMeterError as reason:
                self._sources, self.by = [], f"not measured: {reason}"
        return self._joules / JOULES_PER_KWH if self._sources else None


class Rapl:
    """Counters of the processor packages (Intel and AMD, on Linux), shared out by processor time."""

    by = "RAPL, packages shared out by processor time"

    def __init__(self, root: Path, stat: Path, own_seconds: Callable[[], float] = time.process_time) -> None:
        """Raises `NoMeterError` where there is no counter, or it cannot be read."""
        # intel-rapl:0:0 and the like are parts of packages, and psys is more than one.
        zones = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]
        self._packages = [zone for zone in zones if _read(zone / "name").startswith("package")]
        if not self._packages:
            raise NoMeterError("the processor has no RAPL counter here")
        self._stat, self._own_seconds = stat, own_seconds
        self._ranges = [int(_read(package / "max_energy_range_uj")) for package in self._packages]
        self._last = self._now()

    def joules(self) -> float:
        before, self._last = self._last, self._now()
        (counts, busy, own), (old_counts, old_busy, old_own) = self._last, before
        spent = sum((new - old) % size for new, old, size in zip(counts, old_counts, self._ranges, strict=True))
        mine, all_of_it = own - old_own, busy - old_busy
        return spent / 1e6 * (min(mine / all_of_it, 1.0) if all_of_it > 0 else float(mine > 0))

    def _now(self) -> tuple[list[int], float, float]:
        """Counters in µJ; processor seconds of all processes, and of this one."""
        counts = [int(_read(package / "energy_uj")) for package in self._packages]
        user, nice, system, _idle, _iowait, irq, softirq = map(int, _read(self._stat).split()[1:8])
        busy = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
        return counts, busy, self._own_seconds()


class Nvml:
    """The counter of an NVIDIA GPU (Volta or later), shared equally by the processes that compute on it."""

    by = "NVML, GPU shared out by the number of processes on it"

    def __init__(self, device: str) -> None:
        """Raises `NoMeterError` where there is no counter, or no nvidia-ml-py that reads it."""
        try:
            import pynvml
        except ImportError:
            raise NoMeterError("nvidia-ml-py, which reads the GPU's counter, is not installed") from None
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{_uuid(device)}")
        except pynvml.NVMLError as error:
            raise NoMeterError(f"the GPU tells no energy ({error})") from None
        self._last = self._millijoules()

    def joules(self) -> float:
        before, self._last = self._last, self._millijoules()
        # A container hides the processes of others, and on some systems its own.
        sharing = max(len(self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses)), 1)
        return (self._last - before) / 1000 / sharing

    def _millijoules(self) -> int:
        return int(self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption))

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        try:
            return question(self._gpu)
        except self._nvml.NVMLError as error:
            raise NoMeterError(f"the GPU tells no energy ({error})") from None


class CodeCarbon:
    """CodeCarbon's table of processors: the power of the one that is here, by this process's load of it.

    Silent, without network and files. Its guess at the power of memory is left out: it is that of the whole machine,
    for each process anew.
    """

    def __init__(self) -> None:
        """Raises `NoMeterError` where it is not installed."""
        try:
            import codecarbon
        except ImportError:
            raise NoMeterError("CodeCarbon, which estimates, is not installed") from None
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        self._tracker: Any = codecarbon.OfflineEmissionsTracker(
            country_iso_code="USA",  # it wants to know, for the carbon that nobody asks for here
            tracking_mode="process",
            force_mode_cpu_load=True,
            output_methods=[],
            log_level="critical",
            allow_multiple_runs=True,
        )
        self._tracker.start_task()
        model = self._tracker.get_detected_hardware().get("cpu_model") or "an unknown processor"
        self.by = f"CodeCarbon, estimated from processor time and the name {model}"

    def joules(self) -> float:
        found = self._tracker.stop_task()
        self._tracker.start_task()
        return float(found.cpu_energy) * JOULES_PER_KWH


def _found(device: str) -> tuple[list[Source], str]:
    """What this machine tells of a device. Raises `NoMeterError` where not even the device itself is known."""
    on_gpu = device.partition(":")[0] != "cpu"
    if on_gpu and not device.startswith("cuda"):
        raise NoMeterError(f"nothing tells the energy of {device}")
    sources: list[Source] = [Nvml(device)] if on_gpu else []
    try:
        sources.append(_processor())
    except NoMeterError as reason:
        if not on_gpu:
            raise
        return sources, f"{_told(sources)}; without the processor, as {reason}"
    return sources, _told(sources)


def _processor() -> Source:
    try:
        return Rapl(POWERCAP, PROC_STAT)
    except NoMeterError as no_counter:
        try:
            return CodeCarbon()
        except NoMeterError as no_estimate:
            raise NoMeterError(f"{no_counter}, and {no_estimate}") from None


def _told(sources: Sequence[Source]) -> str:
    return "; ".join(source.by for source in sources)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise NoMeterError(f"{path} cannot be read ({error.strerror})") from None


def _uuid(device: str) -> str:
    """NVML counts all GPUs of the machine, torch those that this process may see: the name is the same."""
    import torch

    return str(torch.cuda.get_device_properties(device).uuid)


def _keep_reading(meter: "weakref.ref[Meter]") -> None:
    time.sleep(READ_SECONDS)
    while (alive := meter()) is not None:
        alive.kwh()
        del alive
        time.sleep(READ_SECONDS)

"""What the benchmarks share: the machine in words, peak memory, and a process of its own for each measurement."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def machine() -> str:
    """Processor, cores and versions, in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    model = told.get("model name", platform.machine())
    if "cpu family" in told:  # of one name there are several generations
        model += f" (family {told['cpu family']}, model {told['model']})"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy"))
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {packages}"


def peak_mib() -> float:
    """Most memory that this process has held at once since `forget_peak`, or that one it has started has."""
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(_status("VmHWM"), of_children) / 1024


def forget_peak() -> float:
    """Start measuring the peak afresh; returns what is held now, in MiB. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS") / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def in_own_process(arguments: Sequence[str], *, threads: int) -> dict[str, object]:
    """Run the calling script again with `arguments`, and return the JSON of its last line."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, sys.argv[0], *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: see above.")
    return json.loads(done.stdout.splitlines()[-1])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and least to most.

    >>> spread([3.0, 1.0, 2.0], digits=0)
    '2 (1 to 3)'
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

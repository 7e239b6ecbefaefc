"""How the cost of training and drawing grows: with the resolution, the widths, the batch, the pictures and the patches.

    python benchmarks/growth.py --plot docs/images/growth.svg

Each measurement is a process of its own. A training step is that of `train.py`. The roof is what its additions
and multiplications alone would take at the speed of a large product of matrices in the same precision, measured on the
same machine.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import forget_peak, in_own_process, machine, peak_mib
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from train import SHARE, per_kimg, settings, sorby_phases, timed

from sorby.allocator import keep_freed_memory
from sorby.card import GeneratorCard
from sorby.conditions import ConditionSpace
from sorby.config import resolve
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.draw import draw
from sorby.generator import Generator
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.report.plots import GENERATED, QUIET, STYLE

SWEEPS = {
    "size": [(size, 0.25, 8) for size in (32, 64, 128, 256, 512)],
    "width": [(64, width, 8) for width in (0.0625, 0.125, 0.25, 0.5, 1.0)],
    "batch": [(64, 0.25, batch) for batch in (2, 4, 8, 16, 32)],
}
"""Size in px, widths as a share of the published ones, batch."""
PICTURES = (10, 100, 1000, 5000)
PATCHES = (1000, 10000, 50000)
Row = dict[str, float]


class Work(TorchDispatchMode):
    """Counts the operations of convolutions and products of matrices (torch's counter fails at double gradients)."""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function.overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result


def training(size: float, width: float, batch: float) -> Row:
    """Seconds per thousand images, its work, and the peak of memory."""
    config = settings(int(size), width=width, batch=int(batch))
    phases = sorby_phases(config)
    timed(phases)
    work = dict.fromkeys(SHARE, 0.0)
    for name, do in phases.items():
        with Work() as counted:
            do()
        work[name] = counted.flop
    rounds = [timed(phases) for _ in range(3)]
    seconds = sorted(per_kimg(found, int(batch)) for found in rounds)[1]
    gflop = sum(SHARE[name] * flop for name, flop in work.items()) / batch / 1e9
    return {"seconds": seconds, "gflop": gflop, "peak_mib": peak_mib()}


def drawing(num: float) -> Row:
    """Seconds and memory of so many TIFFs of a `laptop-64` generator, drawn by what `sorby generate` chooses."""
    network = resolve("laptop-64").network
    with tempfile.TemporaryDirectory() as folder:
        Generator(GeneratorNetwork(network), GeneratorCard(network=network)).save(Path(folder) / "generator")
        generator = Generator.load(Path(folder) / "generator")
        generator.images(range(32))
        before = forget_peak()
        start = time.perf_counter()
        for _ in draw(generator, range(int(num)), Path(folder)):
            pass
        return {"seconds": time.perf_counter() - start, "peak_mib": peak_mib(), "before_mib": before}


def loading(num: float) -> Row:
    """Seconds and memory of a dataset of so many 64 px patches, from opening it to having them all."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patches.zip"
        patches = (
            (Patch(file=f"{i // 1000:05d}/{i:06d}.png", parent=f"p{i % 50}"), rng.integers(0, 256, (64, 64), np.uint8))
            for i in range(int(num))
        )
        write_dataset(path, patches, space=ConditionSpace(), recipe={})
        before = forget_peak()
        start = time.perf_counter()
        Dataset.open(path).split("train").images()
        return {"seconds": time.perf_counter() - start, "peak_mib": peak_mib(), "before_mib": before}


def roof() -> Row:
    """Giga-operations a second of a product of two matrices of 4096 in bfloat16."""
    a = torch.randn(4096, 4096).bfloat16()
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return {"gflops": 2 * 4096**3 / min(seconds) / 1e9}


KINDS = {"training": training, "drawing": drawing, "loading": loading, "roof": roof}


def main() -> None:
    """Measure, print and draw, or be one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most", type=int, default=512, help="largest size in px")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        torch.set_num_threads(args.threads)
        keep_freed_memory()
        kind, *numbers = args.one
        print(json.dumps(KINDS[kind](*(float(number) for number in numbers))))
        return

    def measure(kind: str, *numbers: float) -> Row:
        command = ["--threads", str(args.threads), "--one", kind, *map(str, numbers)]
        return in_own_process(command, threads=args.threads)

    rate = measure("roof")["gflops"]
    print(f"{machine()}; {args.threads} threads; roof {rate:.0f} GFLOP/s\n")
    sweeps = {}
    print("| px | widths | batch | GFLOP an image | s/kimg | roof, s/kimg | GFLOP/s | peak memory, MiB |")
    print("| --- |" + " --- |" * 7)
    for name, cases in SWEEPS.items():
        sweeps[name] = [measure("training", *case) for case in cases if case[0] <= args.most]
        for (size, width, batch), row in zip(cases, sweeps[name], strict=False):
            row["roof"] = row["gflop"] * 1000 / rate
            print(
                f"| {size} | {width:g} | {batch} | {row['gflop']:.3g} | {row['seconds']:.3g} | {row['roof']:.3g} "
                f"| {row['gflop'] * 1000 / row['seconds']:.0f} | {row['peak_mib']:.0f} |",
                flush=True,
            )
    counts = {"drawing": PICTURES, "loading": PATCHES}
    for kind, numbers in counts.items():
        sweeps[kind] = [measure(kind, number) for number in numbers]
        print(f"\n| {kind}: 64 px | seconds | peak memory, MiB | of it before |\n| --- | --- | --- | --- |")
        for number, row in zip(numbers, sweeps[kind], strict=True):
            print(f"| {number} | {row['seconds']:.2f} | {row['peak_mib']:.0f} | {row['before_mib']:.0f} |", flush=True)
    if args.plot:
        plot(sweeps, args.plot)


def plot(sweeps: dict[str, list[Row]], path: Path) -> None:
    """Five panels: what was measured, and the roof where there is one."""
    axes_of: dict[str, tuple[str, Sequence[float]]] = {
        "size": ("px, widths x 0.25, batch 8", [case[0] for case in SWEEPS["size"]]),
        "width": ("share of the widths, 64 px", [case[1] for case in SWEEPS["width"]]),
        "batch": ("batch, 64 px, widths x 0.25", [case[2] for case in SWEEPS["batch"]]),
        "drawing": ("pictures drawn, 64 px", PICTURES),
        "loading": ("patches in the dataset, 64 px", PATCHES),
    }
    with rc_context(STYLE):
        figure = Figure(figsize=(13, 2.8), layout="constrained")
        for panel, (name, (label, places)) in zip(figure.subplots(1, 5), axes_of.items(), strict=True):
            rows = sweeps[name]
            panel.loglog(places[: len(rows)], [row["seconds"] for row in rows], "o-", color=GENERATED, label="measured")
            if "roof" in rows[0]:
                panel.loglog(places[: len(rows)], [row["roof"] for row in rows], "--", color=QUIET, label="roof")
                panel.legend()
            panel.set(xlabel=label, ylabel="s/kimg" if "roof" in rows[0] else "seconds")
            panel.minorticks_off()
            panel.set_xticks(places[: len(rows)], [f"{place:g}" for place in places[: len(rows)]])
            some = [rows[place]["seconds"] for place in (0, len(rows) // 2, -1)]
            panel.set_yticks(some, [f"{value:.3g}" for value in some])
        figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()

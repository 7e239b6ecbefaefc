"""Memory and speed of datasets of many patches, as a zip and as shards: each opened and read in a process of its own.

    python benchmarks/large_data.py --num 10000 100000 1000000

The patches are 16 px, of which 256 differ: what grows with the number of patches is what is known of each, and not its
pixels. Memory is what the process holds more than before the dataset was opened; batches of 32 in the order of
training.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from sorby.conditions import ConditionSpace
from sorby.data.archive import new_archive
from sorby.data.dataset import Dataset, DatasetWriter, Patch
from sorby.data.pixels import encode, pixel_hash
from sorby.data.streamed import Streamed
from sorby.training.batches import Batches

SIZE, DISTINCT, BATCHES = 16, 256, 200


def write(path: Path, num: int) -> float:
    """Make a dataset of `num` patches; seconds."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (DISTINCT, 1, SIZE, SIZE), dtype=np.uint8)
    made = [(encode(picture), pixel_hash(picture)) for picture in pictures]
    rows = [{"temperature": str(900 + 10 * n)} for n in range(20)]
    space = ConditionSpace.from_rows(rows, ["temperature:°C"])
    began = time.perf_counter()
    with new_archive(path) as archive:
        writer = DatasetWriter(archive)
        for patch, png in patches(num, made, rows):
            writer.add(patch, png)
        writer.finish(space=space, size=SIZE, channels=1, recipe={})
    return time.perf_counter() - began


def patches(num: int, made: list[tuple[bytes, str]], rows: list[dict[str, str]]) -> Iterator[tuple[Patch, bytes]]:
    """A micrograph has a hundred of them; every tenth is held out."""
    for n in range(num):
        png, digest = made[n % DISTINCT]
        parent = n // 100
        split = "held-out" if parent % 10 == 9 else "train"
        patch = Patch(
            file=f"{n // 1000:05d}/micrograph{parent:06d}_{n % 100:03d}.png",
            parent=f"micrograph{parent:06d}",
            x_px=16.0 * (n % 10),
            width_px=16,
            height_px=16,
            pixel_size_um=0.1,
            split=split,  # type: ignore[arg-type]
            conditions=rows[parent % 20],
            sha256=digest,
        )
        yield patch, png


def read(path: Path) -> dict[str, float]:
    """Open, take the training patches, and read batches in training's order."""
    torch.set_num_threads(1)
    before = resident()
    began = time.perf_counter()
    data = Dataset.open(path).split("train")
    opened = time.perf_counter() - began
    batches = Batches(Streamed(data), torch.from_numpy(data.conditions()), batch_size=32, seed=0)
    began = time.perf_counter()
    for step in range(BATCHES):
        batches.at(32 * step)
    speed = 32 * BATCHES / (time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"open_s": opened, "held_mib": resident() - before, "peak_mib": peak - before, "images_s": speed}


def resident() -> float:
    """MiB of memory of this process that no file stands behind, which the system cannot take back."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024


def main() -> None:
    """A row for each size and form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--forms", nargs="+", default=["zip", "shards"])
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        print(json.dumps(read(args.read)))
        return
    print("| patches | form | written, patches/s | opened in, s | memory held, MiB | peak, MiB | read, images/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for num in args.num:
        for form in args.forms:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"data.{form}"
                seconds = write(path, num)
                command = [sys.executable, __file__, "--read", str(path)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"| {num:,} | {form} | {num / seconds:,.0f} | {found['open_s']:.1f} | {found['held_mib']:.0f} "
                f"| {found['peak_mib']:.0f} | {found['images_s']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

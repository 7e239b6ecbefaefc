"""How long an evaluation of full size takes: 5,000 generated against 5,000 real pictures of 128 px.

    python benchmarks/evaluation_size.py                        # features, scores, metallography
    python benchmarks/evaluation_size.py --neighbours 50000     # the neighbours' scores alone, of random features

The pictures are two-phase textures with noise, since the time does not hang on what they show. Each part is a process
of its own; the file of pictures in between is deleted at the end.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench import forget_peak, in_own_process, machine, peak_mib, spread

SIDE_PX = 128
PATCHES = 25  # of one micrograph
BATCH = 500


def main() -> None:
    """Measure and print, or be one of the measurements."""
    args = _arguments()
    if args.one:
        part = {"neighbours": neighbours, "features": features, "scores": scores, "metallography": metallography}
        print(json.dumps(part[args.one](args)))
        return
    print(f"{machine()}; {args.threads} threads, {args.repeats} rounds\n")
    print("| | seconds | peak memory of one process, MiB |\n| --- | --- | --- |")
    if args.neighbours:
        size = f"{args.neighbours} x {args.neighbours}, d = 1280"
        report(f"precision, recall, density and coverage, {size}", args, "neighbours")
        return
    with tempfile.TemporaryDirectory() as folder:
        sys.argv += ["--folder", folder]
        for side, low in (("real", 0.25), ("generated", 0.27)):
            np.save(Path(folder, f"{side}.npy"), pictures(args.num, low, seed=len(side)))
        sides = f"{args.num} + {args.num} pictures"
        report(f"EfficientNet-lite0 features of {sides}", args, "features")
        report("all scores with intervals and floor", args, "scores")
        report(f"metallography of {sides}, {args.threads} processes", args, "metallography")


def report(what: str, args: argparse.Namespace, part: str) -> None:
    """Measure one part and print its line."""
    runs = [in_own_process([*sys.argv[1:], "--one", part], threads=args.threads) for _ in range(args.repeats)]
    seconds, peak = spread([run["seconds"] for run in runs], digits=1), max(run["peak_mib"] for run in runs)
    print(f"| {what} | {seconds} | {peak:.0f} |", flush=True)


def neighbours(args: argparse.Namespace) -> dict[str, float]:
    """All four scores of random features."""
    from image_scores import features as random_features

    from sorby.metrics.neighbours import neighbour_scores

    real, generated = random_features(args.neighbours, 1280)
    return _timed(lambda: neighbour_scores(real, generated))


def features(args: argparse.Namespace) -> dict[str, float]:
    """Leaves the features beside the pictures, for the scores."""
    from sorby.metrics.features import extract_features, load_network

    def extract() -> None:
        network = load_network("efficientnet-lite0")
        for side in ("real", "generated"):
            batches = np.split(_load(args, side), range(BATCH, args.num, BATCH))
            np.save(args.folder / f"{side}-features.npy", extract_features(network, batches))

    return _timed(extract)


def scores(args: argparse.Namespace) -> dict[str, float]:
    """FID, KID, precision, recall, density and coverage, each with interval and floor, as `sorby evaluate` does."""
    from sorby.metrics.compare import Side, compare
    from sorby.metrics.features import load_network

    network = load_network("efficientnet-lite0")
    numbers = np.arange(args.num)
    generated = Side("generated", _load(args, "generated-features"), numbers)
    real = Side("real", _load(args, "real-features"), numbers // PATCHES)
    floor = (real, Side("other real", real.features[::-1] + 0.01, real.parents))
    return _timed(lambda: compare(generated, real, against="held-out", floor=floor, network=network, seed=0))


def metallography(args: argparse.Namespace) -> dict[str, float]:
    """All descriptors of all pictures of both sides."""
    from sorby.measurement.measured import descriptor_table

    def describe() -> None:
        for side in ("real", "generated"):
            batches = np.split(_load(args, side), range(BATCH, args.num, BATCH))
            print(np.nanmean(descriptor_table(batches, workers=args.threads), axis=0), file=sys.stderr)

    return _timed(describe)


def pictures(num: int, fraction: float, *, seed: int) -> np.ndarray:
    """Bright particles of a random fraction on a dark ground, with noise."""
    from sorby.simulation.random_field import two_phase

    rng = np.random.default_rng(seed)
    made = np.empty((num, 1, SIDE_PX, SIDE_PX), dtype=np.uint8)
    for picture in made:
        share = fraction + 0.1 * rng.random()
        phase = two_phase((SIDE_PX, SIDE_PX), volume_fraction=share, correlation_length_px=5, rng=rng)
        grey = 80 + 90 * phase + 12 * rng.standard_normal(phase.shape)
        picture[0] = grey.clip(0, 255)
    return made


def _timed(work: Callable[[], object]) -> dict[str, float]:
    forget_peak()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    if result is not None:
        print(result, file=sys.stderr)
    return {"seconds": seconds, "peak_mib": peak_mib()}


def _load(args: argparse.Namespace, name: str) -> np.ndarray:
    return np.load(args.folder / f"{name}.npy")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=5000, help="pictures a side")
    parser.add_argument("--neighbours", type=int, help="features a side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="and processes for the metallography")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

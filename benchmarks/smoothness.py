"""How evenly the pictures of a walk change: perceptual steps between neighbours, largest over mean.

    python benchmarks/smoothness.py uhcs-64 --pairs 24 --frames 60

Every walk leads from one seed to the next, with its noise held, so that w alone moves. `noise follow` is the walk of
`sorby interpolate` as it is by default.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from bench import machine

from sorby.generator import Generator
from sorby.latent.film import pictures_along
from sorby.latent.walk import NoiseWay, Walk, Way, stops
from sorby.metrics.perceptual import perceptual_distance

WALKS: tuple[tuple[Way, NoiseWay], ...] = (("slerp", "hold"), ("linear", "hold"), ("w", "hold"), ("slerp", "follow"))


def steps(generator: Generator, seeds: Sequence[int], way: Way, noise: NoiseWay, frames: int) -> np.ndarray:
    """Perceptual distance of each picture of a walk from the one before."""
    walk = Walk(generator, stops(generator, seeds), way=way, noise=noise)
    pictures = np.stack(list(pictures_along(walk, frames)))
    return np.sqrt(perceptual_distance(pictures[:-1], pictures[1:]))


def main() -> None:
    """Print a line for each kind of walk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator")
    parser.add_argument("--pairs", type=int, default=24, help="walks of each kind")
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    print(machine())
    generator = Generator.load(args.generator)
    print(
        "| walk | noise | largest step over mean | 95 % interval | length of the way |\n| --- | --- | --- | --- | --- |"
    )
    kept = {}
    for way, noise in WALKS:
        found = [steps(generator, [2 * i, 2 * i + 1], way, noise, args.frames) for i in range(args.pairs)]
        ratios = np.array([s.max() / s.mean() for s in found])
        kept[way, noise] = ratios
        length = np.mean([s.sum() for s in found])
        print(f"| {way} | {noise} | {told(ratios)} | {length:.2f} |")
    print(f"slerp in z less linear in w, in pairs: {told(kept['slerp', 'hold'] - kept['w', 'hold'])}")


def told(values: np.ndarray) -> str:
    """Mean, and its 95 % interval."""
    half = 2 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} | {values.mean() - half:.2f} to {values.mean() + half:.2f}"


if __name__ == "__main__":
    main()

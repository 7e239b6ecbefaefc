"""Whether the pictures of designs look like the data: perceptual distance to the nearest training picture.

    python benchmarks/designs.py spinodal.zip designs/gan designs/random-field

Beside them stand held-out pictures of the dataset, which is as near as a new picture can be expected to come.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from bench import machine

from sorby.data.dataset import Dataset
from sorby.generator import from_grey_values
from sorby.metrics.perceptual import load_perceptual
from sorby.micrograph import read_micrograph

MOST = 500


def main() -> None:
    """Print a line for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("designs", type=Path, nargs="+", help="folders of `sorby design`")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    metric = load_perceptual()

    def embedded(pictures: np.ndarray) -> torch.Tensor:
        return torch.cat([metric.embed(from_grey_values(part)) for part in torch.from_numpy(pictures).split(16)])

    dataset = Dataset.open(args.dataset)
    train, held_out = dataset.split("train"), dataset.split("held-out")
    some = np.random.default_rng(0)
    known = embedded(train.images(some.permutation(len(train))[:MOST]))
    sets = {"held-out": held_out.images(some.permutation(len(held_out))[:100])}
    for folder in args.designs:
        files = sorted(folder.glob("*/picture.tif"))
        sets[str(folder)] = np.stack([read_micrograph(file).grey for file in files])[:, None]
    print(machine())
    print("| pictures | number | to the nearest of training, median | least to most |\n| --- | --- | --- | --- |")
    for name, pictures in sets.items():
        nearest = torch.cdist(embedded(pictures), known).square().amin(1)
        print(f"| {name} | {len(pictures)} | {nearest.median():.3f} | {nearest.min():.3f} to {nearest.max():.3f} |")


if __name__ == "__main__":
    main()

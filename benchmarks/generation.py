"""Pictures a second of a generator of the published widths: Sorby beside the official code, in one interleaved run.

    python benchmarks/generation.py --official FOLDER

FOLDER is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d; its licence is non-commercial, so that none of it
is here), with the package requests that it imports. OpenVINO draws beside PyTorch where it is installed. All draw the
noise and the latents anew for each picture and end with grey values of 8 bits; the official code draws all in one
batch. Each is a process of its own, which draws once to warm up. Without `--official` Sorby is timed alone.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from bench import in_own_process, machine, spread

from sorby.card import GeneratorCard
from sorby.config import resolve
from sorby.generator import Generator
from sorby.models.compiled import openvino_version
from sorby.models.stylegan2 import GeneratorNetwork

NAMES = {
    "openvino": "Sorby, OpenVINO",
    "bfloat16": "Sorby, bfloat16",
    "float32": "Sorby, float32",
    "official": "StyleGAN2-ADA",
}
Draw = Callable[[int], np.ndarray]


def sorby_draw(size: int, how: str) -> Draw:
    """Pictures as `sorby generate` makes them, of random weights; OpenVINO draws also where it would not be chosen."""
    patch("sorby.models.compiled.has_amx", return_value=how == "openvino").start()
    network = resolve("auto", size=size).network
    with tempfile.TemporaryDirectory() as folder:
        Generator(GeneratorNetwork(network), GeneratorCard(network=network)).save(Path(folder) / "generator")
        generator = Generator.load(
            Path(folder) / "generator", dtype=torch.float32 if how == "float32" else torch.bfloat16
        )
    return lambda num: generator.images(range(num))


def official_draw(path: Path, size: int) -> Draw:
    """Pictures as its generate.py makes them, with noise of their own, on its own path for a CPU."""
    sys.path.insert(0, str(path))
    warnings.simplefilter("ignore")  # that its own operators are for GPUs only
    from training.networks import Generator as OfficialGenerator

    network = resolve("auto", size=size).network
    G = OfficialGenerator(
        z_dim=network.z_dim,
        c_dim=0,
        w_dim=network.w_dim,
        img_resolution=size,
        img_channels=1,
        mapping_kwargs={"num_layers": network.mapping_layers},
        synthesis_kwargs={"channel_base": network.channel_base, "channel_max": network.channel_max},
    )
    G.eval().requires_grad_(False)

    @torch.inference_mode()
    def draw(num: int) -> np.ndarray:
        images = G(torch.randn(num, network.z_dim), torch.zeros(num, 0), noise_mode="random")
        return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).numpy()

    return draw


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        torch.set_num_threads(args.threads)
        draw = official_draw(args.official, args.size) if args.one == "official" else sorby_draw(args.size, args.one)
        print(json.dumps({str(num): num / seconds(draw, num) for num in args.batches}))
        return
    there = {"openvino": openvino_version(), "official": args.official}
    names = [name for name in NAMES if there.get(name, True)]
    rounds = [
        {name: in_own_process([*sys.argv[1:], "--one", name], threads=args.threads) for name in names}
        for _ in range(args.rounds)
    ]
    print(f"{machine()}; {args.threads} threads")
    print(f"{args.size} px, {args.rounds} rounds; pictures a second, and how many times those of {NAMES[names[-1]]}\n")
    headings = ["pictures", *(NAMES[name] for name in names), *(f"{NAMES[name]}, times" for name in names[:-1])]
    print(f"| {' | '.join(headings)} |")
    print("|" + " --- |" * len(headings))
    for num in map(str, args.batches):
        speeds = (spread([found[name][num] for found in rounds], digits=1) for name in names)
        ratios = (spread([found[name][num] / found[names[-1]][num] for found in rounds]) for name in names[:-1])
        print(f"| {num} | {' | '.join(speeds)} | {' | '.join(ratios)} |", flush=True)


def seconds(draw: Draw, num: int) -> float:
    """Of so many pictures, the second time."""
    draw(num)
    start = time.perf_counter()
    draw(num)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

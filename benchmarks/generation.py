"""Pictures a second of a generator of the published widths: Sorby beside the official code, in one interleaved run.

    python benchmarks/generation.py --official FOLDER

FOLDER is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d; its licence is non-commercial, so that none of it
is here), with the package requests that it imports. Both draw the noise and the latents anew for each picture and end
with grey values of 8 bits. Without `--official` Sorby is timed alone, in both precisions.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bench import machine, spread

from sorby.config import resolve
from sorby.generator import Generator, GeneratorCard
from sorby.models.place import name_of
from sorby.models.stylegan2 import GeneratorNetwork

NAMES = {"bfloat16": "Sorby, bfloat16", "float32": "Sorby, float32", "official": "StyleGAN2-ADA"}
Draw = Callable[[int], np.ndarray]


def sorby_draws(size: int, folder: Path) -> dict[str, Draw]:
    """Pictures as `sorby generate` makes them, of random weights."""
    network = resolve("auto", size=size).network
    Generator(GeneratorNetwork(network), GeneratorCard(network=network)).save(folder / "generator")
    loaded = {
        name_of(dtype): Generator.load(folder / "generator", dtype=dtype) for dtype in (torch.bfloat16, torch.float32)
    }

    def draw(generator: Generator, num: int) -> np.ndarray:
        return generator.images(range(num), batch_size=num)

    return {name: lambda num, generator=generator: draw(generator, num) for name, generator in loaded.items()}


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
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        draws = sorby_draws(args.size, Path(folder))
    if args.official:
        draws["official"] = official_draw(args.official, args.size)
    print(f"{machine()}; {args.threads} threads")
    print(f"{args.size} px, {args.rounds} rounds; pictures a second\n")
    print("| batch | " + " | ".join(NAMES[name] for name in draws) + " | times the last |")
    print("| --- |" + " --- |" * (len(draws) + 1))
    for num in args.batches:
        rounds = [{name: num / seconds(draw, num) for name, draw in draws.items()} for _ in range(args.rounds + 1)][1:]
        speeds = (spread([found[name] for found in rounds], digits=1) for name in draws)
        ratio = spread([found["bfloat16"] / found[next(reversed(draws))] for found in rounds])
        print(f"| {num} | {' | '.join(speeds)} | {ratio} |", flush=True)


def seconds(draw: Draw, num: int) -> float:
    """Of one batch."""
    start = time.perf_counter()
    draw(num)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

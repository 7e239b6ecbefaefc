"""One training step of StyleGAN2 with adaptive augmentation: Sorby beside the official code, in one interleaved run.

    python benchmarks/train.py --official FOLDER --size 128

FOLDER is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d; its licence is non-commercial, so that none of it
is here), with the package requests that it imports.

Both do the same work: the same widths, batch, losses, schedule of the regularisers (path length every 4 steps, R1
every 16) and augmentation (blit, geom and colour at p = 0.3). A round times the four phases of each, in a process of
its own; what is reported is the mean step of the schedule, G + path length / 4 + D + R1 / 16, in seconds per thousand
images.
Without `--official` Sorby is timed alone.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from bench import in_own_process, machine, spread

from sorby.allocator import keep_freed_memory
from sorby.augment import Augment
from sorby.config import TrainConfig, resolve
from sorby.seeds import Rows
from sorby.training.state import new_state
from sorby.training.steps import largest_tensor
from sorby.training.stylegan2 import discriminator_step, generator_step, path_length_step, r1_step

SHARE = {"G": 1.0, "path length": 1 / 4, "D": 1.0, "R1": 1 / 16}
"""How often each phase is done, a step."""
NAMES = {"sorby": "Sorby", "official": "StyleGAN2-ADA"}
P = 0.3
WARM_UP = 2
"""The second time still takes memory that the first gave back."""
Phases = dict[str, Callable[[], object]]


def settings(size: int, *, width: float, batch: int, precision: str = "bfloat16") -> TrainConfig:
    """The published settings for a size, at a share of the published widths."""
    base = 32768 if size >= 512 else 16384
    changes = {
        "network": {
            "size": size,
            "channel_base": int(base * width),
            "channel_max": int(512 * width),
            "minibatch_std_group": min(batch, 4),
        },
        "batch_size": batch,
        "precision": precision,
        "augment": ("blit", "geom", "colour"),
    }
    return resolve("auto", changes, size=size)


def sorby_phases(config: TrainConfig, device: str = "cpu") -> Phases:
    """The steps of Sorby, each with its optimiser's update."""
    keep_freed_memory(largest_tensor(config, config.batch_size))
    state = new_state(config, device=device)
    rng, host_rng = torch.Generator(device).manual_seed(0), torch.Generator().manual_seed(0)
    augment = Augment(families=config.augment)
    real = torch.rand(config.batch_size, 1, config.network.size, config.network.size, device=device) * 2 - 1
    condition = torch.zeros(config.batch_size, 0, device=device)

    def augmented(images: torch.Tensor, rows: Rows) -> torch.Tensor:
        return augment(images, p=P, rng=host_rng, rows=rows)

    return {
        "G": lambda: generator_step(state, condition, config, augment=augmented, rng=rng),
        "path length": lambda: path_length_step(state, condition, config, rng=rng),
        "D": lambda: discriminator_step(state, real, condition, condition, config, augment=augmented, rng=rng),
        "R1": lambda: r1_step(state, real, condition, config, augment=augmented),
    }


def official_phases(path: Path, config: TrainConfig, device: str) -> Phases:
    """The same of the official code, on its own path for the device."""
    sys.path.insert(0, str(path))
    warnings.simplefilter("ignore")  # that its own operators are for GPUs only
    from training.augment import AugmentPipe
    from training.loss import StyleGAN2Loss
    from training.networks import Discriminator, Generator

    net, place = config.network, torch.device(device)
    widths = {"channel_base": net.channel_base, "channel_max": net.channel_max}
    G = Generator(
        z_dim=net.z_dim,
        c_dim=0,
        w_dim=net.w_dim,
        img_resolution=net.size,
        img_channels=1,
        mapping_kwargs={"num_layers": net.mapping_layers},
        synthesis_kwargs=widths,
    ).to(place)
    D = Discriminator(
        c_dim=0, img_resolution=net.size, img_channels=1, epilogue_kwargs={"mbstd_group_size": 4}, **widths
    ).to(place)
    moves = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "brightness", "contrast", "lumaflip")
    pipe = AugmentPipe(**dict.fromkeys((*moves, "hue", "saturation"), 1)).to(place)
    pipe.p.copy_(torch.tensor(P))
    loss = StyleGAN2Loss(
        place, G.mapping, G.synthesis, D, augment_pipe=pipe, style_mixing_prob=0.9, r1_gamma=1.0, pl_weight=2.0
    )
    adam = {"lr": 0.0025, "betas": (0.0, 0.99), "eps": 1e-8}
    optimisers = {"G": torch.optim.Adam(G.parameters(), **adam), "D": torch.optim.Adam(D.parameters(), **adam)}
    real = torch.rand(config.batch_size, 1, net.size, net.size, device=place) * 2 - 1
    nothing = torch.zeros(config.batch_size, 0, device=place)

    def phase(name: str, network: torch.nn.Module, optimiser: torch.optim.Optimizer, gain: float) -> None:
        z = torch.randn(config.batch_size, net.z_dim, device=place)
        optimiser.zero_grad(set_to_none=True)
        network.requires_grad_(True)
        loss.accumulate_gradients(name, real, nothing, z, nothing, sync=True, gain=gain)
        network.requires_grad_(False)
        optimiser.step()

    G.requires_grad_(False)
    D.requires_grad_(False)
    return {
        "G": lambda: phase("Gmain", G, optimisers["G"], 1),
        "path length": lambda: phase("Greg", G, optimisers["G"], 4),
        "D": lambda: phase("Dmain", D, optimisers["D"], 1),
        "R1": lambda: phase("Dreg", D, optimisers["D"], 16),
    }


def timed(phases: Phases, device: str = "cpu") -> dict[str, float]:
    """Seconds of each phase, once."""
    seconds = {}
    for name, do in phases.items():
        start = time.perf_counter()
        do()
        if device != "cpu":
            torch.accelerator.synchronize()
        seconds[name] = time.perf_counter() - start
    return seconds


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="folder of the official code")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--width", type=float, default=1.0, help="widths as a share of the official ones")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        torch.backends.cudnn.benchmark = True  # as both trainings have it
        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        config = settings(args.size, width=args.width, batch=args.batch, precision=args.precision)
        if args.one == "sorby":
            phases = sorby_phases(config, args.device)
        else:
            phases = official_phases(args.official, config, args.device)
        for _ in range(WARM_UP):
            timed(phases, args.device)
        print(json.dumps(timed(phases, args.device)))
        return
    names = list(NAMES) if args.official else ["sorby"]
    report(
        [
            {name: in_own_process([*sys.argv[1:], "--one", name], threads=args.threads) for name in names}
            for _ in range(args.rounds)
        ],
        args,
    )


def per_kimg(seconds: dict[str, float], batch: int) -> float:
    """Seconds per thousand images."""
    return sum(SHARE[name] * value for name, value in seconds.items()) * 1000 / batch


def report(rounds: list[dict[str, dict[str, float]]], args: argparse.Namespace) -> None:
    """Medians and spread of the rounds."""
    print(f"{machine()}; {args.device}, {args.threads} threads")
    work = f"{args.size} px, widths times {args.width:g}, batch {args.batch}"
    print(f"{work}, {len(rounds)} rounds, Sorby in {args.precision}\n")
    print(f"| | s/kimg | times Sorby's | {' | '.join(f'{phase}, s' for phase in SHARE)} |")
    print(f"| --- | --- | --- |{' --- |' * len(SHARE)}")
    ours = [per_kimg(found["sorby"], args.batch) for found in rounds]
    for name in rounds[0]:
        kimg = [per_kimg(found[name], args.batch) for found in rounds]
        ratios = [theirs / our for theirs, our in zip(kimg, ours, strict=True)]
        phases = (f"{statistics.median(found[name][phase] for found in rounds):.2f}" for phase in SHARE)
        print(f"| {NAMES[name]} | {spread(kimg, digits=0)} | {spread(ratios)} | {' | '.join(phases)} |")


if __name__ == "__main__":
    main()

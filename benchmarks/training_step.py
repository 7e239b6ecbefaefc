"""One training step of StyleGAN2 with adaptive augmentation: Sorby beside the official code, in one interleaved run.

    python benchmarks/training_step.py --official FOLDER --size 128

FOLDER is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d; its licence is non-commercial, so that none of it
is here), with the package requests that it imports.

Both do the same work: the same widths, batch, losses, schedule of the regularisers (path length every 4 steps, R1
every 16) and augmentation (blit, geom and colour at p = 0.3). A round times the four phases of each, turn and turn
about; what is reported is the mean step of the schedule, G + path length / 4 + D + R1 / 16, in seconds per thousand
images.
Without `--official` Sorby is timed alone.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from bench import machine, spread

from sorby.augment import Augment
from sorby.config import TrainConfig, resolve
from sorby.training.state import new_state
from sorby.training.steps import discriminator_step, generator_step, path_length_step, r1_step

SHARE = {"G": 1.0, "path length": 1 / 4, "D": 1.0, "R1": 1 / 16}
"""How often each phase is done, a step."""
NAMES = {"sorby": "Sorby", "official": "StyleGAN2-ADA"}
P = 0.3
Phases = dict[str, Callable[[], object]]


def sorby_phases(config: TrainConfig) -> Phases:
    """The steps of Sorby, each with its optimiser's update."""
    state = new_state(config)
    rng = torch.Generator().manual_seed(0)
    augment = Augment(families=config.augment)
    real = torch.rand(config.batch_size, 1, config.network.size, config.network.size) * 2 - 1
    condition = torch.zeros(config.batch_size, 0)

    def augmented(images: torch.Tensor) -> torch.Tensor:
        return augment(images, p=P, rng=rng)

    return {
        "G": lambda: generator_step(state, condition, config, augment=augmented, rng=rng),
        "path length": lambda: path_length_step(state, condition, config, rng=rng),
        "D": lambda: discriminator_step(state, real, condition, condition, config, augment=augmented, rng=rng),
        "R1": lambda: r1_step(state, real, condition, config, augment=augmented),
    }


def official_phases(path: Path, config: TrainConfig) -> Phases:
    """The same of the official code, on its own path for a CPU."""
    sys.path.insert(0, str(path))
    warnings.simplefilter("ignore")  # that its own operators are for GPUs only
    from training.augment import AugmentPipe
    from training.loss import StyleGAN2Loss
    from training.networks import Discriminator, Generator

    net, cpu = config.network, torch.device("cpu")
    widths = {"channel_base": net.channel_base, "channel_max": net.channel_max}
    G = Generator(
        z_dim=net.z_dim,
        c_dim=0,
        w_dim=net.w_dim,
        img_resolution=net.size,
        img_channels=1,
        mapping_kwargs={"num_layers": net.mapping_layers},
        synthesis_kwargs=widths,
    )
    D = Discriminator(
        c_dim=0, img_resolution=net.size, img_channels=1, epilogue_kwargs={"mbstd_group_size": 4}, **widths
    )
    moves = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "brightness", "contrast", "lumaflip")
    pipe = AugmentPipe(**dict.fromkeys((*moves, "hue", "saturation"), 1))
    pipe.p.copy_(torch.tensor(P))
    loss = StyleGAN2Loss(
        cpu, G.mapping, G.synthesis, D, augment_pipe=pipe, style_mixing_prob=0.9, r1_gamma=1.0, pl_weight=2.0
    )
    adam = {"lr": 0.0025, "betas": (0.0, 0.99), "eps": 1e-8}
    optimisers = {"G": torch.optim.Adam(G.parameters(), **adam), "D": torch.optim.Adam(D.parameters(), **adam)}
    real = torch.rand(config.batch_size, 1, net.size, net.size) * 2 - 1
    nothing = torch.zeros(config.batch_size, 0)

    def phase(name: str, network: torch.nn.Module, optimiser: torch.optim.Optimizer, gain: float) -> None:
        z = torch.randn(config.batch_size, net.z_dim)
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


def timed(phases: Phases) -> dict[str, float]:
    """Seconds of each phase, once."""
    seconds = {}
    for name, do in phases.items():
        start = time.perf_counter()
        do()
        seconds[name] = time.perf_counter() - start
    return seconds


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="folder of the official code")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--width", type=float, default=1.0, help="widths as a share of the official ones")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    base = 32768 if args.size >= 512 else 16384
    network = {
        "size": args.size,
        "channel_base": int(base * args.width),
        "channel_max": int(512 * args.width),
    }
    changes = {
        "network": network,
        "batch_size": args.batch,
        "precision": args.precision,
        "augment": ("blit", "geom", "colour"),
    }
    config = resolve("auto", changes, size=args.size)
    codes = {"sorby": sorby_phases(config)}
    if args.official:
        codes["official"] = official_phases(args.official, config)
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(args.rounds + 1):
        found = {name: timed(phases) for name, phases in codes.items()}
        if number:  # the first is warming up
            rounds.append(found)
    report(rounds, args)


def per_kimg(seconds: dict[str, float], batch: int) -> float:
    """Seconds per thousand images."""
    return sum(SHARE[name] * value for name, value in seconds.items()) * 1000 / batch


def report(rounds: list[dict[str, dict[str, float]]], args: argparse.Namespace) -> None:
    """Medians and spread of the rounds."""
    print(f"{machine()}; {args.threads} threads")
    print(f"{args.size} px, widths times {args.width:g}, batch {args.batch}, {args.precision}, {len(rounds)} rounds\n")
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

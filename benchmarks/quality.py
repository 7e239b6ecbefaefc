"""Quality per hour: what a training draws for the processor time that it had, Sorby beside two public codes.

    python benchmarks/quality.py train sorby DATASET.zip --kimg 20 --out sorby-0
    python benchmarks/quality.py train official DATASET.zip --kimg 20 --out official-0 --peer stylegan2-ada-pytorch
    python benchmarks/quality.py train lucidrains DATASET.zip --kimg 20 --out lucidrains-0 --peer others
    python benchmarks/quality.py train real DATASET.zip --out real
    python benchmarks/quality.py score DATASET.zip sorby-0 official-0 lucidrains-0 real --plot quality.svg

All see the same training patches, in the same order, mirrored and turned by the moves of the square, in batches of one
size. Every few thousand images the clock stops and 500 pictures are drawn from fixed latents; `score` holds them
against the held-out micrographs. `real` are 500 training patches, which is as near as a generator can be expected to
come. The official code is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d; its licence is non-commercial,
so that none of it is here), lucidrains a folder with stylegan2-pytorch 1.9.0 and its light requirements.
"""

import argparse
import copy
import functools
import importlib.util
import json
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import torch
from bench import machine
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

import sorby
from sorby.cli.train import assignments
from sorby.config import TrainConfig
from sorby.data.dataset import Dataset
from sorby.generator import Generator, to_grey_values
from sorby.measurement.measured import descriptor_table
from sorby.metrics.cache import cached_features
from sorby.metrics.features import extract_features, load_network
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.sets import ImageSet, open_real
from sorby.microstructure.compare import descriptor_error, shifts
from sorby.microstructure.describe import QUANTITIES, comparable
from sorby.models import ema
from sorby.report.plots import GENERATED, QUIET, REAL, STYLE
from sorby.training.batches import Batches
from sorby.training.tick import tile

COLOURS = {"sorby": GENERATED, "official": REAL, "lucidrains": "#6d9f4b", "real": QUIET}
NETWORKS = {"efficientnet-lite0": "lite0", "inception": "Inception"}
SCORES = ("KID lite0", "KID Inception", "FID lite0", "FID Inception", "descriptor error", "without contrast")
"""The last leaves out what Sorby's laptop presets give a generator."""
PANELS = ("KID Inception", "KID lite0", "descriptor error")
PICTURES, AT_ONCE, ON_SHEET = 500, 50, 32
STATE = "state.pt"
UNUSED = ("requests", "torchvision", "aim", "fire", "vector_quantize_pytorch")
"""What the others import and these trainings do not use; it need not be there."""

Parts = dict[str, Any]
"""What a training goes on from, by name: each has `state_dict` and `load_state_dict`."""
Show = Callable[[], tuple[np.ndarray, dict[str, float]]]
"""Gives the pictures of a moment, and its losses."""
Row = dict[str, Any]
"""What is known of a snapshot: what was written with it, and its scores."""


class Recorder:
    """Counts the time of training alone, from when it is made, and writes what the generator draws now and then."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.every, self.total = round(1000 * args.every), round(1000 * args.kimg)
        self.last, self.next = 0, self.every
        self.seconds = np.zeros(2)
        self.started = _clocks()
        self.parts: Parts = {}

    def resume(self, parts: Parts) -> int:
        """Take on the state of `parts`, of chance and of the clocks that the newest snapshot kept; the images seen."""
        self.parts, kept = parts, self.args.out / STATE
        if kept.is_file():
            state = torch.load(kept, weights_only=False)
            for name, part in parts.items():
                part.load_state_dict(state["parts"][name])
            random.setstate(state["random"])
            torch.set_rng_state(state["torch"])
            self.last, self.seconds = state["images_seen"], state["seconds"]
            self.next = (self.last // self.every + 1) * self.every
        self.started = _clocks()
        return self.last

    def __call__(self, seen: int, show: Show) -> None:
        """To be called after each batch with the images seen; writes where a multiple of `--every` was passed."""
        if seen >= min(self.next, self.total):
            self.write(seen, show)

    def write(self, seen: int, show: Show) -> None:
        """Stop the clocks, write pictures, a sheet and the times, print a line, and go on."""
        spent = _clocks() - self.started
        self.seconds += spent
        pictures, losses = show()
        cpu, wall = map(float, self.seconds)
        about = {"contestant": self.args.contestant, "seed": self.args.seed, "images_seen": seen}
        times = {"cpu_seconds": cpu, "wall_seconds": wall, "threads": self.args.threads}
        path = self.args.out / f"{seen:08d}.npz"
        np.savez_compressed(path, pictures=pictures, about=json.dumps(about | times | {"losses": losses}))
        Image.fromarray(tile(pictures[:ON_SHEET])).save(path.with_suffix(".png"))
        shown = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
        speed = f"{(seen - self.last) / spent[0]:.1f} images per CPU second"
        print(f"{seen / 1000:.2f} kimg, {cpu:.0f} CPU s, {wall:.0f} s, {speed}, {shown}", flush=True)
        self.last, self.next = seen, (seen // self.every + 1) * self.every
        self._keep()
        self.started = _clocks()

    def _keep(self) -> None:
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        chance = {"random": random.getstate(), "torch": torch.get_rng_state()}
        torch.save(
            {"parts": parts, "images_seen": self.last, "seconds": self.seconds} | chance,
            self.args.out / f"{STATE}.new",
        )
        (self.args.out / f"{STATE}.new").replace(self.args.out / STATE)


def _clocks() -> np.ndarray:
    """Seconds of the processor, in all threads of this process together, and on the wall."""
    return np.array([time.process_time(), time.perf_counter()])


def train_sorby(dataset: Dataset, args: argparse.Namespace, record: Recorder) -> None:
    """A run of its own, with all that it writes every `--every`, but for the scores."""
    record.resume({})

    def show(line: dict[str, float]) -> tuple[np.ndarray, dict[str, float]]:
        pictures = Generator.load(args.out / "run" / "last").images(range(PICTURES))
        return pictures, {name: line[name] for name in ("loss_G", "loss_D", "p")}

    sorby.train(
        dataset,
        args.out / "run",
        settings(args),
        tensorboard=False,
        on_tick=lambda state, line: record(state.images_seen, lambda: show(line)),
    )


def train_official(dataset: Dataset, args: argparse.Namespace, record: Recorder) -> None:
    """The official training, of its own networks, loss and augmentation; its own loop refuses to run without CUDA.

    Its options --fp32=1 --aug=ada --augpipe=bg --gamma, the widths and the batch of Sorby's preset, and ema_kimg 5;
    without path length regularisation its optimisers stay as they are with it, as in its cfg=cifar.
    """
    import_from(args.peer)
    warnings.simplefilter("ignore")  # that its own operators are for GPUs only
    from torch_utils.training_stats import Collector
    from training.augment import AugmentPipe
    from training.loss import StyleGAN2Loss
    from training.networks import Discriminator, Generator

    config, data = settings(args), batches(dataset, args)
    net, size = config.network, config.batch_size
    widths = {"channel_base": net.channel_base, "channel_max": net.channel_max}
    image = {"c_dim": 0, "img_resolution": net.size, "img_channels": dataset.channels}
    z_dim = net.w_dim  # theirs are of one length
    mapping = {"z_dim": z_dim, "w_dim": net.w_dim, "mapping_kwargs": {"num_layers": net.mapping_layers}}
    G = Generator(**mapping, synthesis_kwargs=widths, **image).train().requires_grad_(False)
    D = Discriminator(**widths, epilogue_kwargs={"mbstd_group_size": 4}, **image).train().requires_grad_(False)
    G_ema = copy.deepcopy(G).eval()
    moves = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
    pipe = AugmentPipe(**dict.fromkeys(moves, 1)).train().requires_grad_(False)
    pipe.p.zero_()
    cpu = torch.device("cpu")
    loss = StyleGAN2Loss(cpu, G.mapping, G.synthesis, D, pipe, r1_gamma=args.gamma, pl_weight=args.path_length)
    of_G, of_D = lazy_adam(G, interval=4), lazy_adam(D, interval=16)
    phases = [("Gmain", G, of_G, 1), ("Greg", G, of_G, 4), ("Dmain", D, of_D, 1), ("Dreg", D, of_D, 16)]
    signs, losses = Collector("Loss/signs/real"), Collector("Loss/[GD]/loss")

    def show() -> tuple[np.ndarray, dict[str, float]]:
        losses.update()
        means = {f"loss_{kind}": losses[f"Loss/{kind}/loss"] for kind in "GD"}
        nothing = torch.zeros(AT_ONCE, 0)
        return drawn(lambda: G_ema(torch.randn(AT_ONCE, z_dim), nothing)), means | {"p": float(pipe.p)}

    parts = {"G": G, "D": D, "G_ema": G_ema, "of_G": of_G, "of_D": of_D, "pipe": pipe}
    for seen in range(record.resume(parts), record.total, size):
        number = seen // size
        real, nothing = data.at(seen)
        latents = torch.randn(len(phases) * size, z_dim).split(size)
        for (name, network, optimiser, interval), z in zip(phases, latents, strict=True):
            if number % interval == 0:
                optimiser.zero_grad(set_to_none=True)
                network.requires_grad_(True)
                loss.accumulate_gradients(name, real, nothing, z, nothing, sync=True, gain=interval)
                network.requires_grad_(False)
                make_finite(network)
                optimiser.step()
        ema.update(G_ema, G, ema.decay(size, seen, half_life_images=1000 * config.ema_kimg, rampup=0.05))
        if (number + 1) % 4 == 0:
            signs.update()
            step = np.sign(signs["Loss/signs/real"] - 0.6) * 4 * size / 500_000
            pipe.p.add_(step).clamp_(min=0)
        record(seen + size, show)


def lazy_adam(network: torch.nn.Module, *, interval: int) -> torch.optim.Adam:
    """Adam as the official code has it where a regulariser is done every `interval` steps."""
    ratio = interval / (interval + 1)
    return torch.optim.Adam(network.parameters(), lr=0.0025 * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)


def make_finite(network: torch.nn.Module) -> None:
    """Take NaN and infinities out of the gradients."""
    for weight in network.parameters():
        if weight.grad is not None:
            torch.nan_to_num_(weight.grad, nan=0, posinf=1e5, neginf=-1e5)


def train_lucidrains(dataset: Dataset, args: argparse.Namespace, record: Recorder) -> None:
    """The steps of the Trainer of stylegan2-pytorch, which is made to believe that it has CUDA.

    The settings of its command line, with the batch of Sorby's preset, and the augmentation that it advises for few
    images. It is for colour: grey images are given to it three times, and the mean of three is taken. It averages
    weights from step 20,000 on, and has a copy of up to 1,000 steps ago before; so the generator itself is drawn from.
    """
    import_from(args.peer)
    warnings.simplefilter("ignore")  # of deprecated calls
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_: self
    with patch("torch.cuda.is_available", return_value=True):
        from stylegan2_pytorch import Trainer
        from stylegan2_pytorch import stylegan2_pytorch as code

    data, size = batches(dataset, args), settings(args).batch_size
    trainer = Trainer(
        base_dir=args.out / "run",
        image_size=dataset.size,
        network_capacity=args.capacity,
        batch_size=size,
        ttur_mult=1.5,
        aug_prob=0.25,
    )
    trainer.save = trainer.evaluate = lambda *_: None
    trainer.init_GAN()
    GAN = trainer.GAN
    seen = record.resume({"GAN": GAN, "G_opt": GAN.G_opt, "D_opt": GAN.D_opt})
    trainer.steps = seen // size
    trainer.loader = (((data.at(at)[0] + 1) / 2).repeat(1, 3, 1, 1) for at in range(seen, record.total, size))

    def generate() -> torch.Tensor:
        S, G = GAN.S, GAN.G
        ws = code.styles_def_to_tensor(code.latent_to_w(S, code.noise_list(AT_ONCE, G.num_layers, G.latent_dim, 0)))
        return G(ws, code.image_noise(AT_ONCE, G.image_size, 0)).mean(1, keepdim=True) * 2 - 1

    while trainer.steps * size < record.total:
        trainer.train()
        record(trainer.steps * size, lambda: (drawn(generate), {"loss_G": trainer.g_loss, "loss_D": trainer.d_loss}))


def show_real(dataset: Dataset, args: argparse.Namespace, record: Recorder) -> None:
    """Training patches in place of generated pictures."""
    train = dataset.split("train")
    chosen = np.random.default_rng(args.seed).permutation(len(train))[:PICTURES]
    record.write(0, lambda: (train.images(chosen), {}))


def settings(args: argparse.Namespace) -> TrainConfig:
    """Of Sorby's run; the others take batch and widths from them."""
    own = {"kimg": args.kimg, "tick_kimg": args.every, "seed": args.seed, "symmetry": "square", "score_ticks": 0}
    return sorby.resolve(args.preset, own | assignments(args.set))


def batches(dataset: Dataset, args: argparse.Namespace) -> Batches:
    """The training patches as Sorby's run sees them."""
    config, data = settings(args), dataset.split("train")
    images, conditions = torch.from_numpy(data.images()), torch.zeros(len(data), 0)
    return Batches(images, conditions, batch_size=config.batch_size, seed=config.seed, symmetry=config.symmetry)


@torch.no_grad()
def drawn(generate: Callable[[], torch.Tensor]) -> np.ndarray:
    """Pictures (n 1 h w, 8 bits) of a generator of `AT_ONCE` images in [-1, 1], from the same latents every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return np.concatenate([to_grey_values(generate()) for _ in range(PICTURES // AT_ONCE)])


def import_from(folder: Path | None) -> None:
    """Make the modules of `folder` importable, without those that it only imports."""
    if folder is None:
        sys.exit("Say with --peer where the code is.")
    sys.path.insert(0, str(folder))
    for name in UNUSED:
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = MagicMock()


class Judge:
    """Scores pictures against real ones, whose features are kept."""

    def __init__(self, real: ImageSet) -> None:
        self.networks = {short: load_network(name) for name, short in NETWORKS.items()}
        self.features = {short: cached_features(real, network) for short, network in self.networks.items()}
        self.stats = {short: feature_stats(features) for short, features in self.features.items()}
        self.described = comparable(descriptor_table(real.batches()))

    def __call__(self, pictures: np.ndarray) -> dict[str, float]:
        """All of `SCORES`."""
        scores = {}
        for short, network in self.networks.items():
            features = extract_features(network, [pictures])
            scores[f"KID {short}"] = kernel_distance(self.features[short], features)
            scores[f"FID {short}"] = frechet_distance(self.stats[short], feature_stats(features))
        found = shifts(self.described, comparable(descriptor_table([pictures])))
        learnt = np.array([quantity.name != "contrast" for quantity in QUANTITIES])
        errors = {"descriptor error": descriptor_error(found), "without contrast": descriptor_error(found[learnt])}
        return scores | errors


def scored(folders: Sequence[Path], held_out: ImageSet) -> Iterator[Row]:
    """What is known of every snapshot; scores are kept beside it, for these held-out pictures."""
    judge = functools.cache(lambda: Judge(held_out))
    for path in (path for folder in folders for path in sorted(folder.glob("*.npz"))):
        with np.load(path) as file:
            about, pictures = json.loads(str(file["about"])), file["pictures"]
        kept = path.with_suffix(".json")
        scores = json.loads(kept.read_text()) if kept.is_file() else {}
        if scores.get("against") != held_out.hash:
            print(f"scoring {path}", file=sys.stderr)
            scores = {"against": held_out.hash, **judge()(pictures)}
            kept.write_text(json.dumps(scores))
        yield {"run": path.parent, **about, **scores}


def print_table(rows: Sequence[Row]) -> None:
    """A line a snapshot, by contestant, run and time."""
    print(f"| run | kimg | CPU minutes | {' | '.join(SCORES)} |\n| --- | --- | --- |{' --- |' * len(SCORES)}")
    for row in sorted(rows, key=lambda row: (list(COLOURS).index(row["contestant"]), row["run"], row["cpu_seconds"])):
        values = " | ".join(f"{row[name]:.{1 if name.startswith('FID') else 3}f}" for name in SCORES)
        kimg, minutes = f"{row['images_seen'] / 1000:g}", f"{row['cpu_seconds'] / 60:.1f}"
        print(f"| {row['run'].name} | {kimg} | {minutes} | {values} |")


def plot(rows: Sequence[Row], path: Path) -> None:
    """Scores over processor time, a line a run; what had none is a level line."""
    with rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(PANELS), 2.8), layout="constrained")
        for axis, score in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            for run in dict.fromkeys(row["run"] for row in rows):
                of_run = [row for row in rows if row["run"] == run]
                minutes, values = [row["cpu_seconds"] / 60 for row in of_run], [row[score] for row in of_run]
                name = of_run[0]["contestant"]
                look = {"color": COLOURS[name], "label": name, "linewidth": 1.2}
                if name == "real":
                    axis.axhline(values[0], linestyle="--", **look)
                else:
                    axis.plot(minutes, values, marker="o", markersize=2.5, **look)
            axis.set(title=score, xlabel="CPU minutes", yscale="log")
        handles, labels = axis.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))  # one of each, however many seeds
        figure.legend(named.values(), named.keys(), loc="outside right center")
        figure.savefig(path, metadata={"Date": None, "Creator": None})


CONTESTANTS = {
    "sorby": train_sorby,
    "official": train_official,
    "lucidrains": train_lucidrains,
    "real": show_real,
}


def main() -> None:
    """Train or score."""
    args = _arguments()
    dataset = Dataset.open(args.dataset)
    if args.command == "score":
        rows = list(scored(args.folders, open_real(args.dataset, num=sys.maxsize, seed=0)["held-out"]))
        print_table(rows)
        if args.plot:
            plot(rows, args.plot)
        return
    if any(args.out.glob("*.npz")) and not (args.out / STATE).is_file():
        sys.exit(f"{args.out} holds a run without {STATE}, to go on from: choose another --out.")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(args.seed)
    print(f"{machine()}; {args.contestant}, seed {args.seed}, {args.threads} threads", flush=True)
    CONTESTANTS[args.contestant](dataset, args, Recorder(args))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, and write pictures now and then")
    train.add_argument("contestant", choices=CONTESTANTS)
    train.add_argument("dataset", type=Path)
    train.add_argument("--out", type=Path, required=True, help="folder for what is drawn")
    train.add_argument("--kimg", type=float, default=20, help="thousand images to train for")
    train.add_argument("--every", type=float, default=2, help="thousand images between two snapshots")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--threads", type=int, default=2)
    train.add_argument("--preset", default="laptop-64", help="Sorby's settings; the others take widths and batch")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of Sorby's")
    train.add_argument("--peer", type=Path, help="where the other code is")
    train.add_argument("--gamma", type=float, default=0.4, help="weight of R1 in the official code")
    train.add_argument("--path-length", type=float, default=0.0, help="weight of path length in the official code")
    train.add_argument("--capacity", type=int, default=6, help="network_capacity of lucidrains")
    score = commands.add_parser("score", help="score what was drawn, and print a table")
    score.add_argument("dataset", type=Path)
    score.add_argument("folders", type=Path, nargs="+", help="of runs")
    score.add_argument("--plot", type=Path, help="an SVG of the scores over processor time")
    return parser.parse_args()


if __name__ == "__main__":
    main()

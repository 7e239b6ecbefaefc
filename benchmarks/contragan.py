"""An epoch of `paper-b`, 1,200 patches of 128 px: Sorby beside the same networks in plain PyTorch, interleaved.

    python benchmarks/contragan.py --rounds 3

The plain ones are below: tables 1 and 2 of Jain et al. 2024 as one writes them down, in float32, in PyTorch's own
memory layout, with a loop of a page. Before anything is timed, both draw and score the same from the same weights.
Timed are whole turns of training, four batches of the critic and one of the generator, each contestant in a process of
its own after one batch to warm up; an epoch is 1,200 images' worth of that.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from bench import in_own_process, machine, peak_mib, spread
from torch import Tensor, nn
from torch.nn import functional as F

from sorby.allocator import keep_freed_memory
from sorby.config import TrainConfig, resolve
from sorby.models.contragan import ContraganGenerator, Critic
from sorby.training.batches import Batches
from sorby.training.loop import step
from sorby.training.run import augmentation
from sorby.training.state import new_state

PATCHES, CLASSES = 1200, 8
NAMES = {"sorby": "Sorby", "float32": "Sorby, float32", "plain": "plain PyTorch"}


def settings(batch: int, precision: str = "bfloat16") -> TrainConfig:
    """The preset, for eight classes."""
    return resolve("paper-b", {"network": {"condition_dim": CLASSES}, "batch_size": batch, "precision": precision})


def data(size: int) -> tuple[Tensor, Tensor]:
    """Patches of noise, as grey values, and their classes, one-hot."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (PATCHES, 1, size, size), generator=rng, dtype=torch.uint8)
    return images, torch.eye(CLASSES)[torch.arange(PATCHES) % CLASSES]


def sorby_batches(config: TrainConfig) -> Callable[[], object]:
    """One batch of a Sorby run, with all that the loop does beside the two networks."""
    keep_freed_memory()
    state, augment = new_state(config), augmentation(config)
    batches = Batches(*data(config.network.size), batch_size=config.batch_size, seed=0)
    return lambda: step(state, batches, config, augment)


class PlainAttention(nn.Module):
    """Self-attention of Zhang et al. 2019, all pairs of places in one matrix."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        self.query, self.key, self.value = (nn.Conv2d(channels, channels // 8, 1) for _ in range(3))
        self.out = nn.Conv2d(channels // 8, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        shares = torch.softmax(query.transpose(1, 2) @ key / query.shape[1] ** 0.5, 2)
        return x + self.strength * self.out((value @ shares.transpose(1, 2)).unflatten(2, x.shape[2:]))


def up(inputs: int, outputs: int) -> list[nn.Module]:
    """A transposed convolution of table 1, with what follows it."""
    conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


def down(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution of table 2, with what follows it."""
    return [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


class PlainGenerator(nn.Module):
    """Table 1."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.linear = nn.Linear(CLASSES, 128), nn.Linear(128, 8192)
        last = [nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.BatchNorm2d(1), nn.Tanh()]
        layers = [*up(512, 256), *up(256, 128), *up(128, 64), PlainAttention(64), *up(64, 64), *last]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.layers(self.linear(z * self.embed(y)).reshape(-1, 512, 4, 4))


class PlainCritic(nn.Module):
    """Table 2."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(CLASSES, 64)
        first = [nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.before = nn.Sequential(*first, *down(64, 64), *down(64, 128), *down(128, 256))
        self.after = nn.Sequential(*down(257, 128))
        self.out = nn.Linear(2048, 1)
        self.project = nn.Sequential(nn.Linear(2048, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 64))

    def forward(self, images: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e = self.embed(y)
        x = self.after(torch.cat([self.before(images), e.reshape(-1, 1, 8, 8)], 1)).flatten(1)
        return self.out(x), self.project(x), e


def contrast(image: Tensor, condition: Tensor, y: Tensor, temperature: float = 0.1) -> Tensor:
    """Equation 3 of Jain et al. 2024, without the pair of an image and itself."""
    image, condition = F.normalize(image, dim=1), F.normalize(condition, dim=1)
    own = torch.exp((image * condition).sum(1) / temperature)
    pairs = torch.exp(image @ image.T / temperature) * (1 - torch.eye(len(y)))
    return -torch.log((own + (pairs * (y @ y.T)).sum(1)) / (own + pairs.sum(1))).mean()


def plain_batches(config: TrainConfig) -> Callable[[], object]:
    """One batch of a plain training loop."""
    G, D = PlainGenerator(), PlainCritic()
    opt_G, opt_D = (torch.optim.RMSprop(network.parameters(), lr=config.learning_rate) for network in (G, D))
    images, conditions = data(config.network.size)
    number = 0

    def batch() -> None:
        nonlocal number
        rows = torch.randint(PATCHES, (config.batch_size,))
        real, y = images[rows].float() / 127.5 - 1, conditions[rows]
        with torch.no_grad():
            fake = G(torch.randn(len(rows), 128), y)
        scores, vectors, e = D(real, y)
        loss = D(fake, y)[0].mean() - scores.mean() + contrast(vectors, e, y)
        opt_D.zero_grad()
        loss.backward()
        opt_D.step()
        with torch.no_grad():
            for weight in D.parameters():
                weight.clamp_(-config.weight_clip, config.weight_clip)
        number += 1
        if number % config.n_critic == 0:
            scores, vectors, e = D(G(torch.randn(len(rows), 128), y), y)
            opt_G.zero_grad()
            (contrast(vectors, e, y) - scores.mean()).backward()
            opt_G.step()

    return batch


@torch.no_grad()
def differences(config: TrainConfig) -> list[float]:
    """Largest differences of pictures, scores and vectors between both, in float32 from the same weights."""
    G, D = ContraganGenerator(config.network), Critic(config.network, contrastive=True)
    plain_G, plain_D = PlainGenerator(), PlainCritic()
    for ours, plain in ((G, plain_G), (D, plain_D)):
        ours.apply(_visible)
        for weight, other in zip(ours.parameters(), plain.parameters(), strict=True):
            other.copy_(weight)
    z, y = torch.randn(16, 128), torch.eye(CLASSES).repeat(2, 1)
    pictures = G(z, y)
    pairs = [(pictures, plain_G(z, y)), *zip(D.judge(pictures, y), plain_D(pictures, y), strict=True)]
    return [float((ours - plain).abs().max() / ours.abs().max()) for ours, plain in pairs]


def _visible(layer: nn.Module) -> None:
    if hasattr(layer, "strength"):
        layer.strength.data.fill_(1)


def seconds_of(batch: Callable[[], object], num: int) -> float:
    """Seconds of `num` batches after one to warm up."""
    batch()
    start = time.perf_counter()
    for _ in range(num):
        batch()
    return time.perf_counter() - start


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=["sorby", "plain"])
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.manual_seed(0)
    config = settings(args.batch, "float32" if args.one == "float32" else "bfloat16")
    if args.one:
        torch.set_num_threads(args.threads)
        batch = plain_batches(config) if args.one == "plain" else sorby_batches(config)
        turn = seconds_of(batch, config.n_critic)
        epoch = turn * PATCHES / (config.n_critic * config.batch_size)
        print(json.dumps({"epoch": epoch, "peak_mib": peak_mib()}))
        return
    worst = max(differences(config))
    if worst > 1e-3:
        raise SystemExit(f"The networks differ by {worst:.1e} of their largest value: not a fair race.")
    rounds = [
        {name: in_own_process([*sys.argv[1:], "--one", name], threads=args.threads) for name in args.contestants}
        for _ in range(args.rounds)
    ]
    print(f"{machine()}; {args.threads} threads")
    print(f"128 px, batch {args.batch}, {len(rounds)} rounds; same weights, outputs within {worst:.0e}\n")
    print("| | s an epoch | times Sorby's | peak memory, MiB |")
    print("| --- | --- | --- | --- |")
    for name in args.contestants:
        epochs = [found[name]["epoch"] for found in rounds]
        ratios = [found[name]["epoch"] / found[args.contestants[0]]["epoch"] for found in rounds]
        peak = statistics.median(found[name]["peak_mib"] for found in rounds)
        print(f"| {NAMES[name]} | {spread(epochs, digits=1)} | {spread(ratios)} | {peak:.0f} |")


if __name__ == "__main__":
    main()

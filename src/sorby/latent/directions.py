"""Directions of w along which pictures change: found in closed form, and moved along.

Every direction is as long as w varies along it: moving by 1 is moving by one standard deviation.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sorby.draw import Move
from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.seeds import rng_for

SAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Direction:
    """One way to go from any picture."""

    name: str
    """How it was found, and its rank: `pca-1`."""
    vector: Float[Tensor, " d"]
    """In w, one standard deviation long."""
    layers: range
    """The layers that are moved."""
    share: float
    """Of the variance of w (PCA), or of what the weights do to w (SeFa); 0 to 1."""

    @property
    def identity(self) -> str:
        """Tells it from others of its name: the first digits of the SHA-256 of its vector."""
        return hashlib.sha256(self.vector.float().cpu().numpy().tobytes()).hexdigest()[:12]


class Spread:
    """How w varies: its mean and covariance."""

    def __init__(
        self,
        generator: Generator,
        *,
        condition: Values | None = None,
        over_conditions: bool = False,
        samples: int = SAMPLES,
    ) -> None:
        """Over z, of `samples` w at `condition`, or that of seed 0; the covariance hardly depends on it.

        `over_conditions`: over those of the data too, each as often as it is there.
        """
        seeds = range(samples if over_conditions else 1)
        encoded = generator.encoded(seeds, condition).expand(samples, -1)
        z = torch.randn(samples, generator.network.z_dim, generator=rng_for(0, "spread of w")).to(generator.device)
        ws = generator.network.mapping(z, encoded).detach().double().cpu()
        self.mean = ws.mean(0)
        values, vectors = torch.linalg.eigh((ws - self.mean).T @ (ws - self.mean) / (samples - 1))
        self.variances = values.flip(0).clamp(min=0)
        self.axes = vectors.flip(1).T
        """Unit vectors, a row each, by falling variance; each begins with a positive largest entry."""
        largest = self.axes.gather(1, self.axes.abs().argmax(1, keepdim=True))
        self.axes = self.axes * largest.sign()

    def std_along(self, unit: Float[Tensor, " d"]) -> float:
        """Standard deviation of w along a unit vector."""
        return math.sqrt(float(((self.axes @ unit).square() * self.variances).sum()))

    def places(self, ws: Float[Tensor, "n d"], *, num: int = 2) -> Float[Tensor, "n q"]:
        """Where w are along the first `num` principal axes: in standard deviations, from the mean."""
        along = (ws.double().cpu() - self.mean) @ self.axes[:num].T
        return (along / self.variances[:num].sqrt().clamp(min=torch.finfo(torch.float32).tiny)).float()


def pca(spread: Spread, layers: range, *, num: int) -> list[Direction]:
    """Principal axes of w (Härkönen et al. 2020, GANSpace)."""
    shares = spread.variances / spread.variances.sum()
    return [
        Direction(f"pca-{i + 1}", (spread.axes[i] * spread.variances[i].sqrt()).float(), layers, float(shares[i]))
        for i in range(min(num, len(spread.axes)))
    ]


def sefa(generator: Generator, spread: Spread, layers: range, *, num: int) -> list[Direction]:
    """What the weights of `layers` answer most to: eigenvectors of A^T A (Shen & Zhou 2021, equation 4)."""
    read = generator.network.synthesis.style_weights()
    A = torch.cat([read[layer] for layer in layers]).detach().double().cpu()
    values, vectors = torch.linalg.eigh(A.T @ A)
    units, shares = vectors.flip(1).T, values.flip(0) / values.sum()
    found = []
    for i in range(min(num, len(units))):
        unit = units[i] * units[i][units[i].abs().argmax()].sign()
        found.append(Direction(f"sefa-{i + 1}", (unit * spread.std_along(unit)).float(), layers, float(shares[i])))
    return found


def random(spread: Spread, layers: range, *, num: int, seed: int) -> list[Direction]:
    """Directions drawn by chance, as likely as any other: each is one standard deviation of w long where it points.

    C^(1/2) u, with the covariance C of w and u even on the unit sphere; the principal axes are of this kind.
    """
    u = torch.randn(num, len(spread.variances), generator=rng_for(seed, "random directions"), dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    vectors = (u * spread.variances.sqrt()) @ spread.axes
    return [Direction(f"random-{i + 1}", vector.float(), layers, 0.0) for i, vector in enumerate(vectors)]


def offset(generator: Generator, directions: Sequence[Direction], amounts: Sequence[float]) -> Float[Tensor, "l d"]:
    """What to add to w to move by so many standard deviations along each direction."""
    total = torch.zeros(generator.network.num_styles, len(generator.network.w_mean))
    for direction, amount in zip(directions, amounts, strict=True):
        total[list(direction.layers)] += amount * direction.vector
    return total


def move_along(generator: Generator, directions: Sequence[Direction], amounts: Mapping[str, float]) -> Move:
    """By so many standard deviations along each direction that is named. Raises `ConfigError` for other names."""
    along = [by_name(directions, name) for name in amounts]
    which = (f"{d.name} {d.identity} of layers {d.layers[0]} to {d.layers[-1]}" for d in along)
    name = ", ".join(f"{name}={amount:g}" for name, amount in amounts.items())
    return Move(name, offset(generator, along, list(amounts.values())), ", ".join(which))


def by_name(directions: Sequence[Direction], name: str) -> Direction:
    """The direction of this name. Raises `ConfigError` where there is none."""
    for direction in directions:
        if direction.name == name:
            return direction
    raise ConfigError(f"Direction {name!r} is not known: choose from {', '.join(d.name for d in directions)}.")

"""The place of a micrograph in a generator's space: w and noise that draw it best (Karras et al. 2020a, appendix D).

Each picture is sought by itself: what is found does not depend on the others, up to rounding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sorby.errors import ConfigError, DataError
from sorby.generator import Generator, Values, from_grey_values
from sorby.latent.walk import Stop
from sorby.metrics.perceptual import PerceptualDistance, load_perceptual, perceptual_distance
from sorby.seeds import rng_for

Space = Literal["w", "w+"]
"""One w for all layers, or one for each: closer to the picture, further from what the generator draws by itself."""

STEPS = 300
DATASET_STEPS = 100
"""Enough to tell two sides apart, and three times as fast."""
LEARNING_RATE = 0.1
RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Shares of the steps."""
JITTER, JITTER_UNTIL = 0.05, 0.75
"""Noise added to w at first, in standard deviations of w as a whole; and the share of the steps until it is gone."""
WHITE_NOISE = 0.1
"""Weight of the autocorrelation of the noise. With the published 1e5 the noise can hardly move, and in a generator of
microstructures it is the noise that places the particles; at 0.1 it stays whiter than noise that is drawn."""
PIXELS = 1.0
"""Weight of the mean squared difference of the pixels, -1 to 1, beside the perceptual distance."""
SMALLEST_PX = 8
"""Smaller maps of noise are not looked at for structure."""
SPREAD_SAMPLES = 1024
TRIES = 4
"""Draws of noise at which each condition is tried."""
AT_ONCE = 8
"""On a CPU larger batches are not faster."""


class Step(NamedTuple):
    """How far a projection is."""

    done: int
    total: int
    """Steps, over all batches."""
    ws: Float[Tensor, "n l d"]
    noise: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Projection:
    """Where pictures lie, and what is drawn there."""

    ws: Float[Tensor, "n l d"]
    noise: tuple[Tensor, ...]
    """Of each layer, "n c h w"."""
    conditions: tuple[Values, ...]
    """At which each was sought; {} for a generator without."""
    distances: Float[np.ndarray, " n"]
    """Perceptual, between the picture and what is drawn, in grey values."""
    images: UInt8[np.ndarray, "n c h w"]

    def stop(self, index: int, name: str) -> Stop:
        """Where a walk may begin."""
        return Stop(name, self.ws[index], tuple(layer[index] for layer in self.noise))


def project(
    generator: Generator,
    pictures: UInt8[np.ndarray, "n _ _ _"],
    *,
    condition: Values | None = None,
    space: Space = "w",
    steps: int = STEPS,
    seed: int = 0,
    fit_noise: bool = True,
    metric: PerceptualDistance | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Projection:
    """Find pictures "n c h w", from the mean of w at `condition` on.

    Without a `condition` each is sought at the one whose mean picture is nearest, of those in the training data.
    Without `fit_noise` the noise stays as `seed` draws it, and w alone is sought: what the generator knows, and not
    what noise can be made to show. `metric` is the one on EfficientNet-lite0 where none is given.

    Raises `ConfigError` for a generator in another precision than float32 and for a condition that it does not know,
    `DataError` for no pictures or those of another size.
    """
    _check(generator, pictures, steps)
    metric = metric or load_perceptual(device=generator.device)
    size = AT_ONCE if generator.device.type == "cpu" else len(pictures)
    batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    found = []
    for number, batch in enumerate(batches):
        target = from_grey_values(torch.tensor(batch).to(generator.device))
        conditions = (
            [condition] * len(batch) if condition is not None else nearest_conditions(generator, target, metric)
        )
        search = _Search(generator, metric, target, conditions, space=space, seed=seed, fit_noise=fit_noise)
        for step in range(steps):
            search.step(step, steps)
            on_step(Step(number * steps + step + 1, len(batches) * steps, search.ws.detach(), search.maps()))
        images = generator.draw(search.ws.detach(), search.maps())
        distances = perceptual_distance(images, batch, metric=metric)
        found.append(Projection(search.ws.detach(), search.maps(), tuple(conditions), distances, images))
    return _joined(found)


class _Search:
    """The w and noise of some pictures, on their way."""

    def __init__(
        self,
        generator: Generator,
        metric: PerceptualDistance,
        target: Float[Tensor, "n c h w"],
        conditions: Sequence[Values],
        *,
        space: Space,
        seed: int,
        fit_noise: bool,
    ) -> None:
        self.network, self.metric, self.seed = generator.network, metric, seed
        self.target, self.seen = target, metric.embed(target).detach()
        encoded = torch.cat([generator.encoded([0], values) for values in conditions])
        num = self.network.num_styles if space == "w+" else 1
        self.w = generator.mean_w(encoded)[:, None].repeat(1, num, 1).clone().requires_grad_()
        self.spread = torch.stack([spread(generator, row) for row in encoded])[:, None, None]
        drawn = self.network.synthesis.draw_noise(1, rng=rng_for(seed, "projection"))
        self.noise = [_normal(x.to(target)).repeat(len(target), 1, 1, 1).requires_grad_(fit_noise) for x in drawn]
        self.sought = [self.w, *self.noise] if fit_noise else [self.w]
        self.optimizer = torch.optim.Adam(self.sought)

    @property
    def ws(self) -> Float[Tensor, "n l d"]:
        return self._of_all_layers(self.w)

    def maps(self) -> tuple[Tensor, ...]:
        return tuple(x.detach().clone() for x in self.noise)

    def step(self, number: int, steps: int) -> None:
        """Take one of so many steps. The same jitter for each picture keeps them independent of each other."""
        t = number / steps
        rng = rng_for(self.seed, "jitter", number)
        jitter = torch.randn(1, *self.w.shape[1:], generator=rng).to(self.w) * self.spread * jitter_at(t)
        images = self.network.synthesis(self._of_all_layers(self.w + jitter), self.noise)
        loss = (self.metric.embed(images) - self.seen).square().sum(1)
        loss = loss + PIXELS * (images - self.target).square().mean((1, 2, 3))
        for x in self.sought[1:]:
            loss = loss + WHITE_NOISE * autocorrelation(x)
        for x, gradient in zip(self.sought, torch.autograd.grad(loss.sum(), self.sought), strict=True):
            x.grad = gradient
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate_at(t)
        self.optimizer.step()
        with torch.no_grad():
            for x in self.sought[1:]:
                x.copy_(_normal(x))

    def _of_all_layers(self, w: Float[Tensor, "n s d"]) -> Float[Tensor, "n l d"]:
        return w.expand(-1, self.network.num_styles, -1)


def autocorrelation(noise: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """How much neighbours in maps of noise agree, on every scale down to 8 px; about 0 for white noise.

    Squared mean products of neighbours, across and down, the edges joined; of the map, and of the map as it is halved
    in size again and again with its variance kept (Karras et al. 2020a, appendix D).
    """
    total = noise.new_zeros(len(noise))
    while noise.shape[2] >= SMALLEST_PX:
        for side in (2, 3):
            total = total + (noise * noise.roll(1, side)).mean((1, 2, 3)).square()
        noise = 2 * F.avg_pool2d(noise, 2)
    return total


def rate_at(t: float) -> float:
    """Learning rate at the time t, 0 to 1, in parts of the highest: up in a line, at the end down along a cosine."""
    up = min(t / RAMP_UP, 1.0)
    down = min((1 - t) / RAMP_DOWN, 1.0)
    return up * (0.5 - 0.5 * math.cos(math.pi * down))


def jitter_at(t: float) -> float:
    """Noise added to w at the time t, 0 to 1, in standard deviations of w."""
    return JITTER * max(0.0, 1 - t / JITTER_UNTIL) ** 2


@torch.no_grad()
def spread(generator: Generator, encoded: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """Root mean square distance of w from its mean, at a condition."""
    z = torch.randn(SPREAD_SAMPLES, generator.network.z_dim, generator=rng_for(0, "spread")).to(generator.device)
    ws = generator.network.mapping(z, encoded.expand(SPREAD_SAMPLES, -1))
    return (ws - ws.mean(0)).square().sum(1).mean().sqrt()


@torch.no_grad()
def nearest_conditions(
    generator: Generator, target: Float[Tensor, "n c h w"], metric: PerceptualDistance
) -> list[Values]:
    """For each picture the condition of the training data whose mean picture is nearest; {} without conditions."""
    seen = generator.card.seen_conditions
    if not seen:
        return [{}] * len(target)
    noise = generator.network.synthesis.draw_noise(TRIES, rng=rng_for(0, "conditions"))
    noise = [layer.to(generator.device) for layer in noise]
    embedded, distances = metric.embed(target), []
    for values in seen:
        w = generator.mean_w(generator.encoded([0], values))[:, None]
        means = metric.embed(generator.network.synthesis(w.expand(TRIES, generator.network.num_styles, -1), noise))
        distances.append(torch.cdist(embedded, means).square().mean(1))
    return [seen[int(best)] for best in torch.stack(distances).argmin(0)]


def _normal(noise: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Zero mean and unit variance, over all of a layer."""
    std, mean = torch.std_mean(noise, (1, 2, 3), correction=0, keepdim=True)
    return (noise - mean) / std


def _joined(parts: Sequence[Projection]) -> Projection:
    return Projection(
        torch.cat([part.ws for part in parts]),
        tuple(torch.cat(layers) for layers in zip(*(part.noise for part in parts), strict=True)),
        tuple(values for part in parts for values in part.conditions),
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.images for part in parts]),
    )


def _check(generator: Generator, pictures: np.ndarray, steps: int) -> None:
    card = generator.card.network
    expected = (card.channels, card.size, card.size)
    if not len(pictures) or pictures.shape[1:] != expected:
        raise DataError(f"Pictures of shape {pictures.shape} came to be projected, expected some of {expected}.")
    if steps < 1:
        raise ConfigError(f"{steps} steps came, expected 1 or more.")
    if generator.dtype != torch.float32:
        raise ConfigError("A projection needs gradients in float32: open the generator with dtype=torch.float32.")

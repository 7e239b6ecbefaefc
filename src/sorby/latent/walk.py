"""A walk between pictures that a generator draws: through seeds, conditions and truncations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sorby.conditions import ConditionSpace
from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.latent.geometry import circle, lerp, slerp

Way = Literal["slerp", "linear", "w", "circle"]
"""Great circles in z, straight lines in z, straight lines in w, one great circle in z all the way round."""
NoiseWay = Literal["follow", "hold", "loop"]
"""From the noise of a stop to that of the next, that of the first all along, or around a great circle."""
Between = Callable[[Tensor, Tensor, float], Tensor]

_BETWEEN: dict[Way, Between] = {"slerp": slerp, "linear": lerp, "circle": circle}


class Origin(NamedTuple):
    """What w is made of."""

    z: Float[Tensor, " z"]
    encoded: Float[Tensor, " k"]
    """The condition as the network reads it."""
    truncation: float


@dataclass(frozen=True, eq=False)
class Stop:
    """A picture that a walk passes."""

    name: str
    """For people: `seed 3`."""
    ws: Float[Tensor, "l d"]
    noise: tuple[Tensor, ...]
    """Of each layer, "c h w"."""
    origin: Origin | None = None
    """None where only w is known, as of a projected micrograph."""


class Point(NamedTuple):
    """What one picture of a walk is drawn from."""

    ws: Float[Tensor, "l d"]
    noise: tuple[Tensor, ...]


def stops(
    generator: Generator,
    seeds: Sequence[int],
    *,
    conditions: Sequence[Values | None] = (None,),
    truncations: Sequence[float] = (1.0,),
) -> list[Stop]:
    """One stop for each seed, condition and truncation, in step; of a list of one, its entry stays the same all along.

    Raises `ConfigError` where two lists are longer than one and differ in length.
    """
    lists = {"seeds": seeds, "conditions": conditions, "truncations": truncations}
    num = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in (1, num):
            raise ConfigError(f"{len(values)} {name} came for a walk of {num} stops: give 1 or {num}.")
    return [
        _stop(generator, seeds[i % len(seeds)], conditions[i % len(conditions)], truncations[i % len(truncations)])
        for i in range(num)
    ]


def _stop(generator: Generator, seed: int, condition: Values | None, truncation: float) -> Stop:
    z, noise = generator.latents([seed])
    encoded = generator.encoded([seed], condition)
    ws = generator.styles(z, encoded, truncation)
    parts = [f"seed {seed}"]
    if generator.card.space.dim:
        parts.append(generator.card.space.tell(generator.condition_of(seed) if condition is None else condition))
    if truncation != 1:
        parts.append(f"truncation {truncation:g}")
    origin = Origin(z[0], encoded[0], truncation)
    return Stop(", ".join(parts), ws[0], tuple(layer[0] for layer in noise), origin)


class Walk:
    """From stop to stop, each stretch as long as the others; at its stops the pictures are those of the stops."""

    def __init__(
        self,
        generator: Generator,
        stops: Sequence[Stop],
        *,
        way: Way = "slerp",
        noise: NoiseWay = "follow",
        closed: bool = False,
    ) -> None:
        """`closed` leads from the last stop back to the first.

        A class changes along a straight line in w, a number along its own scale, and so does truncation.
        Raises `ConfigError` for fewer than two stops (one for a loop of the noise), for a circle of other than two, and
        for stops without z on any way but `w`.
        """
        _check(stops, way, noise)
        self.generator = generator
        self.stops = [*stops, stops[0]] if closed or len(stops) == 1 else list(stops)
        self.way, self.noise = way, noise
        self.is_closed = closed or way == "circle" or len(stops) == 1
        self._is_number = _are_numbers(generator.card.space).to(generator.device)

    def times(self, frames: int) -> list[float]:
        """When to draw, 0 to 1, evenly; a closed walk leaves out its end, which is its beginning."""
        steps = frames if self.is_closed else max(frames - 1, 1)
        return [frame / steps for frame in range(frames)]

    def describe(self) -> str:
        """For people: `slerp from seed 0 to seed 1; noise follow`."""
        return f"{self.way} from {' to '.join(stop.name for stop in self.stops)}; noise {self.noise}"

    def at(self, t: float) -> Point:
        """Where the walk is at the time t, 0 to 1."""
        if self.way == "circle":
            a, b, share = *self.stops[:2], t
        else:
            legs = len(self.stops) - 1
            leg = min(int(t * legs), legs - 1)
            a, b, share = self.stops[leg], self.stops[leg + 1], t * legs - leg
        return Point(self._ws(a, b, share), self._noise(a, b, share, t))

    def _ws(self, a: Stop, b: Stop, share: float) -> Float[Tensor, "l d"]:
        if a.origin is None or b.origin is None or self.way == "w":
            return lerp(a.ws, b.ws, share)
        z = _BETWEEN[self.way](a.origin.z, b.origin.z, share)
        if self.way == "circle":  # only z goes around
            return self._styles(z, a.origin.encoded, a.origin.truncation)
        psi = a.origin.truncation + share * (b.origin.truncation - a.origin.truncation)
        numbers = lerp(a.origin.encoded, b.origin.encoded, share)
        start, end = (
            self._styles(z, torch.where(self._is_number, numbers, origin.encoded), psi)
            for origin in (a.origin, b.origin)
        )
        return lerp(start, end, share)

    def _styles(self, z: Tensor, encoded: Tensor, psi: float) -> Float[Tensor, "l d"]:
        return self.generator.styles(z[None], encoded[None], psi)[0]

    def _noise(self, a: Stop, b: Stop, share: float, t: float) -> tuple[Tensor, ...]:
        if self.noise == "hold":
            return self.stops[0].noise
        if self.noise == "loop":
            first = self.stops[0].noise
            return tuple(circle(layer, _other(layer), t) for layer in first)
        between = circle if self.way == "circle" else slerp
        return tuple(between(x, y, share) for x, y in zip(a.noise, b.noise, strict=True))


def _other(layer: Tensor) -> Tensor:
    """Noise that has nothing to do with `layer`, and is always the same."""
    rng = torch.Generator().manual_seed(layer.numel())
    return torch.randn(layer.shape, generator=rng).to(layer)


def _are_numbers(space: ConditionSpace) -> Tensor:
    """Which entries of an encoded condition are numbers."""
    kinds = [condition.kind for condition in space.conditions for _ in range(condition.dim)]
    return torch.tensor([kind != "class" for kind in kinds], dtype=torch.bool)


def _check(stops: Sequence[Stop], way: Way, noise: NoiseWay) -> None:
    if way == "circle" and len(stops) != 2:
        raise ConfigError(f"{len(stops)} stops came for a circle: give the two that it leads through.")
    if len(stops) < (1 if noise == "loop" else 2):
        raise ConfigError(f"{len(stops)} stop came, a walk needs two: give more seeds, conditions or truncations.")
    if way != "w" and any(stop.origin is None for stop in stops):
        raise ConfigError("a projected micrograph has a place in w alone: walk with way w.")

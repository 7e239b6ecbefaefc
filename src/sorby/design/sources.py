"""What draws pictures for a design, and what of it can be chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from sorby.conditions import Condition
from sorby.generator import Generator, Values
from sorby.latent.directions import Direction, Spread, offset, pca
from sorby.simulation.random_field import two_phase

FURTHEST = 2.0
"""Standard deviations along each direction."""


@dataclass(frozen=True)
class Number:
    """A number that may be chosen."""

    name: str
    low: float
    high: float
    is_log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several."""

    name: str
    options: tuple[str, ...]


Chosen = Mapping[str, str | float]
Picture = UInt8[np.ndarray, "h w"]


@runtime_checkable
class Source(Protocol):
    """Draws a picture from a seed and from what was chosen; {} is its own choice for that seed."""

    name: str
    pixel_size_um: float | None
    variables: tuple[Number | Choice, ...]

    def draw(self, seed: int, chosen: Chosen) -> Picture:
        """The same picture for the same arguments."""
        ...

    def usual(self, seed: int) -> dict[str, str | float]:
        """What the source chooses for a seed when left alone."""
        ...

    def provenance(self, seed: int, chosen: Chosen) -> dict[str, str]:
        """What has to be written into the picture."""
        ...


class GeneratorSource:
    """A generator, moved along the principal axes of w, at conditions within the data."""

    def __init__(self, generator: Generator, *, axes: int) -> None:
        """`axes` is how many of the principal axes may be moved along, each by two standard deviations both ways."""
        self.generator = generator
        self.name = "generator"
        self.pixel_size_um = generator.card.pixel_size_um
        layers = range(generator.network.num_styles)
        self._directions: list[Direction] = pca(Spread(generator), layers, num=axes)
        self._conditions = generator.card.space.conditions
        self.variables: tuple[Number | Choice, ...] = (
            *(_variable(condition) for condition in self._conditions),
            *(Number(direction.name, -FURTHEST, FURTHEST) for direction in self._directions),
        )

    def draw(self, seed: int, chosen: Chosen) -> Picture:
        """A grey picture; of several channels the mean."""
        amounts = [float(chosen.get(direction.name, 0.0)) for direction in self._directions]
        move = offset(self.generator, self._directions, amounts)
        picture = self.generator.images([seed], condition=self._condition(seed, chosen), offset=move)[0]
        return picture[0] if len(picture) == 1 else np.rint(picture.mean(0)).astype(np.uint8)

    def usual(self, seed: int) -> dict[str, str | float]:
        """The condition of the seed, and no move."""
        kinds = {condition.name: condition.kind for condition in self._conditions}
        condition = self._condition(seed, {}).items()
        values = {name: str(value) if kinds[name] == "class" else float(value) for name, value in condition}
        return {**values, **{direction.name: 0.0 for direction in self._directions}}

    def provenance(self, seed: int, chosen: Chosen) -> dict[str, str]:
        """As of any picture that a generator drew, with its moves."""
        moves = ", ".join(f"{d.name}={float(chosen.get(d.name, 0.0)):.4g}" for d in self._directions)
        condition = {f"condition {name}": str(value) for name, value in self._condition(seed, chosen).items()}
        about = {"synthetic": "true", "generator": self.generator.hash, "seed": str(seed), "move": moves}
        return about | {"precision": self.generator.precision} | condition

    def _condition(self, seed: int, chosen: Chosen) -> Values:
        usual = self.generator.condition_of(seed)
        return {name: chosen.get(name, value) for name, value in usual.items()}


class RandomFieldSource:
    """Two-phase microstructures from a Gaussian random field, as Shiraiwa et al. (2022) search among them.

    Stretched and turned as theirs, and in two greys without any grain; not tiled.
    """

    def __init__(self, *, size: int, pixel_size_um: float | None) -> None:
        """Of pictures `size` px square."""
        self.name = "random field"
        self.pixel_size_um = pixel_size_um
        self._size = size
        self._numbers = (
            Number("volume_fraction", 0.02, 0.98),
            Number("correlation_length_px", 2.0, size / 8, is_log=True),
            Number("aspect_ratio", 1.0, 4.0, is_log=True),
            Number("angle_deg", 0.0, 180.0),
        )
        self.variables: tuple[Number | Choice, ...] = self._numbers

    def draw(self, seed: int, chosen: Chosen) -> Picture:
        """Black 64, white 192."""
        values = {name: float(value) for name, value in (self.usual(seed) | dict(chosen)).items()}
        mask = two_phase((self._size, self._size), **values, rng=np.random.default_rng(seed))  # type: ignore[arg-type]
        return np.where(mask, 192, 64).astype(np.uint8)

    def usual(self, seed: int) -> dict[str, str | float]:
        """Drawn evenly from each range."""
        shares = np.random.default_rng((seed, 1)).random(len(self._numbers))
        return {v.name: _within(v, float(share)) for v, share in zip(self._numbers, shares, strict=True)}

    def provenance(self, seed: int, chosen: Chosen) -> dict[str, str]:
        """Everything that it is drawn from."""
        about = {"synthetic": "true", "generator": "Gaussian random field", "seed": str(seed)}
        return about | {name: f"{value:.6g}" for name, value in (self.usual(seed) | dict(chosen)).items()}


def _within(variable: Number, share: float) -> float:
    if variable.is_log:
        return float(variable.low * (variable.high / variable.low) ** share)
    return variable.low + share * (variable.high - variable.low)


def _variable(condition: Condition) -> Number | Choice:
    if condition.kind == "class":
        return Choice(condition.name, condition.classes)
    assert condition.low is not None
    assert condition.high is not None
    return Number(condition.name, condition.low, condition.high, is_log=condition.kind == "log")

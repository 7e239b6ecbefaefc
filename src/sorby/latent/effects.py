"""What a direction does to the microstructure, measured on pictures.

A picture of each seed is moved by one standard deviation both ways, and half of the difference of each descriptor is
the effect of one. Any direction does something, which enough seeds will show; so an effect is told only where it is,
besides, larger than those that directions drawn by chance have. For these it is taken as normal about 0, as the effect
of a small step in any of many dimensions is; a direction passes by luck once in twenty runs, over all that was tested.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.latent.directions import Direction, offset
from sorby.measurement.measured import descriptor_table
from sorby.metrics.multiple import holm
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Quantity, Segmentation, comparable

CHANCE = 0.05
LEAST_SEEDS, LEAST_RANDOM = 8, 8

Table = Float[np.ndarray, "n q"]


@dataclass(frozen=True)
class Effect:
    """What one standard deviation along a direction does to one descriptor."""

    quantity: Quantity
    value: float
    """Of lengths the change of the logarithm, of densities the change over the mean, of others the change."""
    low: float
    high: float
    """95 % interval over seeds."""
    p_value: float
    """How likely a direction drawn by chance has this effect, or seeds without one show it; the larger of the two,
    corrected for the number of tests (Holm 1979)."""

    @property
    def is_told(self) -> bool:
        """Whether it is more than chance."""
        return self.p_value < CHANCE

    def tell(self) -> str:
        """For people: `area fraction +6.0 points (4.1 to 8.0)`."""
        scale, unit = _scale(self.quantity)
        ends = [self.value, self.low, self.high]
        value, low, high = (100 * math.expm1(x) if self.quantity.is_length else scale * x for x in ends)
        return f"{self.quantity.title} {_number(value, sign='+')}{unit} ({_number(low)} to {_number(high)})"


def effects(
    generator: Generator,
    directions: Sequence[Direction],
    by_chance: Sequence[Direction],
    *,
    seeds: Sequence[int],
    condition: Values | None = None,
    how: Segmentation = BY_OTSU,
    on_direction: Callable[[int, int], None] | None = None,
) -> list[list[Effect]]:
    """The effects of each direction on each descriptor, held against those of directions drawn `by_chance`.

    `on_direction` is told before each direction how many are measured, of how many; what it raises ends the work.
    Raises `ConfigError` for fewer than eight seeds or directions by chance.
    """
    if len(seeds) < LEAST_SEEDS or len(by_chance) < LEAST_RANDOM:
        raise ConfigError(
            f"{len(seeds)} seeds and {len(by_chance)} random directions came: expected at least {LEAST_SEEDS} of each."
        )

    measured: list[Table] = []
    for direction in (everyone := [*by_chance, *directions]):
        if on_direction is not None:
            on_direction(len(measured), len(everyone))
        measured.append(_response(generator, direction, seeds, condition, how))
    chance, own = measured[: len(by_chance)], measured[len(by_chance) :]
    usual = np.sqrt(np.mean([_means(table) ** 2 for table in chance], 0))
    found = [_effects(table, usual, len(by_chance)) for table in own]
    corrected = iter(holm([effect.p_value for row in found for effect in row]))
    return [[Effect(e.quantity, e.value, e.low, e.high, next(corrected)) for e in row] for row in found]


def _response(
    generator: Generator, direction: Direction, seeds: Sequence[int], condition: Values | None, how: Segmentation
) -> Table:
    """Half of what a standard deviation forth and back make differ, a row a seed; of densities over the mean."""
    forth, back = (
        comparable(
            descriptor_table(
                [generator.images(seeds, condition=condition, offset=offset(generator, [direction], [amount]))], how
            )
        )
        for amount in (1.0, -1.0)
    )
    mean = _means((forth + back) / 2)
    is_density = np.array([quantity.power == -2 for quantity in QUANTITIES])
    return (forth - back) / 2 / np.where(is_density & (mean > 0), mean, 1.0)


def _effects(response: Table, usual: Float[np.ndarray, " q"], num_random: int) -> list[Effect]:
    """With p values that are not yet corrected; a descriptor that few pictures have is left out."""
    found = []
    for quantity, column, typical in zip(QUANTITIES, response.T, usual, strict=True):
        values = column[np.isfinite(column)]
        if len(values) < LEAST_SEEDS or not typical:
            continue
        mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
        half = float(scipy.stats.t.ppf(0.975, len(values) - 1)) * error
        by_seeds = 2 * scipy.stats.t.sf(abs(mean) / error, len(values) - 1) if error else float(mean == 0)
        by_direction = 2 * scipy.stats.t.sf(abs(mean) / typical, num_random)
        found.append(Effect(quantity, mean, mean - half, mean + half, float(max(by_seeds, by_direction))))
    return found


def _means(table: Table) -> Float[np.ndarray, " q"]:
    """Of each column over the pictures that have it; 0 where none does."""
    known = np.isfinite(table)
    return np.where(known, table, 0).sum(0) / known.sum(0).clip(min=1)


def _scale(quantity: Quantity) -> tuple[float, str]:
    if quantity.is_length or quantity.power == -2:
        return 100.0, " %"
    return (100.0, " points") if quantity.name == "area_fraction" else (1.0, "")


def _number(value: float, *, sign: str = "") -> str:
    """Two digits, or as many as stand before the point.

    >>> _number(-112.3), _number(0.123, sign="+")
    ('-112', '+0.12')
    """
    return f"{value:{sign}.0f}" if abs(value) >= 10 else f"{value:{sign}.2g}"

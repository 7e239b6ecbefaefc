"""The metallography at each processing condition, generated against real: whether the generator follows it.

Jain et al. 2024 (paper B), figure 3: a point for each condition, real mean against generated mean, around x = y.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from sorby.conditions import Condition, ConditionSpace
from sorby.evaluation.metallography import Tables
from sorby.evaluation.sides import Comparison, all_parents, same_scale
from sorby.generator import Values
from sorby.measurement.units import unit_of
from sorby.metrics.record import LEAST_IMAGES, ByCondition, ConditionMean
from sorby.metrics.sets import ImageSet
from sorby.microstructure.describe import QUANTITIES, Quantity, comparable
from sorby.microstructure.fraction import Estimate, by_parent, estimate

MOST_NAMED = 3
"""Conditions that a note lists by name."""

Key = tuple[str | float, ...]
Column = tuple[Float[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Values of a descriptor, and the parents of their images."""


def by_condition(
    tables: Tables, fakes: ImageSet, comparison: Comparison, *, pixel_size_um: float | None, notes: list[str]
) -> list[ByCondition]:
    """Each descriptor at each condition that both sides have, in the units of `pixel_size_um`; notes what is left out.

    Empty where a side has no conditions. Lengths are left out where the pixel sizes are known to differ.
    """
    groups = groups_of(fakes, comparison, notes)
    real, generated = comparable(tables.real), comparable(tables.generated)
    real_parents = all_parents(comparison)
    found = []
    for column, quantity in enumerate(QUANTITIES):
        if quantity.power and not same_scale(fakes.pixel_size_um, comparison.pixel_size_um):
            continue
        means = [
            _mean(condition, (real[r, column], real_parents[r]), (generated[g, column], fakes.parents[g]), quantity)
            for condition, (r, g) in groups.items()
        ]
        if shown := [mean for mean in means if mean is not None]:
            found.append(
                ByCondition(
                    name=quantity.name,
                    title=quantity.title,
                    unit=unit_of(quantity, pixel_size_um)[1],
                    means=tuple(shown),
                    deviation=deviation(shown),
                )
            )
    return found


def groups_of(
    fakes: ImageSet, comparison: Comparison, notes: list[str]
) -> dict[str, tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " m"]]]:
    """Which of all real and of the generated images are of each condition, in the order of the conditions."""
    space = comparison.real.space
    if not space.dim or not fakes.space.dim:
        return {}
    if _kinds(space) != _kinds(fakes.space):
        notes.append(
            f"Conditions are not compared: the real images have {', '.join(space.names)}, the generated ones "
            f"{', '.join(fakes.space.names)}. Both sides need the same conditions, each as numbers or each as classes."
        )
        return {}
    sides = [[_key(v, space) for images in side for v in images.conditions] for side in (comparison.floor, (fakes,))]
    groups, left_out = {}, []
    for key in sorted({key for side in sides for key in side}, key=lambda key: _order(key, space)):
        real, generated = (np.array([other == key for other in side]) for side in sides)
        if min(real.sum(), generated.sum()) < LEAST_IMAGES:
            left_out.append(_told(key, space))
        else:
            groups[_told(key, space)] = (real, generated)
    if left_out:
        more = f" and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        notes.append(
            f"Not compared by condition, with fewer than {LEAST_IMAGES} images on a side: "
            f"{'; '.join(left_out[:MOST_NAMED])}{more}."
        )
    return groups


def deviation(means: Sequence[ConditionMean]) -> float | None:
    """Mean absolute deviation of the generated from the real means, as a share of these (paper B, figure 3d)."""
    shares = [abs(mean.generated_mean / mean.real_mean - 1) for mean in means if mean.real_mean]
    return float(np.mean(shares)) if shares else None


def _mean(condition: str, real: Column, generated: Column, quantity: Quantity) -> ConditionMean | None:
    """None where one of the sides has too few values."""
    (x, x_parents), (y, y_parents) = ((v[~np.isnan(v)], parents[~np.isnan(v)]) for v, parents in (real, generated))
    if min(len(x), len(y)) < LEAST_IMAGES:
        return None
    on_x, on_y = (estimate(by_parent(v, parents)) for v, parents in ((x, x_parents), (y, y_parents)))
    return ConditionMean(
        condition=condition,
        real_mean=_back(on_x.value, quantity),
        real_interval=_interval(on_x, quantity),
        generated_mean=_back(on_y.value, quantity),
        generated_interval=_interval(on_y, quantity),
        shift=(on_y.value - on_x.value) / float(x.std()) if np.ptp(x) else None,
        num_real=len(x),
        num_generated=len(y),
        num_parents=on_x.num,
    )


def _back(value: float, quantity: Quantity) -> float:
    """From the logarithm, which lengths are compared as."""
    return math.exp(value) if quantity.is_length else value


def _interval(of: Estimate, quantity: Quantity) -> tuple[float, float] | None:
    return None if of.low is None or of.high is None else (_back(of.low, quantity), _back(of.high, quantity))


def _kinds(space: ConditionSpace) -> dict[str, bool]:
    return {condition.name: condition.kind == "class" for condition in space.conditions}


def _key(values: Values, space: ConditionSpace) -> Key:
    """Equal for equal conditions, however written: `900` and `900.0` are one temperature."""
    return tuple(str(values[c.name]) if c.kind == "class" else float(values[c.name]) for c in space.conditions)


def _order(key: Key, space: ConditionSpace) -> tuple[tuple[float, str], ...]:
    """Numbers by size, classes as `space` lists them, and after them those that it lacks."""
    return tuple(_place(value, condition) for value, condition in zip(key, space.conditions, strict=True))


def _place(value: str | float, condition: Condition) -> tuple[float, str]:
    if isinstance(value, float):
        return value, ""
    known = value in condition.classes
    return (condition.classes.index(value) if known else len(condition.classes)), value


def _told(key: Key, space: ConditionSpace) -> str:
    """For people: `temperature 900 °C, strain_rate 0.1 1/s`."""
    values = (f"{value:g}" if isinstance(value, float) else value for value in key)
    return ", ".join(
        f"{condition.name} {value} {condition.unit or ''}".rstrip()
        for condition, value in zip(space.conditions, values, strict=True)
    )

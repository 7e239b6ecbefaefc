"""The metallography at each processing condition, generated against real: whether the generator follows it.

Jain et al. 2024 (paper B), figure 3: a point for each condition, real mean against generated mean, around x = y.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sorby.conditions import Condition, ConditionSpace
from sorby.evaluation.lines import line_of, mean_number
from sorby.evaluation.sides import same_scale
from sorby.generator import Values
from sorby.measurement.units import unit_of
from sorby.metrics.record import LEAST_IMAGES, ByCondition, ConditionMean, Following
from sorby.microstructure.describe import QUANTITIES, Quantity, comparable
from sorby.microstructure.fraction import Estimate, by_parent, estimate

MOST_NAMED = 3
"""Conditions that a note lists by name."""

Key = tuple[str | float, ...]
"""A condition so written that equal ones are equal."""
Column = tuple[Float[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Values of a descriptor, and the parents of their images."""
Masks = Bool[np.ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Described:
    """The images of one side: what each was made under, or asked for, and its descriptors."""

    space: ConditionSpace
    conditions: Sequence[Values]
    parents: Int[np.ndarray, " n"]
    table: Float[np.ndarray, "n q"]
    """A row an image, a column each of `QUANTITIES`; NaN where an image has none."""
    pixel_size_um: float | None
    """Of the images, None where unknown or mixed."""

    @property
    def keys(self) -> list[Key]:
        """The condition of each image."""
        return [key_of(values, self.space) for values in self.conditions]


def by_condition(
    real: Described,
    generated: Described,
    *,
    unseen: Collection[Key] = (),
    pixel_size_um: float | None,
    seed: int,
    notes: list[str],
) -> list[ByCondition]:
    """Each descriptor at each condition that both sides have, in the units of `pixel_size_um`; notes what is left out.

    `unseen` are the conditions that no image trained on has. The halves of the real micrographs that are compared to
    one another are drawn with `seed`. Empty where a side has no conditions. Lengths are left out where the pixel sizes
    are known to differ.
    """
    groups = groups_of(real, generated, notes)
    halves = {key: half_of(real.parents, of_real, seed=seed) for key, (of_real, _) in groups.items()}
    tables = comparable(real.table), comparable(generated.table)
    found = []
    for column, quantity in enumerate(QUANTITIES):
        if quantity.power and not same_scale(generated.pixel_size_um, real.pixel_size_um):
            continue
        x, y = (table[:, column] for table in tables)
        at = {
            key: _mean(
                real.space.tell(dict(zip(real.space.names, key, strict=True))),
                (x[r], real.parents[r]),
                (y[g], generated.parents[g]),
                quantity,
                seen=key not in unseen,
            )
            for key, (r, g) in groups.items()
        }
        means = {key: mean for key, mean in at.items() if mean is not None}
        if not means:
            continue
        between = {key: _halves((x, real.parents), groups[key][0], halves[key], quantity) for key in means}
        found.append(
            ByCondition(
                name=quantity.name,
                title=quantity.title,
                unit=unit_of(quantity, pixel_size_um)[1],
                means=tuple(means.values()),
                following=_followings(means, between),
            )
        )
    return found


def groups_of(real: Described, generated: Described, notes: list[str]) -> dict[Key, tuple[Masks, Masks]]:
    """Which of the real and of the generated images are of each condition, in the order of the conditions."""
    space = real.space
    if not space.dim or not generated.space.dim:
        return {}
    if not same_kinds(space, generated.space):
        notes.append(
            f"Conditions are not compared: the real images have {', '.join(space.names)}, the generated ones "
            f"{', '.join(generated.space.names)}. Both sides need the same conditions, each as numbers or as classes."
        )
        return {}
    sides = [[key_of(values, space) for values in side.conditions] for side in (real, generated)]
    groups, left_out = {}, []
    for key in in_order({key for side in sides for key in side}, space):
        of_real, of_generated = (np.array([other == key for other in side], dtype=bool) for side in sides)
        if min(of_real.sum(), of_generated.sum()) < LEAST_IMAGES:
            left_out.append(space.tell(dict(zip(space.names, key, strict=True))))
        else:
            groups[key] = (of_real, of_generated)
    if left_out:
        more = f" and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        notes.append(
            f"Not compared by condition, with fewer than {LEAST_IMAGES} images on a side: "
            f"{'; '.join(left_out[:MOST_NAMED])}{more}."
        )
    return groups


def key_of(values: Values, space: ConditionSpace) -> Key:
    """Equal for equal conditions, however written: `900` and `900.0` are one temperature."""
    return tuple(str(values[c.name]) if c.kind == "class" else float(values[c.name]) for c in space.conditions)


def in_order(keys: Collection[Key], space: ConditionSpace) -> list[Key]:
    """Numbers by size, classes as `space` lists them, and after them those that it lacks."""
    return sorted(
        keys, key=lambda key: [_place(value, condition) for value, condition in zip(key, space.conditions, strict=True)]
    )


def same_kinds(space: ConditionSpace, other: ConditionSpace) -> bool:
    """Whether two spaces have the same conditions, each as numbers in both or as classes in both."""
    one, another = ({c.name: c.kind == "class" for c in each.conditions} for each in (space, other))
    return one == another


def half_of(parents: Int[np.ndarray, " n"], group: Bool[np.ndarray, " n"], *, seed: int) -> Bool[np.ndarray, " n"]:
    """The images of a random half of the parents in a group; half of its images where it has one parent."""
    owners = parents if len(np.unique(parents[group])) > 1 else np.arange(len(parents))
    distinct = np.random.default_rng(seed).permutation(np.unique(owners[group]))
    return group & np.isin(owners, distinct[: len(distinct) // 2])


def deviations(real: Float[np.ndarray, " c"], other: Float[np.ndarray, " c"]) -> Float[np.ndarray, " k"]:
    """Absolute deviation from each real mean as a share of it; without those from a real mean of 0."""
    there = real != 0
    return np.abs(other[there] / real[there] - 1)


def _followings(means: Mapping[Key, ConditionMean], halves: Mapping[Key, tuple[float, float]]) -> tuple[Following, ...]:
    """Over the conditions seen and over the others, as far as there are any."""
    groups = ((seen, [key for key, mean in means.items() if mean.seen == seen]) for seen in (True, False))
    return tuple(
        _following([means[key] for key in keys], np.array([halves[key] for key in keys]), seen=seen)
        for seen, keys in groups
        if keys
    )


def _following(means: Sequence[ConditionMean], halves: Float[np.ndarray, "c 2"], *, seen: bool) -> Following:
    real, generated = (np.array([getattr(mean, side) for mean in means]) for side in ("real_mean", "generated_mean"))
    shares = deviations(real, generated)
    one, other = halves[~np.isnan(halves).any(axis=1)].T
    between = deviations(one, other)
    return Following(
        seen=seen,
        num_conditions=len(means),
        deviation=mean_number(shares, low=0) if len(shares) else None,
        deviation_between_real=float(between.mean()) if len(between) else None,
        line=line_of(real, generated, np.arange(len(real))),
        line_between_real=line_of(one, other, np.arange(len(one))),
    )


def _halves(column: Column, group: Masks, half: Masks, quantity: Quantity) -> tuple[float, float]:
    """Means of both halves of the real images of a condition; NaN where none of them has the descriptor."""
    values, parents = column
    one, other = (
        by_parent(values[there], parents[there]) for there in (m & ~np.isnan(values) for m in (half, group & ~half))
    )
    return tuple(_back(float(v.mean()), quantity) if len(v) else math.nan for v in (one, other))  # type: ignore[return-value]


def _mean(condition: str, real: Column, generated: Column, quantity: Quantity, *, seen: bool) -> ConditionMean | None:
    """None where one of the sides has too few values."""
    (x, x_parents), (y, y_parents) = ((v[~np.isnan(v)], parents[~np.isnan(v)]) for v, parents in (real, generated))
    if min(len(x), len(y)) < LEAST_IMAGES:
        return None
    on_x, on_y = (estimate(by_parent(v, parents)) for v, parents in ((x, x_parents), (y, y_parents)))
    return ConditionMean(
        condition=condition,
        seen=seen,
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


def _place(value: str | float, condition: Condition) -> tuple[float, str]:
    if isinstance(value, float):
        return value, ""
    known = value in condition.classes
    return (condition.classes.index(value) if known else len(condition.classes)), value

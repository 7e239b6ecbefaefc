"""What a run gave, and what the runs of a study say together."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from sorby.conditions import ConditionSpace
from sorby.evaluation.conditions import Key
from sorby.evaluation.lines import mean_number
from sorby.metrics.record import ByCondition, Fidelity, Number
from sorby.microstructure.describe import QUANTITIES
from sorby.study.baselines import baselines

RIGHT = "the right condition"
LOGARITHMIC = {quantity.name for quantity in QUANTITIES if quantity.is_length}


class Prediction(BaseModel):
    """The mean of a descriptor at a condition that the run did not see: the truth, and what three say of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str
    beyond: bool
    """Whether the condition lies outside the range of those seen, in some variable."""
    descriptor: str
    title: str
    unit: str
    real: float
    real_interval: tuple[float, float] | None
    """95 %, over micrographs."""
    generated: float
    nearest: float
    """Of the real micrographs of the nearest condition seen, in standardised conditions."""
    interpolated: float
    """By a spline through the real micrographs of all conditions seen."""


class RunResult(BaseModel):
    """What was measured on one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    variant: str
    seed: int
    identity: str
    """Of settings, data and what was asked: a result of another identity is measured again."""
    generator: str
    """Hash of the generator that was measured."""
    images_seen: int
    by_condition: tuple[ByCondition, ...]
    fidelity: tuple[Fidelity, ...]
    predictions: tuple[Prediction, ...]
    """Empty where the run saw all conditions."""
    notes: tuple[str, ...]


class DeviationRow(BaseModel):
    """Mean absolute deviation of a descriptor over conditions, as shares; intervals are over the conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    descriptor: str
    title: str
    where: str
    """seen, held out, or held out and beyond the range of those seen."""
    num_conditions: int
    generated: Number
    nearest: Number | None = None
    interpolated: Number | None = None
    gain_on_nearest: Number | None = None
    """Deviation of the nearest condition less that of the generator: above 0 the generator is better."""
    gain_on_interpolated: Number | None = None
    between_real: float | None = None
    """Of half of the real micrographs from the other half."""


class RightRow(BaseModel):
    """The share of pictures read as the condition asked for, or how that is read; intervals are over seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    where: str
    what: str
    """`RIGHT`; or slope or R² of one condition."""
    generated: Number
    seeds: tuple[float, ...]
    """One for each seed, in order."""
    real: float
    """The ceiling: real pictures that the reader had not learned from."""
    chance: float
    gain: Number | None = None
    """Over the first variant, seed by seed."""


class StudyResult(BaseModel):
    """All of a study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    dataset: str
    runs: tuple[RunResult, ...]
    deviations: tuple[DeviationRow, ...]
    right: tuple[RightRow, ...]


def predictions_of(found: Sequence[ByCondition], keys: Sequence[Key], space: ConditionSpace) -> Iterator[Prediction]:
    """At each condition not seen every descriptor that two of those seen have; `keys` are all conditions of `found`."""
    values = [dict(zip(space.names, key, strict=True)) for key in keys]
    points = {space.tell(each): space.encode(each) for each in values}
    beyond = {space.tell(each): bool(space.out_of_range(each)) for each in values}
    for d in found:
        seen = {mean.condition: mean.real_mean for mean in d.means if mean.seen}
        for mean in d.means:
            if mean.seen or len(seen) < 2:
                continue
            positive = d.name in LOGARITHMIC
            nearest, interpolated = baselines(points, seen, mean.condition, as_logarithm=positive)
            yield Prediction(
                condition=mean.condition,
                beyond=beyond[mean.condition],
                descriptor=d.name,
                title=d.title,
                unit=d.unit,
                real=mean.real_mean,
                real_interval=mean.real_interval,
                generated=mean.generated_mean,
                nearest=nearest,
                interpolated=interpolated,
            )


def deviation_rows(runs: Sequence[RunResult], descriptors: Sequence[str] = ()) -> list[DeviationRow]:
    """A row for each variant, descriptor and kind of condition; a condition is one value, the mean of its runs."""
    rows = []
    for variant, mine in _by_variant(runs):
        for quantity in QUANTITIES:
            if descriptors and quantity.name not in descriptors:
                continue
            rows += _seen_row(variant, quantity.name, mine)
            predictions = [p for run in mine for p in run.predictions if p.descriptor == quantity.name]
            for beyond, where in ((False, "held out"), (True, "held out, beyond the range of those seen")):
                rows += _held_out_row(variant, where, [p for p in predictions if p.beyond == beyond], mine)
    return rows


def deviation(run: RunResult, descriptors: Sequence[str] = ()) -> float:
    """Mean absolute deviation over descriptors and conditions as one share: over the conditions held out, if any.

    NaN where nothing can be compared.
    """
    found = [d for d in run.by_condition if d.name in descriptors or not descriptors]
    held_out = any(not mean.seen for d in found for mean in d.means)
    means = [mean for d in found for mean in d.means if mean.seen != held_out and mean.real_mean]
    return _mean([abs(mean.generated_mean / mean.real_mean - 1) for mean in means]) if means else math.nan


def right_rows(runs: Sequence[RunResult]) -> list[RightRow]:
    """The score of the right condition of each variant, and slope and R² of each condition as it is read."""
    rows: list[RightRow] = []
    for variant, mine in _by_variant(runs):
        for seen, where in ((True, "seen"), (False, "held out")):
            of_seed = {
                seed: [f for run in some for f in run.fidelity if f.seen == seen] for seed, some in _by_seed(mine)
            }
            found = {seed: some for seed, some in of_seed.items() if some}
            for what, read, ceiling, chance in _what_is_read(found):
                seeds = tuple(_mean([read(f) for f in some]) for some in found.values())
                everything = [f for some in found.values() for f in some]
                first = next((row for row in rows if (row.where, row.what) == (where, what)), None)
                paired = first is not None and len(first.seeds) == len(seeds)
                rows.append(
                    RightRow(
                        variant=variant,
                        where=where,
                        what=what,
                        generated=_over(seeds, low=0, high=1) if what == RIGHT else _over(seeds),
                        seeds=seeds,
                        real=_mean([ceiling(f) for f in everything]),
                        chance=_mean([chance(f) for f in everything]),
                        gain=_over(np.subtract(seeds, first.seeds)) if first is not None and paired else None,
                    )
                )
    return rows


Reader = Callable[[Fidelity], float]


def _what_is_read(found: Mapping[int, Sequence[Fidelity]]) -> Iterator[tuple[str, Reader, Reader, Reader]]:
    """What can be asked of all of them: a name, the value, its ceiling and what chance gives."""
    everything = [f for some in found.values() for f in some]
    if not everything:
        return
    yield RIGHT, lambda f: f.right.value, lambda f: f.right_real.value, lambda f: f.chance
    common = [{reading.condition for reading in f.readings} for f in everything]
    for name in [r.condition for r in everything[0].readings if all(r.condition in names for names in common)]:
        for key, what in (("slope", "slope"), ("r2", "R²")):
            yield (
                f"{name}, {what}",
                lambda f, name=name, key=key: _of_reading(f, name, "line", key),  # type: ignore[misc]
                lambda f, name=name, key=key: _of_reading(f, name, "real", key),  # type: ignore[misc]
                lambda _: 0.0,
            )


def _of_reading(found: Fidelity, condition: str, side: str, key: str) -> float:
    line = getattr(next(reading for reading in found.readings if reading.condition == condition), side)
    return getattr(line, key).value


def _seen_row(variant: str, descriptor: str, runs: Sequence[RunResult]) -> list[DeviationRow]:
    """The deviation at the conditions seen."""
    found = [d for run in runs for d in run.by_condition if d.name == descriptor and d.over(seen=True)]
    shares: dict[str, list[float]] = {}
    for d in found:
        for mean in d.means:
            if mean.seen and mean.real_mean:
                shares.setdefault(mean.condition, []).append(abs(mean.generated_mean / mean.real_mean - 1))
    if not shares:
        return []
    return [
        DeviationRow(
            variant=variant,
            descriptor=descriptor,
            title=found[0].title,
            where="seen",
            num_conditions=len(shares),
            generated=_over([_mean(values) for values in shares.values()], low=0),
            between_real=_floor(found, seen=True),
        )
    ]


def _held_out_row(
    variant: str, where: str, predictions: Sequence[Prediction], runs: Sequence[RunResult]
) -> list[DeviationRow]:
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        if prediction.real:
            groups.setdefault(prediction.condition, []).append(prediction)
    if not groups:
        return []
    generated, nearest, interpolated = (
        np.array([_mean([abs(getattr(p, by) / p.real - 1) for p in some]) for some in groups.values()])
        for by in ("generated", "nearest", "interpolated")
    )
    first = predictions[0]
    found = [d for run in runs for d in run.by_condition if d.name == first.descriptor and d.over(seen=False)]
    return [
        DeviationRow(
            variant=variant,
            descriptor=first.descriptor,
            title=first.title,
            where=where,
            num_conditions=len(groups),
            generated=_over(generated, low=0),
            nearest=_over(nearest, low=0),
            interpolated=_over(interpolated, low=0),
            gain_on_nearest=_over(nearest - generated),
            gain_on_interpolated=_over(interpolated - generated),
            between_real=_floor(found, seen=False),
        )
    ]


def _floor(found: Sequence[ByCondition], *, seen: bool) -> float | None:
    values = [f.deviation_between_real for d in found if (f := d.over(seen=seen)) is not None]
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _over(
    values: Sequence[float] | Float[np.ndarray, " n"], *, low: float = -math.inf, high: float = math.inf
) -> Number:
    return mean_number(np.asarray(values, dtype=np.float64), low=low, high=high)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _by_variant(runs: Sequence[RunResult]) -> Iterator[tuple[str, list[RunResult]]]:
    for variant in dict.fromkeys(run.variant for run in runs):
        yield variant, [run for run in runs if run.variant == variant]


def _by_seed(runs: Sequence[RunResult]) -> Iterator[tuple[int, list[RunResult]]]:
    for seed, some in groupby(sorted(runs, key=lambda run: run.seed), key=lambda run: run.seed):
        yield seed, list(some)

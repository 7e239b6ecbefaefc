"""From a simulator to a dataset: conditions, a few large fields of each, cut into pictures that do not overlap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sorby.conditions import ConditionSpace
from sorby.data.archive import check_replaceable, new_archive
from sorby.data.dataset import Dataset, DatasetWriter
from sorby.data.manifest import Patch, Split
from sorby.data.pixels import encode, pixel_hash
from sorby.data.pool import in_order
from sorby.data.prepare import default_workers
from sorby.errors import ConfigError
from sorby.simulation.sampling import conditions_of, varied_in
from sorby.simulation.settings import Settings, Simulator, Values, Variable, make_settings
from sorby.simulation.simulators import simulator_named

LICENCE = "none needed: simulated"
ORIGIN = "all pictures are simulated"
SIMULATED = {"simulated": "true"}
"""What each picture says of itself."""
FIELD_IN_PICTURES = 4
"""Side of a simulated field in pictures, where no other is asked for."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PlannedField:
    """A field that will be simulated."""

    condition: int
    number: int  # among the fields of its condition
    values: Values
    split: Split
    num_patches: int

    @property
    def name(self) -> str:
        """Its name as a parent of patches."""
        return f"condition-{self.condition:04d}/field-{self.number}"


@dataclass(frozen=True)
class Plan:
    """All decisions about a simulated dataset."""

    simulator: Simulator
    settings: Settings
    varied: tuple[Variable, ...]
    conditions: tuple[Values, ...]
    held_out_conditions: frozenset[int]
    shape: tuple[int, int]
    fields: tuple[PlannedField, ...]

    @property
    def num_patches(self) -> int:
        """Pictures in the dataset."""
        return sum(field.num_patches for field in self.fields)


def simulate(
    simulator: Simulator | str,
    out: Path | str,
    *,
    workers: int | None = None,
    on_progress: Progress = lambda *_: None,
    **settings: object,
) -> Dataset:
    """Simulate a dataset at `out`, a zip by its suffix, else a folder: `simulate("spinodal", "a.zip", sample=48)`.

    The simulator is "spinodal", "random-field", or one that is made of micrographs (`simulators.simulator_named`). The
    settings are the fields of `Settings`. The result depends on these alone, not on the number of `workers`. A part of
    the fields is held out (split "held-out"), and of whole conditions all fields (split "held-out-condition"); training
    sees neither. Raises `ConfigError` for conditions that cannot be simulated, `DataError` where `out` cannot be
    written.
    """
    check_replaceable(Path(out))
    if isinstance(simulator, str):
        simulator = simulator_named(simulator)
    return carry_out(make_plan(simulator, make_settings(**settings)), out, workers=workers, on_progress=on_progress)


def make_plan(simulator: Simulator, settings: Settings) -> Plan:
    """Decide everything, simulate nothing. Raises `ConfigError` where settings and simulator do not fit."""
    conditions = conditions_of(simulator, settings)
    varied = varied_in(simulator, settings)
    side = settings.field_size or FIELD_IN_PICTURES * settings.size
    shape = simulator.shape or (side, side)
    if min(shape) < settings.size:
        raise ConfigError(
            f"Fields of {shape[1]} x {shape[0]} px are smaller than pictures of {settings.size} px: lower --size."
        )
    for condition in conditions:
        simulator.check(condition, shape, settings.size)
    if settings.look == "sem" and simulator.sem is None:
        raise ConfigError(f"{simulator.name} has no other look than plain: leave --look out.")
    if settings.held_out_conditions and simulator.is_one_place:
        raise ConfigError(f"All pictures of {simulator.name} show the same places: no condition can be held out.")
    held_out = held_out_conditions(
        [[condition[variable.name] for variable in varied] for condition in conditions],
        num=settings.held_out_conditions,
        seed=settings.seed,
    )
    return Plan(
        simulator=simulator,
        settings=settings,
        varied=tuple(varied),
        conditions=tuple(conditions),
        held_out_conditions=held_out,
        shape=shape,
        fields=tuple(_fields(conditions, held_out, shape, settings, is_one_place=simulator.is_one_place)),
    )


def carry_out(
    plan: Plan, out: Path | str, *, workers: int | None = None, on_progress: Progress = lambda *_: None
) -> Dataset:
    """Simulate and write what was planned."""
    num_patches = 0
    with new_archive(Path(out)) as archive:
        writer = DatasetWriter(archive)
        fields = in_order(lambda field: _patches(field, plan), plan.fields, workers=workers or default_workers())
        for done, patches in enumerate(fields, start=1):
            for patch, png in patches:
                writer.add(_in_folder(patch, num_patches), png)
                num_patches += 1
            on_progress("simulating", done, len(plan.fields))
        writer.finish(
            space=space_of(plan),
            size=plan.settings.size,
            channels=1,
            recipe=recipe_of(plan),
            licence=LICENCE,
            origin=ORIGIN,
        )
    return Dataset.open(out)


def held_out_conditions(points: Sequence[Sequence[float]], *, num: int, seed: int) -> frozenset[int]:
    """`num` of the points, drawn at random so that the others still span the whole range of each coordinate.

    A network is asked to go between conditions that it saw, not beyond them.
    """
    table = np.array(points)
    kept = np.ones(len(table), dtype=bool)
    for index in np.random.default_rng((seed, len(table))).permutation(len(table)):
        if np.sum(~kept) == num:
            break
        kept[index] = False
        if not kept.any() or np.any(np.ptp(table[kept], axis=0) < np.ptp(table, axis=0)):
            kept[index] = True
    if np.sum(~kept) < num:
        raise ConfigError(
            f"{num} of {len(table)} conditions cannot be held out so that the others span the ranges: at most "
            f"{np.sum(~kept)} here; simulate more conditions."
        )
    return frozenset(int(index) for index in np.flatnonzero(~kept))


def space_of(plan: Plan) -> ConditionSpace:
    """The conditions that vary, with the range of those that are trained on."""
    rows = [_written(field.values, plan.varied) for field in plan.fields if field.split == "train"]
    return ConditionSpace.from_rows(rows, [f"{v.name}:{v.unit}:{v.scale}" for v in plan.varied])


def recipe_of(plan: Plan) -> dict[str, Any]:
    """How the dataset was made, for its dataset.toml."""
    simulator, settings, varied = plan.simulator, plan.settings, {variable.name for variable in plan.varied}
    ranges = {v.name: settings.ranges.get(v.name, (v.low, v.high)) for v in plan.varied} if not settings.grid else {}
    return {
        "synthetic": True,
        "simulator": simulator.name,
        "about": simulator.about,
        **({} if settings.grid else {"sample": len(plan.conditions)}),
        "ranges": {name: list(bounds) for name, bounds in ranges.items()},
        "grid": {name: list(values) for name, values in settings.grid.items()},
        "fixed": {name: value for name, value in plan.conditions[0].items() if name not in varied},
        **settings.model_dump(include={"images_per_condition", "size", "seed", "held_out", "held_out_conditions"}),
        "field_px": list(plan.shape),
        "look": settings.look,
        **({"grey": simulator.plain_rule} if settings.look == "plain" else {}),
    }


def _fields(
    conditions: Sequence[Values],
    held_out: frozenset[int],
    shape: tuple[int, int],
    settings: Settings,
    *,
    is_one_place: bool,
) -> Iterator[PlannedField]:
    """All fields; those held out are spread evenly over the conditions, of each of which some are trained on."""
    share = 0.0 if is_one_place else settings.held_out
    per_field = (shape[0] // settings.size) * (shape[1] // settings.size)
    num_fields = max(-(-settings.images_per_condition // per_field), 2 if share else 1)
    numbers = [len(part) for part in np.array_split(range(settings.images_per_condition), num_fields)]
    for condition, values in enumerate(conditions):
        before, after = (int(place * num_fields * share) for place in (condition, condition + 1))
        trained_on = max(num_fields - (after - before), 1)
        for number, num_patches in enumerate(numbers):
            split: Split = "train" if number < trained_on else "held-out"
            split = "held-out-condition" if condition in held_out else split
            yield PlannedField(condition, number, values, split, num_patches)


def _patches(field: PlannedField, plan: Plan) -> list[tuple[Patch, bytes]]:
    """The pictures of a field, from the upper left on."""
    size, grey = plan.settings.size, _picture(field, plan)
    columns = grey.shape[1] // size
    corners = [(size * (n % columns), size * (n // columns)) for n in range(field.num_patches)]
    pictures = [grey[None, y : y + size, x : x + size] for x, y in corners]
    return [
        (
            Patch(
                file=f"{field.name.replace('/', '-')}-{number:04d}.png",
                parent=field.name,
                group=plan.simulator.name if plan.simulator.is_one_place else "",
                specimen=field.name.partition("/")[0],
                x_px=float(x),
                y_px=float(y),
                width_px=float(size),
                height_px=float(size),
                pixel_size_um=plan.simulator.pixel_size_um,
                split=field.split,
                conditions=_written(field.values, plan.varied),
                sha256=pixel_hash(picture),
            ),
            encode(picture, SIMULATED),
        )
        for number, ((x, y), picture) in enumerate(zip(corners, pictures, strict=True))
    ]


def _picture(field: PlannedField, plan: Plan) -> UInt8[np.ndarray, "h w"]:
    rng = np.random.default_rng((plan.settings.seed, field.condition, field.number))
    simulated = plan.simulator.draw(plan.shape, field.values, rng)
    if plan.settings.look == "sem" and plan.simulator.sem:
        return plan.simulator.sem(simulated, rng)
    return plan.simulator.plain(simulated)


def _in_folder(patch: Patch, index: int) -> Patch:
    return replace(patch, file=f"{index // 1000:05d}/{patch.file}")


def _written(values: Values, varied: Sequence[Variable]) -> Mapping[str, str]:
    return {variable.name: f"{values[variable.name]:.10g}" for variable in varied}

"""Tab Compare: real pictures next to generated ones of the same condition, and what both measure."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from jaxtyping import Float, UInt8
from pydantic import BaseModel, Field

from sorby.app.asked import condition_of
from sorby.app.desk import Job
from sorby.app.given import GivenDesk, GivenGenerator, GivenSides
from sorby.app.shown import png, scale_bar
from sorby.app.sides import Sides
from sorby.conditions import Value
from sorby.data.dataset import Dataset
from sorby.draw import provenance
from sorby.evaluation.at_conditions import keys_of
from sorby.evaluation.beside import Beside, beside
from sorby.evaluation.pairs import Pairs, other_scale, pairs_of
from sorby.generator import Generator
from sorby.measurement.measured import descriptor_table
from sorby.metrics.sets import ImageSet
from sorby.microstructure.compare import LEAST, overall
from sorby.report.descriptor_plots import density

router = APIRouter(tags=["compare"])

AT_ONCE = 16
"""Pictures between two reports of a job."""
POINTS = 100
SHARES = (0.002, 0.98)
"""Quantiles of both sides together between which densities are told, as `sorby evaluate` draws them."""


class ShownAsked(BaseModel):
    """Which pictures: generated ones of `seed` and on, and real ones chosen by it."""

    dataset: str
    side: str = Field("", description="held-out, train or held-out-condition; without, the first that there is.")
    num: int = Field(12, ge=1, le=64, description="Pictures of each side.")
    seed: int = Field(0, ge=0, lt=2**30)
    truncation: float = Field(1.0, ge=0, le=1)
    condition: list[str] = Field([], description="NAME=VALUE, one for each condition; none: as in the data.")


class MeasuredAsked(ShownAsked):
    """The same, of more pictures, since one measures more than one looks at."""

    num: int = Field(200, ge=2, le=2000)


@router.get("/api/datasets/{name}/sides")
async def sides(request: Request, name: str, desk: GivenDesk, known: GivenSides) -> list[dict[str, Any]]:
    """The sides of the split of a dataset, and the conditions that each has, as NAME=VALUE and in words."""
    there = known.names(name)

    def work() -> list[dict[str, Any]]:
        views = {side: known.view(name, side) for side in there}
        return [
            {"name": side, "pictures": len(view), "micrographs": len(view.parents), "conditions": _conditions(view)}
            for side, view in views.items()
        ]

    return await desk.answer(request, work)


@router.get("/api/generators/{name}/beside")
async def pictures(
    request: Request,
    name: str,
    generator: GivenGenerator,
    desk: GivenDesk,
    sides: GivenSides,
    asked: Annotated[ShownAsked, Query()],
) -> dict[str, Any]:
    """Real and generated pictures of the same conditions as PNGs, each with its scale, and notes on what differs."""
    choose = _choose(name, generator, sides, asked)

    def work() -> dict[str, Any]:
        data, pairs, notes, _ = choose()
        turns = desk.in_turns(range(len(pairs.generated)), AT_ONCE)
        drawn = np.concatenate([pairs.generated.load(some) for some in turns])
        return {"real": _real(data, pairs), "generated": _generated(generator, drawn, pairs, asked), "notes": notes}

    return await desk.answer(request, work)


@router.post("/api/generators/{name}/beside")
def measure(
    name: str, generator: GivenGenerator, desk: GivenDesk, sides: GivenSides, asked: MeasuredAsked
) -> dict[str, str]:
    """Begin to measure both sides: the key of the job. Its result has each descriptor: means, densities, verdict."""
    choose = _choose(name, generator, sides, asked)

    def work(job: Job) -> dict[str, Any]:
        _, pairs, notes, lengths = choose()
        total = len(pairs.real) + len(pairs.generated)
        real = _table(pairs.real, lambda done: job.report(done, total))
        generated = _table(pairs.generated, lambda done: job.report(len(pairs.real) + done, total))
        size_um = generator.card.pixel_size_um if lengths else None
        rows = beside(real, pairs.real.parents, generated, pixel_size_um=size_um, lengths=lengths)
        verdicts = [row.verdict for row in rows if row.verdict is not None]
        return {
            "num": len(pairs.real),
            "micrographs": pairs.real.num_parents,
            "least_micrographs": LEAST,
            "descriptors": [_descriptor(row) for row in rows],
            "verdict": overall(verdicts) if verdicts else None,
            "notes": notes,
        }

    return {"key": desk.start(work).key}


Chosen = tuple[Dataset, Pairs, list[str], bool]
"""The real side, the pictures chosen, what is to be told of them, and whether lengths may be compared."""


def _choose(name: str, generator: Generator, known: Sides, asked: ShownAsked) -> Callable[[], Chosen]:
    """Names are refused at once; the work of choosing is put off."""
    data = known.view(asked.dataset, asked.side)
    condition, warnings = condition_of(generator, asked.condition)

    def work() -> Chosen:
        pairs = pairs_of(
            generator,
            data,
            range(asked.seed, asked.seed + asked.num),
            rng=np.random.default_rng(asked.seed),
            condition=condition,
            truncation=asked.truncation,
            names=(name, asked.dataset),
        )
        why = other_scale(generator.card, data, learnt_from=known.learnt(generator, asked.dataset))
        scale = [f"Lengths are not compared: {why}."] if why else []
        return data, pairs, [*warnings, *scale, *pairs.notes], not why

    return work


def _real(data: Dataset, pairs: Pairs) -> list[dict[str, Any]]:
    patches = [data.patches[int(place)] for place in pairs.places]
    return [
        {
            "file": patch.file,
            "micrograph": patch.parent,
            "png": png(picture, pixel_size_um=patch.pixel_size_um, about={"file": patch.file, "parent": patch.parent}),
            "told": data.space.tell(patch.conditions) if data.space.dim else "",
            "scale_bar": scale_bar(data.size, patch.pixel_size_um),
        }
        for patch, picture in zip(patches, pairs.real.load(range(len(patches))), strict=True)
    ]


def _generated(
    generator: Generator, drawn: UInt8[np.ndarray, "n c h w"], pairs: Pairs, asked: ShownAsked
) -> list[dict[str, Any]]:
    size_um, shown = generator.card.pixel_size_um, []
    conditions = pairs.generated.conditions or [{}] * len(drawn)
    for seed, picture, values in zip(range(asked.seed, asked.seed + len(drawn)), drawn, conditions, strict=True):
        about = provenance(generator, generator.hash, seed, truncation=asked.truncation, condition=values)
        shown.append(
            {
                "seed": seed,
                "png": png(picture, pixel_size_um=size_um, about=about),
                "condition": written(values),
                "told": generator.card.space.tell(values) if values else "",
                "scale_bar": scale_bar(generator.card.size, size_um),
            }
        )
    return shown


def _conditions(data: Dataset) -> list[dict[str, Any]]:
    if not data.space.dim:
        return []
    found = [dict(zip(data.space.names, key, strict=True)) for key in keys_of(data)]
    return [{"condition": written(values), "told": data.space.tell(values)} for values in found]


def written(values: Mapping[str, Value]) -> list[str]:
    """A condition as requests write it."""
    return [f"{name}={value}" for name, value in values.items()]


def _table(images: ImageSet, report: Callable[[int], None]) -> Float[np.ndarray, "n q"]:
    tables = []
    for start in range(0, len(images), AT_ONCE):
        report(start)
        tables.append(descriptor_table([images.load(range(start, min(start + AT_ONCE, len(images))))]))
    return np.concatenate(tables)


def _descriptor(row: Beside) -> dict[str, Any]:
    """Numbers to draw: both densities on one grid, null where a side has nothing to draw."""
    sides = {"real": row.real, "generated": row.generated}
    both = np.concatenate(list(sides.values()))
    low, high = np.quantile(both, SHARES) if len(both) else (0.0, 0.0)
    grid = np.linspace(low, high, POINTS)
    shift = row.agreement and row.agreement.shift
    return {
        "name": row.quantity.name,
        "title": row.quantity.title,
        "unit": row.unit,
        "grid": grid.tolist(),
        **{
            side: {
                "num": len(values),
                "mean": float(values.mean()) if len(values) else None,
                "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                "density": density(values, grid).tolist(),
            }
            for side, values in sides.items()
        },
        "verdict": row.verdict,
        "is_lacking": row.is_lacking,
        "shift": [shift.value, shift.low, shift.high] if shift else None,
    }

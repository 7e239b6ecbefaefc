"""Tab Walk, directions: found, named by what was measured of them, and moved along."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from sorby.app.asked import condition_of, moves_of
from sorby.app.desk import Desk, Job
from sorby.app.generate import Condition, Truncation
from sorby.app.given import GivenDesk, GivenGenerator, GivenOpened
from sorby.app.opened import Opened
from sorby.app.shown import measured, png, scale_bar
from sorby.draw import provenance
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.latent.direction_files import load_directions, read_told, tell
from sorby.latent.directions import Direction, Spread, move_along, pca, random, sefa
from sorby.latent.effects import LEAST_RANDOM, LEAST_SEEDS, effects
from sorby.latent.mix import layers_of, told

router = APIRouter(tags=["directions"])


class FindAsked(BaseModel):
    """What `sorby directions` is told by its options."""

    method: Literal["pca", "sefa", "both"] = "both"
    num: int = Field(5, ge=1, le=20, description="Directions of each method.")
    seeds: int = Field(16, ge=LEAST_SEEDS, le=200, description="Pictures that each direction is measured on.")
    by_chance: int = Field(30, ge=LEAST_RANDOM, le=100, description="Random directions, which have to be exceeded.")
    layers: str | None = Field(None, description="Such as 0-3 (coarse); by default all.")
    condition: list[str] = Field([], description="NAME=VALUE, one for each condition.")


@dataclass(frozen=True)
class Found:
    """Held by the job that found them."""

    generator: Generator
    directions: list[Direction]


@router.get("/api/generators/{name}/directions")
def known(generator: GivenGenerator, opened: GivenOpened) -> dict[str, Any]:
    """The opened folders of directions that belong to a generator, and what one standard deviation along each does."""
    folders, warnings = [], []
    for folder, where in opened.directions.items():
        try:
            owner, each = read_told(where)
        except WeightsError as error:
            warnings.append(str(error))
            continue
        if owner == generator.hash:
            folders.append({"name": folder, "directions": [{"name": key, "told": text} for key, text in each.items()]})
    return {"folders": folders, "warnings": warnings}


@router.post("/api/generators/{name}/directions")
async def find(generator: GivenGenerator, desk: GivenDesk, asked: FindAsked) -> dict[str, str]:
    """Begin to find directions and to measure what each does: the key of the job, which names them from then on."""
    values, _ = condition_of(generator, asked.condition)
    moved = layers_of(generator, asked.layers)

    def work(job: Job) -> dict[str, Any]:
        spread = Spread(generator, condition=values)
        found = pca(spread, moved, num=asked.num) if asked.method != "sefa" else []
        found += sefa(generator, spread, moved, num=asked.num) if asked.method != "pca" else []
        chance = random(spread, moved, num=asked.by_chance, seed=0)
        seeds = range(asked.seeds)
        rows = effects(generator, found, chance, seeds=seeds, condition=values, on_direction=job.report)
        job.held = Found(generator, found)
        each = [{"name": d.name, "told": tell(row)} for d, row in zip(found, rows, strict=True)]
        return {"directions": each, "layers": told(generator, moved)}

    return {"key": desk.start(work).key}


@router.get("/api/generators/{name}/moved")
async def moved(
    request: Request,
    generator: GivenGenerator,
    opened: GivenOpened,
    desk: GivenDesk,
    directions: Annotated[str, Query(description="An opened folder, or the key of the job that found them.")],
    move: Annotated[list[str], Query(description="NAME=SD, such as pca-1=1.5; repeatable.")] = [],  # noqa: B006
    seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
) -> dict[str, Any]:
    """A seed as it is and moved, as PNGs, and what both measure."""
    values, warnings = condition_of(generator, condition)
    amounts = moves_of(move)

    def work() -> dict[str, Any]:
        every = _directions(generator, opened, desk, directions)
        way = move_along(generator, every, amounts) if amounts else None
        size_um, pictures, shown = generator.card.pixel_size_um, [], []
        for step in (None, way):
            offset = None if step is None else step.offset
            (drawn,) = generator.images([seed], truncation=truncation, condition=values, offset=offset)
            about = provenance(generator, generator.hash, seed, truncation=truncation, condition=values, move=step)
            pictures.append(drawn)
            shown.append(png(drawn, pixel_size_um=size_um, about=about))
        return {
            "as_drawn": shown[0],
            "moved": shown[1],
            "measured": measured(pictures, size_um),
            "scale_bar": scale_bar(generator.card.size, size_um),
            "warnings": warnings,
        }

    return await desk.answer(request, work)


def _directions(generator: Generator, opened: Opened, desk: Desk, which: str) -> list[Direction]:
    """Of an opened folder, or of a job. Raises `ConfigError` where neither is known or they are another generator's."""
    if which in opened.directions:
        return load_directions(opened.directions[which], generator)
    held = desk.job(which).held
    if not isinstance(held, Found) or held.generator is not generator:
        raise ConfigError("This job holds no directions of this generator as it is now: find them again.")
    return held.directions

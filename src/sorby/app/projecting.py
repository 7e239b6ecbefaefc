"""Tab Project: the place of a user's micrograph in the space of a generator, and edits of it.

A micrograph is held in memory alone, under the key of its job, and forgotten with it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from jaxtyping import UInt8

from sorby.app.asked import condition_of, moves_of, one_of
from sorby.app.desk import Desk, Job
from sorby.app.generate import Condition, NoiseSeed, Truncation
from sorby.app.given import GivenDesk, GivenGenerator
from sorby.app.shown import measured, png, saved, scale_bar
from sorby.app.upload import MIB, body_of
from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.latent.directions import Direction, Spread, pca
from sorby.latent.edits import Edit, edited
from sorby.latent.project import DATASET_STEPS, STEPS, Projection, Step, project
from sorby.latent.projection_files import correlation, difference, difference_map
from sorby.latent.target import Target, target_of
from sorby.latent.walk import Stop
from sorby.micrograph import decode_micrograph
from sorby.models.place import name_of

router = APIRouter(tags=["project"])

MOST_BYTES = 64 * MIB
MOST_PIXELS = 2**26
"""Of a micrograph, 8192 x 8192: far above a detector's, and what decoding it takes does not crowd out others."""
EFFORTS = {"quick": DATASET_STEPS, "thorough": STEPS}
SPACES: dict[str, Literal["w", "w+"]] = {"w": "w", "w+": "w+"}
DIRECTIONS = 4

BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"format": "binary"}}}}}


@dataclass(frozen=True, eq=False)
class Projected:
    """What a projection holds for edits of it."""

    generator: Generator
    place: Stop
    condition: Values
    directions: tuple[Direction, ...]
    size_um: float | None
    """Of a pixel, for what is told of micrograph and pictures; None where that of the micrograph is not known."""
    how: str
    """How it was sought, and what was done to the micrograph before."""


@router.post("/api/generators/{name}/projections", openapi_extra=BODY)
async def begin(
    request: Request,
    generator: GivenGenerator,
    desk: GivenDesk,
    file: Annotated[str, Query(max_length=300, description="Name of the micrograph, for people.")] = "micrograph",
    effort: Annotated[str, Query(description="quick or thorough: 100 or 300 steps.")] = "quick",
    space: Annotated[str, Query(description="w: one w for all layers; w+: one for each, closer and less true.")] = "w",
    fit_noise: Annotated[bool, Query(description="Seek the noise too, which places the particles.")] = True,
    condition: Condition = [],  # noqa: B006
) -> dict[str, Any]:
    """Project a micrograph, the body of the request as a TIFF, PNG, JPEG or BMP: the key of the job, and notes."""
    one_of(effort, list(EFFORTS), "Effort")
    one_of(space, list(SPACES), "Space")
    values, warnings = condition_of(generator, condition)
    called = _plain(file)
    data = await body_of(request, MOST_BYTES, called)

    def read() -> Target:
        return target_of(decode_micrograph(data, name=called, most_pixels=MOST_PIXELS), generator.card)

    target = await desk.answer(request, read)

    def work(job: Job) -> dict[str, Any]:
        def on_step(step: Step) -> None:
            job.report(step.done, step.total)

        found = project(
            generator.with_dtype(torch.float32),
            target.picture[None],
            condition=values,
            space=SPACES[space],
            steps=EFFORTS[effort],
            fit_noise=fit_noise,
            on_step=on_step,
        )
        sought = f"{space}, {EFFORTS[effort]} steps, noise {'fitted' if fit_noise else 'as drawn'}"
        job.held = Projected(
            generator,
            found.stop(0, target.name),
            found.conditions[0],
            _directions(generator, found),
            None if target.pixel_size_um is None else generator.card.pixel_size_um,
            "; ".join([sought, *target.notes]),
        )
        return _result(target, found, job.held) | {"warnings": warnings}

    return {"key": desk.start(work).key, "notes": list(target.notes)}


async def _asked_edit(
    truncation: Truncation = 1.0,
    move: Annotated[list[str], Query(description="DIRECTION=SD, such as pca-1=2.")] = [],  # noqa: B006
    seed: Annotated[int, Query(ge=0, lt=2**31, description="Where the walk leads.")] = 0,
    share: Annotated[float, Query(ge=0, le=1, description="How far to walk to the picture of the seed.")] = 0.0,
    noise_seed: NoiseSeed = None,
) -> Edit:
    return Edit(truncation=truncation, seed=seed, share=share, moves=moves_of(move), noise_seed=noise_seed)


AskedEdit = Annotated[Edit, Depends(_asked_edit)]


@router.get("/api/projections/{key}/edit")
async def edit(request: Request, key: str, desk: GivenDesk, asked: AskedEdit) -> dict[str, Any]:
    """A projection with an edit, as a PNG, with what it measures."""
    held = _held(desk, key)

    def work() -> dict[str, Any]:
        picture, about = _drawn(held, asked)
        return {
            "png": png(picture, pixel_size_um=held.generator.card.pixel_size_um, about=about),
            "told": asked.tell(),
            "measured": measured([picture], held.size_um),
        }

    return await desk.answer(request, work)


@router.get("/api/projections/{key}/edit.{suffix}", response_class=Response)
async def edit_file(request: Request, key: str, suffix: str, desk: GivenDesk, asked: AskedEdit) -> Response:
    """A projection with an edit as a `png` or `tif`, with scale and provenance."""
    held = _held(desk, key)
    one_of(suffix, ("png", "tif"), "Format")

    def work() -> Response:
        picture, about = _drawn(held, asked)
        size_um = held.generator.card.pixel_size_um
        return saved(picture, f"projection.{suffix}", pixel_size_um=size_um, about=about)

    return await desk.answer(request, work)


@router.delete("/api/projections/{key}")
def forget(key: str, desk: GivenDesk) -> dict[str, str]:
    """Stop a projection where it is under way, and keep nothing of it or of its micrograph."""
    desk.forget(key)
    return {"key": key}


def _held(desk: Desk, key: str) -> Projected:
    """Raises `ConfigError` where the job is not a projection, or not finished."""
    held = desk.job(key).held
    if not isinstance(held, Projected):
        raise ConfigError("This job holds no projection yet: wait until it is finished, or start again.")
    return held


def _directions(generator: Generator, found: Projection) -> tuple[Direction, ...]:
    spread = Spread(generator, condition=found.conditions[0] or None)
    return tuple(pca(spread, range(generator.network.num_styles), num=DIRECTIONS))


def _result(target: Target, found: Projection, held: Projected) -> dict[str, Any]:
    picture, card = found.images[0], held.generator.card
    apart, most = difference_map(target.picture, picture)
    about = _about(held, Edit(), torch.float32)
    mixed = about | {"shows": "difference of an image and its projection, which is synthetic"}
    return {
        "name": target.name,
        "target": png(target.picture, pixel_size_um=target.pixel_size_um, about=target.about),
        "projection": png(picture, pixel_size_um=card.pixel_size_um, about=about),
        "difference": png(apart, pixel_size_um=card.pixel_size_um, about=mixed),
        "largest_difference": most,
        "mean_difference": float(difference(target.picture, picture).mean()),
        "distance": float(found.distances[0]),
        "correlation": correlation(target.picture, picture),
        "notes": list(target.notes),
        "condition": dict(held.condition),
        "told": card.space.tell(held.condition) if held.condition else "",
        "directions": [{"name": direction.name, "share": direction.share} for direction in held.directions],
        "measured": measured([target.picture, picture], held.size_um),
        "scale_bar": scale_bar(card.size, held.size_um),
    }


def _drawn(held: Projected, asked: Edit) -> tuple[UInt8[np.ndarray, "c h w"], dict[str, str]]:
    point = edited(held.generator, held.place, asked, condition=held.condition, directions=held.directions)
    (picture,) = held.generator.draw(point.ws[None], [layer[None] for layer in point.noise])
    return picture, _about(held, asked, held.generator.dtype)


def _about(held: Projected, asked: Edit, dtype: torch.dtype) -> dict[str, str]:
    return {
        "synthetic": "true",
        "generator": held.generator.hash,
        "projection": f"projection of {held.place.name}",
        "projected": held.how,
        "edits": asked.tell(),
        "precision": name_of(dtype),
        **{f"condition {name}": str(value) for name, value in held.condition.items()},
    }


def _plain(file: str) -> str:
    """The name of a file as it may stand in a message and in a picture: no folders, one line."""
    last = file.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable()).strip()[:100] or "micrograph"

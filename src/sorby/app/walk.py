"""Tab Walk: from seed to seed, drawn where the slider stands, and recorded as a film."""

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from sorby.app.desk import Job
from sorby.app.given import GivenDesk, GivenGenerator
from sorby.app.shown import measured, png, scale_bar
from sorby.generator import Generator
from sorby.latent.directions import Spread
from sorby.latent.film import about_walk, pictures_of, write_walk
from sorby.latent.walk import NoiseWay, Walk, Way, stops

router = APIRouter(tags=["walk"])

MOST_STOPS = 16
PATH_POINTS = 12
"""Of the line on the map, for each stretch from stop to stop, and for each quarter of a circle."""


class StopAsked(BaseModel):
    """A picture that the walk is to pass."""

    seed: int = Field(ge=0, lt=2**31)
    condition: dict[str, str | float] | None = Field(None, description="None: that of the seed, as in the data.")
    truncation: float = Field(1.0, ge=0, le=1)


class WalkAsked(BaseModel):
    """What `sorby interpolate` is told by its options."""

    stops: list[StopAsked] = Field(min_length=1, max_length=MOST_STOPS)
    way: Way = "slerp"
    noise: NoiseWay = "follow"
    closed: bool = False


class FilmAsked(WalkAsked):
    """A walk, and how it is filmed."""

    frames: int = Field(120, ge=2, le=2000)
    fps: float = Field(24, ge=1, le=60)
    format: Literal["mp4", "gif"] = "mp4"
    traces: list[str] = Field([], max_length=4, description="Curves of descriptors under the picture.")
    mark: bool = Field(False, description="With the word SYNTHETIC in each picture.")


@router.get("/api/generators/{name}/map")
async def latent_map(
    request: Request,
    generator: GivenGenerator,
    desk: GivenDesk,
    num: Annotated[int, Query(ge=1, le=1000, description="Seeds 0 and on.")] = 200,
) -> dict[str, Any]:
    """Where seeds lie along the first two principal axes of w, in standard deviations; shares are of the variance.

    w varies over the seeds and, as they do, over the conditions of the data.
    """

    def work() -> dict[str, Any]:
        spread = _spread(generator)
        ws = generator.styles(generator.z_of(range(num)), generator.encoded(range(num)))[:, 0]
        shares = spread.variances[:2] / spread.variances.sum()
        at = [generator.condition_of(seed) for seed in range(num)]
        points = [
            {"seed": seed, "place": place, "told": generator.card.space.tell(values) if values else ""}
            for seed, (place, values) in enumerate(zip(spread.places(ws).tolist(), at, strict=True))
        ]
        return {"points": points, "shares": shares.tolist()}

    return await desk.answer(request, work)


@router.post("/api/generators/{name}/walk/path")
async def path(request: Request, generator: GivenGenerator, desk: GivenDesk, asked: WalkAsked) -> dict[str, Any]:
    """The way of a walk on the map, and the places of its stops."""

    def work() -> dict[str, Any]:
        walk, spread = _walk(generator, asked), _spread(generator)
        num = PATH_POINTS * (4 if asked.way == "circle" else len(walk.stops) - 1)
        points = [spread.places(walk.at(i / num).ws[:1])[0].tolist() for i in range(num + 1)]
        places = [spread.places(stop.ws[:1])[0].tolist() for stop in walk.stops[: len(asked.stops)]]
        return {"path": points, "stops": places}

    return await desk.answer(request, work)


@router.post("/api/generators/{name}/walk/picture")
async def picture(
    request: Request,
    generator: GivenGenerator,
    desk: GivenDesk,
    asked: WalkAsked,
    t: Annotated[float, Query(ge=0, le=1, description="Where on the walk: 0 at its first stop, 1 at its end.")] = 0,
) -> dict[str, Any]:
    """The picture of one place of a walk as a PNG, what it measures, and a warning for each value outside the data."""

    def work() -> dict[str, Any]:
        walk = _walk(generator, asked)
        (drawn,) = pictures_of(generator, [walk.at(t)])
        about = about_walk(walk, generator.hash) | {"at": f"{t:g} of the way"}
        size_um = generator.card.pixel_size_um
        return {
            "png": png(drawn, pixel_size_um=size_um, about=about),
            "told": walk.describe(),
            "measured": measured([drawn], size_um),
            "scale_bar": scale_bar(generator.card.size, size_um),
            "warnings": _warnings(generator, asked),
        }

    return await desk.answer(request, work)


@router.post("/api/generators/{name}/walk/film")
async def film(request: Request, generator: GivenGenerator, desk: GivenDesk, asked: FilmAsked) -> dict[str, str]:
    """Begin to record a walk, as `sorby interpolate` does: the key of the job, whose one file is the film."""
    walk = await desk.answer(request, lambda: _walk(generator, asked))

    def work(job: Job) -> dict[str, Any]:
        with TemporaryDirectory(prefix="sorby-") as folder:
            out = Path(folder) / f"walk.{asked.format}"
            write_walk(
                walk,
                out,
                frames=asked.frames,
                fps=asked.fps,
                traces=asked.traces,
                mark=asked.mark,
                on_frame=job.report,
            )
            job.files[out.name] = out.read_bytes()
        return {"told": walk.describe(), "frames": asked.frames, "seconds": asked.frames / asked.fps}

    return {"key": desk.start(work).key}


@lru_cache(maxsize=8)
def _spread(generator: Generator) -> Spread:
    """The axes of the map, which take longer than a picture."""
    return Spread(generator, over_conditions=True)


def _walk(generator: Generator, asked: WalkAsked) -> Walk:
    """Raises `ConfigError` for stops that cannot be drawn, or that make no such walk."""
    passed = stops(
        generator,
        [stop.seed for stop in asked.stops],
        conditions=[stop.condition for stop in asked.stops],
        truncations=[stop.truncation for stop in asked.stops],
    )
    return Walk(generator, passed, way=asked.way, noise=asked.noise, closed=asked.closed)


def _warnings(generator: Generator, asked: WalkAsked) -> list[str]:
    told = (generator.card.space.out_of_range(stop.condition or {}) for stop in asked.stops)
    return list(dict.fromkeys(text for texts in told for text in texts))

"""Tab Generate: pictures of seeds, at conditions, with what they measure."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sorby.app.asked import condition_of, one_of, seeds_of
from sorby.app.desk import Desk
from sorby.app.opened import Opened
from sorby.app.shown import measured, png, scale_bar
from sorby.draw import pixels_of, provenance
from sorby.micrograph import encode_micrograph

router = APIRouter(tags=["generate"])

Truncation = Annotated[float, Query(ge=0, le=1, description="Lower: fewer kinds of picture, fewer failures.")]
Condition = Annotated[list[str], Query(description="NAME=VALUE, one for each condition; none: as in the data.")]
NoiseSeed = Annotated[int | None, Query(ge=0, lt=2**31, description="Seed whose noise all pictures have.")]


@router.get("/api/generators/{name}/pictures")
async def pictures(
    request: Request,
    name: str,
    seeds: Annotated[str, Query(description="Such as 0-15 or 3,7.")] = "0",
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
    noise_seed: NoiseSeed = None,
) -> dict[str, Any]:
    """Pictures of seeds as PNGs, their descriptors with units, and a warning for each value outside the data."""
    opened: Opened = request.app.state.opened
    desk: Desk = request.app.state.desk
    generator, asked = opened.generator(name), seeds_of(seeds)
    values, warnings = condition_of(generator, condition)

    def work() -> dict[str, Any]:
        size_um = generator.card.pixel_size_um
        drawn = generator.images(asked, truncation=truncation, condition=values, noise_seed=noise_seed)
        hash_ = request.app.state.hashes[name]
        shown = []
        for seed, picture in zip(asked, drawn, strict=True):
            about = provenance(generator, hash_, seed, truncation=truncation, condition=values, noise_seed=noise_seed)
            at = generator.condition_of(seed) if values is None else values
            shown.append(
                {
                    "seed": seed,
                    "png": png(picture, pixel_size_um=size_um, about=about),
                    "condition": dict(at),
                    "told": generator.card.space.tell(at) if at else "",
                }
            )
        return {
            "pictures": shown,
            "measured": measured(list(drawn), size_um),
            "scale_bar": scale_bar(generator.card.size, size_um),
            "warnings": warnings,
        }

    return await desk.answer(request, work)


@router.get("/api/generators/{name}/picture.{suffix}", response_class=Response)
async def picture(
    request: Request,
    name: str,
    suffix: str,
    seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
    noise_seed: NoiseSeed = None,
) -> Response:
    """One picture as a `png` or `tif` with scale and provenance, to the byte what `sorby generate` writes."""
    opened: Opened = request.app.state.opened
    desk: Desk = request.app.state.desk
    generator = opened.generator(name)
    one_of(suffix, ("png", "tif"), "Format")
    values, _ = condition_of(generator, condition)

    def work() -> bytes:
        (drawn,) = generator.images([seed], truncation=truncation, condition=values, noise_seed=noise_seed)
        about = provenance(
            generator,
            request.app.state.hashes[name],
            seed,
            truncation=truncation,
            condition=values,
            noise_seed=noise_seed,
        )
        size_um = generator.card.pixel_size_um
        return encode_micrograph(pixels_of(drawn), f".{suffix}", pixel_size_um=size_um, description=about)

    kind = "image/png" if suffix == "png" else "image/tiff"
    told = {"Content-Disposition": f'attachment; filename="seed{seed:04d}.{suffix}"'}
    return Response(await desk.answer(request, work), media_type=kind, headers=told)

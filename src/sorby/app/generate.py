"""Tab Generate: pictures of seeds, at conditions, with what they measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from jaxtyping import UInt8

from sorby.app.asked import condition_of, one_of, seeds_of
from sorby.app.given import GivenDesk, GivenGenerator
from sorby.app.shown import measured, png, saved, scale_bar
from sorby.draw import provenance
from sorby.generator import Generator, Values
from sorby.mark import MARKED, marked

router = APIRouter(tags=["generate"])

Truncation = Annotated[float, Query(ge=0, le=1, description="Lower: fewer kinds of picture, fewer failures.")]
Condition = Annotated[list[str], Query(description="NAME=VALUE, one for each condition; none: as in the data.")]
NoiseSeed = Annotated[int | None, Query(ge=0, lt=2**31, description="Seed whose noise all pictures have.")]
Mark = Annotated[bool, Query(description="With the word SYNTHETIC in the pixels; leave it out of what is measured.")]


@dataclass(frozen=True)
class Drawing:
    """How pictures are asked for, but for their seeds."""

    generator: Generator
    truncation: float
    condition: Values | None
    noise_seed: int | None
    warnings: list[str]
    """Of values outside the data."""

    def draw(self, seeds: Sequence[int]) -> UInt8[np.ndarray, "n c h w"]:
        """A picture a seed."""
        return self.generator.images(
            seeds, truncation=self.truncation, condition=self.condition, noise_seed=self.noise_seed
        )

    def about(self, seed: int) -> dict[str, str]:
        """What the picture of `seed` says of itself."""
        return provenance(
            self.generator,
            self.generator.hash,
            seed,
            truncation=self.truncation,
            condition=self.condition,
            noise_seed=self.noise_seed,
        )


async def _drawing(
    generator: GivenGenerator,
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
    noise_seed: NoiseSeed = None,
) -> Drawing:
    values, warnings = condition_of(generator, condition)
    return Drawing(generator, truncation, values, noise_seed, warnings)


@router.get("/api/generators/{name}/pictures")
async def pictures(
    request: Request,
    desk: GivenDesk,
    drawing: Annotated[Drawing, Depends(_drawing)],
    seeds: Annotated[str, Query(description="Such as 0-15 or 3,7.")] = "0",
) -> dict[str, Any]:
    """Pictures of seeds as PNGs, their descriptors with units, and a warning for each value outside the data."""
    asked, generator = seeds_of(seeds), drawing.generator
    card = generator.card

    def work() -> dict[str, Any]:
        drawn = [picture for some in desk.in_turns(asked, generator.num_at_once) for picture in drawing.draw(some)]
        shown = []
        for seed, picture in zip(asked, drawn, strict=True):
            at = generator.condition_of(seed) if drawing.condition is None else drawing.condition
            shown.append(
                {
                    "seed": seed,
                    "png": png(picture, pixel_size_um=card.pixel_size_um, about=drawing.about(seed)),
                    "condition": dict(at),
                    "told": card.space.tell(at) if at else "",
                }
            )
        return {
            "pictures": shown,
            "measured": measured(drawn, card.pixel_size_um),
            "scale_bar": scale_bar(card.size, card.pixel_size_um),
            "warnings": drawing.warnings,
        }

    return await desk.answer(request, work)


@router.get("/api/generators/{name}/picture.{suffix}", response_class=Response)
async def picture(
    request: Request,
    desk: GivenDesk,
    drawing: Annotated[Drawing, Depends(_drawing)],
    suffix: str,
    seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    mark: Mark = False,
) -> Response:
    """One picture as a `png` or `tif` with scale and provenance, to the byte what `sorby generate` writes."""
    one_of(suffix, ("png", "tif"), "Format")

    def work() -> Response:
        (drawn,) = drawing.draw([seed])
        size_um = drawing.generator.card.pixel_size_um
        shown, about = (marked(drawn), drawing.about(seed) | MARKED) if mark else (drawn, drawing.about(seed))
        return saved(shown, f"seed{seed:04d}.{suffix}", pixel_size_um=size_um, about=about)

    return await desk.answer(request, work)

"""Tab Walk, style mixing: some layers of one picture in another."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sorby.app.asked import condition_of, seeds_of
from sorby.app.generate import Condition, Mark, Truncation
from sorby.app.given import GivenDesk, GivenGenerator
from sorby.app.shown import png
from sorby.draw import provenance
from sorby.errors import ConfigError
from sorby.latent.mix import layers_of, mix, told, write_mixture

router = APIRouter(tags=["mixing"])

MOST_SEEDS = 6
"""In the rows, and in the columns."""

Rows = Annotated[str, Query(description="Seeds at the left, which give the noise and the rest of the style.")]
Columns = Annotated[str, Query(description="Seeds on top, which give the style of the layers.")]
Layers = Annotated[str | None, Query(description="Such as 0-3 (coarse) or 6-9 (fine); by default all.")]


@router.get("/api/generators/{name}/mixtures")
async def mixtures(
    request: Request,
    generator: GivenGenerator,
    desk: GivenDesk,
    rows: Rows = "0,1,2",
    columns: Columns = "3,4,5",
    layers: Layers = None,
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
) -> dict[str, Any]:
    """PNGs of the seeds of rows and columns, and of each row with the style of each column in some layers."""
    left, top, which = _few(rows, "rows"), _few(columns, "columns"), layers_of(generator, layers)
    values, warnings = condition_of(generator, condition)

    def work() -> dict[str, Any]:
        def shown(picture: Any, seed: int, more: dict[str, str]) -> str:
            about = provenance(generator, generator.hash, seed, truncation=truncation, condition=values) | more
            return png(picture, pixel_size_um=generator.card.pixel_size_um, about=about)

        columns_of = [
            mix(generator, left, one, which, condition=values, truncation=truncation) for one in desk.in_turns(top, 1)
        ]
        mixed = np.concatenate(columns_of, axis=1)
        alone = generator.images([*left, *top], truncation=truncation, condition=values)
        own = [shown(picture, seed, {}) for picture, seed in zip(alone, [*left, *top], strict=True)]
        both = [
            [
                shown(picture, row, {"mixed": f"{told(generator, which)} of seed {column}"})
                for picture, column in zip(pictures, top, strict=True)
            ]
            for pictures, row in zip(mixed, left, strict=True)
        ]
        return {
            "rows": [{"seed": seed, "png": shown} for seed, shown in zip(left, own, strict=False)],
            "columns": [{"seed": seed, "png": shown} for seed, shown in zip(top, own[len(left) :], strict=True)],
            "mixed": both,
            "told": told(generator, which),
            "warnings": warnings,
        }

    return await desk.answer(request, work)


@router.get("/api/generators/{name}/mixture.png", response_class=Response)
async def sheet(
    request: Request,
    generator: GivenGenerator,
    desk: GivenDesk,
    rows: Rows = "0,1,2",
    columns: Columns = "3,4,5",
    layers: Layers = None,
    truncation: Truncation = 1.0,
    condition: Condition = [],  # noqa: B006
    mark: Mark = False,
) -> Response:
    """All mixtures as one picture, to the byte the sheet that `sorby mix` writes."""
    left, top, which = _few(rows, "rows"), _few(columns, "columns"), layers_of(generator, layers)
    values, _ = condition_of(generator, condition)

    def work() -> bytes:
        with TemporaryDirectory(prefix="sorby-") as folder:
            out = Path(folder) / "mixture.png"
            write_mixture(generator, out, left, top, which, condition=values, truncation=truncation, mark=mark)
            return out.read_bytes()

    named = {"Content-Disposition": 'attachment; filename="mixture.png"'}
    return Response(await desk.answer(request, work), media_type="image/png", headers=named)


def _few(text: str, side: str) -> list[int]:
    seeds = seeds_of(text)
    if len(seeds) > MOST_SEEDS:
        raise ConfigError(f"{len(seeds)} seeds came for the {side}: give at most {MOST_SEEDS}.")
    return seeds

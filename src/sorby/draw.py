"""Pictures of a generator as files: each carries its scale and says that it is synthetic."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from sorby.generator import Generator, Values
from sorby.mark import MARKED, marked
from sorby.micrograph import write_micrograph
from sorby.team import Team

BATCH = 32  # held in memory until they are written


class Move(NamedTuple):
    """Where in w all pictures are moved."""

    name: str
    """As it is written into the pictures: `pca-1=1.5`."""
    offset: Float[Tensor, "l d"]
    directions: str
    """Which directions these were, written into the pictures too: names are the same in every folder."""


def draw(
    generator: Generator,
    seeds: Sequence[int],
    out: Path,
    *,
    truncation: float = 1.0,
    condition: Values | None = None,
    move: Move | None = None,
    suffix: Literal[".tif", ".png"] = ".tif",
    team: Team | None = None,
    mark: bool = False,
) -> Iterator[Path]:
    """Write `seed0000.tif` and so on into `out`, giving each path when it is there.

    The processes of a `team` draw in turn as many as are drawn at once, so that each picture is what it is to one.
    With a `mark` each picture says that it is synthetic in its pixels too.
    Raises `ConfigError` for a condition that the generator does not know, before anything is written.
    """
    name = generator.hash
    team = team or Team()
    for start in range(team.rank * BATCH, len(seeds), team.size * BATCH):
        batch = seeds[start : start + BATCH]
        offset = None if move is None else move.offset
        pictures = generator.images(batch, truncation=truncation, condition=condition, offset=offset)
        for seed, picture in zip(batch, pictures, strict=True):
            path = out / f"seed{seed:04d}{suffix}"
            about = provenance(generator, name, seed, truncation=truncation, condition=condition, move=move)
            shown, about = (marked(picture), about | MARKED) if mark else (picture, about)
            write_micrograph(path, pixels_of(shown), pixel_size_um=generator.card.pixel_size_um, description=about)
            yield path


def provenance(
    generator: Generator,
    name: str,
    seed: int,
    *,
    truncation: float,
    condition: Values | None,
    move: Move | None = None,
    noise_seed: int | None = None,
) -> dict[str, str]:
    """What a picture says of itself: that it is synthetic, and all that drew it; `name` is the generator's hash."""
    asked = generator.condition_of(seed) if condition is None else condition
    return {
        "synthetic": "true",
        "generator": name,
        "seed": str(seed),
        "truncation": f"{truncation:g}",
        "precision": generator.precision,
        **{f"condition {key}": str(value) for key, value in asked.items()},
        **({} if move is None else {"move": move.name, "directions": move.directions}),
        **({} if noise_seed is None else {"noise seed": str(noise_seed)}),
    }


def pixels_of(picture: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "h w *c"]:
    """A picture of a generator as files hold it: grey "h w", or RGB "h w 3"."""
    return picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))

"""A micrograph as a picture that a generator could have drawn: its size, its scale, 8 bits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.card import GeneratorCard
from sorby.data.grey import grey_range, to_8bit
from sorby.data.patches import UnusableError, plan_cutting
from sorby.data.recipe import Recipe
from sorby.errors import ConfigError, DataError
from sorby.mark import check_unmarked
from sorby.micrograph import Micrograph, said_synthetic, same_size


@dataclass(frozen=True)
class Target:
    """What is to be projected."""

    name: str
    picture: UInt8[np.ndarray, "1 h w"]
    pixel_size_um: float | None
    notes: tuple[str, ...]
    """What was done to the micrograph, and what is not known of it, for people."""
    said: Mapping[str, str] = field(default_factory=dict)
    """That the image is itself synthetic, and what drew it; empty where it does not say so."""

    @property
    def about(self) -> dict[str, str]:
        """What `picture` says of itself: nothing more than the image does of whether it is real."""
        return {"source": self.name, "shows": "the part that is projected", **self.said}


def target_of(micrograph: Micrograph, card: GeneratorCard) -> Target:
    """The centre of a micrograph, of the size of the generator's pictures, at their scale where both are known.

    Rescaled and brought to 8 bits as `sorby prepare` does it, without its filters. Raises `ConfigError` for a generator
    of colours, `DataError` for a micrograph that is too small or too coarse.
    """
    if card.network.channels != 1:
        raise ConfigError("This generator draws in colours, and a micrograph is grey: choose another generator.")
    check_unmarked(micrograph)
    name, size_um, grey = Path(micrograph.source).name, micrograph.pixel_size_um, micrograph.grey
    both_known = size_um is not None and card.pixel_size_um is not None
    is_rescaled = both_known and not same_size(size_um, card.pixel_size_um)
    recipe = Recipe(size=card.size, cut="centre", um_per_px=card.pixel_size_um if is_rescaled else None)
    height_px, width_px = grey.shape
    try:
        cutting = plan_cutting(recipe, width_px=width_px, top_px=0, bottom_px=height_px, pixel_size_um=size_um)
    except UnusableError as error:
        raise DataError(
            f"{name} is {error.reason} ({error.measured}, {error.limit}): give a larger or finer micrograph, or a "
            "generator of smaller pictures."
        ) from None
    (picture,) = cutting.cut(cutting.resample(to_8bit(grey, *grey_range(grey, recipe.grey_range))[0]))
    notes = []
    if is_rescaled:
        notes.append(f"{name} was brought from {size_um:g} to {card.pixel_size_um:g} µm a pixel")
    if (cutting.width_px, cutting.height_px) != (card.size, card.size):
        notes.append(f"of {name}, {cutting.width_px} x {cutting.height_px} px, the middle {card.size} px are projected")
    if not both_known:
        whose = "the generator" if size_um is not None else name
        notes.append(f"the pixel size of {whose} is not known: {name} is taken to be at the generator's scale")
    return Target(
        name,
        np.ascontiguousarray(picture)[None],
        card.pixel_size_um if is_rescaled else size_um,
        tuple(notes),
        said_synthetic(micrograph.notes),
    )

"""All numbers of one image: those that are compared, those that only describe, and how far each hangs on the threshold.

`describe` is enough to compare sets of images; this measures an image three times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool

from sorby.decode import Grey
from sorby.errors import DataError
from sorby.microstructure.correlate import mean_crossings
from sorby.microstructure.describe import (
    BY_OTSU,
    QUANTITIES,
    Described,
    Descriptors,
    Quantity,
    Segmentation,
    contrast_of,
    describe_mask,
    phase_masks,
)
from sorby.microstructure.lamellae import lamellar_spacing
from sorby.microstructure.topology import euler_number

ALL_QUANTITIES = (
    *QUANTITIES,
    Quantity("boundary_density", "boundary length per area", -1),
    Quantity("euler_density", "Euler number per area", -2),
    Quantity("lamellar_spacing", "lamellar spacing", 1, of_phase=False),
)
"""Every number of `FullDescriptors`, in its order."""


@dataclass(frozen=True)
class FullDescriptors(Descriptors):
    """`Descriptors`, and what is not compared: it follows from them, or few images have it."""

    boundary_density: float | None = None
    """Length of the boundary of the phase per pixel, L_A = pi / 2 P_L (Underwood 1970)."""
    euler_density: float | None = None
    """Parts of the phase less holes in them, per pixel, without what the edge of the image makes."""
    lamellar_spacing: float | None = None
    """Of the strongest stack of lamellae, across them on the plane of the image; None where there is no period."""


assert tuple(field.name for field in fields(FullDescriptors)) == tuple(quantity.name for quantity in ALL_QUANTITIES)


@dataclass(frozen=True)
class Band:
    """Each number with the thresholds where they are and a step down and up."""

    low: FullDescriptors
    """The least of the three."""
    high: FullDescriptors
    """The greatest."""


@dataclass(frozen=True, eq=False)
class FullyDescribed(Described):
    """One image measured in full."""

    values: FullDescriptors
    band: Band | None
    """None where there is nothing to measure, or the phase was marked by somebody."""


def describe_fully(
    grey: Grey, how: Segmentation = BY_OTSU, *, mask: Bool[np.ndarray, "h w"] | None = None
) -> FullyDescribed:
    """As `describe` does, with further numbers and with the band; `mask` is the phase where somebody has marked it."""
    contrast, spacing = contrast_of(grey), lamellar_spacing(grey).spacing_px
    try:
        thresholds, masks = phase_masks(grey, how, moves=(0, -1, 1)) if mask is None else ((), [mask])
        described = [describe_mask(each, how, contrast=contrast) for each in masks]
        values = [_full(one, each, spacing) for one, each in zip(described, masks, strict=True)]
    except DataError as error:
        none = FullDescriptors(contrast=contrast, lamellar_spacing=spacing)
        return FullyDescribed(none, (), (), np.zeros(grey.shape, np.int32), str(error), band=None)
    found, band = described[0], band_of(values) if mask is None else None
    return FullyDescribed(values[0], thresholds, found.particles, found.labels, found.reason, band)


def band_of(values: Sequence[FullDescriptors]) -> Band:
    """Least and greatest of each number that the first has, over those that have it too."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for name, value in vars(values[0]).items():
        if value is not None:
            there = [number for each in values if (number := getattr(each, name)) is not None]
            low[name], high[name] = min(there), max(there)
    return Band(FullDescriptors(**low), FullDescriptors(**high))


def euler_density(mask: Bool[np.ndarray, "h w"]) -> float:
    """Euler number per pixel, of a structure of which the image is a random window: parts less holes, neighbours by 8.

    The edge of the image cuts parts off and holes open. Were the plane tiled with windows that share their border
    pixels, each side would belong to two of them and each corner to four; as Euler numbers add up, half of those of the
    sides are taken off, and a quarter of the corners, thus taken off twice, is added. Raises `DataError` for an image
    of fewer than 2 x 2 pixels.

    >>> euler_density(np.array([[0, 1, 0]] * 4, dtype=bool))  # a line right through has no end here
    0.0
    """
    height, width = mask.shape
    if min(height, width) < 2:
        raise DataError(f"The image has {height} x {width} px; expected 2 x 2 or more: use a larger one.")
    sides = sum(euler_number(side) for side in (mask[:1], mask[-1:], mask[:, :1], mask[:, -1:]))
    corners = mask[:: height - 1, :: width - 1]
    return (euler_number(mask) - sides / 2 + int(corners.sum()) / 4) / ((height - 1) * (width - 1))


def _full(described: Described, mask: Bool[np.ndarray, "h w"], spacing_px: float | None) -> FullDescriptors:
    return FullDescriptors(
        **vars(described.values),
        boundary_density=math.pi / 2 * mean_crossings(mask),
        euler_density=euler_density(mask),
        lamellar_spacing=spacing_px,
    )

"""New micrographs from two real ones, laid over each other so that equivalent features meet.

After Ishiyama, Imajo, Suemasu & Toko, "Machine learning of fake micrographs for automated analysis of crystal growth
process", Sci. Technol. Adv. Mater.: Methods (2022), as Lambard et al. 2023 (paper A) describe it: two
micrographs of different annealing times are superimposed by randomly matching equivalent features, which keeps the
quality and the noise of real images, and shows nothing that the two do not.

What makes this definite is ours: a feature is a region of the rarer phase by Otsu's threshold; two features are
equivalent where they have about the same rank in size, each among those of its micrograph; and where features of the
two meet, one of the micrographs is shown, at random, so that no feature is cut.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from sorby.data.grey import grey_range, to_8bit
from sorby.data.infobar import find_info_bar
from sorby.errors import DataError
from sorby.micrograph import read_micrograph
from sorby.microstructure.segment import cleaned, otsu

WINDOW = 0.75
"""Side of a new micrograph over that of the smaller of the two, so that they can be shifted."""
LEAST_AREA_PX2 = 12
"""Smaller regions are specks of noise, and stay as they are."""
SMOOTH_PX = 1.0
"""Before the threshold."""
GROUND_PX = 24.0
"""What changes over such distances is uneven brightness; features are smaller."""
SEAM_PX = 3.0
"""Around a feature the ground goes with it, and passes from one micrograph to the other."""
RANKS_APART = 0.1
"""Equivalent features differ by at most this share of all in their rank in size."""
MOST_MEETING = 0.5
"""Share of a new micrograph that features may fill that hang together through both micrographs."""
TRIES = 1000
EIGHT = np.ones((3, 3))
"""Features touch by 8 neighbours."""


@dataclass(frozen=True, eq=False)
class Source:
    """A real micrograph and the features in it."""

    name: str
    grey: UInt8[np.ndarray, "h w"]
    pixel_size_um: float | None
    mask: Bool[np.ndarray, "h w"]
    """The rarer phase."""
    ground: Float[np.ndarray, "h w"]
    """Brightness of the other phase, smoothed and filled in under the features."""
    centres: Int[np.ndarray, "n 2"]
    """Row and column of the middle of each feature, the smallest feature first."""


def read_source(path: Path) -> Source:
    """Read a micrograph, cut off its info bar, and find its features. Raises `DataError` where there are none."""
    micrograph = read_micrograph(path)
    grey = to_8bit(micrograph.grey, *grey_range(micrograph.grey, "image"))[0]
    top, bottom = find_info_bar(grey)
    return source_of(grey[top:bottom], name=path.name, pixel_size_um=micrograph.pixel_size_um)


def source_of(grey: UInt8[np.ndarray, "h w"], *, name: str, pixel_size_um: float | None = None) -> Source:
    """The features of a micrograph. Raises `DataError` where there are none."""
    smooth = ndimage.gaussian_filter(grey.astype(float), SMOOTH_PX)
    even = np.rint(smooth - ndimage.gaussian_filter(smooth, GROUND_PX) + 128).clip(0, 255).astype(np.uint8)
    bright = even > (otsu(even)[0] if np.ptp(even) else 255)
    rarer = ndimage.binary_fill_holes(bright if bright.mean() <= 0.5 else ~bright)
    mask = cleaned(rarer, min_area_px2=LEAST_AREA_PX2)
    labels, num = ndimage.label(mask, EIGHT)
    if not num:
        raise DataError(f"{name} has no features of {LEAST_AREA_PX2} px or more: give a micrograph of two phases.")
    areas = np.bincount(labels.ravel())[1:]
    centres = np.array(ndimage.center_of_mass(mask, labels, range(1, num + 1))).round().astype(np.int64)
    ground = _smoothed(grey * ~mask) / np.maximum(_smoothed(~mask), 1e-6)
    return Source(name, grey, pixel_size_um, mask, ground, centres[np.argsort(areas, kind="stable")])


def superimpose(
    one: Source, other: Source, *, share: float, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """A new micrograph, and the mask of its features.

    A `share` of the places with features, on average, show `other`, the rest and the ground show `one`; the brightness
    of the ground of `other` is brought to that of `one`. `shape` is in pixels and at most that of either micrograph.
    Raises `DataError` where the features form a network, so that there are no places to choose between.
    """
    (y, x), (other_y, other_x) = _matched(one, other, shape, rng=rng)
    window = np.s_[y : y + shape[0], x : x + shape[1]]
    other_window = np.s_[other_y : other_y + shape[0], other_x : other_x + shape[1]]
    mask, other_mask = one.mask[window], other.mask[other_window]
    places, num = ndimage.label(mask | other_mask, EIGHT)
    if np.bincount(places.ravel())[1:].max(initial=0) > MOST_MEETING * places.size:
        raise DataError(
            f"The features of {one.name} and {other.name}, laid over each other, form one network: expected particles "
            "apart from each other."
        )
    of_other = np.concatenate([[False], rng.random(num) < share])[places]
    weight = _faded(of_other, places > 0)
    lit = other.grey[other_window] + one.ground[window] - other.ground[other_window]
    grey = (1 - weight) * one.grey[window] + weight * lit
    return np.rint(grey.clip(0, 255)).astype(np.uint8), np.where(of_other, other_mask, mask)


def window_shape(one: Source, other: Source) -> tuple[int, int]:
    """Shape of the new micrographs of two."""
    height, width = (min(sides) for sides in zip(one.grey.shape, other.grey.shape, strict=True))
    return int(WINDOW * height), int(WINDOW * width)


def _matched(
    one: Source, other: Source, shape: tuple[int, int], *, rng: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Upper left corners of a window of each, in which two equivalent features lie at one place."""
    ranks = (np.arange(len(other.centres)) + 0.5) / len(other.centres)
    for _ in range(TRIES):
        number = int(rng.integers(len(one.centres)))
        rank = (number + 0.5) / len(one.centres)
        near = np.flatnonzero(np.abs(ranks - rank) <= RANKS_APART)
        equivalent = int(rng.choice(near)) if len(near) else int(np.abs(ranks - rank).argmin())
        centre, shift = one.centres[number], other.centres[equivalent] - one.centres[number]
        sides = np.array(shape)
        low = np.maximum(np.maximum(0, -shift), centre - sides + 1)
        high = np.minimum(np.minimum(one.grey.shape - sides, other.grey.shape - sides - shift), centre)
        if (low <= high).all():
            corner = rng.integers(low, high + 1)
            return (int(corner[0]), int(corner[1])), (int(corner[0] + shift[0]), int(corner[1] + shift[1]))
    raise DataError(f"No features of {one.name} and {other.name} can be brought to one place: give larger micrographs.")


def _smoothed(picture: np.ndarray) -> Float[np.ndarray, "h w"]:
    return ndimage.gaussian_filter(picture.astype(float), GROUND_PX)


def _faded(chosen: Bool[np.ndarray, "h w"], places: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """1 on the chosen places, 0 on the others, and on the ground beside a chosen one falling to 0 on half the way."""
    if not chosen.any():
        return np.zeros(chosen.shape)
    distance = ndimage.distance_transform_edt(~chosen)
    room = ndimage.distance_transform_edt(~(places & ~chosen)) if (places & ~chosen).any() else np.inf
    reach = np.minimum(SEAM_PX, (distance + room) / 2)
    return np.where(places, chosen, (1 - distance / reach).clip(0)).astype(float)

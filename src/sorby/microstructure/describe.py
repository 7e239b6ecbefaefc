"""One image to a dozen numbers of metallography: which phase, how much, how fine, how many, what shape."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from sorby.decode import Grey
from sorby.errors import DataError
from sorby.microstructure.correlate import anisotropy, mean_crossings, radial, two_point
from sorby.microstructure.fraction import area_fraction
from sorby.microstructure.particles import Edges, Particle, density_per_px2, labelled, particles
from sorby.microstructure.segment import MOST_PHASES, cleaned, local_mask, otsu, phases_of, separate
from sorby.microstructure.topology import betti


@dataclass(frozen=True)
class Segmentation:
    """How an image is parted into a phase and its ground: alike for real and generated images, or it means nothing."""

    phases: int = 2
    """Phases told apart by their grey, 2 to 4."""
    phase: int = -1
    """The phase measured, counted from the darkest, 0; or from the brightest, -1."""
    thresholds: tuple[int, ...] = ()
    """Fixed thresholds, one fewer than phases; without, Otsu's of each image."""
    window_px: int | None = None
    """A local threshold instead: brighter than the mean of a window of so many px, an odd number (phase 0: darker)."""
    smooth_px: float = 1.0
    """Standard deviation of the Gaussian that takes the noise off before the threshold; 0 for none."""
    min_area_px2: int = 5
    """Smaller specks, bright or dark, are noise."""
    separate_px: int | None = None
    """Cut touching particles whose middles are further apart than this; none to leave them whole."""
    edges: Edges = "correct"
    """What becomes of particles that the edge of the image cuts, see `particles`."""
    step: float = 0.02
    """By how much a threshold is moved to see what hangs on it, as a share of black to white."""

    def __post_init__(self) -> None:
        if not 2 <= self.phases <= MOST_PHASES:
            raise DataError(f"{self.phases} phases were asked for: expected 2 to {MOST_PHASES}.")
        if self.window_px is not None and (self.window_px < 3 or self.window_px % 2 == 0):
            raise DataError(f"the window of the local threshold is {self.window_px} px: expected an odd number from 3.")
        if self.window_px is not None and (self.thresholds or self.phases > 2):
            raise DataError("a local threshold parts two phases by itself: leave out thresholds and phases.")
        if self.thresholds and len(self.thresholds) != self.phases - 1:
            raise DataError(
                f"{len(self.thresholds)} thresholds came for {self.phases} phases: expected {self.phases - 1}."
            )
        if not -self.phases <= self.phase < self.phases:
            raise DataError(f"phase is {self.phase}: expected 0 (the darkest) to {self.phases - 1}, or -1 (brightest).")


BY_OTSU = Segmentation()
"""The brightest of two phases, by Otsu's threshold of each image."""


@dataclass(frozen=True)
class Quantity:
    """What a number of `Descriptors` is."""

    name: str
    title: str
    power: int
    """Of length: 1 for a length, -1 or -2 for what is per length or area, 0 where the pixel size does not matter."""
    of_phase: bool = True
    """Whether it depends on where the phase was found to be, or on the grey values alone."""

    @property
    def is_length(self) -> bool:
        """Lengths spread over decades and are compared as logarithms, their means are geometric."""
        return self.power == 1


QUANTITIES = (
    Quantity("area_fraction", "area fraction", 0),
    Quantity("mean_chord", "mean chord in the phase", 1),
    Quantity("mean_free_path", "mean free path between", 1),
    Quantity("correlation_length", "correlation length", 1),
    Quantity("axis_ratio", "axis ratio", 0),
    Quantity("particle_density", "particles per area", -2),
    Quantity("mean_diameter", "mean equivalent diameter", 1),
    Quantity("mean_aspect_ratio", "mean aspect ratio", 0),
    Quantity("mean_circularity", "mean circularity", 0),
    Quantity("hole_density", "holes per area", -2),
    Quantity("contrast", "contrast", 0, of_phase=False),
)
"""Every number of `Descriptors`, in its order."""


def comparable(table: Float[np.ndarray, "n q"]) -> Float[np.ndarray, "n q"]:
    """Descriptors, a column each of `QUANTITIES`, with the lengths as their natural logarithms."""
    lengths = np.array([quantity.is_length for quantity in QUANTITIES])
    return np.where(lengths, np.log(np.where(lengths, table, 1.0)), table)


@dataclass(frozen=True)
class Descriptors:
    """The numbers of one image, in pixels; None where there is nothing to measure."""

    area_fraction: float | None = None
    """Share of the pixels in the phase."""
    mean_chord: float | None = None
    """Mean length of straight lines inside the phase, 2 V / P_L over eight directions (Underwood 1970)."""
    mean_free_path: float | None = None
    """Mean length of straight lines between, 2 (1 - V) / P_L."""
    correlation_length: float | None = None
    """Distance at which the autocovariance S2 - V**2 has fallen to 1/e of V (1 - V)."""
    axis_ratio: float | None = None
    """Short over long axis of the ellipse of mean intercepts: 1 is isotropic."""
    particle_density: float | None = None
    """Particles per pixel, corrected for those that the edge cuts."""
    mean_diameter: float | None = None
    """Mean equivalent diameter of the particles, by number."""
    mean_aspect_ratio: float | None = None
    mean_circularity: float | None = None
    hole_density: float | None = None
    """Islands of ground enclosed by the phase, per pixel."""
    contrast: float | None = None
    """Grey levels, with white at 255."""


assert tuple(field.name for field in fields(Descriptors)) == tuple(quantity.name for quantity in QUANTITIES)


@dataclass(frozen=True, eq=False)
class Described:
    """One image measured."""

    values: Descriptors
    thresholds: tuple[int, ...]
    """Empty where there were none: a local threshold, or a mask that was given."""
    particles: tuple[Particle, ...]
    labels: Int[np.ndarray, "h w"]
    reason: str
    """Why there are no values; empty where there are."""


def describe(grey: Grey, how: Segmentation = BY_OTSU) -> Described:
    """Segment an image and measure its phase. One of a single grey, or too small, has no values but a reason."""
    contrast = contrast_of(grey)
    try:
        thresholds, (mask,) = phase_masks(grey, how)
        return describe_mask(mask, how, contrast=contrast, thresholds=thresholds)
    except DataError as error:
        return Described(Descriptors(contrast=contrast), (), (), np.zeros(grey.shape, np.int32), reason=str(error))


def contrast_of(grey: Grey) -> float:
    """Standard deviation of the grey values, in levels with white at 255."""
    return float(grey.std()) * 255 / white_of(grey)


def white_of(grey: Grey) -> int:
    """The grey level of white: 255; of 16-bit files 255, 4095 or 65535, whichever holds all, as 12 bits are in some.

    >>> white_of(np.array([[0, 2000]], np.uint16))
    4095
    """
    return next(white for white in (255, 4095, 65535) if grey.dtype == np.uint8 or grey.max() <= white)


def smoothed(grey: Grey, sigma_px: float) -> Grey:
    """Gaussian filter, rounded once at the end, so that it treats both axes alike."""
    return np.rint(ndimage.gaussian_filter(grey, sigma_px, output=np.float64)).astype(grey.dtype)


def phase_masks(
    grey: Grey, how: Segmentation, *, moves: Sequence[int] = (0,)
) -> tuple[tuple[int, ...], list[Bool[np.ndarray, "h w"]]]:
    """Thresholds, none where they are local, and the phase with all of them moved by each of so many steps of `how`.

    The phase is without specks. Raises `DataError` for an image of too few grey values.
    """
    smooth = smoothed(grey, how.smooth_px)
    shifts = [move * max(round(how.step * white_of(grey)), 1) for move in moves]
    wanted = how.phase % how.phases
    if how.window_px:
        thresholds: tuple[int, ...] = ()
        parted = [local_mask(smooth, window_px=how.window_px, offset=-shift) for shift in shifts]
    else:
        thresholds = how.thresholds or otsu(smooth, phases=how.phases)
        parted = [phases_of(smooth, [t + shift for t in thresholds]) for shift in shifts]
    return thresholds, [cleaned(phases == wanted, min_area_px2=how.min_area_px2) for phases in parted]


def describe_mask(
    mask: Bool[np.ndarray, "h w"],
    how: Segmentation = BY_OTSU,
    *,
    contrast: float | None = None,
    thresholds: tuple[int, ...] = (),
) -> Described:
    """Measure a phase that has been found or that somebody has marked.

    Of `how` only the minimum size, the separation and the edge rule apply.
    """
    labels = separate(mask, min_distance_px=how.separate_px) if how.separate_px else labelled(mask)
    found = tuple(particles(labels, min_area_px2=how.min_area_px2, edges=how.edges))
    fraction = area_fraction(mask)
    if fraction in (0.0, 1.0):
        values = Descriptors(area_fraction=fraction, contrast=contrast)
        return Described(values, thresholds, found, labels, reason="the image holds one phase only")
    p_l = mean_crossings(mask)
    weights = np.array([p.weight for p in found])
    values = Descriptors(
        area_fraction=fraction,
        mean_chord=2 * fraction / p_l,
        mean_free_path=2 * (1 - fraction) / p_l,
        correlation_length=correlation_length(mask),
        axis_ratio=anisotropy(mask).axis_ratio,
        particle_density=density_per_px2(found, shape=mask.shape),
        mean_diameter=_mean([p.equivalent_diameter_px for p in found], weights),
        mean_aspect_ratio=_mean([p.aspect_ratio for p in found], weights),
        mean_circularity=_mean([p.circularity for p in found], weights),
        hole_density=betti(mask)[1] / mask.size,
        contrast=contrast,
    )
    return Described(values, thresholds, found, labels, reason="")


def correlation_length(mask: Bool[np.ndarray, "h w"]) -> float | None:
    """Distance in px at which the autocovariance has fallen to 1/e, linear between pixels; None where it never does.

    The covariance is taken over all pairs in the image, and the distance is at most half of its shorter side.
    """
    s2 = radial(two_point(mask), max_px=min(mask.shape) // 2)
    fallen = (s2 - s2[0] ** 2) / (s2[0] - s2[0] ** 2) - 1 / math.e
    below = np.flatnonzero(fallen <= 0)
    if not len(below):
        return None
    i = int(below[0])
    return float(i - 1 + fallen[i - 1] / (fallen[i - 1] - fallen[i]))


def _mean(values: Sequence[float], weights: Float[np.ndarray, " n"]) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) else None

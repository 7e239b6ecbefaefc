"""Statistics of where a phase is, relative to itself: two-point probability, lineal path, chords, anisotropy.

The definitions are those of Torquato, Random Heterogeneous Materials (Springer, 2002), chapter 2. A distance of r px is
that between the centres of two pixels r apart. Axis 0 runs down the image and axis 1 along its rows, as in numpy.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import fft

from sorby.errors import DataError

DIRECTIONS = ((0, 1), (-1, 2), (-1, 1), (-2, 1), (-1, 0), (-2, -1), (-1, -1), (-1, -2))
"""Steps (rows, columns) to eight neighbours, anticlockwise as seen: 0, 27, 45, 63, 90, 117, 135 and 153 degrees."""
SHARES = np.tile([math.atan(1 / 2) / math.pi, 1 / 8, 1 / 4 - math.atan(1 / 2) / math.pi, 1 / 8], 2)
"""Share of all directions that is nearest to each of the eight."""


def two_point(mask: Bool[np.ndarray, "h w"], *, periodic: bool = False) -> Float[np.ndarray, "h w"]:
    """Probability S2 that two pixels a given shift apart both lie in the phase.

    The shift of no pixels is at [0, 0], where S2 is the area fraction, and negative shifts are wrapped to the end, in
    the order of `numpy.fft.fftfreq`: rows from -(h // 2), columns from -(w // 2). Far away, where the pixels know
    nothing of each other, S2 is the square of the area fraction.

    A `periodic` image goes on across its border. Otherwise only pairs inside the image count, so that each shift is
    divided by its own number of pairs; these are a quarter of the pixels at the largest shift.

    >>> two_point(np.array([[True, True, False, False]]), periodic=True)
    array([[0.5 , 0.25, 0.  , 0.25]])
    >>> two_point(np.array([[True, True, False, False]]))
    array([[0.5       , 0.33333333, 0.        , 0.33333333]])
    """
    if periodic:
        return _pairs(mask, mask.shape) / mask.size
    (height, width), (rows, columns) = mask.shape, map(shifts, mask.shape)
    padded = fft.next_fast_len(height + height // 2), fft.next_fast_len(width + width // 2, real=True)
    inside = np.outer(height - np.abs(rows), width - np.abs(columns))
    return _pairs(mask, padded)[np.ix_(rows, columns)] / inside


def radial(s2: Float[np.ndarray, "h w"], *, max_px: int) -> Float[np.ndarray, " r"]:
    """Mean of `two_point` over all directions, at the distances 0 to `max_px`.

    Each distance is a ring one pixel wide, from half a pixel less to half a pixel more. Raises `DataError` where the
    rings do not fit into half of the shorter side, beyond which there are not all directions.
    """
    _fits(max_px, most=min(s2.shape) // 2)
    rows, columns = map(shifts, s2.shape)
    rings = np.rint(np.hypot(rows[:, None], columns)).astype(int).ravel()
    return (np.bincount(rings, weights=s2.ravel()) / np.bincount(rings))[: max_px + 1]


def along(s2: Float[np.ndarray, "h w"], *, axis: Literal[0, 1], max_px: int) -> Float[np.ndarray, " r"]:
    """`two_point` along one axis, at the distances 0 to `max_px`.

    Raises `DataError` where `max_px` is more than half of the image.
    """
    _fits(max_px, most=s2.shape[axis] // 2)
    line = s2[:, 0] if axis == 0 else s2[0]
    # By symmetry the shift by half of an even image, which fftfreq lists as negative, is the same.
    return line[: max_px + 1]


def chord_lengths(
    mask: Bool[np.ndarray, "h w"], *, axis: Literal[0, 1], cut_by_edge: Literal["leave-out", "keep"] = "leave-out"
) -> Int[np.ndarray, " n"]:
    """Lengths in pixels of the runs of the phase on every line of pixels along an axis.

    Runs that meet the edge of the image are longer than can be seen. Leaving them out, as is usual, favours short
    chords where chords are not short against the image; keeping them gives lengths that are too short. Empty where
    there is no chord.

    >>> chord_lengths(np.array([[True, False, True, True, False, True]]), axis=1)
    array([2])
    >>> chord_lengths(np.array([[True, False, True, True, False, True]]), axis=1, cut_by_edge="keep")
    array([1, 2, 1])
    """
    lines = mask if axis == 1 else mask.T
    # One pixel of ground between the lines lets them be read as a single line.
    steps = np.diff(np.pad(lines, ((0, 0), (1, 1))).ravel().astype(np.int8))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if cut_by_edge == "keep":
        return ends - starts
    width = lines.shape[1]
    inside = (starts % (width + 2) != 0) & (ends % (width + 2) != width)
    return (ends - starts)[inside]


def lineal_path(mask: Bool[np.ndarray, "h w"], *, axis: Literal[0, 1], max_px: int) -> Float[np.ndarray, " r"]:
    """Probability that a line of r px along an axis lies wholly in the phase, for r from 0 to `max_px`.

    The line joins the centres of two pixels r apart and holds r + 1 pixels; at r = 0 the probability is the area
    fraction. It is counted over all lines that fit into the image, so the edge does not bias it. Raises `DataError`
    where `max_px` is not less than the size of the image.

    >>> lineal_path(np.array([[True, True, True, False]]), axis=1, max_px=3)
    array([0.75      , 0.66666667, 0.5       , 0.        ])
    """
    size = mask.shape[axis]
    _fits(max_px, most=size - 1)
    counts = np.bincount(chord_lengths(mask, axis=axis, cut_by_edge="keep"), minlength=size + 1)
    at_least = counts[::-1].cumsum()[::-1]
    # A chord of n pixels holds n - r lines of r px: one for each length above r up to its own.
    lines = at_least[::-1].cumsum()[::-1][1:]
    r = np.arange(max_px + 1)
    return lines[: max_px + 1] / ((size - r) * (mask.size // size))


def crossings(mask: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " 8"]:
    """Boundaries of the phase crossed by a pixel length of test line, P_L, in each of the eight `DIRECTIONS`.

    A test line runs through the centres of pixels, so that a feature thinner than the step, at most the square root of
    five pixels, can slip through. Raises `DataError` for an image of fewer than 3 x 3 pixels.
    """
    if min(mask.shape) < 3:
        raise DataError(
            f"The image has {mask.shape[0]} x {mask.shape[1]} px; expected 3 x 3 or more: use a larger one."
        )
    return np.array([_changes(mask, step).mean() / math.hypot(*step) for step in DIRECTIONS])


def shifts(n: int) -> Int[np.ndarray, " n"]:
    """0, 1, 2, ..., -2, -1: the order of `numpy.fft.fftfreq`, which lists half of an even n as negative."""
    return (np.arange(n) + n // 2) % n - n // 2


def mean_crossings(mask: Bool[np.ndarray, "h w"]) -> float:
    """Boundaries of the phase crossed by a pixel length of test line, P_L, over all directions.

    Each of the eight `DIRECTIONS` counts for those nearest to it. Raises `DataError` as `crossings` does.
    """
    return float(SHARES @ crossings(mask))


@dataclass(frozen=True)
class Anisotropy:
    """Ellipse of the mean intercept lengths; both numbers are None where no boundary is crossed."""

    axis_ratio: float | None
    """Short axis over long axis: 1 is isotropic, 0 are straight lamellae. A stretch by s of an isotropic structure
    gives 1 / s."""
    direction_deg: float | None
    """Direction of the long axis, 0 to 180 anticlockwise from the horizontal as seen. Says little near a ratio of 1."""


def anisotropy(mask: Bool[np.ndarray, "h w"]) -> Anisotropy:
    """Anisotropy of the boundaries by the mean intercept length.

    The mean intercept in a direction is the reciprocal of the boundaries crossed there, and its square the reciprocal
    of a quadratic form, whose ellipse is fitted to the eight directions of `crossings` by least squares (Harrigan &
    Mann, "Characterization of microstructural anisotropy in orthotropic materials using a second rank tensor",
    J. Mater. Sci. 19 (1984) 761-767). Boundaries one pixel long count like any other: noise draws the ratio to 1.
    """
    p_l = crossings(mask)
    if not p_l.any():
        return Anisotropy(None, None)
    down, x = (DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)).T
    y = -down
    (xx, yy, xy), *_ = np.linalg.lstsq(np.column_stack([x * x, y * y, 2 * x * y]), p_l**2, rcond=None)
    few, many = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    # The long axis is where few boundaries are crossed: across the direction of the most.
    direction = math.degrees(math.atan2(2 * xy, xx - yy)) / 2 + 90
    return Anisotropy(math.sqrt(max(few, 0) / many), direction % 180)


def _changes(mask: Bool[np.ndarray, "h w"], step: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    """Whether a pixel and the one a step away, up or to a side, differ, for all pairs inside the image."""
    row, column = step
    height, width = mask.shape
    here = mask[-row:, max(0, -column) : width - max(0, column)]
    there = mask[: height + row, max(0, column) : width - max(0, -column)]
    return here != there


def _pairs(mask: Bool[np.ndarray, "h w"], shape: tuple[int, int]) -> Int[np.ndarray, "h2 w2"]:
    """How many pairs of pixels of the phase are each shift apart, in an image of `shape` that wraps round."""
    spectrum = fft.rfft2(mask.astype(np.float64), s=shape)
    # These are whole numbers, so rounding takes away the error of the transform.
    return np.rint(fft.irfft2(np.abs(spectrum) ** 2, s=shape)).astype(np.int64)


def _fits(max_px: int, *, most: int) -> None:
    if not 0 <= max_px <= most:
        raise DataError(f"max_px is {max_px}; expected 0 to {most} in an image of this size: give a smaller distance.")

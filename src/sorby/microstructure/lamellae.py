"""Spacing of lamellae, as of pearlite or a eutectic, on the plane of the image and along random lines.

What is seen is the spacing on the section. A plane that cuts a stack of lamellae at a slant shows it wider than it is;
`mean_random_spacing` is the way round that (Underwood, Quantitative Stereology (1970); Vander Voort & Roósz,
"Measurement of the interlamellar spacing of pearlite", Metallography 17 (1984) 1-17).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
from jaxtyping import Bool, Float
from scipy import fft

from sorby.decode import Grey
from sorby.microstructure.correlate import mean_crossings, shifts

LEAST_PERIODS = 6
"""Fewest lamellae, over the shorter side of the image, whose peak stands clear of the slow changes of brightness."""
OVER_RING = 200
"""How often a peak must exceed the median power of all directions at its frequency. One frequency of noise does so with
a chance of 2**-200, but islands drawn out to four times their width come to two hundred."""
OVER_COARSER = 3
"""How often a peak must exceed what is coarser in its direction: edges, bands and stretched structures grow without end
to coarser sizes, and an overtone has its fundamental there."""
WINDOW = 6
"""Sides of the image in standard deviations of the window."""


@dataclass(frozen=True)
class Lamellae:
    """One stack of parallel lamellae; all are None where there is no periodic peak."""

    spacing_px: float | None
    """From a lamella to the next of its kind, across them."""
    direction_deg: float | None
    """Direction of the lamellae themselves (their trace), 0 to 180 anticlockwise from the horizontal as seen."""
    prominence: float | None
    """Power of the peak over the median of all directions at its frequency: higher where more of the image belongs to
    the stack and it is straighter."""


def lamellar_spacing(grey: Grey) -> Lamellae:
    """Spacing and direction of the strongest stack of lamellae, from the peak of the power spectrum.

    A peak counts where it exceeds `OVER_RING` times its ring and `OVER_COARSER` times what is coarser in its direction,
    has `LEAST_PERIODS` over the shorter side, and a spacing of two pixels or more. Noise, particles, and lamellae of
    all directions, such as a fingerprint, therefore have none; islands drawn out to eight times their width pass for
    lamellae in some 2 of 100 images.
    """
    power, noise = _power(grey)
    prominence = power / _background(power, least=noise)
    highest = scipy.ndimage.maximum_filter(power, 3, mode="wrap")
    peak = _strongest(power, (power == highest) & (prominence > OVER_RING))
    if peak is None or power[peak] < OVER_COARSER * _coarser(highest, *peak):
        return Lamellae(None, None, None)
    up, right = _refined(power, *peak)
    direction_deg = (math.degrees(math.atan2(up, right)) + 90) % 180
    return Lamellae(1 / math.hypot(up, right), direction_deg, float(prominence[peak]))


def mean_random_spacing(mask: Bool[np.ndarray, "h w"]) -> float | None:
    """Mean distance in pixels between lamellae along random lines, or None where no boundary is crossed.

    `mask` is one kind of lamella. The lines run in eight directions. On a plane with lamellae in one direction this is
    pi / 2 times their spacing there; over planes in all directions it is twice the true spacing (Underwood).
    Lamellae or gaps thinner than two or three pixels can slip through, and the distance comes out too long.
    Raises `DataError` for an image of fewer than 3 x 3 pixels.
    """
    p_l = mean_crossings(mask)
    return 2 / p_l if p_l else None  # a lamella has two boundaries


def _power(grey: Grey) -> tuple[Float[np.ndarray, "h w"], float]:
    """Power spectrum, and what rounding to whole grey levels (a variance of 1 / 12) adds to each frequency.

    The window is Gaussian, since the logarithm of its peaks is a parabola (see `_refined`).
    """
    window = np.outer(*(scipy.signal.windows.gaussian(n, n / WINDOW) for n in grey.shape))
    centred = grey - np.average(grey, weights=window)
    return np.abs(fft.fft2(centred * window)) ** 2, float(np.square(window).sum() / 12)


def _background(power: Float[np.ndarray, "h w"], *, least: float) -> Float[np.ndarray, "h w"]:
    """Median power of all directions at each frequency, not below `least`; infinite where no peak is looked for."""
    side = min(power.shape)
    y, x = (shifts(n) * side / n for n in power.shape)
    rings = np.rint(np.hypot(y[:, None], x)).astype(np.uint16)
    by_ring = np.split(power.ravel()[rings.ravel().argsort(kind="stable")], np.bincount(rings.ravel()).cumsum()[:-1])
    medians = np.full(len(by_ring), math.inf)
    for ring in range(LEAST_PERIODS, side // 2 + 1):
        medians[ring] = max(float(np.median(by_ring[ring])), least)
    return medians[rings]


def _strongest(power: Float[np.ndarray, "h w"], is_peak: Bool[np.ndarray, "h w"]) -> tuple[int, int] | None:
    """Row and column of the strongest of the peaks."""
    if not is_peak.any():
        return None
    # The sum over its neighbours is the same whether a peak falls on a frequency or between two.
    around = scipy.ndimage.uniform_filter(power, 3, mode="wrap")
    row, column = np.unravel_index(np.where(is_peak, around, 0).argmax(), power.shape)
    return int(row), int(column)


def _coarser(highest: Float[np.ndarray, "h w"], row: int, column: int) -> float:
    """Highest power in the same direction, from two periods over the shorter side to half the frequency.

    Nearer than that it would be the flank of the peak itself, farther the mean brightness.
    """
    (height, width), y, x = highest.shape, shifts(highest.shape[0])[row], shifts(highest.shape[1])[column]
    periods = math.hypot(y / height, x / width) * min(height, width)
    part = np.linspace(2 / periods, 1 / 2, max(abs(y), abs(x)))
    return float(highest[np.rint(part * y).astype(int), np.rint(part * x).astype(int)].max())


def _refined(power: Float[np.ndarray, "h w"], row: int, column: int) -> tuple[float, float]:
    """Frequency of a peak in periods per pixel, upwards and to the right: top of the parabola through three logarithms.

    With a Gaussian window this is exact but for noise and the cut ends of the window (Gasior & Gonzalez, "Improving
    FFT frequency measurement resolution by parabolic and Gaussian spectrum interpolation", AIP Conf. Proc. 732 (2004)
    276-285).
    """
    height, width = power.shape
    down = shifts(height)[row] + _vertex(power[[row - 1, row, (row + 1) % height], column])
    right = shifts(width)[column] + _vertex(power[row, [column - 1, column, (column + 1) % width]])
    return -down / height, right / width


def _vertex(three: Float[np.ndarray, "3"]) -> float:
    """Where the parabola through three logarithms is highest, from the middle one, in -0.5 to 0.5."""
    before, here, after = np.log(three)
    return float((before - after) / (before - 2 * here + after) / 2)

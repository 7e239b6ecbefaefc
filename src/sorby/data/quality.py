"""What a micrograph measures, and whether that is good enough. Limits are in `sorby.data.recipe.Limits`."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import convolve, gaussian_filter

from sorby.data.cracks import crack_length
from sorby.data.grey import histogram
from sorby.data.recipe import Limits
from sorby.decode import Grey

MOST_PX = 1024
"""Sharpness, noise and correlation are measured on the middle of larger pictures, at full resolution."""


@dataclass(frozen=True)
class Measures:
    """Quality of one picture."""

    grey_levels: float  # between the 1st and 99th percentile of the data as read
    correlation: float  # of horizontally neighbouring pixels, 1 for a smooth picture, 0 for white noise
    sharpness: float  # contrast of fine details relative to coarser ones
    saturated: float  # share of pixels with the darkest or the brightest value of the data as read
    crack: float  # length of the longest crack in shorter sides
    evenness: float  # 0 for an even picture, more negative the more its mean varies from place to place
    noise: float  # standard deviation of the noise relative to that of the picture


@dataclass(frozen=True)
class Fault:
    """Why a micrograph is rejected."""

    reason: str
    measured: str = ""
    limit: str = ""


def measure(raw: Grey, grey: UInt8[np.ndarray, "h w"], *, cracks: bool) -> Measures:
    """Measure a picture, given as read and as 8-bit grey."""
    counts = histogram(raw)
    share = np.cumsum(counts) / raw.size
    present = np.flatnonzero(counts)
    low, high = np.searchsorted(share, (0.01, 0.99))
    middle = _middle(grey).astype(np.float32)
    spread = float(middle.std()) or 1.0
    return Measures(
        grey_levels=float(high - low),
        correlation=_neighbour_correlation(middle),
        sharpness=_sharpness(middle),
        saturated=float(counts[present[0]] + counts[present[-1]]) / raw.size,
        crack=crack_length(grey) if cracks else 0.0,
        evenness=-_unevenness(grey),
        noise=_noise(middle) / spread,
    )


def find_fault(measures: Measures, limits: Limits) -> Fault | None:
    """The first limit that a picture does not keep."""
    m = measures
    if m.grey_levels < limits.grey_levels:
        return Fault("blank", f"{m.grey_levels:.0f} grey levels", f"at least {limits.grey_levels:g}")
    if m.correlation < limits.correlation:
        return Fault(
            "blank: only noise", f"neighbours correlate {m.correlation:.3f}", f"at least {limits.correlation:g}"
        )
    if m.saturated > limits.saturated:
        return Fault("saturated", f"{m.saturated:.0%} black or white", f"at most {limits.saturated:.0%}")
    if m.sharpness < limits.sharpness:
        return Fault("blurred", f"sharpness {m.sharpness:.3f}", f"at least {limits.sharpness:g}")
    if limits.crack and m.crack > limits.crack:
        return Fault("cracked", f"crack of {m.crack:.2f} shorter sides", f"at most {limits.crack:g}")
    return None


def _middle(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
    top, left = (max(0, (side - MOST_PX) // 2) for side in grey.shape)
    return grey[top : top + MOST_PX, left : left + MOST_PX]


def _neighbour_correlation(grey: np.ndarray) -> float:
    centred = grey - grey.mean()
    return float((centred[:, 1:] * centred[:, :-1]).mean() / (centred.var() or 1.0))


def _sharpness(grey: np.ndarray) -> float:
    """Blur takes fine details first, so this falls however strong the contrast is; 0.4 to 2 in focused micrographs."""
    fine, middle, coarse = (gaussian_filter(grey, sigma, truncate=3.0) for sigma in (1, 3, 9))
    return float((fine - middle).std() / ((middle - coarse).std() or 1.0))


def _noise(grey: np.ndarray) -> float:
    """Standard deviation of white noise (Immerkaer 1996, Computer Vision and Image Understanding 64, 300)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(convolve(grey, kernel)).mean())


def _unevenness(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Spread of the means of 8 x 8 blocks relative to that of the pixels."""
    blocks = [block for band in np.array_split(grey, 8) for block in np.array_split(band, 8, axis=1)]
    return float(np.std([block.mean() for block in blocks])) / (_spread(grey) or 1.0)


def _spread(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Standard deviation, by way of the histogram, which takes no memory."""
    counts, levels = histogram(grey), np.arange(256)
    mean = (counts * levels).sum() / grey.size
    return float(np.sqrt((counts * (levels - mean) ** 2).sum() / grey.size))

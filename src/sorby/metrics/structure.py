"""Two checks on the pictures themselves, that no feature network can hide: grey values and length scales."""

import numpy as np
from jaxtyping import Float, UInt8


def grey_histogram(images: UInt8[np.ndarray, "n c h w"]) -> Float[np.ndarray, " 256"]:
    """Share of pixels at each grey value; the sum is 1.

    >>> grey_histogram(np.full((1, 1, 2, 2), 7, np.uint8))[7]
    np.float64(1.0)
    """
    return np.bincount(images.ravel(), minlength=256) / images.size


def histogram_distance(a: Float[np.ndarray, " 256"], b: Float[np.ndarray, " 256"]) -> float:
    """Mean grey levels by which pixels would have to move to turn one histogram into the other (Wasserstein-1)."""
    return float(np.abs(np.cumsum(a - b)).sum())


def radial_power(images: UInt8[np.ndarray, "n c h w"]) -> Float[np.ndarray, " r"]:
    """Mean power of the grey values at each distance from zero frequency, rings of one cycle a picture from 1 on.

    Colours are averaged. Each picture has its mean taken off and a Hann window laid over, which keeps its borders from
    looking like structure. Ring r of a picture of n px is a wavelength of n / r px; the last is n // 2, two pixels.
    """
    n, _, height, width = images.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    rings = _rings(height, width)
    wanted = np.arange(1, min(height, width) // 2 + 1)
    counts = np.bincount(rings.ravel())
    total = np.zeros(len(counts))
    for image in images.mean(axis=1):
        power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
        total += np.bincount(rings.ravel(), weights=power.ravel())
    return (total / counts / n)[wanted]


def spectrum_distance(a: Float[np.ndarray, " r"], b: Float[np.ndarray, " r"]) -> float:
    """Root mean square over the rings of log10(a / b): 0.3 is a factor of two in power at a typical wavelength."""
    tiny = 1e-9 * max(a.max(), b.max(), 1e-30)
    return float(np.sqrt(np.mean(np.square(np.log10((a + tiny) / (b + tiny))))))


def _rings(height: int, width: int) -> np.ndarray:
    """Distance from zero frequency in cycles a picture (of the shorter side), rounded."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    return np.rint(np.hypot(y, x) * min(height, width)).astype(np.int64)

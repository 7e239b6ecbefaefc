"""Images that are there twice: the same pixels, or the same field of view taken again."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 32
CHUNK = 512


def thumbnail(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "32 32"]:
    """The picture shrunk to 32 x 32, each pixel the mean of its area, stretched to its full contrast."""
    halfway = Image.fromarray(grey).resize((8 * SIDE, 8 * SIDE), Image.Resampling.BOX)
    small = np.asarray(halfway.convert("F").resize((SIDE, SIDE), Image.Resampling.BOX))
    detail = small - gaussian_filter(small, 3)
    return (128 + 127 * detail / (np.abs(detail).max() or 1.0)).astype(np.uint8)


def near_duplicates(thumbnails: Sequence[UInt8[np.ndarray, "32 32"]], limit: float) -> Iterator[tuple[int, int, float]]:
    """Pairs (later, earlier) whose thumbnails correlate at least `limit`, and their correlation.

    Brightness, contrast and shading do not matter; a shift by a thirtieth of the frame makes another picture.
    """
    for start in range(0, len(thumbnails), CHUNK):
        later = _unit(thumbnails[start : start + CHUNK])
        for other in range(0, start + 1, CHUNK):
            correlation = later @ _unit(thumbnails[other : other + CHUNK]).T
            for i, j in np.argwhere(correlation >= limit):
                if other + j < start + i:
                    yield start + int(i), other + int(j), float(correlation[i, j])


def _unit(thumbnails: Sequence[UInt8[np.ndarray, "32 32"]]) -> Float32[np.ndarray, "n d"]:
    flat = np.stack(thumbnails).reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)

"""Grey values: the range of data with more than 8 bits, the median filter, histogram matching."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import median_filter

from sorby.decode import Grey

TAILS = (0.001, 0.999)
"""Grey levels below and above these quantiles become black and white."""


def histogram(grey: Grey) -> Int[np.ndarray, " levels"]:
    """Number of pixels of each grey level, 256 or 65,536 of them."""
    levels = int(np.iinfo(grey.dtype).max) + 1
    blocks = np.array_split(grey, max(1, grey.size // 2**22))  # bincount takes 8 bytes a pixel
    return sum((np.bincount(block.ravel(), minlength=levels) for block in blocks), np.zeros(levels, dtype=np.int64))


def grey_range(grey: Grey, rule: str) -> tuple[int, int]:
    """The grey values that become black and white, by `Recipe.grey_range`. 8-bit data always give (0, 255)."""
    if grey.dtype == np.uint8:
        return 0, 255
    if rule != "image":
        first, last = rule.split(":")
        return int(first), int(last)
    share = np.cumsum(histogram(grey)) / grey.size
    low, high = (int(level) for level in np.searchsorted(share, TAILS))
    return low, max(high, low + 1)


def to_8bit(grey: Grey, low: int, high: int) -> tuple[UInt8[np.ndarray, "h w"], float]:
    """Grey values between `low` and `high` spread over 0 to 255, and the share of pixels that lay outside.

    >>> to_8bit(np.array([[0, 100, 200, 400]], np.uint16), 100, 200)
    (array([[  0,   0, 255, 255]], dtype=uint8), 0.5)
    """
    if grey.dtype == np.uint8:
        return grey, 0.0
    levels = np.arange(65536)
    table = np.rint((levels - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    outside = np.count_nonzero(grey < low) + np.count_nonzero(grey > high)
    return table[grey], float(outside / grey.size)


def median(grey: UInt8[np.ndarray, "h w"], size: int) -> UInt8[np.ndarray, "h w"]:
    """Median filter with a square window of `size` px, as paper A applies; 0 changes nothing."""
    return median_filter(grey, size=size, mode="nearest") if size else grey


def match_table(source: Int[np.ndarray, "256"], reference: Int[np.ndarray, "256"]) -> UInt8[np.ndarray, "256"]:
    """The new grey level of each old one, so that the cumulative histogram follows the reference (paper A, Methods).

    The two arguments are histograms. A level that the source does not have maps between its neighbours.
    """
    levels = np.flatnonzero(reference)
    wanted = np.interp(_cumulative(source), _cumulative(reference)[levels], levels)
    return np.rint(wanted).astype(np.uint8)


def match(grey: UInt8[np.ndarray, "h w"], reference: Int[np.ndarray, "256"]) -> UInt8[np.ndarray, "h w"]:
    """`grey` with the histogram of the reference. An image matched to its own histogram is unchanged."""
    return match_table(histogram(grey), reference)[grey]


def reference_scores(measures: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """How well each image would serve as the reference for histogram matching; the largest is taken.

    Paper A chose one "for its uniform contrast, sharpness, and noiseless characteristics", by eye. Here the columns are
    evenness, sharpness and noise, and the score is the mean of three ranks, each over all images: most even first,
    sharpest first, least noisy first.
    """
    signed = measures * np.array([1.0, 1.0, -1.0])
    ranks = signed.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return ranks.mean(axis=1)


def _cumulative(counts: Int[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
    return np.cumsum(counts) / counts.sum()

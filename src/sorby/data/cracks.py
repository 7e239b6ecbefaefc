"""Cracks: paper B leaves out every micrograph that shows one (Jain et al. 2024, A.4 and figure S-2).

A crack is taken to be a dark, thin, hardly branched line that is nearly alone: dark networks and lamellae are a
microstructure, so what is thick, branched or one of many is passed over. Meant to miss rather than to accuse.
"""

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops
from skimage.morphology import skeletonize

SIDE_PX = 256
"""The shorter side is shrunk to about this, which closes fine texture and costs little."""
DARK = 0.25
"""A crack is darker than this share of the median grey value."""
WIDTH = 0.04
"""Widest crack, as a share of the shorter side (mean width along its skeleton)."""
BRANCHED = 1.5
"""Longest skeleton of a crack, in lengths of its extent; branches and bends make it longer."""
ALONE = 0.5
"""A crack holds at least this share of all dark pixels."""


def crack_length(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Extent of the longest crack as a share of the shorter side; 0 where there is none."""
    small = _shrink(grey)
    smooth = gaussian_filter(small.astype(np.float32), 1)
    dark = smooth < DARK * np.median(smooth)
    if not dark.any():
        return 0.0
    side, num_dark = min(dark.shape), np.count_nonzero(dark)
    lines = (region for region in regionprops(label(dark, connectivity=2)) if region.area >= ALONE * num_dark)
    return max((_extent(line.image, side) for line in lines), default=0.0)


def _extent(line: Bool[np.ndarray, "h w"], side: int) -> float:
    """Diagonal of the box around a line in sides, or 0 where it is too thick or branched for a crack."""
    extent = float(np.hypot(*line.shape))
    if line.sum() > WIDTH * side * BRANCHED * extent:
        return 0.0
    skeleton = np.count_nonzero(skeletonize(line))
    is_crack = skeleton <= BRANCHED * extent and line.sum() <= WIDTH * side * skeleton
    return extent / side if is_crack else 0.0


def _shrink(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
    factor = max(1, min(grey.shape) // SIDE_PX)
    return np.asarray(Image.fromarray(grey).reduce(factor))

"""From grey values to phases and objects: thresholds, masks, labels.

A threshold t parts greys up to and including t (dark) from greys above it (bright), here and in every function below.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt8
from scipy import ndimage
from skimage.filters import threshold_local, threshold_multiotsu
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from sorby.decode import Grey
from sorby.errors import DataError

MOST_PHASES = 4
"""The search goes through all sets of thresholds, which takes seconds an image for five phases."""
NECK_PX = 1
"""Along an object of even width, drawn at an angle on the pixel grid, the distance to the ground wavers by as much."""


def otsu(grey: Grey, *, phases: int = 2) -> tuple[int, ...]:
    """Thresholds that make the phases differ most in grey (Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62-66).

    Phase k holds the greys above threshold k - 1 and up to threshold k. Where a range of thresholds parts the image
    alike, its middle is taken. 16-bit images are searched in at most 256 steps. `phases` is 2 to 4. Raises `DataError`
    for an image with fewer grey values than phases.

    >>> otsu(np.array([[10, 12, 200, 220]], np.uint8))
    (106,)
    """
    if not 2 <= phases <= MOST_PHASES:
        raise DataError(f"{phases} phases were asked for: expected 2 to {MOST_PHASES}; merge or leave out phases.")
    values = np.flatnonzero(np.bincount(grey.ravel()))
    lowest, shift = values[0], max(0, int(values[-1] - values[0]).bit_length() - 8)
    steps = ((grey - lowest) >> shift).astype(np.uint8)
    if (num := len(np.unique(steps))) < phases:
        raise DataError(f"the image has {num} grey values: expected at least {phases} to part {phases} phases.")
    last = ((threshold_multiotsu(steps, classes=phases).astype(int) + 1) << shift) - 1 + lowest
    above = np.searchsorted(values, last, side="right")
    return tuple(int(t) for t in (values[above - 1] + values[above]) // 2)


def phases_of(grey: Grey, thresholds: Sequence[int]) -> UInt8[np.ndarray, "h w"]:
    """Number of the phase of each pixel, 0 the darkest.

    >>> phases_of(np.array([[10, 100, 101, 220]], np.uint8), (100, 200))
    array([[0, 0, 1, 2]], dtype=uint8)
    """
    return np.digitize(grey, sorted(thresholds), right=True).astype(np.uint8)


def local_mask(grey: Grey, *, window_px: int, offset: float = 0.0) -> Bool[np.ndarray, "h w"]:
    """Pixels brighter than the mean of the square window around them, less `offset` grey levels.

    For uneven brightness; the window, an odd number of pixels, should hold several objects. The image is mirrored at
    its edges. Raises `DataError` for another window.
    """
    if window_px < 3 or window_px % 2 == 0:
        raise DataError(
            f"window_px is {window_px}: expected an odd number from 3; take {max(window_px // 2 * 2 + 1, 3)}."
        )
    local = threshold_local(grey, window_px, method="mean", offset=offset)
    # A running mean is off by some 1e-13, which would speckle ground without contrast.
    return grey > np.round(local, 6)


def separate(mask: Bool[np.ndarray, "h w"], *, min_distance_px: int) -> Int[np.ndarray, "h w"]:
    """Labels of objects that may touch, cut at their necks: watershed of the distance to the ground.

    An object is cut between two maxima of this distance where it falls by more than `NECK_PX` from the lower of them,
    unless their tops (what is within `NECK_PX` of the maximum) are `min_distance_px`, 1 or more, or less apart: the
    larger of the offsets along x and y. Objects some 8 px across are the smallest that are told from a ragged outline.
    Objects touch by 8 neighbours.
    """
    if min_distance_px < 1:
        raise DataError(f"min_distance_px is {min_distance_px}: expected 1 or more; take the smallest object's radius.")
    if mask.all():
        return mask.astype(np.int32)
    # Raised on the mask, since a speck is no higher above the ground than a neck.
    distance = ndimage.distance_transform_edt(mask) + mask
    centres = local_maxima(reconstruction(distance - NECK_PX, distance))
    near = label(mask & ndimage.maximum_filter(centres, size=min_distance_px), connectivity=2)
    return watershed(-distance, near * centres, mask=mask, connectivity=2)


def cleaned(mask: Bool[np.ndarray, "h w"], *, min_area_px2: int) -> Bool[np.ndarray, "h w"]:
    """The mask without specks of fewer than `min_area_px2` pixels, and then with such specks of ground filled in.

    Foreground hangs together by 8 neighbours, ground by 4. What the edge cuts counts with the area in the image.
    """
    kept = _without_specks(mask, min_area_px2=min_area_px2, connectivity=2)
    return ~_without_specks(~kept, min_area_px2=min_area_px2, connectivity=1)


def _without_specks(mask: Bool[np.ndarray, "h w"], *, min_area_px2: int, connectivity: int) -> Bool[np.ndarray, "h w"]:
    labels = label(mask, connectivity=connectivity)
    large = np.bincount(labels.ravel()) >= min_area_px2
    return mask & large[labels]

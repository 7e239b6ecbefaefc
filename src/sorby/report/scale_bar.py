"""A scale bar under pictures, which stays with them where they are saved alone."""

from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from sorby.micrograph import round_length

SHARE = 0.4
"""Of the width of a picture, at most: a round length takes 0.16 to 0.4 of it."""
FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
"""Pillow's own font has no µ."""


def bar_um(picture_px: int, pixel_size_um: float) -> float:
    """Length of the bar under pictures so many pixels wide.

    >>> bar_um(64, 0.1)
    2.0
    """
    return round_length(SHARE * picture_px * pixel_size_um)


def with_scale_bar(
    sheet: UInt8[np.ndarray, "h w c"], *, picture_px: int, pixel_size_um: float
) -> UInt8[np.ndarray, "h_and_bar w c"]:
    """The sheet, untouched, above a white strip with a bar and its length.

    The bar begins at the left edge. Its last pixel is grey where it ends within it, so that its length is exact.
    """
    _, width, channels = sheet.shape
    size = max(10, round(width / 32))  # of the letters, in px
    length_um = bar_um(picture_px, pixel_size_um)
    strip = np.full((2 * size, width), 255, dtype=np.uint8)
    bar = slice(size - size // 8, size + max(1, size // 8))
    strip[bar] = np.rint(255 * (1 - _coverage(length_um / pixel_size_um, width)))
    canvas = Image.fromarray(strip)
    place = (length_um / pixel_size_um + size / 2, size)
    font = ImageFont.truetype(str(FONT), size)
    ImageDraw.Draw(canvas).text(place, f"{length_um:g} µm", fill=0, font=font, anchor="lm")
    return np.concatenate([sheet, np.repeat(np.asarray(canvas)[..., None], channels, axis=2)])


def _coverage(length_px: float, width: int) -> Float[np.ndarray, " w"]:
    """Share of each pixel of a line that a bar from its start covers.

    >>> _coverage(1.5, 3)
    array([1. , 0.5, 0. ])
    """
    return np.clip(length_px - np.arange(width), 0, 1)

"""The visible mark of generated pictures, and the refusal of marked ones where their pixels count."""

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from sorby.errors import DataError
from sorby.micrograph import Micrograph

WORD = "SYNTHETIC"
MARKED = {"mark": f"{WORD} is drawn into the lower left corner"}
"""What a marked picture says of itself beside all else."""
SHARE = 0.4
"""Of the width of a picture that the word takes."""
LEAST_LETTERS = 9
"""Height of the letters in px below which nobody reads them; then the word takes more of the width."""


def marked(picture: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "c h w"]:
    """A copy with the word, white on black, in its lower left corner; legible from 64 px on."""
    stamp = _stamp(picture.shape[2])[-picture.shape[1] :]
    height, width = stamp.shape
    copy = picture.copy()
    copy[:, -height:, :width] = stamp
    return copy


def marked_all(pictures: UInt8[np.ndarray, "n c h w"]) -> UInt8[np.ndarray, "n c h w"]:
    """Each with its own mark, which stays with it where it is cut out of a sheet."""
    return np.stack([marked(picture) for picture in pictures])


def check_unmarked(micrograph: Micrograph) -> None:
    """Raise `DataError` for a picture whose mark would be measured or learnt."""
    if "mark" in micrograph.notes:
        raise DataError(f"{micrograph.source} has a mark in its pixels, which would count: draw it without --mark.")


@lru_cache(maxsize=8)
def _stamp(width_px: int) -> UInt8[np.ndarray, "t s"]:
    def letters(size: int) -> tuple[int, int, int, int]:
        left, top, right, bottom = ImageFont.load_default(size).getbbox(WORD)
        return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))

    wanted = max(round(100 * SHARE * width_px / letters(100)[2]), LEAST_LETTERS)
    size = next((s for s in range(wanted, 4, -1) if letters(s)[2] <= width_px - 2), 4)
    left, top, right, bottom = letters(size)
    edge = max(1, size // 5)
    stamp = Image.new("L", (min(right - left + 2 * edge, width_px), bottom - top + 2 * edge), 0)
    ImageDraw.Draw(stamp).text((edge - left, edge - top), WORD, fill=255, font=ImageFont.load_default(size))
    return np.asarray(stamp)

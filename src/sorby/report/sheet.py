"""Pictures in rows, each row with a line on what it shows."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from sorby.report.plots import GAP_PX, tile
from sorby.report.scale_bar import FONT, with_scale_bar


def sheet_of_rows(
    rows: Sequence[tuple[str, UInt8[np.ndarray, "n c h w"]]], *, pixel_size_um: float | None
) -> UInt8[np.ndarray, "H W c"]:
    """A row of pictures for each entry, under its title if it has one; a scale bar where the pixel size is known."""
    width = max(tile(pictures, columns=len(pictures)).shape[1] for _, pictures in rows)
    size_px = rows[0][1].shape[3]
    parts = []
    for title, pictures in rows:
        row = tile(pictures, columns=len(pictures))
        gap = np.full((GAP_PX, *row.shape[1:]), 255, dtype=np.uint8)
        above = _line(title, width=width, channels=row.shape[2], size=max(10, size_px // 6)) if title else gap
        parts += [above, row]
    sheet = np.concatenate(parts)
    if pixel_size_um is None:
        return sheet
    gap = np.full((GAP_PX, *sheet.shape[1:]), 255, dtype=np.uint8)
    return with_scale_bar(np.concatenate([sheet, gap]), picture_px=size_px, pixel_size_um=pixel_size_um)


def _line(text: str, *, width: int, channels: int, size: int) -> UInt8[np.ndarray, "t w c"]:
    """Black on white; letters become smaller where the line would be too long."""
    font = ImageFont.truetype(str(FONT), size)
    size = max(6, min(size, int(size * width / max(font.getlength(text), 1))))
    font = ImageFont.truetype(str(FONT), size)
    canvas = Image.new("L", (width, round(1.8 * size)), 255)
    ImageDraw.Draw(canvas).text((0, canvas.height // 2), text, fill=0, font=font, anchor="lm")
    return np.repeat(np.asarray(canvas)[..., None], channels, axis=2)

"""Where patches lie in a micrograph, and the one resampling that brings it to scale.

Corners are in pixels of the resampled picture, boxes in pixels of the parent as it was read, fractions included.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sorby.data.recipe import Recipe


class UnusableError(Exception):
    """Why no patch can be cut from an image: reason, measured value, limit."""

    def __init__(self, reason: str, measured: str, limit: str) -> None:
        super().__init__(reason)
        self.reason, self.measured, self.limit = reason, measured, limit


@dataclass(frozen=True)
class Box:
    """A rectangle of a parent, in its own pixels."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float


@dataclass(frozen=True)
class Cutting:
    """How one micrograph is cut."""

    frame: Box  # part of the picture that is resampled
    top_px: int  # rows of the parent above the picture, such as an info bar
    width_px: int  # size after resampling
    height_px: int
    scale: float  # resampled pixels for one of the parent's
    columns: tuple[int, ...]  # left edges of the patches after resampling
    rows: tuple[int, ...]  # their upper edges
    size: int

    @property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """x, y of each patch after resampling, row by row; not kept, since it is most of a survey's memory."""
        return tuple((x, y) for y in self.rows for x in self.columns)

    def boxes(self) -> list[Box]:
        """The box of each patch in the parent."""
        left, top, side = self.frame.x_px, self.top_px + self.frame.y_px, self.size / self.scale
        return [Box(left + x / self.scale, top + y / self.scale, side, side) for x, y in self.corners]

    def resample(self, grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "height width"]:
        """The picture at the wanted scale, antialiased (Lanczos, its support widened by 1/scale)."""
        frame = self.frame
        box = (frame.x_px, frame.y_px, frame.x_px + frame.width_px, frame.y_px + frame.height_px)
        size = (self.width_px, self.height_px)
        if (frame.width_px, frame.height_px) == size:  # no resampling; the frame starts at a whole pixel
            return grey[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS, box=box))

    def cut(self, resampled: UInt8[np.ndarray, "height width"]) -> list[UInt8[np.ndarray, "s s"]]:
        """The patches."""
        return [resampled[y : y + self.size, x : x + self.size] for x, y in self.corners]


def scale_of(recipe: Recipe, pixel_size_um: float | None) -> float:
    """Resampled pixels for one of the parent's. Raises `UnusableError` without a pixel size, or to enlarge too much."""
    if recipe.um_per_px is None:
        return recipe.scale or 1.0
    if pixel_size_um is None:
        raise UnusableError("no pixel size", "none in file or labels", f"needed for {recipe.um_per_px:g} µm/px")
    scale = pixel_size_um / recipe.um_per_px
    if scale > recipe.max_upsample:
        raise UnusableError("too coarse", f"to be enlarged {scale:.3g} times", f"at most {recipe.max_upsample:g}")
    return scale


def plan_cutting(recipe: Recipe, *, width_px: int, top_px: int, bottom_px: int, pixel_size_um: float | None) -> Cutting:
    """Cutting of a parent whose picture is rows `top_px` to `bottom_px`. Raises `UnusableError` where none fits."""
    scale = scale_of(recipe, pixel_size_um)
    height_px = bottom_px - top_px
    # A whole number of pixels at exactly this scale, from the middle of the frame, not all of it at nearly this scale.
    width, height = math.floor(width_px * scale + 1e-6), math.floor(height_px * scale + 1e-6)
    if min(width, height) < recipe.size:
        raise UnusableError("smaller than a patch", f"{width} x {height} px", f"at least {recipe.size} px")
    frame_width, frame_height = min(width / scale, width_px), min(height / scale, height_px)
    frame = Box((width_px - frame_width) / 2, (height_px - frame_height) / 2, frame_width, frame_height)
    columns, rows = _starts(width, recipe), _starts(height, recipe)
    return Cutting(frame, top_px, width, height, scale, columns, rows, recipe.size)


def _starts(length: int, recipe: Recipe) -> tuple[int, ...]:
    """Left edges of the patches along one side, the whole row centred."""
    count = 1 if recipe.cut == "centre" else (length - recipe.size) // recipe.step + 1
    first = (length - (count - 1) * recipe.step - recipe.size) // 2
    return tuple(first + index * recipe.step for index in range(count))

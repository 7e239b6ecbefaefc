"""One look at each micrograph: can it be read and cut, what does it measure. Little of it is kept in memory."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sorby.data.duplicates import thumbnail
from sorby.data.grey import grey_range, to_8bit
from sorby.data.infobar import frame_rows, has_scale_bar
from sorby.data.labels import Row, value_of
from sorby.data.patches import Cutting, UnusableError, plan_cutting
from sorby.data.quality import Fault, Measures, measure
from sorby.data.recipe import Recipe
from sorby.decode import Grey
from sorby.errors import DataError
from sorby.micrograph import Micrograph, is_synthetic, read_micrograph
from sorby.sources import ImageFile

PREVIEW_PX = 240
NAMELESS = (
    *("vendor", "instrument", "kV", "working_distance_mm", "detector", "magnification"),
    *("pixel_size_from", "pixel_size", "bits", "pages", "alpha", "colour"),
    *("synthetic", "generator", "seed", "simulated"),
)
"""Notes on a micrograph that go into a dataset; any program may have written others, and names into them."""


@dataclass(frozen=True)
class Survey:
    """What a micrograph is, without its pixels."""

    file: ImageFile
    row: Row
    width_px: int
    height_px: int
    top_px: int  # rows of the picture, without info bars
    bottom_px: int
    grey_low: int  # grey values that become black and white
    grey_high: int
    clipped: float  # share of pixels outside them
    pixel_size_um: float | None
    notes: dict[str, str]
    cutting: Cutting
    measures: Measures
    sha256: str  # of the pixels
    thumbnail: UInt8[np.ndarray, "32 32"]
    preview: bytes  # small JPEG of the whole image, or empty
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the user knows it."""
        return self.file.name


@dataclass(frozen=True)
class Rejected:
    """A micrograph that is left out, and why."""

    name: str
    fault: Fault
    preview: bytes = b""
    measures: Measures | None = None
    """None where it could not be cut, so that nothing was measured."""


def look_at(file: ImageFile, row: Row, recipe: Recipe, *, preview: bool) -> Survey | Rejected:
    """Survey one file."""
    try:
        micrograph = read_micrograph(file)
    except DataError as error:
        return Rejected(file.name, Fault("unreadable", str(error).removeprefix(f"{file.name} ")))
    if fault := _not_real(micrograph, recipe):
        return Rejected(file.name, fault)
    raw = micrograph.grey
    top, bottom = frame_rows(to_8bit(raw, *grey_range(raw, recipe.grey_range))[0], recipe.info_bar)
    pixel_size, warnings = _pixel_size(micrograph, row, recipe)
    picture = raw[top:bottom] if bottom > top else raw
    low, high = grey_range(picture, recipe.grey_range)
    image = _preview(to_8bit(raw, low, high)[0]) if preview else b""
    try:
        cutting = plan_cutting(recipe, width_px=raw.shape[1], top_px=top, bottom_px=bottom, pixel_size_um=pixel_size)
    except UnusableError as error:
        return Rejected(file.name, Fault(error.reason, error.measured, error.limit), image)
    grey, clipped = to_8bit(picture, low, high)
    if has_scale_bar(grey):
        warnings += ("a scale bar seems to be drawn into the picture",)
    if clipped > 0.01:
        warnings += (f"{clipped:.1%} of the pixels lie outside the grey range {low} to {high}",)
    return Survey(
        file=file,
        row=row,
        width_px=raw.shape[1],
        height_px=raw.shape[0],
        top_px=top,
        bottom_px=bottom,
        grey_low=low,
        grey_high=high,
        clipped=clipped,
        pixel_size_um=pixel_size,
        notes=_notes(micrograph, recipe),
        cutting=cutting,
        measures=measure(picture, grey, cracks=recipe.limits.crack > 0),
        sha256=hashlib.sha256(raw.tobytes()).hexdigest(),
        thumbnail=thumbnail(grey),
        preview=image,
        warnings=warnings,
    )


def _not_real(micrograph: Micrograph, recipe: Recipe) -> Fault | None:
    """Training on pictures of a generator, or on their mark, is no accident that anybody would see later."""
    if "mark" in micrograph.notes:
        return Fault("marked", micrograph.notes["mark"])
    if is_synthetic(micrograph.notes) and not recipe.synthetic:
        return Fault("generated picture", f"drawn by {micrograph.notes.get('generator', 'what is not told')[:12]}")
    return None


def _notes(micrograph: Micrograph, recipe: Recipe) -> dict[str, str]:
    """What is known to name nobody; all else where names are to be kept."""
    if recipe.keep_names:
        return {**micrograph.notes, **micrograph.identity}
    return {name: value for name, value in micrograph.notes.items() if name in NAMELESS}


def picture_of(survey: Survey) -> UInt8[np.ndarray, "h w"]:
    """The picture read again, 8-bit, without info bars."""
    raw: Grey = read_micrograph(survey.file).grey
    return to_8bit(raw[survey.top_px : survey.bottom_px], survey.grey_low, survey.grey_high)[0]


def _pixel_size(micrograph: Micrograph, row: Row, recipe: Recipe) -> tuple[float | None, tuple[str, ...]]:
    """Pixel size by the labels, the recipe or the file, in this order, and a warning where the file says otherwise."""
    in_row = value_of(row, recipe.pixel_size_column)
    stated = float(in_row) if in_row else recipe.pixel_size_um
    found = micrograph.pixel_size_um
    if stated and found and abs(stated / found - 1) > 0.01:
        return stated, (f"pixel size {stated:g} µm is stated, the file says {found:g} µm",)
    return stated or found, ()


def _preview(grey: UInt8[np.ndarray, "h w"]) -> bytes:
    image, buffer = Image.fromarray(grey), io.BytesIO()
    image.thumbnail((PREVIEW_PX, PREVIEW_PX))
    image.save(buffer, "JPEG", quality=60)
    return buffer.getvalue()

"""A micrograph: grey values exactly as recorded, the size of a pixel, and where both come from."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sorby.atomic import write_bytes
from sorby.decode import MAX_PIXELS, Grey, decode
from sorby.errors import DataError
from sorby.sources import ImageFile
from sorby.vendors import SOFTWARE, identity_of, read_header

SAME_SIZE = 0.01
"""Pixel sizes that differ by less than this share are one."""
MAX_PNG_RESOLUTION = 2**31 - 1
"""Pixels per metre that a PNG can state; finer images carry their pixel size in the text chunk alone."""


@dataclass(frozen=True)
class Micrograph:
    """One grey image. The range of 16-bit data is as recorded: choosing grey levels is `sorby prepare`'s task."""

    grey: Grey
    pixel_size_um: float | None
    """Side of a pixel in micrometres, or None where no file states it."""
    source: str
    """Name as the user knows it: `a.tif` or `batch.zip/a.tif`."""
    notes: Mapping[str, str]
    """Provenance: pixel_size_from or why there is none, bits, what was done to colours, instrument, kV, detector."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Who, where and which, as the file's header has it: user, sample, stage position and the like. Never written
    anywhere, unless somebody asks for it: `Recipe.keep_names`."""


def read_micrograph(file: ImageFile | str | Path) -> Micrograph:
    """Read a TIFF, PNG, JPEG or BMP with 8 or 16 bits.

    Colours with equal channels give that channel exactly, others the ITU-R 601 luma. Pages after the first are
    passed over. Both are noted. Raises `DataError`, naming the file, for anything else.
    """
    if isinstance(file, str | Path):
        file = ImageFile.of(Path(file))
    return decode_micrograph(file.read(), name=file.name, sidecar=file.sidecar())


def decode_micrograph(
    data: bytes, *, name: str, sidecar: str | None = None, most_pixels: int = MAX_PIXELS
) -> Micrograph:
    """The micrograph in the bytes of a file, as `read_micrograph` has it; of `most_pixels` at most."""
    grey, header, notes = decode(data, name=name, sidecar=sidecar, most_pixels=most_pixels)
    pixel_size_um, provenance = read_header(header)
    return Micrograph(grey, pixel_size_um, name, {**provenance, **notes}, identity_of(header))


def write_micrograph(
    path: Path,
    picture: Grey | UInt8[np.ndarray, "h w 3"],
    *,
    pixel_size_um: float | None,
    description: Mapping[str, str],
) -> None:
    """Write a grey or RGB picture as a PNG or, by the suffix of `path`, a TIFF; see `encode_micrograph`.

    Raises `DataError` where the suffix is another or the disk is full.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".tif", ".tiff"):
        raise DataError(f"{path} cannot be written: expected a name ending in .png, .tif or .tiff.")
    write_bytes(path, encode_micrograph(picture, suffix, pixel_size_um=pixel_size_um, description=description))


def encode_micrograph(
    picture: Grey | UInt8[np.ndarray, "h w 3"],
    suffix: str,
    *,
    pixel_size_um: float | None,
    description: Mapping[str, str],
) -> bytes:
    """A grey or RGB picture as a PNG (`.png`), or as a TIFF that ImageJ opens with the right scale.

    `description` goes into the PNG's text chunks, whose keywords have at most 79 characters, or into ImageJ's Info.
    `read_micrograph` gives back the grey values (of RGB the luma), pixel size and description.
    Equal input gives equal bytes.
    """
    entries = {"Software": SOFTWARE, **description, "width_px": str(picture.shape[1])}
    if pixel_size_um is not None:
        entries["pixel_size_um"] = repr(float(pixel_size_um))
    return (_png if suffix == ".png" else _tiff)(picture, pixel_size_um, entries)


def is_synthetic(notes: Mapping[str, str]) -> bool:
    """Whether a picture says of itself that a generator drew it, or a part of it."""
    return notes.get("synthetic", "false") != "false"


def said_synthetic(notes: Mapping[str, str]) -> dict[str, str]:
    """Of the notes on a synthetic picture those that say so, and what drew it; {} for any other."""
    names = ("synthetic", "generator", "seed") if is_synthetic(notes) else ()
    return {name: notes[name] for name in names if name in notes}


def same_size(one: float | None, other: float | None) -> bool:
    """Whether two pixel sizes agree, to one in a hundred; an unknown one agrees with an unknown one.

    >>> same_size(0.1, 0.1004), same_size(0.1, 0.2), same_size(0.1, None), same_size(None, None)
    (True, False, False, True)
    """
    if one is None or other is None:
        return one is other
    return abs(one / other - 1) <= SAME_SIZE


def common_size(sizes_um: Iterable[float | None]) -> float | None:
    """The pixel size that all images have; None where one is unknown, where they differ, or where there are none."""
    sizes = list(sizes_um)
    return sizes[0] if sizes and all(same_size(sizes[0], size) for size in sizes) else None


def round_length(most: float) -> float:
    """Length of a scale bar: the largest of 1, 2 and 5 times a power of ten that is not above `most`, in its unit.

    >>> round_length(0.7), round_length(3.0), round_length(1000.0)
    (0.5, 2.0, 1000.0)
    """
    power = 10.0 ** math.floor(math.log10(most))
    return power * max(step for step in (0.5, 1, 2, 5) if step * power <= most)  # log10 may round up


def _png(picture: np.ndarray, pixel_size_um: float | None, entries: Mapping[str, str]) -> bytes:
    text = PngInfo()
    for key, value in entries.items():
        # A keyword has to be Latin-1; names of conditions can be in any script.
        text.add_text(key.encode("unicode_escape"), value)
    pixels_per_metre = 1e6 / pixel_size_um if pixel_size_um else 0.0
    # Pillow turns dots per inch back into the whole number of pixels per metre of the pHYs chunk.
    dpi = (pixels_per_metre * 0.0254,) * 2 if 1 <= pixels_per_metre <= MAX_PNG_RESOLUTION else None
    file = BytesIO()
    Image.fromarray(picture).save(file, format="PNG", pnginfo=text, dpi=dpi)
    return file.getvalue()


def _tiff(picture: np.ndarray, pixel_size_um: float | None, entries: Mapping[str, str]) -> bytes:
    metadata = {"Info": json.dumps(entries)} | ({"unit": "um"} if pixel_size_um else {})
    resolution = (1 / pixel_size_um, 1 / pixel_size_um) if pixel_size_um else None
    file = BytesIO()
    tifffile.imwrite(file, picture, imagej=True, software=SOFTWARE, metadata=metadata, resolution=resolution)
    return file.getvalue()

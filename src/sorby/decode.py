"""From the bytes of an image file to grey values and what the file says beside them.

Sizes are checked against the header before anything is decoded, and nothing but `DataError` leaves this file.
"""

import logging
import math
from collections.abc import Callable
from io import BytesIO
from operator import add
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8, UInt16
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from sorby.errors import DataError
from sorby.vendors import Header

MAX_PIXELS = 2**28
"""A header that declares more is refused before memory is taken: 16,384 x 16,384 is the largest square."""

COMPRESSIONS = {
    1: "none", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits",
    32946: "deflate",
}  # fmt: skip
"""Of a TIFF: those that unpack to no more than the header declares. In others lies an image of its own size."""

ROWS = 256
"""Rows of an image that are turned into grey at once."""

MOST_SCANS = 200
"""Of a JPEG, each of which takes time for all pixels; ten are usual."""
SCAN = b"\xff\xda"

HEADER_TAGS = (270, 282, 296, 305, 34118, 34680, 34682, 50839)
"""TIFF tags that `vendors` looks at: description, resolution and its unit, software, Zeiss, FEI (2), ImageJ."""

Grey = UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]
Decoded = tuple[Grey, Header, dict[str, str]]
Reader = Callable[[bytes, str | None, int], Decoded]

# tifffile reports each oddity of a tag; what matters to a user is raised as a DataError.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class _RefusedError(Exception):
    """Why an image is not taken, without the name of its file."""


def decode(data: bytes, *, name: str, sidecar: str | None = None, most_pixels: int = MAX_PIXELS) -> Decoded:
    """Grey values, header and notes of an image file. Raises `DataError` naming `name` where that cannot be.

    That is for an image of more than `most_pixels` as well, and before memory is taken for them.
    """
    read = _reader(data)
    if read is None:
        raise DataError(f"{name} is {_guess(data)}: expected a TIFF, PNG, JPEG or BMP image; export it again.")
    try:
        return read(data, sidecar, most_pixels)
    except _RefusedError as reason:
        raise DataError(f"{name} {reason}") from None
    # Decoders meet damaged bytes in ways of their own: struct, zlib, index and many other errors.
    except Exception as error:
        raise DataError(
            f"{name} is damaged or cut short ({_words(error)}): expected a whole image; copy it again from its source."
        ) from error


def _reader(data: bytes) -> Reader | None:
    """By the first bytes, since a suffix can be wrong."""
    table = {
        b"II*\0": _tiff, b"MM\0*": _tiff, b"II+\0": _tiff, b"MM\0+": _tiff,
        b"\x89PNG\r\n\x1a\n": _png, b"\xff\xd8\xff": _jpeg, b"BM": _bmp,
    }  # fmt: skip
    return next((read for magic, read in table.items() if data.startswith(magic)), None)


def _guess(data: bytes) -> str:
    if not data:
        return "empty (0 bytes)"
    is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:64])
    return f"{'text' if is_text else 'no known image'} (starts with {data[:12]!r})"


def _words(error: Exception) -> str:
    """What a decoder says on one line; an error that only stumbles over nonsense has nothing to tell a user."""
    says = isinstance(error, ValueError | OSError | RuntimeError | SyntaxError)
    return " ".join(str(error).split())[:120] if says else "the header makes no sense"


def _check_size(width: int, height: int, most_pixels: int) -> None:
    if width < 1 or height < 1:
        raise _RefusedError(f"declares {width} x {height} pixels: expected at least 1 x 1; export it again.")
    if width * height > most_pixels:
        raise _RefusedError(
            f"declares {width} x {height} pixels, expected at most {most_pixels} in all: cut it into smaller images."
        )


# ---- TIFF


def _tiff(data: bytes, sidecar: str | None, most_pixels: int) -> Decoded:
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = _first_full_page(file.pages)
        _check_page(page, len(data), most_pixels)
        if page.compression == 7:
            _check_jpegs(page, data)
        notes = {"bits": str(page.bitspersample)}
        if len(file.pages) > 1:
            notes["pages"] = f"{len(file.pages)}, only the first of full resolution is used"
        grey = _page_to_grey(page, notes)
        tags = {code: page.tags[code].value for code in HEADER_TAGS if code in page.tags}
        return grey, Header(page.imagewidth, tags, {}, _tiff_dpi(tags), sidecar), notes


def _first_full_page(pages: Any) -> Any:
    """The first page that is not marked as a reduced copy of another (bit 0 of NewSubfileType)."""
    return next((page for page in pages if not page.tags.valueof(254, 0) & 1), pages[0])


def _check_page(page: Any, file_bytes: int, most_pixels: int) -> None:
    _check_size(page.imagewidth, page.imagelength, most_pixels)
    if page.imagedepth != 1 or page.samplesperpixel > 4 or math.prod(page.chunks) > 4 * most_pixels:
        raise _RefusedError("is a TIFF of volumes or many channels: expected one grey or RGB image; save it so.")
    if page.sampleformat != 1 or page.bitspersample > 16:
        kind = {2: "signed", 3: "float"}.get(page.sampleformat, "unsigned")
        raise _RefusedError(
            f"has {page.bitspersample}-bit {kind} pixels: expected unsigned 8 or 16 bits; save it as 8-bit or 16-bit."
        )
    if page.compression not in COMPRESSIONS:
        known = ", ".join(dict.fromkeys(COMPRESSIONS.values()))
        raise _RefusedError(f"has a compression other than {known}: save it without compression.")
    if sum(page.databytecounts) > file_bytes:
        raise _RefusedError("has strips or tiles that lie on each other: expected a whole image; export it again.")
    if not _is_complete(page, file_bytes):
        raise _RefusedError("has pixels missing from the file: expected a whole image; copy it again from its source.")


def _is_complete(page: Any, file_bytes: int) -> bool:
    """False where a strip or tile is not in the file: tifffile would fill it with zeros."""
    offsets, counts = page.dataoffsets, page.databytecounts
    if not len(offsets) == len(counts) >= math.prod(page.chunked) > 0:
        return False
    if min(offsets) <= 0 or min(counts) <= 0 or max(map(add, offsets, counts)) > file_bytes:
        return False
    raw_bytes = page.imagelength * ((page.imagewidth * page.samplesperpixel * page.bitspersample + 7) // 8)
    return page.compression != 1 or sum(counts) >= raw_bytes


def _check_jpegs(page: Any, data: bytes) -> None:
    """A strip or tile that is a JPEG has a size of its own, for which its decoder takes memory."""
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        jpeg = data[start : start + length]
        width, height = JpegImageFile(BytesIO(jpeg)).size
        if width * height > math.prod(page.chunks) or jpeg.count(SCAN) > MOST_SCANS:
            raise _RefusedError("has a JPEG inside that is larger than it says: save it without compression.")


def _page_to_grey(page: Any, notes: dict[str, str]) -> Grey:
    photometric = int(page.photometric)
    pixels = page.asarray()
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels.reshape(page.imagelength, page.imagewidth, -1)
    if photometric == 3:
        if page.colormap.dtype != np.uint16:
            raise _RefusedError("has a palette of other numbers than 16-bit ones: save it as grey.")
        return _grey_of_palette(pixels[..., 0], page.colormap.T, notes)
    if photometric in (0, 1):
        return _grey_of_channels(_full_range(pixels, page.bitspersample, invert=photometric == 0), notes)
    if page.bitspersample in (8, 16) and (photometric == 2 or (photometric == 6 and page.compression == 7)):
        return _grey_of_channels(pixels, notes)
    raise _RefusedError(
        f"has the colour space {page.photometric.name} of {page.bitspersample} bits: expected grey, RGB or palette; "
        "save it as grey."
    )


def _full_range(pixels: Shaped[np.ndarray, "h w c"], bits: int, *, invert: bool) -> Shaped[np.ndarray, "h w c"]:
    """Invert where zero is white, and stretch fewer than 8 bits to 0..255, as PNG does."""
    top = 2**bits - 1
    pixels = pixels.astype(np.uint16 if bits > 8 else np.uint8, copy=False)
    pixels = top - pixels if invert else pixels
    return pixels if bits >= 8 else pixels * np.uint8(255 // top)


def _tiff_dpi(tags: dict[int, Any]) -> float | None:
    per_inch = {2: 1.0, 3: 2.54}.get(tags.get(296, 2))
    numerator, denominator = tags.get(282, (0, 0))
    return per_inch * numerator / denominator if per_inch and denominator else None


# ---- PNG, JPEG, BMP


def _png(data: bytes, sidecar: str | None, most_pixels: int) -> Decoded:
    if b"acTL" in data[: max(data.find(b"IDAT"), 0)]:
        raise _RefusedError("is an animated PNG: expected one image; save one frame as PNG.")
    # Damaged bytes must not reach imagecodecs: libpng writes to stderr, and each failure takes one reference from None
    # (imagecodecs 2026.3.6), which ends a Python before 3.12 after some thousand failures.
    PngImageFile(BytesIO(data)).verify()
    return _with_pillow(PngImageFile, data, sidecar, most_pixels)


def _bare_png(data: bytes) -> bytes:
    """Header and pixels alone: libpng writes to stderr about all that is odd in other chunks."""
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kept += [data[at:end]] if data[at + 4 : at + 8] in (b"IHDR", b"IDAT", b"IEND") else []
        at = end
    return b"".join(kept)


def _jpeg(data: bytes, sidecar: str | None, most_pixels: int) -> Decoded:
    if data.count(SCAN) > MOST_SCANS:
        raise _RefusedError(f"has more than {MOST_SCANS} scans: expected an ordinary JPEG; export it again.")
    return _with_pillow(JpegImageFile, data, sidecar, most_pixels)


def _bmp(data: bytes, sidecar: str | None, most_pixels: int) -> Decoded:
    return _with_pillow(BmpImageFile, data, sidecar, most_pixels)


def _with_pillow(plugin: type[ImageFile.ImageFile], data: bytes, sidecar: str | None, most_pixels: int) -> Decoded:
    # The plugin itself, not Image.open, whose own size limit warns on the way to ours.
    with plugin(BytesIO(data)) as image:
        _check_size(*image.size, most_pixels)
        has_16_bits = plugin is PngImageFile and data[24] == 16
        notes = {"bits": "16" if has_16_bits else "1" if image.mode == "1" else "8"}
        # Pillow would cut 16-bit colours to 8 bits.
        grey = (
            _grey_of_channels(_channels(imagecodecs.png_decode(_bare_png(data))), notes)
            if has_16_bits
            else _grey(image, notes)
        )
        text = {key: str(value) for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
        dpi = image.info.get("dpi")
        return grey, Header(image.width, {}, text, float(dpi[0]) if dpi else None, sidecar), notes


def _grey(image: Image.Image, notes: dict[str, str]) -> Grey:
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return _grey_of_palette(np.asarray(image), palette, notes)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return _grey_of_channels(_channels(np.asarray(image)), notes)
    if image.mode in ("CMYK", "YCbCr"):
        return _grey_of_channels(np.asarray(image.convert("RGB")), notes)
    raise _RefusedError(f"has pixels of the kind {image.mode!r}: expected 8 or 16 bits; save it as grey.")


# ---- colours to grey


def _channels(pixels: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "h w c"]:
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _grey_of_channels(pixels: Shaped[np.ndarray, "h w c"], notes: dict[str, str]) -> Grey:
    """Grey of 1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha."""
    if pixels.shape[2] in (2, 4):
        opaque = (pixels[..., -1] == np.iinfo(pixels.dtype).max).all()
        notes["alpha"] = "opaque, dropped" if opaque else "not opaque everywhere, ignored"
        pixels = pixels[..., :-1]
    if pixels.shape[2] == 1:
        return np.ascontiguousarray(pixels[..., 0])
    is_grey = all((pixels[..., 0] == pixels[..., channel]).all() for channel in (1, 2))
    notes["colour"] = "RGB, channels equal" if is_grey else "RGB, turned into ITU-R 601 luma"
    return np.ascontiguousarray(pixels[..., 0]) if is_grey else luma(pixels)


def _grey_of_palette(
    indices: Shaped[np.ndarray, "h w"], palette: Shaped[np.ndarray, "n 3"], notes: dict[str, str]
) -> Grey:
    """Grey of a palette image; a grey palette is applied exactly, a 16-bit one of 8-bit values as 8 bits."""
    for step in (257, 256):
        if palette.dtype == np.uint16 and not (palette % step).any():
            palette = (palette // step).astype(np.uint8)
    used = palette[np.unique(indices)]
    is_grey = (used == used[:, :1]).all()
    notes["colour"] = "grey palette, applied" if is_grey else "palette, turned into ITU-R 601 luma"
    return luma(palette[:, None])[:, 0][indices]


def luma(pixels: Shaped[np.ndarray, "h w 3"]) -> Grey:
    """ITU-R BT.601 luma in whole numbers, so that equal channels give exactly that channel."""
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for start in range(0, len(pixels), ROWS):  # all at once would take sixteen bytes a pixel
        r, g, b = np.moveaxis(pixels[start : start + ROWS], -1, 0).astype(np.uint32)
        grey[start : start + ROWS] = (299 * r + 587 * g + 114 * b + 500) // 1000
    return grey

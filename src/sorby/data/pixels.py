"""Pictures of a dataset as PNG bytes, and their identity."""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from sorby.errors import DataError
from sorby.vendors import SOFTWARE

CHANNELS = {"L": 1, "RGB": 3}
MOST_SIDE = 8192
"""Pixels along a side of a patch; no network draws more than 1024."""


def pixel_hash(picture: UInt8[np.ndarray, "c h w"]) -> str:
    """sha256 of shape and pixels, so that it does not depend on how a PNG was compressed."""
    digest = hashlib.sha256(np.array(picture.shape, dtype="<i8").tobytes())
    digest.update(picture.tobytes())
    return digest.hexdigest()


def encode(picture: UInt8[np.ndarray, "c h w"], about: Mapping[str, str] | None = None) -> bytes:
    """PNG of a grey or RGB picture; one that is no real micrograph says so in `about`."""
    buffer, text = io.BytesIO(), PngInfo()
    for key, value in ({"Software": SOFTWARE, **about} if about else {}).items():
        text.add_text(key, value)
    pixels = picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=4, pnginfo=text)
    return buffer.getvalue()


def decode(png: bytes, *, name: str, shape: tuple[int, int, int] | None = None) -> UInt8[np.ndarray, "c h w"]:
    """Pixels of an 8-bit grey or RGB PNG, of `shape` where one is expected, which is looked at before it is unpacked.

    Raises `DataError` naming `name` for anything else.
    """
    image = _open(png, name)
    came = (CHANNELS[image.mode], image.height, image.width)
    if shape is not None and came != shape:
        raise DataError(f"{name} has shape {came}, expected {shape}: prepare the dataset again.")
    try:
        pixels = np.asarray(image)
    # A decoder meets damaged bytes in ways of its own.
    except Exception as error:
        raise DataError(f"{name} is not a readable PNG ({error}): prepare the dataset again.") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def shape_of(png: bytes, *, name: str) -> tuple[int, int, int]:
    """Channels, height and width of an 8-bit grey or RGB PNG, from its header alone. Raises like `decode`."""
    image = _open(png, name)
    return CHANNELS[image.mode], image.height, image.width


def _open(png: bytes, name: str) -> Image.Image:
    try:
        # The plugin itself, not Image.open, whose own size limit warns on the way to ours.
        image = PngImageFile(io.BytesIO(png))
    except Exception as error:
        raise DataError(f"{name} is not a readable PNG ({error or 'damaged'}): prepare the dataset again.") from error
    if max(image.size) > MOST_SIDE:
        raise DataError(f"{name} has {image.width} x {image.height} pixels, expected at most {MOST_SIDE} a side.")
    if image.mode not in CHANNELS:
        raise DataError(f"{name} has mode {image.mode}, expected 8-bit grey or RGB: run sorby prepare on the pictures.")
    return image

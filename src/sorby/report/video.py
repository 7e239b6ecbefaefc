"""Films: MP4 and GIF, written frame by frame, so that their length costs no memory."""

import errno
import json
import mmap
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.atomic import new_file
from sorby.errors import ConfigError, DataError
from sorby.sources import MAX_FILE_BYTES
from sorby.untrusted import check_plain, first_words
from sorby.vendors import SOFTWARE

SUFFIXES = (".mp4", ".gif")
MOST_COMMENT = 255
"""Bytes of a block of a GIF's comment."""
BEGIN = json.dumps({"Software": SOFTWARE})[:-1].encode()
"""Of the comments that are Sorby's."""
MOST_HEADER = 2**20
"""Bytes in which a comment has to end."""
QUALITY = "14"
"""Of H.264, as a constant rate factor: at 18 fine grain begins to look smooth."""


def write_video(
    path: Path, frames: Iterable[UInt8[np.ndarray, "h w *c"]], *, fps: float, about: Mapping[str, str]
) -> None:
    """Write grey "h w" or RGB "h w 3" frames of one size, as H.264 or, by the suffix of `path`, as a GIF.

    `about` goes into the comment of the file as JSON, which `read_about` reads back. A GIF is repeated for ever, and
    shows 50 frames a second at most.
    Raises `ConfigError` where FFmpeg or the suffix is not known, and `DataError` where the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path} cannot be written as a film: expected a name ending in {' or '.join(SUFFIXES)}.")
    require_ffmpeg()
    comment = json.dumps({"Software": SOFTWARE, **about})
    codec = "gif" if suffix == ".gif" else "libx264"
    with new_file(path) as temporary:
        _encode(temporary, frames, fps=fps, comment=comment, codec=codec)
        if codec == "gif":
            _insert_comment(temporary, comment)


def read_about(path: Path) -> dict[str, str]:
    """What `write_video` wrote into a film, also where another program has packed it anew; {} for any other film.

    Raises `DataError` where it is no file that can be read. Nothing of the film is decoded.
    """
    try:
        check_plain(path, MAX_FILE_BYTES)
        return _gif_about(path) if path.suffix.lower() == ".gif" else _found_about(path)
    except (OSError, ValueError, SyntaxError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as a film ({first_words(error)}): copy it again.") from None


def _gif_about(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        start = file.read(MOST_HEADER)
    found = re.search(rb"\x21\xfe(?=." + re.escape(BEGIN) + b")", start, re.DOTALL)
    at, text = (found.end() if found else len(start)), b""
    while at < len(start) and (length := start[at]):
        text, at = text + start[at + 1 : at + 1 + length], at + 1 + length
    return _parsed(text) if text else {}


def _found_about(path: Path) -> dict[str, str]:
    """Containers keep a comment as plain bytes, each in a place of its own."""
    if not path.stat().st_size:
        raise ValueError("it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(BEGIN)
        return _parsed(content[at : at + MOST_HEADER]) if at >= 0 else {}


def _parsed(text: bytes) -> dict[str, str]:
    about, _ = json.JSONDecoder().raw_decode(text.decode("ascii", "replace"))
    return {name: str(value) for name, value in about.items() if name != "Software"}


def require_ffmpeg() -> None:
    """Raise `ConfigError` where the library that brings FFmpeg is missing, or brought none."""
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise ConfigError(
            "A film needs FFmpeg: pip install 'sorby[film]', or give --out a folder, for a picture each frame."
        ) from None


def _encode(path: Path, frames: Iterable[np.ndarray], *, fps: float, comment: str, codec: str) -> None:
    import imageio_ffmpeg

    waiting = iter(frames)
    first = next(waiting)
    is_grey = first.ndim == 2
    pixels = {"libx264": "yuv420p", "gif": "gray" if is_grey else "rgb8"}[codec]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (first.shape[1], first.shape[0]),
        pix_fmt_in="gray" if is_grey else "rgb24",
        pix_fmt_out=pixels,
        fps=fps,
        codec=codec,
        quality=None,
        macro_block_size=2 if codec == "libx264" else 1,
        output_params=["-metadata", f"comment={comment}", *(["-crf", QUALITY] if codec == "libx264" else [])],
        ffmpeg_log_level="quiet",
    )
    writer.send(None)
    try:
        for frame in chain([first], waiting):
            try:
                writer.send(np.ascontiguousarray(frame))
            except OSError:  # with all that FFmpeg said, on many lines
                raise OSError(errno.EIO, "FFmpeg could not write it", str(path)) from None
    finally:
        writer.close()


def _insert_comment(path: Path, comment: str) -> None:
    """A GIF comment, which FFmpeg does not write: a block of its own behind the header and its colours."""
    text = comment.encode("ascii")
    blocks = [text[start : start + MOST_COMMENT] for start in range(0, len(text), MOST_COMMENT)]
    content = path.read_bytes()
    flags = content[10]
    end = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    block = b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in blocks) + b"\0"
    path.write_bytes(content[:end] + block + content[end:])

"""Films: MP4 and GIF, written frame by frame, so that their length costs no memory."""

import errno
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.atomic import new_file
from sorby.errors import ConfigError

SUFFIXES = (".mp4", ".gif")
MOST_COMMENT = 255
"""Bytes of a block of a GIF's comment."""
QUALITY = "14"
"""Of H.264, as a constant rate factor: at 18 fine grain begins to look smooth."""


def write_video(
    path: Path, frames: Iterable[UInt8[np.ndarray, "h w *c"]], *, fps: float, about: Mapping[str, str]
) -> None:
    """Write grey "h w" or RGB "h w 3" frames of one size, as H.264 or, by the suffix of `path`, as a GIF.

    `about` goes into the comment of the file. A GIF is repeated for ever, and shows 50 frames a second at most.
    Raises `ConfigError` where FFmpeg or the suffix is not known, and `DataError` where the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path} cannot be written as a film: expected a name ending in {' or '.join(SUFFIXES)}.")
    require_ffmpeg()
    comment = "; ".join(f"{name}: {value}" for name, value in about.items())
    codec = "gif" if suffix == ".gif" else "libx264"
    with new_file(path) as temporary:
        _encode(temporary, frames, fps=fps, comment=comment, codec=codec)
        if codec == "gif":
            _insert_comment(temporary, comment)


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
    text = comment.encode("ascii", "replace")
    blocks = [text[start : start + MOST_COMMENT] for start in range(0, len(text), MOST_COMMENT)]
    content = path.read_bytes()
    flags = content[10]
    end = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    block = b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in blocks) + b"\0"
    path.write_bytes(content[:end] + block + content[end:])

"""A walk as a film, a sheet or a folder of pictures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from sorby.draw import pixels_of
from sorby.errors import ConfigError
from sorby.generator import Generator
from sorby.latent.walk import Point, Walk
from sorby.mark import MARKED, marked, marked_all
from sorby.measurement.measured import descriptor_table
from sorby.measurement.units import unit_of
from sorby.micrograph import write_micrograph
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Segmentation
from sorby.models.place import name_of
from sorby.report.plots import tile
from sorby.report.scale_bar import with_scale_bar
from sorby.report.traces import Traces
from sorby.report.video import SUFFIXES, write_video

FILM_PX = 384
"""Smaller pictures are shown larger in a film, each pixel as a square of whole pixels, up to this side."""
MOST_COLUMNS = 6


def pictures_along(walk: Walk, frames: int) -> Iterator[UInt8[np.ndarray, "c h w"]]:
    """The pictures of a walk, as many as are fastest at once held in memory."""
    generator = walk.generator
    size = generator.num_at_once
    times = walk.times(frames)
    for start in range(0, frames, size):
        yield from pictures_of(generator, [walk.at(t) for t in times[start : start + size]])


def pictures_of(generator: Generator, points: Sequence[Point]) -> UInt8[np.ndarray, "n c h w"]:
    """The pictures of points of a walk, all at once."""
    noise = [torch.stack(layers) for layers in zip(*(point.noise for point in points), strict=True)]
    return generator.draw(torch.stack([point.ws for point in points]), noise)


def write_walk(
    walk: Walk,
    out: Path,
    *,
    frames: int,
    fps: float = 24,
    traces: Sequence[str] = (),
    how: Segmentation = BY_OTSU,
    scale_bar: bool = True,
    mark: bool = False,
    on_frame: Callable[[int, int], None] | None = None,
) -> None:
    """Draw `frames` pictures evenly along a walk, to a film (.mp4, .gif), a sheet (.png), or a folder of TIFFs.

    Under the pictures of a film stand a scale bar, where the pixel size is known, and curves of the descriptors named
    by `traces`, segmented as `how` says; for these the pictures are drawn twice, so that memory stays constant.
    `on_frame` is told after each picture how many are drawn, of how many; what it raises ends the film.
    Every file says that it is synthetic; with a `mark` each picture does in its pixels too.
    Raises `ConfigError` for unknown traces, or traces without a film.
    """
    titles = [_title_of(name, walk.generator.card.pixel_size_um) for name in traces]
    suffix = out.suffix.lower()
    about = about_walk(walk, walk.generator.hash) | (MARKED if mark else {})
    along = _Along(walk, frames, rounds=2 if traces else 1, on_frame=on_frame)
    if suffix in SUFFIXES:
        values = _measured(along, traces, how) if traces else np.zeros((0, frames))
        curves = dict(zip(titles, values, strict=True))
        write_video(out, _film(along, curves, scale_bar=scale_bar, mark=mark), fps=fps, about=about)
        return
    if traces:
        raise ConfigError(f"Traces are drawn under films: end the name of {out} in {' or '.join(SUFFIXES)}.")
    if suffix == ".png":
        _write_sheet(along, out, about, scale_bar=scale_bar, mark=mark)
    elif suffix:
        raise ConfigError(f"{out} is no film: expected a name ending in .mp4, .gif or .png, or a folder.")
    else:
        _write_frames(along, out, about, mark=mark)


def about_walk(walk: Walk, name: str) -> dict[str, str]:
    """What the files of a walk say of themselves; `name` is the generator's hash."""
    return {
        "synthetic": "true",
        "generator": name,
        "walk": walk.describe(),
        "precision": name_of(walk.generator.dtype),
    }


class _Along:
    """The pictures of a walk, once or twice around; somebody is told of each."""

    def __init__(
        self, walk: Walk, frames: int, *, rounds: int = 1, on_frame: Callable[[int, int], None] | None = None
    ) -> None:
        self.walk, self.frames = walk, frames
        self._done, self._total, self._on_frame = 0, rounds * frames, on_frame

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "c h w"]]:
        for picture in pictures_along(self.walk, self.frames):
            self._done += 1
            if self._on_frame is not None:
                self._on_frame(self._done, self._total)
            yield picture


def _film(
    along: _Along, curves: dict[str, Float[np.ndarray, " t"]], *, scale_bar: bool, mark: bool
) -> Iterator[UInt8[np.ndarray, "h w *c"]]:
    card = along.walk.generator.card
    zoom = max(FILM_PX // card.size, 1)
    width = zoom * card.size
    below = _bar(width, zoom, card.pixel_size_um) if scale_bar else np.zeros((0, width, 1), np.uint8)
    strip = Traces(curves, width_px=width) if curves else None
    for frame, picture in enumerate(along):
        enlarged = picture.repeat(zoom, 1).repeat(zoom, 2)
        above = (marked(enlarged) if mark else enlarged).transpose(1, 2, 0)
        shown = np.concatenate([above, np.broadcast_to(below, (*below.shape[:2], len(picture)))])
        if strip is not None:
            shown = np.concatenate([np.broadcast_to(shown, (*shown.shape[:2], 3)), strip.at(frame)])
        yield shown[..., 0] if shown.shape[2] == 1 else shown


def _bar(width: int, zoom: int, pixel_size_um: float | None) -> UInt8[np.ndarray, "h w 1"]:
    """The scale bar alone; nothing where the pixel size is not known."""
    nothing = np.zeros((0, width, 1), np.uint8)
    if pixel_size_um is None:
        return nothing
    return with_scale_bar(nothing, picture_px=width, pixel_size_um=pixel_size_um / zoom)


def _measured(along: _Along, names: Sequence[str], how: Segmentation) -> Float[np.ndarray, "q t"]:
    """Descriptors of each frame, in the units that the film tells them in."""
    table = descriptor_table((picture[None] for picture in along), how)
    quantities = {quantity.name: (i, quantity) for i, quantity in enumerate(QUANTITIES)}
    size = along.walk.generator.card.pixel_size_um
    return np.array([table[:, i] * unit_of(quantity, size)[0] for i, quantity in map(quantities.__getitem__, names)])


def _title_of(name: str, pixel_size_um: float | None) -> str:
    found = [quantity for quantity in QUANTITIES if quantity.name == name]
    if not found:
        known = ", ".join(quantity.name for quantity in QUANTITIES)
        raise ConfigError(f"Trace {name!r} is not known: choose from {known}.")
    unit = unit_of(found[0], pixel_size_um)[1]
    return f"{found[0].title}, {unit}" if unit else found[0].title


def _write_sheet(along: _Along, out: Path, about: dict[str, str], *, scale_bar: bool, mark: bool) -> None:
    """Pictures in the order of the walk, in rows (Lambard et al. 2023, figure 5)."""
    card = along.walk.generator.card
    pictures = np.stack(list(along))
    sheet = tile(marked_all(pictures) if mark else pictures, columns=min(along.frames, MOST_COLUMNS))
    if scale_bar and card.pixel_size_um is not None:
        sheet = with_scale_bar(sheet, picture_px=card.size, pixel_size_um=card.pixel_size_um)
    write_micrograph(out, pixels_of(sheet.transpose(2, 0, 1)), pixel_size_um=card.pixel_size_um, description=about)


def _write_frames(along: _Along, out: Path, about: dict[str, str], *, mark: bool) -> None:
    digits = len(str(along.frames - 1))
    size_um = along.walk.generator.card.pixel_size_um
    for frame, picture in enumerate(along):
        description = about | {"frame": f"{frame} of {along.frames}"}
        path = out / f"frame{frame:0{digits}d}.tif"
        shown = marked(picture) if mark else picture
        write_micrograph(path, pixels_of(shown), pixel_size_um=size_um, description=description)

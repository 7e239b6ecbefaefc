"""What stands in the way of a dataset of these micrographs: grey values, pixel sizes, labels, their number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sorby.data.grey import grey_range, histogram, to_8bit
from sorby.data.infobar import frame_rows
from sorby.data.labels import join, read_table
from sorby.data.recipe import Limits
from sorby.doctor.finding import Finding, some
from sorby.errors import DataError
from sorby.micrograph import common_size, read_micrograph
from sorby.sources import ImageFile, find_images

FEW = 10
"""Micrographs that were not shown to be enough (docs/faq.md)."""
SPARSE = 0.25
"""Share of the range of 16 bits below which the data have fewer: of 12 and 14 bits, a sixteenth and a quarter."""


@dataclass(frozen=True)
class Look:
    """What counts of one image."""

    name: str
    pixel_size_um: float | None
    bits: int
    brightest: int
    extreme: float
    """Share of the pixels that have the darkest or the brightest value."""
    bar_px: int
    """Rows of an info bar."""
    colour: str
    """What was done to colours, empty for grey."""
    alpha: str


def examine(source: Path, labels: Path | None) -> Iterator[Finding]:
    """Findings about the images in `source` and their table. Raises `DataError` where there are no images."""
    files = find_images([source])
    looks, unreadable = [], []
    for file in files:
        try:
            looks.append(look_at(file))
        except DataError as error:
            unreadable.append(str(error))
    yield of_files(len(files), unreadable)
    if looks:
        yield of_colours(looks)
        yield of_bits(looks)
        yield of_clipping(looks)
        yield of_scale(looks)
        yield of_bars(looks)
        yield of_number(len(looks))
    if labels is not None:
        yield of_labels(labels, [file.name for file in files])


def look_at(file: ImageFile) -> Look:
    """Read one image. Raises `DataError` where that cannot be."""
    micrograph = read_micrograph(file)
    raw = micrograph.grey
    top, bottom = frame_rows(to_8bit(raw, *grey_range(raw, "image"))[0], "auto")
    counts = histogram(raw[top:bottom])
    present = np.flatnonzero(counts)
    return Look(
        name=file.name,
        pixel_size_um=micrograph.pixel_size_um,
        bits=8 * raw.itemsize,
        brightest=int(present[-1]),
        extreme=float(counts[present[0]] + counts[present[-1]]) / counts.sum(),
        bar_px=len(raw) - (bottom - top),
        colour=micrograph.notes.get("colour", ""),
        alpha=micrograph.notes.get("alpha", ""),
    )


def of_files(num: int, unreadable: Sequence[str]) -> Finding:
    """Whether all images can be read; the first that cannot is named with its reason."""
    if not unreadable:
        return Finding("files", "ok", f"{num} images, all readable")
    return Finding("files", "fail", f"{len(unreadable)} of {num} cannot be read: {unreadable[0]}")


def of_colours(looks: Sequence[Look]) -> Finding:
    """Whether the images are grey, also where they are saved as RGB, with a palette or with alpha."""
    coloured = [look.name for look in looks if "luma" in look.colour]
    if coloured:
        text = f"{some(coloured, len(looks))} have colours, of which the brightness is read: take overlays and false "
        return Finding("grey", "warn", f"{text}colours off at the microscope, or save the channel you mean as grey")
    if see_through := [look.name for look in looks if "not opaque" in look.alpha]:
        text = f"{some(see_through, len(looks))} are transparent in places, which is ignored: save them without alpha"
        return Finding("grey", "warn", text)
    if wrapped := [look.name for look in looks if look.colour or look.alpha]:
        text = f"{some(wrapped, len(looks))} are grey saved as RGB, with a palette or alpha: read as grey, exactly"
        return Finding("grey", "ok", text)
    return Finding("grey", "ok", "one channel")


def of_bits(looks: Sequence[Look]) -> Finding:
    """Whether 16-bit files hold fewer bits, which shows them nearly black elsewhere."""
    deep = [look for look in looks if look.bits == 16]
    if not deep:
        return Finding("bits", "ok", "8")
    brightest = max(look.brightest for look in deep)
    text = f"{some([look.name for look in deep], len(looks))} have 16, read without clipping"
    bits = brightest.bit_length()
    if brightest >= SPARSE * 2**16:
        return Finding(
            "bits", "ok", f"{text}; each image gets its own black and white, --grey-range gives all the same"
        )
    told = f"{text}, and no value above {brightest} ({bits} bits): each image is spread by itself"
    return Finding("bits", "warn", f"{told}; to compare their greys, prepare with --grey-range 0:{2**bits - 1}")


def of_clipping(looks: Sequence[Look]) -> Finding:
    """Whether grey values were lost before the files came here."""
    limit = Limits().saturated
    clipped = [look.name for look in looks if look.extreme > limit]
    if not clipped:
        return Finding("clipping", "ok", f"no image has more than {limit:.0%} of its pixels black or white")
    text = f"{some(clipped, len(looks))} are more than {limit:.0%} black or white, as 16 bits saved as 8 by clipping: "
    return Finding(
        "clipping", "warn", f"{text}export them again with 16 bits; if they are meant so, --limit saturated=1"
    )


def of_scale(looks: Sequence[Look]) -> Finding:
    """Whether all pixel sizes are known, and one."""
    unknown = [look.name for look in looks if look.pixel_size_um is None]
    if unknown:
        text = f"{some(unknown, len(looks))} have no pixel size, so that nothing can be measured in µm: "
        return Finding("scale", "warn", f"{text}give it by --pixel-size-um, or by a column with --pixel-size-column")
    sizes = [look.pixel_size_um for look in looks if look.pixel_size_um]
    if common_size(sizes) is None:
        text = f"pixels of {min(sizes):.3g} to {max(sizes):.3g} µm: a generator would mix magnifications; "
        return Finding("scale", "warn", f"{text}bring all to one with --um-per-px {max(sizes):.3g}")
    return Finding("scale", "ok", f"{sizes[0]:.4g} µm a pixel")


def of_bars(looks: Sequence[Look]) -> Finding:
    """Whether info bars are there, and alike."""
    barred = [look.name for look in looks if look.bar_px]
    if len(barred) in (0, len(looks)):
        text = "cut off every image" if barred else "none found; give its rows by --info-bar if you see one"
        return Finding("info bar", "ok", text)
    text = f"found in {some(barred, len(looks))} alone: look at the review sheet, and give its rows by --info-bar"
    return Finding("info bar", "warn", text)


def of_number(num: int) -> Finding:
    """Whether there are enough micrographs to learn from."""
    if num > FEW:
        return Finding("number", "ok", f"{num} micrographs")
    text = (
        f"{num} micrographs, and {FEW} were not shown to be enough: take more fields of view, or tell training which "
    )
    return Finding("number", "warn", f"{text}moves leave yours as good as new, such as --symmetry square")


def of_labels(path: Path, names: Sequence[str]) -> Finding:
    """Whether table and images belong together; then how the table is given to `sorby prepare`."""
    try:
        rows = read_table(path)
        joined = join(path, rows, names, allow_missing=False)
    except DataError as error:
        return Finding("labels", "fail", str(error))
    columns = [name for name in rows[0] if name and name != "file"]
    if without := [name for name in names if name not in joined]:
        text = f"{some(without, len(names))} have no row in {path}, and would be left out: add rows"
        return Finding("labels", "warn", text)
    for column in columns:
        if empty := [row["file"] for row in rows if not row[column]]:
            text = f"{some(empty, len(rows))} have nothing in the column {column!r} of {path}: fill it, or do not ask "
            return Finding("labels", "warn", f"{text}for it as a condition")
    if not columns:
        return Finding("labels", "warn", f"{path} has no column beside `file`: add one for each condition")
    told = ", ".join(_told(column, [row[column] for row in rows]) for column in columns)
    return Finding(
        "labels", "ok", f"{len(rows)} rows fit, with {told}: --labels {path} --condition NAME[:UNIT] for each"
    )


def _told(column: str, values: Sequence[str]) -> str:
    """A column and the kind of what it holds.

    >>> _told("route", ["a", "b", "a"])
    'route (2 classes)'
    """
    try:
        return f"{column} ({len({float(value) for value in values})} numbers)"
    except ValueError:
        return f"{column} ({len(set(values))} classes)"

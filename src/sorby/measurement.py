"""The metallography of whole sets of images: a row an image, a row a particle; in micrometres where that is known."""

import csv
import io
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from skimage.segmentation import find_boundaries

from sorby.atomic import write_text
from sorby.decode import Grey
from sorby.errors import DataError
from sorby.fields import Field, eight_bit, fields_of, one_channel
from sorby.micrograph import write_micrograph
from sorby.microstructure.describe import (
    BY_OTSU,
    QUANTITIES,
    Described,
    Quantity,
    Segmentation,
    describe,
    describe_mask,
    unmeasured,
)
from sorby.microstructure.fraction import Estimate, estimate
from sorby.microstructure.particles import Particle

FEW = 64
"""So many images or fewer are measured before other processes would have started."""
CHUNK = 16
NO_SIZE = "no pixel size: lengths in px only"
OUTLINE = (255, 64, 0)
LENGTHS = ("equivalent_diameter", "major", "minor", "perimeter", "x", "y")

Say = Callable[[str], None]
Row = dict[str, object]
PARTICLE_COLUMNS = ("image", "parent", *(f.name for f in dataclass_fields(Particle)))
"""Header of the table of particles where there are none."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A field and what was measured in it."""

    field: Field
    described: Described


@dataclass(frozen=True)
class Summary:
    """Means over a set, each with its 95 % interval over parents."""

    estimates: dict[str, Estimate]
    """By the names of the table's columns, without those that no image has."""
    num_fields: int
    num_parents: int
    num_particles: int
    notes: tuple[str, ...]


def measure(
    path: Path | str,
    out: Path | str,
    *,
    how: Segmentation = BY_OTSU,
    num: int = 1000,
    seed: int = 0,
    pixel_size_um: float | None = None,
    masks: Path | None = None,
    overlays: int = 24,
    workers: int = 1,
    device: str = "cpu",
    say: Say = lambda _: None,
) -> Summary:
    """Measure a folder of micrographs, a dataset, a run or a generator; see `fields_of` for how each is taken.

    Writes `out` (a row an image), `out` with `.particles.csv` (a row a particle), and the first `overlays` images with
    the phase outlined into a folder `.overlays` beside, to be checked by eye. What cannot be read is told to `say`.
    More than one of `workers` are processes, which a script may start only under `if __name__ == "__main__"`.
    Raises `DataError` where there is nothing to measure, and before anything is measured where `out` will not do.
    """
    out = Path(out)
    _check_out(out, Path(path))
    fields = fields_of(
        Path(path), num=num, seed=seed, pixel_size_um=pixel_size_um, masks=masks, device=device, warn=say
    )
    for old in out.with_suffix(".overlays").glob("[0-9][0-9][0-9]-*.png"):
        old.unlink()
    rows: list[Row] = []
    particle_rows: list[Row] = []
    for number, measured in enumerate(measure_fields(fields, how, workers=workers)):
        rows.append(image_row(measured))
        particle_rows += particle_row_list(measured)
        if number < overlays:
            _write_overlay(out.with_suffix(".overlays"), number, measured)
        if (number + 1) % 500 == 0:
            say(f"{number + 1} images measured")
    summary = summarise(rows, num_particles=len(particle_rows))
    write_text(out.with_suffix(".particles.csv"), as_csv(particle_rows, header=PARTICLE_COLUMNS))
    write_text(out, as_csv(rows))
    return summary


def measure_fields(fields: Iterable[Field], how: Segmentation, *, workers: int = 1) -> Iterator[Measured]:
    """Measure fields in their order; where there are many, in as many processes as there are `workers`."""
    if workers == 1:
        yield from (measure_field(field, how) for field in fields)
        return
    fields = iter(fields)
    few = list(islice(fields, FEW + 1))
    if len(few) <= FEW:
        yield from (measure_field(field, how) for field in few)
        return
    # A process that was forked from one with threads, such as PyTorch's, can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(measure_field, how=how), chain(few, fields), chunksize=CHUNK)


def measure_field(field: Field, how: Segmentation) -> Measured:
    """One field; what cannot be measured has no values, with the reason."""
    try:
        described = describe(field.grey, how) if field.mask is None else describe_mask(field.mask > 0, how)
    except DataError as error:
        described = unmeasured(field.grey.shape, reason=str(error))
    return Measured(field, described)


def image_row(measured: Measured) -> Row:
    """One line of the table of images; empty cells where there is nothing to say."""
    field, described = measured.field, measured.described
    band = described.fraction_band
    row: Row = {
        "image": field.name,
        "parent": field.parent,
        "width_px": field.grey.shape[1],
        "height_px": field.grey.shape[0],
        "pixel_size_um": field.pixel_size_um,
        "thresholds": " ".join(map(str, described.thresholds)),
        "area_fraction_low": band and band.low,
        "area_fraction_high": band and band.high,
        "particles": len(described.particles),
    }
    for quantity in QUANTITIES:
        row |= in_units(quantity, getattr(described.values, quantity.name), field.pixel_size_um)
    notes = (field.note, described.reason, "" if field.pixel_size_um else NO_SIZE)
    return row | {"note": "; ".join(note for note in notes if note)}


def particle_row_list(measured: Measured) -> list[Row]:
    """Lines of the table of particles."""
    return [_particle_row(measured.field, particle) for particle in measured.described.particles]


def in_units(quantity: Quantity, value: float | None, pixel_size_um: float | None) -> dict[str, float | None]:
    """A value by the names of its columns, in pixels and in micrometres (numbers per area: per mm²).

    >>> in_units(Quantity("mean_chord", "", 1), 8.0, 0.5)
    {'mean_chord_px': 8.0, 'mean_chord_um': 4.0}
    >>> in_units(Quantity("particle_density", "", -2), 0.25, None)
    {'particle_density_per_px2': 0.25, 'particle_density_per_mm2': None}
    """
    if quantity.power == 0:
        return {quantity.name: value}
    known = value is not None and pixel_size_um is not None
    if quantity.power == 1:
        return {
            f"{quantity.name}_px": value,
            f"{quantity.name}_um": value * pixel_size_um if known else None,  # type: ignore[operator]
        }
    return {
        f"{quantity.name}_per_px2": value,
        f"{quantity.name}_per_mm2": value * 1e6 / pixel_size_um**2 if known else None,  # type: ignore[operator]
    }


def unit_of(quantity: Quantity, pixel_size_um: float | None) -> tuple[float, str]:
    """What a value in pixels is multiplied by, and the unit it has then.

    >>> unit_of(Quantity("mean_chord", "", 1), 0.5), unit_of(Quantity("mean_chord", "", 1), None)
    ((0.5, 'µm'), (1.0, 'px'))
    """
    if quantity.power == 0:
        return 1.0, "grey levels" if quantity.name == "contrast" else ""
    if pixel_size_um is None:
        return 1.0, "px" if quantity.power == 1 else "px⁻²"
    return (pixel_size_um, "µm") if quantity.power == 1 else (1e6 / pixel_size_um**2, "mm⁻²")


def summarise(rows: Sequence[Row], *, num_particles: int) -> Summary:
    """Means with intervals; the fields of a parent make one value, since they are not independent.

    Of images with several pixel sizes there are no means in pixels.
    """
    if not rows:
        raise DataError("There are no images to measure.")
    names = [name for quantity in QUANTITIES for name in in_units(quantity, None, None)]
    if len({row["pixel_size_um"] for row in rows}) > 1:
        names = [name for name in names if not name.endswith(("_px", "_px2"))]
    estimates = {name: estimate(values) for name in names if len(values := _by_parent(rows, name))}
    notes = [str(row["note"]) for row in rows if row["note"]]
    return Summary(
        estimates,
        num_fields=len(rows),
        num_parents=len({row["parent"] for row in rows}),
        num_particles=num_particles,
        notes=tuple(f"{notes.count(note)} of {len(rows)} images: {note}" for note in dict.fromkeys(notes)),
    )


def descriptor_table(
    pictures: Iterable[UInt8[np.ndarray, "_ c h w"]], how: Segmentation = BY_OTSU, *, workers: int = 1
) -> Float[np.ndarray, "n q"]:
    """The descriptors of pictures, a row each in the order of `QUANTITIES`, in pixels; NaN where there is none."""
    fields = (Field("", "", one_channel(picture), None) for batch in pictures for picture in batch)
    rows = [
        [getattr(measured.described.values, quantity.name) for quantity in QUANTITIES]
        for measured in measure_fields(fields, how, workers=workers)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(QUANTITIES))


def as_csv(rows: Sequence[Row], *, header: Sequence[str] = ()) -> str:
    """A table with the columns of its first row, or of `header`. Numbers have six digits, what is None is empty."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(rows[0] if rows else header)
    table.writerows([_cell(value) for value in row.values()] for row in rows)
    return buffer.getvalue()


def overlay(grey: Grey, described: Described) -> UInt8[np.ndarray, "H W 3"]:
    """The image with the outlines of the phase in colour, enlarged to at least 512 px so that pixels can be told."""
    factor = max(1, math.ceil(512 / max(grey.shape)))
    big = np.kron(eight_bit(grey), np.ones((factor, factor), np.uint8))
    outline = find_boundaries(np.kron(described.labels, np.ones((factor, factor), np.int64)), mode="inner")
    picture = np.repeat(big[:, :, None], 3, axis=2)
    picture[outline] = OUTLINE
    return picture


def _check_out(out: Path, path: Path) -> None:
    """Raise `DataError` where the tables would overwrite, or be mixed up with, what is measured."""
    if out.suffix.lower() != ".csv" or out.is_dir():
        raise DataError(f"--out {out}: expected the name of a table, ending in .csv.")
    if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
        raise DataError(f"--out {out} lies in {path}, so its outlines would be measured the next time: choose another.")


def _particle_row(field: Field, particle: Particle) -> Row:
    numbers = asdict(particle)
    row: Row = {"image": field.name, "parent": field.parent, **numbers}
    size = field.pixel_size_um
    row |= {f"{name}_um": numbers[f"{name}_px"] * size if size else None for name in LENGTHS}
    return row | {"area_um2": particle.area_px2 * size**2 if size else None}


def _by_parent(rows: Sequence[Row], name: str) -> Float[np.ndarray, " p"]:
    """Mean of a column for each parent that has one."""
    values: dict[object, list[float]] = {}
    for row in rows:
        value = row[name]
        if isinstance(value, float):
            values.setdefault(row["parent"], []).append(value)
    return np.array([np.mean(of_parent) for of_parent in values.values()])


def _write_overlay(folder: Path, number: int, measured: Measured) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{number:03d}-{Path(measured.field.name).stem.replace(' ', '-')}.png"
    picture = overlay(measured.field.grey, measured.described)
    write_micrograph(folder / name, picture, pixel_size_um=None, description={"outlined by": "sorby measure"})


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

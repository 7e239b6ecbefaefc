"""The metallography of whole sets of images: a row an image, a row a particle; in micrometres where that is known."""

import csv
import io
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from jaxtyping import Float, UInt8
from skimage.segmentation import find_boundaries

from sorby.atomic import write_text
from sorby.decode import Grey
from sorby.errors import DataError
from sorby.fields import Field, eight_bit, fields_of, one_channel
from sorby.micrograph import common_size, same_size, write_micrograph
from sorby.microstructure.curves import Curves, curves_of, mean_curves
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Described, Quantity, Segmentation, describe
from sorby.microstructure.fraction import Estimate, estimate
from sorby.microstructure.full import ALL_QUANTITIES, FullDescriptors, FullyDescribed, describe_fully
from sorby.microstructure.particles import Particle

FEW_PX = 2**22
"""Fewer pixels than these are measured before other processes would have started."""
CHUNK = 4
"""Images that a process is handed at a time ..."""
BATCH = 32
"""... and those for each process that are read ahead."""
NO_SIZE = "no pixel size: lengths in px only"
OUTLINE = (255, 64, 0)
LENGTHS = ("equivalent_diameter", "major", "minor", "perimeter", "x", "y")
UNITS = {
    1: (("px", "_px"), ("µm", "_um")),
    -1: (("px⁻¹", "_per_px"), ("µm⁻¹", "_per_um")),
    -2: (("px⁻²", "_per_px2"), ("mm⁻²", "_per_mm2")),
}
"""By the power of length: the unit and the end of the column's name without a pixel size, and with one."""

Say = Callable[[str], None]
Row = dict[str, object]
T = TypeVar("T")
PARTICLE_COLUMNS = ("image", "parent", *(f.name for f in dataclass_fields(Particle)))
"""Header of the table of particles where there are none."""
CURVE_COLUMNS = ("pixel_size_um", "curve", "r_px", "r_um", "mean", "low", "high", "micrographs")


@dataclass(frozen=True, eq=False)
class Measured:
    """A field and what was measured in it."""

    field: Field
    described: FullyDescribed
    curves: Curves | None = None


@dataclass(frozen=True)
class Summary:
    """Means over a set, each with its 95 % interval over parents."""

    estimates: dict[str, Estimate]
    """By the names of the table's columns, without those that no image has."""
    bands: dict[str, tuple[float, float]]
    """By the same names, without what hangs on no threshold: means with all thresholds moved a step."""
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
    curves: bool = False,
    workers: int = 1,
    device: str = "cpu",
    say: Say = lambda _: None,
) -> Summary:
    """Measure a folder of micrographs, a dataset, a run or a generator; see `fields_of` for how each is taken.

    Writes `out` (a row an image), `out` with `.particles.csv` (a row a particle), and the first `overlays` images with
    the phase outlined into a folder `.overlays` beside, to be checked by eye; with `curves` also the mean
    `CURVES` of the phase, as `.curves.csv` (a row a curve and distance). What cannot be read is told to `say`.
    More than one of `workers` are processes, which a script may start only under `if __name__ == "__main__"`.
    Raises `DataError` where there is nothing to measure, and before anything is measured where `out` will not do.
    """
    out = Path(out)
    _check_out(out, Path(path))
    if pixel_size_um is not None and pixel_size_um <= 0:
        raise DataError(f"The pixel size is {pixel_size_um:g} µm: expected more than 0.")
    fields = fields_of(
        Path(path), num=num, seed=seed, pixel_size_um=pixel_size_um, masks=masks, device=device, warn=say
    )
    for old in out.with_suffix(".overlays").glob("[0-9][0-9][0-9]-*.png"):
        old.unlink()
    out.with_suffix(".curves.csv").unlink(missing_ok=True)
    rows: list[Row] = []
    particle_rows: list[Row] = []
    found: dict[float | None, list[Curves]] = {}
    for number, measured in enumerate(measure_fields(fields, how, curves=curves, workers=workers)):
        rows.append(image_row(measured))
        particle_rows += particle_row_list(measured)
        if measured.curves is not None:
            size = measured.field.pixel_size_um
            known = next((other for other in found if same_size(size, other)), size)
            found.setdefault(known, []).append(measured.curves)
        if number < overlays:
            _write_overlay(out.with_suffix(".overlays"), number, measured)
        if (number + 1) % 500 == 0:
            say(f"{number + 1} images measured")
    summary = summarise(rows, num_particles=len(particle_rows))
    write_text(out.with_suffix(".particles.csv"), as_csv(particle_rows, header=PARTICLE_COLUMNS))
    if curves:
        write_text(out.with_suffix(".curves.csv"), as_csv(curve_rows(found), header=CURVE_COLUMNS))
    write_text(out, as_csv(rows))
    return summary


def measure_fields(
    fields: Iterable[Field], how: Segmentation, *, curves: bool = False, workers: int = 1
) -> Iterator[Measured]:
    """Measure fields in their order, in as many processes as there are `workers` where there is much to do."""
    return _mapped(partial(measure_field, how=how, curves=curves), fields, workers=workers)


def measure_field(field: Field, how: Segmentation, *, curves: bool = False) -> Measured:
    """One field; what cannot be measured has no values, with the reason, and no curves."""
    described = describe_fully(field.grey, how, mask=None if field.mask is None else field.mask > 0)
    if not curves or described.values.area_fraction is None:
        return Measured(field, described)
    # The labels cover the phase, also where it was cut into particles.
    return Measured(field, described, Curves(field.parent, curves_of(described.labels > 0)))


def image_row(measured: Measured) -> Row:
    """One line of the table of images; empty cells where there is nothing to say."""
    field, described = measured.field, measured.described
    row: Row = {
        "image": field.name,
        "parent": field.parent,
        "width_px": field.grey.shape[1],
        "height_px": field.grey.shape[0],
        "pixel_size_um": field.pixel_size_um,
        "thresholds": " ".join(map(str, described.thresholds)),
        "particles": len(described.particles),
    }
    for quantity in ALL_QUANTITIES:
        row |= _with_band(quantity, described, field.pixel_size_um)
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
    in_px, in_um = (quantity.name + end for _, end in UNITS[quantity.power])
    known = value is not None and pixel_size_um is not None
    return {in_px: value, in_um: value * unit_of(quantity, pixel_size_um)[0] if known else None}  # type: ignore[operator]


def unit_of(quantity: Quantity, pixel_size_um: float | None) -> tuple[float, str]:
    """What a value in pixels is multiplied by, and the unit it has then.

    >>> unit_of(Quantity("mean_chord", "", 1), 0.5), unit_of(Quantity("mean_chord", "", 1), None)
    ((0.5, 'µm'), (1.0, 'px'))
    """
    if quantity.power == 0:
        return 1.0, "grey levels" if quantity.name == "contrast" else ""
    (px, _), (um, _) = UNITS[quantity.power]
    if pixel_size_um is None:
        return 1.0, px
    return pixel_size_um**quantity.power * (1e6 if um == "mm⁻²" else 1), um


def summarise(rows: Sequence[Row], *, num_particles: int) -> Summary:
    """Means with intervals; the fields of a parent make one value, since they are not independent.

    Of images with several pixel sizes there are no means in pixels.
    """
    if not rows:
        raise DataError("There are no images to measure.")
    names = [name for quantity in ALL_QUANTITIES for name in in_units(quantity, None, None)]
    sizes = [cast("float | None", row["pixel_size_um"]) for row in rows]
    if any(sizes) and common_size(sizes) is None:
        names = [name for name in names if not name.endswith(("_px", "_px2"))]
    estimates = {name: estimate(values) for name in names if len(values := _by_parent(rows, name))}
    banded = [name for name in estimates if f"{name}_low" in rows[0]]
    bands = {name: (_by_parent(rows, f"{name}_low"), _by_parent(rows, f"{name}_high")) for name in banded}
    notes = [str(row["note"]) for row in rows if row["note"]]
    return Summary(
        estimates,
        bands={name: (float(low.mean()), float(high.mean())) for name, (low, high) in bands.items() if len(low)},
        num_fields=len(rows),
        num_parents=len({row["parent"] for row in rows}),
        num_particles=num_particles,
        notes=tuple(f"{notes.count(note)} of {len(rows)} images: {note}" for note in dict.fromkeys(notes)),
    )


def curve_rows(found: Mapping[float | None, Sequence[Curves]]) -> list[Row]:
    """Lines of the table of curves, those of each pixel size by themselves: a curve in micrometres needs one step."""
    return [
        dict(
            zip(
                CURVE_COLUMNS,
                (size, name, r, r * size if size else None, mean.value, mean.low, mean.high, mean.num),
                strict=True,
            )
        )
        for size, curves in found.items()
        for name, means in mean_curves(curves).items()
        for r, mean in enumerate(means)
    ]


def descriptor_table(
    pictures: Iterable[UInt8[np.ndarray, "_ c h w"]], how: Segmentation = BY_OTSU, *, workers: int = 1
) -> Float[np.ndarray, "n q"]:
    """The descriptors of pictures, a row each in the order of `QUANTITIES`, in pixels; NaN where there is none."""
    fields = (Field("", "", one_channel(picture), None) for batch in pictures for picture in batch)
    rows = list(_mapped(partial(_compared, how=how), fields, workers=workers))
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


def _mapped(task: Callable[[Field], T], fields: Iterable[Field], *, workers: int) -> Iterator[T]:
    """`task` of each field, in their order, in processes if `workers` are several and the fields are not few."""
    waiting = iter(fields)
    first: list[Field] = []
    while workers > 1 and sum(field.grey.size for field in first) < FEW_PX and (field := next(waiting, None)):
        first.append(field)
    waiting = chain(first, waiting)
    if sum(field.grey.size for field in first) < FEW_PX:
        yield from map(task, waiting)
        return
    # A process that was forked from one with threads, such as PyTorch's, can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        # A pool takes in all that it is given at once, and the images of a large folder would fill the memory.
        while some := list(islice(waiting, BATCH * workers)):
            yield from pool.map(task, some, chunksize=CHUNK)


def _compared(field: Field, how: Segmentation) -> list[float | None]:
    values = describe(field.grey, how).values
    return [getattr(values, quantity.name) for quantity in QUANTITIES]


def _with_band(quantity: Quantity, described: FullyDescribed, pixel_size_um: float | None) -> Row:
    """The columns of a quantity; where it hangs on a threshold each with its least and greatest beside."""

    def cells(values: FullDescriptors | None) -> dict[str, float | None]:
        return in_units(quantity, getattr(values, quantity.name) if values else None, pixel_size_um)

    band, value = described.band, cells(described.values)
    if not quantity.of_phase:
        return dict(value)
    low, high = (cells(band.low), cells(band.high)) if band else (cells(None), cells(None))
    columns: Row = {}
    for name in value:
        columns |= {name: value[name], f"{name}_low": low[name], f"{name}_high": high[name]}
    return columns


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

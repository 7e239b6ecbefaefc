"""What was measured as tables: a row an image, a row a particle, a row a distance; and the means over them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import cast

import numpy as np
from jaxtyping import Float

from sorby.errors import DataError
from sorby.fields import Field
from sorby.measurement.measured import Measured
from sorby.measurement.units import in_units
from sorby.micrograph import common_size
from sorby.microstructure.curves import Curves, mean_curves
from sorby.microstructure.describe import Quantity
from sorby.microstructure.fraction import Estimate, by_parent, estimate
from sorby.microstructure.full import ALL_QUANTITIES, FullDescriptors, FullyDescribed
from sorby.microstructure.particles import Particle
from sorby.untrusted import csv_of

NO_SIZE = "no pixel size: lengths in px only"
LENGTHS = ("equivalent_diameter", "major", "minor", "perimeter", "x", "y")
PARTICLE_COLUMNS = ("image", "parent", *(f.name for f in dataclass_fields(Particle)))
"""Header of the table of particles where there are none."""
CURVE_COLUMNS = ("pixel_size_um", "curve", "r_px", "r_um", "mean", "low", "high", "micrographs")

Row = dict[str, object]


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


def summarise(rows: Sequence[Row], *, num_particles: int) -> Summary:
    """Means with intervals; the fields of a parent make one value, since they are not independent.

    Of images with several pixel sizes there are no means in pixels.
    """
    if not rows:
        raise DataError("There are no images to measure: give a folder that holds some.")
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


def as_csv(rows: Sequence[Row], *, header: Sequence[str] = ()) -> str:
    """A table with the columns of its first row, or of `header`. Numbers have six digits, what is None is empty."""
    return csv_of([rows[0] if rows else header, *([_cell(value) for value in row.values()] for row in rows)])


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
    """Mean of a column for each parent that has a value in it."""
    there = [row for row in rows if row[name] is not None]
    values = np.array([row[name] for row in there], np.float64)
    return by_parent(values, np.array([str(row["parent"]) for row in there]))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

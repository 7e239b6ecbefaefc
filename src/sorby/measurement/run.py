"""`measure`: images of any kind to tables, and to outlines by which they can be checked."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from skimage.segmentation import find_boundaries

from sorby.atomic import write_text
from sorby.decode import Grey
from sorby.errors import DataError
from sorby.fields import eight_bit, fields_of
from sorby.measurement.measured import Measured, measure_fields
from sorby.measurement.tables import (
    CURVE_COLUMNS,
    PARTICLE_COLUMNS,
    Row,
    Summary,
    as_csv,
    curve_rows,
    image_row,
    particle_row_list,
    summarise,
)
from sorby.micrograph import same_size, write_micrograph
from sorby.microstructure.curves import Curves
from sorby.microstructure.describe import BY_OTSU, Described, Segmentation

OUTLINE = (255, 64, 0)

Say = Callable[[str], None]


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
    rows: list[Row] = []
    particle_rows: list[Row] = []
    found: dict[float | None, list[Curves]] = {}
    for number, measured in enumerate(measure_fields(fields, how, curves=curves, workers=workers)):
        if number == 0:
            _clear(out.with_suffix(".overlays"))
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
    out.with_suffix(".curves.csv").unlink(missing_ok=True)  # those of an earlier run are of other images
    if curves:
        write_text(out.with_suffix(".curves.csv"), as_csv(curve_rows(found), header=CURVE_COLUMNS))
    write_text(out, as_csv(rows))
    return summary


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


def _clear(folder: Path) -> None:
    """Outlines of an earlier run would be taken for those of this one."""
    for old in folder.glob("[0-9][0-9][0-9]-*.png"):
        old.unlink()


def _write_overlay(folder: Path, number: int, measured: Measured) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{number:03d}-{Path(measured.field.name).stem.replace(' ', '-')}.png"
    picture = overlay(measured.field.grey, measured.described)
    about = {"outlined by": "sorby measure", **measured.field.about}
    write_micrograph(folder / name, picture, pixel_size_um=None, description=about)

"""The main job on built-in data: simulated micrographs of dual-phase steel, and the commands that learn from them."""

import csv
import io
import re
import shlex
from pathlib import Path

import numpy as np

from sorby.atomic import new_folder, write_text
from sorby.errors import DataError
from sorby.micrograph import write_micrograph
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem_look import sem_look, with_info_bar

SHAPE = (480, 640)
ISLAND_UM = 0.9
"""Correlation length of the martensite."""
PIXEL_SIZES_UM = (0.05, 0.0625)
"""Two magnifications, taken in turns."""
OWN_FILE = re.compile(r"dp\d+-\d+\.tif|labels\.csv")
LOW, HIGH = 0.2, 0.6
"""Martensite fraction of the first and the last specimen."""


def write_raw(folder: Path, *, num_specimens: int, micrographs_each: int) -> None:
    """Write micrographs as a microscope would, with info bar and pixel size, and `labels.csv` with what was measured.

    The specimens differ in their martensite fraction, which is exact. Equal arguments give equal files; those of an
    earlier call go. Raises `DataError` where `folder` holds anything else, which is left alone.
    """
    _check_own(folder)
    with new_folder(folder) as new:
        _write_all(new, num_specimens, micrographs_each)


def _check_own(folder: Path) -> None:
    others = [path for path in folder.glob("[!.]*") if not OWN_FILE.fullmatch(path.name)]
    if others:
        raise DataError(f"{others[0]} was not made by the demo, which would remove it: choose another --out.")


def _write_all(folder: Path, num_specimens: int, micrographs_each: int) -> None:
    rows = []
    for specimen, fraction in enumerate(np.linspace(LOW, HIGH, num_specimens).round(2)):
        for number in range(micrographs_each):
            name = f"dp{specimen + 1}-{number + 1}.tif"
            pixel_size_um = PIXEL_SIZES_UM[number % len(PIXEL_SIZES_UM)]
            rng = np.random.default_rng((specimen, number))
            _write_micrograph(folder / name, fraction=float(fraction), pixel_size_um=pixel_size_um, rng=rng)
            rows.append({"file": name, "specimen": f"dp{specimen + 1}", "martensite": f"{100 * fraction:.0f}"})
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "labels.csv", table.getvalue())


def _write_micrograph(path: Path, *, fraction: float, pixel_size_um: float, rng: np.random.Generator) -> None:
    phases = two_phase(
        SHAPE, volume_fraction=fraction, correlation_length_px=ISLAND_UM / pixel_size_um, nu=2.5, rng=rng
    )
    grey = with_info_bar(sem_look(phases, pixel_size_um=pixel_size_um, rng=rng), pixel_size_um=pixel_size_um)
    write_micrograph(path, grey, pixel_size_um=pixel_size_um, description={"simulated": "true"})


def commands(out: Path, *, quick: bool) -> list[str]:
    """What a user would type to go from `out`/raw to a report."""
    raw, dataset, run, pictures, hour, report = (
        shlex.quote(str(out / name)) for name in ("raw", "dp-steel.zip", "run", "pictures", "after-an-hour", "report")
    )
    kimg, num, scored = (1, 16, 64) if quick else (16, 64, 300)
    return [
        f"sorby prepare {raw} --out {dataset} --patches --size 32 --stride 16 --um-per-px 0.2 "
        f"--labels {raw}/labels.csv --specimen specimen --group specimen --held-out 0.25",
        f"sorby inspect {dataset}",
        # The islands look as good turned or mirrored; those of rolled steel would not. One thread is nearly as fast as
        # two on pictures this small, and does not suffer when the machine is busy.
        f"sorby train {dataset} --out {run} --preset demo --kimg {kimg} --symmetry square --threads 1",
        f"sorby generate {run} --num {num} --out {pictures}",
        # Beside it, what an hour or two learns from real micrographs.
        f"sorby generate uhcs-64 --num {num} --out {hour}",
        # The fast feature network alone: Inception would take as long as half the training.
        f"sorby evaluate {run} {dataset} --network efficientnet-lite0 --num {scored} --out {report}",
    ]

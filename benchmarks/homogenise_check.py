"""Effective properties: of windows beside their field, beside exact values and finite elements; what a solution costs.

python benchmarks/homogenise_check.py --windows
python benchmarks/homogenise_check.py --discs
python benchmarks/homogenise_check.py --cost
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bench import machine

from sorby.phase_map import write_phase_map
from sorby.simulation.homogenise import (
    Elastic,
    effective_conductivity,
    effective_stiffness,
    moduli,
    properties,
)
from sorby.simulation.random_field import two_phase
from sorby.simulation.spinodal import spinodal

FIELD, WINDOW = 512, 64


def main() -> None:
    """Do what is asked for, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for task in (windows, discs, chequerboards, cost):
        parser.add_argument(f"--{task.__name__}", action="append_const", dest="tasks", const=task, help=task.__doc__)
    parser.add_argument("--calculix", metavar="CCX", help=calculix.__doc__)
    args = parser.parse_args()
    print(f"{machine()}\n")
    for task in args.tasks or []:
        task()
    if args.calculix:
        calculix(args.calculix)


def windows() -> None:
    """The 64 windows of 64 px that tile periodic fields of 512 px, repeated and mirrored, against the field."""
    print("| field | E of the phases | windows | E: mean error, rms error, % | conductivity | anisotropy of the mean |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, field in _fields().items():
        phases = field()
        for contrast in (2, 10, 100):
            materials, k = [Elastic(100, 0.3), Elastic(100 * contrast, 0.3)], [1, contrast]
            truth = properties(phases, materials, k)
            print(f"| {name} | 1:{contrast} | the field | | | {truth['elastic_anisotropy']:.2f} |")
            tiles = phases.reshape(FIELD // WINDOW, WINDOW, -1, WINDOW).swapaxes(1, 2).reshape(-1, WINDOW, WINDOW)
            mirrored = np.pad(tiles, [(0, 0), (0, WINDOW), (0, WINDOW)], mode="symmetric")
            for how, cells_of in (("repeated", tiles), ("mirrored", mirrored)):
                found = [properties(cell, materials, k) for cell in cells_of]
                columns = []
                for quantity in ("youngs_modulus_GPa", "conductivity"):
                    errors = 100 * (np.array([one[quantity] for one in found]) / truth[quantity] - 1)
                    columns.append(f"{errors.mean():+.1f}, {np.sqrt(np.mean(errors**2)):.1f}")
                mean = np.mean([effective_stiffness(cell, materials, tolerance=1e-4) for cell in cells_of], axis=0)
                print(f"| | | {how} | {' | '.join(columns)} | {moduli(mean).anisotropy:.2f} |", flush=True)


def discs() -> None:
    """Conductivity of a square array of discs against the formula of Perrins, McKenzie & McPhedran 1979."""
    print("| fraction | conductivity of the discs | published | 32 px | 64 px | 128 px | 256 px |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for fraction in (0.1, 0.3, 0.5, 0.65):
        for ratio in (10, 50):
            cells = []
            for side in (32, 64, 128, 256):
                k = effective_conductivity(disc(side, fraction), [1, ratio])
                cells.append(f"{k[0, 0]:.4f}")
            print(f"| {fraction} | {ratio} | {perrins(fraction, ratio):.4f} | {' | '.join(cells)} |", flush=True)


def chequerboards() -> None:
    """Conductivity over the geometric mean, which is exact (Dykhne 1971), in per cent above it."""
    sides = (1, 4, 16, 64)
    print(f"| conductivities | {' | '.join(f'squares of {side} px' for side in sides)} |")
    print("| --- |" + " --- |" * len(sides))
    for ratio in (4, 10, 100):
        errors = []
        for side in sides:
            row, column = np.indices((2 * side, 2 * side)) // side
            k = effective_conductivity((row + column) % 2, [1, ratio])
            errors.append(100 * (k[0, 0] / ratio**0.5 - 1))
        print(f"| 1:{ratio} | {' | '.join(f'{error:+.2g}' for error in errors)} |", flush=True)


def calculix(command: str) -> None:
    """C22 and C12 of a map between sliding walls, which is its mirrored repetition, by finite elements CPE4."""
    print("| elements of a pixel | C22, GPa, CalculiX | Sorby | C12, CalculiX | Sorby |")
    print("| --- | --- | --- | --- | --- |")
    pixels = two_phase((64, 64), volume_fraction=0.4, correlation_length_px=5, rng=np.random.default_rng(2))
    materials = [Elastic(100, 0.3), Elastic(1000, 0.3)]
    for times in (1, 2, 4):
        phases = pixels.repeat(times, axis=0).repeat(times, axis=1)
        C22, C12 = _between_walls(command, phases, materials)
        C = effective_stiffness(np.pad(phases, [(0, len(phases))] * 2, mode="symmetric"), materials)
        print(f"| {times**2} | {C22:.2f} | {C[1, 1]:.2f} | {C12:.2f} | {C[0, 1]:.2f} |", flush=True)


def cost() -> None:
    """Median milliseconds of seven solutions, with the least and the most."""
    print("| side, px | contrast | stiffness, tolerance 1e-4, ms | 1e-6 | conductivity, 1e-4 | 1e-6 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side in (64, 128, 256):
        phases = two_phase((side, side), volume_fraction=0.4, correlation_length_px=4, rng=np.random.default_rng(0))
        for contrast in (2, 10, 100, 1000):
            materials, k = [Elastic(100, 0.3), Elastic(100 * contrast, 0.3)], [1, contrast]
            cells = [
                _milliseconds(partial(solve, phases, of_phases, tolerance=tolerance))
                for solve, of_phases in ((effective_stiffness, materials), (effective_conductivity, k))
                for tolerance in (1e-4, 1e-6)
            ]
            print(f"| {side} | {contrast} | {' | '.join(cells)} |", flush=True)


def disc(side: int, fraction: float) -> np.ndarray:
    """A disc in the middle of a square cell; a pixel belongs to it where its centre does."""
    x = (np.arange(side) + 0.5) / side - 0.5
    return x[:, None] ** 2 + x[None, :] ** 2 < fraction / np.pi


def perrins(fraction: float, ratio: float) -> float:
    """Perrins, McKenzie & McPhedran, Proc. R. Soc. Lond. A 369 (1979) 207-225, to four multipoles."""
    T, f = (1 + ratio) / (1 - ratio), fraction
    return 1 - 2 * f / (T + f - 0.305827 * f**4 * T / (T**2 - 1.402958 * f**8) - 0.013362 * f**8 / T)


def _fields() -> dict[str, Callable[[], np.ndarray]]:
    def random(aspect_ratio: float, angle_deg: float) -> np.ndarray:
        return two_phase(
            (FIELD, FIELD),
            volume_fraction=0.4,
            correlation_length_px=5,
            aspect_ratio=aspect_ratio,
            angle_deg=angle_deg,
            rng=np.random.default_rng(1),
        )

    def unmixed() -> np.ndarray:
        x = spinodal((FIELD, FIELD), composition=0.5, temperature_c=440, time_s=600, rng=np.random.default_rng(0))
        return x > 0.5

    return {
        "random field": lambda: random(1, 0),
        "spinodal": unmixed,
        "random field, 4 times as long along x": lambda: random(4, 0),
        "the same along 45°": lambda: random(4, 45),
    }


def _between_walls(command: str, phases: np.ndarray, materials: list[Elastic]) -> tuple[float, float]:
    """Stress on the top and on the right over a strain that lifts the top, GPa."""
    strain, length_um = 1e-3, float(len(phases))
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.inp"
        write_phase_map(job, phases, pixel_size_um=1, phases=["A", "B"], about={})
        lines = []
        for material, phase in zip(materials, ("PHASE_0_A", "PHASE_1_B"), strict=True):
            lines += [f"*MATERIAL, NAME={phase}", "*ELASTIC", f"{1e3 * material.E}, {material.nu}"]  # MPa
            lines += [f"*SOLID SECTION, ELSET={phase}, MATERIAL={phase}"]
        lines += ["*STEP", "*STATIC", "*BOUNDARY", "LEFT, 1, 1", "RIGHT, 1, 1", "BOTTOM, 2, 2"]
        lines += [f"TOP, 2, 2, {strain * length_um}"]
        for side in ("TOP", "RIGHT"):
            lines += [f"*NODE PRINT, NSET={side}, TOTALS=ONLY", "RF"]
        job.write_text(job.read_text() + "\n".join([*lines, "*END STEP", ""]))
        subprocess.run([command, "job"], cwd=folder, check=True, capture_output=True)
        forces = re.findall(r"^ +(-?\d\.\d+E\S+) +(\S+)", job.with_suffix(".dat").read_text(), re.MULTILINE)
    (_, top), (right, _) = forces  # µN for a thickness of 1 µm
    return tuple(float(force) / length_um / strain / 1e3 for force in (top, right))


def _milliseconds(solve: Callable[[], object]) -> str:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        solve()
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):.0f} ({min(times):.0f} to {max(times):.0f})"


if __name__ == "__main__":
    main()

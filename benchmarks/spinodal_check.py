"""The spinodal simulator beside an independent solver, its coarsening over time, what it costs, and what it shows.

    pip install --target others py-pde==0.59.0
    python benchmarks/spinodal_check.py --py-pde others       # the same alloy by finite differences
    python benchmarks/spinodal_check.py --coarsening
    python benchmarks/spinodal_check.py --cost
    python benchmarks/spinodal_check.py --sheet spinodal.png

py-pde (https://github.com/zwicker-group/py-pde, MIT) solves the equation as typed below, on grids of one, two and three
cells to each of ours, with an explicit Runge-Kutta method whose steps it chooses itself. Its error falls with the
square of the cell, so that two grids give the limit (Richardson).
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator

import numpy as np
from bench import machine
from scipy import fft

from sorby.simulation import cahn_hilliard
from sorby.simulation.cahn_hilliard import GRADIENT_ENERGY, energy, evolution, mobility
from sorby.simulation.free_energy import GAS_CONSTANT, INTERACTION, binodal, free_energy
from sorby.simulation.spinodal import DEFAULT_RANGES, spinodal

TEMPERATURE_K = 713.15
SIDE = 32  # of the case that py-pde solves too
TIMES_S = (80.0, 240.0)


def main() -> None:
    """Do what is asked for, and print a table of each."""
    args = _arguments()
    print(f"{machine()}\n")
    if args.py_pde:
        sys.path.append(args.py_pde)
        beside_py_pde()
    if args.coarsening:
        coarsening()
    if args.cost:
        cost()
    if args.sheet:
        sheet(args.sheet)


def beside_py_pde() -> None:
    """Differences of composition on the points of our grid: root mean square, and the largest."""
    print("| time, s | least to most x | py-pde's cells to one | Sorby's usual steps | steps 100 times as exact |")
    print("| --- | --- | --- | --- | --- |")
    for time_s in TIMES_S:
        usual, exact = _ours(time_s), _ours(time_s, times_as_exact=100)
        points = {str(finer): _on_our_grid(_py_pde(finer, time_s), finer) for finer in (1, 2, 3)}
        points["limit"] = (9 * points["3"] - 4 * points["2"]) / 5
        for finer, x in points.items():
            differences = [f"{np.sqrt(np.mean((x - y) ** 2)):.5f}, {np.abs(x - y).max():.4f}" for y in (usual, exact)]
            print(f"| {time_s:g} | {x.min():.3f} to {x.max():.3f} | {finer} | {' | '.join(differences)} |", flush=True)


def _ours(time_s: float, *, times_as_exact: float = 1) -> np.ndarray:
    allowed = cahn_hilliard._OF_THE_CHANGE, cahn_hilliard._OF_THE_CONTRAST
    cahn_hilliard._OF_THE_CHANGE, cahn_hilliard._OF_THE_CONTRAST = (share / times_as_exact for share in allowed)
    *_, (_, x) = evolution(_start(1), temperature_k=TEMPERATURE_K, misfit=0, time_s=time_s)
    cahn_hilliard._OF_THE_CHANGE, cahn_hilliard._OF_THE_CONTRAST = allowed
    return x


def _start(finer: int) -> np.ndarray:
    """A few long waves, the same on any grid."""
    place = 2 * np.pi * (np.arange(SIDE * finer) + 0.5) / finer / SIDE
    y, x = np.meshgrid(place, place, indexing="ij")
    waves = 0.03 * np.cos(2 * x) * np.cos(y) + 0.03 * np.cos(x + 2 * y + 0.4)
    return 0.45 + waves + 0.02 * np.sin(3 * y) + 0.02 * np.cos(3 * x - y)


def _py_pde(finer: int, time_s: float) -> np.ndarray:
    import pde

    mixing = f"{INTERACTION} * (1 - 2 * c) + {GAS_CONSTANT * TEMPERATURE_K} * log(c / (1 - c))"
    equation = pde.PDE({"c": f"laplace({mixing} - {GRADIENT_ENERGY} * laplace(c))"})
    field = pde.ScalarField(pde.CartesianGrid([[0, SIDE]] * 2, SIDE * finer, periodic=True), _start(finer))
    settings = {"solver": "runge-kutta", "adaptive": True, "dt": 1e-8, "tracker": None}
    return equation.solve(field, t_range=time_s * mobility(TEMPERATURE_K), **settings).data


def _on_our_grid(x: np.ndarray, finer: int) -> np.ndarray:
    """Values at the centres of our cells, by Fourier interpolation."""
    shift = (finer - 1) / 2
    k = fft.fftfreq(len(x))
    moved = fft.fft2(x) * np.exp(2j * np.pi * shift * (k[:, None] + k[None, :]))
    return fft.ifft2(moved).real[::finer, ::finer]


def coarsening(fields: int = 4, side: int = 256) -> None:
    """Lengths over time: 1 / excess energy, which is a length per boundary, and the mean chord of the domains."""
    times = np.geomspace(300, 20_000, 13)
    lengths = np.mean([list(_lengths(times, seed, side)) for seed in range(fields)], axis=0)
    print(f"{fields} fields of {side} px at x = 1/2, {TEMPERATURE_K - 273.15:g} °C, without misfit\n")
    print("| time, s | mean chord, px | exponent of the chord | exponent of 1 / excess energy |")
    print("| --- | --- | --- | --- |")
    exponents = np.gradient(np.log(lengths), np.log(times), axis=0)
    for at, length, exponent in zip(times, lengths, exponents, strict=True):
        print(f"| {at:.0f} | {length[0]:.1f} | {exponent[0]:.3f} | {exponent[1]:.3f} |")
    from_the_fifth = np.polyfit(np.log(times[4:]), np.log(lengths[4:]), 1)[0]
    print(f"\nfrom {times[4]:.0f} s on: {from_the_fifth[0]:.3f} and {from_the_fifth[1]:.3f}")


def _lengths(times: np.ndarray, seed: int, side: int) -> Iterator[tuple[float, float]]:
    noise = np.random.default_rng(seed).standard_normal((side, side))
    x, level = 0.5 + 0.02 * (noise - noise.mean()), float(free_energy(binodal(TEMPERATURE_K), TEMPERATURE_K))
    for duration in np.diff(times, prepend=0):
        *_, (_, x) = evolution(x, temperature_k=TEMPERATURE_K, misfit=0, time_s=duration)
        yield _mean_chord(x > 0.5), 1 / (energy(x, temperature_k=TEMPERATURE_K, misfit=0) - level)


def _mean_chord(phase: np.ndarray) -> float:
    """Mean length of both phases along rows and columns."""
    return 2 / sum((phase != np.roll(phase, 1, axis)).mean() for axis in (0, 1))


def cost(side: int = 256) -> None:
    """Time of one field, and what it shows, in every corner of the default ranges."""
    print(f"fields of {side} px, one thread\n")
    print("| composition | °C | s | misfit | seconds | share of x > 1/2 | mean chord, px |\n" + "| --- " * 7 + "|")
    for composition, celsius, time_s, misfit in itertools.product(*DEFAULT_RANGES.values()):
        settings = {"composition": composition, "temperature_c": celsius, "time_s": time_s, "misfit": misfit}
        began = time.perf_counter()
        phase = spinodal((side, side), **settings, rng=np.random.default_rng(0)) > 0.5
        seconds = time.perf_counter() - began
        what = f"| {composition} | {celsius:g} | {time_s:g} | {misfit} |"
        print(f"{what} {seconds:.1f} | {phase.mean():.3f} | {_mean_chord(phase):.1f} |", flush=True)


def sheet(path: str, side: int = 128) -> None:
    """Pictures over the default ranges, black at x = 0 and white at 1."""
    from matplotlib import pyplot as plt
    from PIL import Image

    low, high = DEFAULT_RANGES["composition"]
    columns = list(itertools.product(DEFAULT_RANGES["misfit"], (low, (low + high) / 2, high)))
    rows = list(itertools.product(DEFAULT_RANGES["temperature"], DEFAULT_RANGES["time"]))
    figure, axes = plt.subplots(len(rows), len(columns), figsize=(9, 6.3), layout="compressed")
    for (celsius, time_s), line in zip(rows, axes, strict=True):
        line[0].set_ylabel(f"{celsius:g} °C, {time_s / 60:g} min")
        for (misfit, composition), place in zip(columns, line, strict=True):
            settings = {"composition": composition, "temperature_c": celsius, "time_s": time_s, "misfit": misfit}
            x = spinodal((side, side), **settings, rng=np.random.default_rng(0))
            place.imshow(x, cmap="gray", vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
            if place in axes[0]:
                place.set_title(f"x = {composition:g}\nmisfit {misfit:g}", fontsize="medium")
    figure.savefig(path, dpi=110)
    Image.open(path).convert("L").save(path, optimize=True)  # a third of the size


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--py-pde", metavar="FOLDER", help="where py-pde was installed")
    parser.add_argument("--coarsening", action="store_true", help="the exponent of coarsening")
    parser.add_argument("--cost", action="store_true", help="time of a field over the default ranges")
    parser.add_argument("--sheet", metavar="PNG", help="pictures over the default ranges")
    args = parser.parse_args()
    if not any(vars(args).values()):
        parser.error("give at least one of --py-pde, --coarsening, --cost, --sheet")
    return args


if __name__ == "__main__":
    main()

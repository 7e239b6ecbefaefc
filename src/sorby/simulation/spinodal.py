"""Spinodal decomposition of Mg2Si-Mg2Sn, a thermoelectric alloy: quenched from one phase, annealed into two."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from sorby.errors import ConfigError
from sorby.simulation.cahn_hilliard import PIXEL_SIZE_UM, evolution

__all__ = ["CONDITIONS", "DEFAULT_RANGES", "PIXEL_SIZE_UM", "spinodal"]

CONDITIONS: dict[str, tuple[str, str]] = {
    "composition": ("", "linear"),
    "temperature": ("°C", "linear"),
    "time": ("s", "log"),
    "misfit": ("", "linear"),
}
"""Unit and scale of what the microstructure depends on."""
DEFAULT_RANGES: dict[str, tuple[float, float]] = {
    "composition": (0.35, 0.65),
    "temperature": (380.0, 440.0),
    "time": (900.0, 3600.0),
    "misfit": (0.0, 0.012),
}
"""Over these the microstructure changes visibly, and has decomposed everywhere."""
NOISE = 0.02
"""Standard deviation of the composition from cell to cell after the quench, at x = 1/2. Chosen."""

_SMALLEST_SIDE = 8
_LOWEST_C = 200.0  # below, interfaces are thinner than the grid resolves
_ZERO_CELSIUS_K = 273.15


def spinodal(
    shape: tuple[int, int],
    *,
    composition: float,
    temperature_c: float,
    time_s: float,
    misfit: float = 0.006,
    rng: np.random.Generator,
    progress: Callable[[float], None] | None = None,
) -> Float[np.ndarray, "h w"]:
    """Mole fraction of Mg2Sn in each cell, after a nearly uniform alloy was held for `time_s` at `temperature_c`.

    `composition` is the mean, from 0 to 1. `misfit` is the relative change of the lattice parameter per mole fraction
    that the lattice still bears: 0 without coherency strain. The picture is periodic; a cell is `PIXEL_SIZE_UM` wide.
    `progress` is called with the share of the time that is done. Raises `ConfigError` for what cannot be simulated.
    """
    if min(shape) < _SMALLEST_SIDE:
        raise ConfigError(f"shape is {shape[0]} x {shape[1]}; expected at least {_SMALLEST_SIDE} cells a side.")
    _check("composition", composition, 0, 1, "a mole fraction of Mg2Sn")
    _check("temperature", temperature_c, _LOWEST_C, math.inf, "degrees Celsius")
    _check("time", time_s, 0, math.inf, "seconds")
    _check("misfit", misfit, 0, 0.1, "a relative change of the lattice parameter")
    noise = rng.standard_normal(shape)
    x = composition + NOISE * 4 * composition * (1 - composition) * (noise - noise.mean())
    for time, after in evolution(x, temperature_k=temperature_c + _ZERO_CELSIUS_K, misfit=misfit, time_s=time_s):
        x = after
        if progress:
            progress(time / time_s)
    return x


def _check(name: str, value: float, least: float, most: float, what: str) -> None:
    if not (least <= value <= most and math.isfinite(value)):
        bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise ConfigError(f"{name} is {value}; expected {what}, {bounds}.")

"""Which conditions are simulated: a sample that fills the ranges evenly, or a grid."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from sorby.errors import ConfigError
from sorby.simulation.settings import Settings, Simulator, Variable

DEFAULT_SAMPLE = 48
DIGITS = 4
"""Significant digits of a sampled value, so that what is written is what was simulated."""


def conditions_of(simulator: Simulator, settings: Settings) -> list[dict[str, float]]:
    """A value of every variable for each condition, in the order of the simulator's variables.

    Raises `ConfigError` for a name that the simulator does not have, or a value that it cannot do.
    """
    for name in (*settings.grid, *settings.ranges, *settings.fixed):
        simulator.variable(name)
    varied = varied_in(simulator, settings)
    points = _grid(settings) if settings.grid else _sample(varied, settings)
    fixed = {v.name: settings.fixed.get(v.name, v.middle) for v in simulator.variables}
    conditions = [{**fixed, **point} for point in points]
    for variable in simulator.variables:
        for value in sorted({condition[variable.name] for condition in conditions}):
            variable.check(value)
    return conditions


def varied_in(simulator: Simulator, settings: Settings) -> list[Variable]:
    """The variables that differ between conditions: those of the grid, or of a sample all with a range."""
    if settings.grid:
        return [variable for variable in simulator.variables if variable.name in settings.grid]
    ranging = [v for v in simulator.variables if v.low < v.high or v.name in settings.ranges]
    return [variable for variable in ranging if variable.name not in settings.fixed]


def _grid(settings: Settings) -> list[dict[str, float]]:
    for name, values in settings.grid.items():
        if len(set(values)) < max(len(values), 1):
            raise ConfigError(f"The grid gives {name} {', '.join(f'{v:g}' for v in values)}: give each value once.")
    return [dict(zip(settings.grid, values, strict=True)) for values in itertools.product(*settings.grid.values())]


def _sample(varied: Sequence[Variable], settings: Settings) -> list[dict[str, float]]:
    if not varied:
        raise ConfigError("All conditions are fixed: leave one to vary.")
    ranges = [settings.ranges.get(variable.name, (variable.low, variable.high)) for variable in varied]
    for variable, bounds in zip(varied, ranges, strict=True):
        for bound in bounds:
            variable.check(bound)
    columns = [
        _scaled(unit, variable, *bounds)
        for unit, variable, bounds in zip(
            sobol(settings.sample or DEFAULT_SAMPLE, len(varied), seed=settings.seed).T, varied, ranges, strict=True
        )
    ]
    names = [variable.name for variable in varied]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def sobol(num: int, dim: int, *, seed: int) -> Float[np.ndarray, "num dim"]:
    """The first `num` points of a scrambled Sobol sequence in 0..1 (Owen 1998, as scipy has it).

    The points of a smaller number are the first of a larger one.
    """
    points = qmc.Sobol(dim, scramble=True, seed=np.random.default_rng(seed))
    return points.random_base2(math.ceil(math.log2(num)))[:num]


def _scaled(unit: Float[np.ndarray, " n"], variable: Variable, low: float, high: float) -> list[float]:
    """From 0..1 to a range, evenly on the scale of the variable."""
    values = low * (high / low) ** unit if variable.scale == "log" else low + (high - low) * unit
    return [float(f"{value:.{DIGITS}g}") for value in values]

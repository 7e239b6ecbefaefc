"""The simulators by name: what each can be asked for, and what its pictures show."""

import difflib
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from sorby.errors import ConfigError
from sorby.micrograph import common_size
from sorby.simulation import spinodal as mg2si_mg2sn
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem import SemLook, expose, photograph
from sorby.simulation.settings import Simulator, Values, Variable
from sorby.simulation.superimpose import Source, read_source, superimpose, window_shape

RANDOM_FIELD_PIXEL_UM = 0.05
"""A pixel of the two-phase microstructures, which could be of any size."""
DARK, BRIGHT = 64, 192
"""Grey values of the two phases."""
LEAST_LENGTHS = 4
"""Fields are at least so many correlation lengths wide, since they are periodic."""
NAMES = ("spinodal", "random-field", "superimpose")


def simulator_named(name: str, micrographs: Sequence[Path] = ()) -> Simulator:
    """The simulator of a name; superimpose needs two micrographs, the others none.

    Raises `ConfigError` where it is something else, `DataError` where the micrographs cannot be used.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
        raise ConfigError(f"There is no simulator {name!r}: did you mean {near}? There are {', '.join(NAMES)}.")
    wanted = 2 if name == "superimpose" else 0
    if len(micrographs) != wanted:
        raise ConfigError(f"{name} takes {wanted or 'no'} micrographs; {len(micrographs) or 'none'} came.")
    if name == "superimpose":
        return superimposing(*(read_source(path) for path in micrographs))
    return SPINODAL if name == "spinodal" else RANDOM_FIELD


def superimposing(one: Source, other: Source) -> Simulator:
    """The simulator that lays two micrographs over each other. Raises `ConfigError` where their scales differ."""
    um, other_um = one.pixel_size_um, other.pixel_size_um
    if um and other_um and common_size((um, other_um)) is None:
        raise ConfigError(
            f"{one.name} has {um:g} µm a pixel and {other.name} {other_um:g}: expected one magnification; resample one."
        )

    def draw(shape: tuple[int, int], values: Values, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
        return superimpose(one, other, share=values["share"], shape=shape, rng=rng)[0] / 255

    return Simulator(
        name="superimpose",
        about=f"{one.name} with features of {other.name}, superimposed after Ishiyama et al. 2022",
        variables=(Variable("share", "", "linear", 0, 1, 0, 1),),
        pixel_size_um=common_size((um, other_um)),
        draw=draw,
        plain=partial(_grey, black=0, white=255),
        plain_rule=f"as recorded; {other.name} brought to the brightness of {one.name}",
        shape=window_shape(one, other),
        is_one_place=True,
    )


def _draw_spinodal(shape: tuple[int, int], values: Values, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    return mg2si_mg2sn.spinodal(
        shape,
        composition=values["composition"],
        temperature_c=values["temperature"],
        time_s=values["time"],
        misfit=values["misfit"],
        rng=rng,
    )


def _draw_random_field(shape: tuple[int, int], values: Values, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    phases = two_phase(
        shape,
        volume_fraction=values["volume_fraction"],
        correlation_length_px=values["correlation_length"] / RANDOM_FIELD_PIXEL_UM,
        aspect_ratio=values["aspect_ratio"],
        angle_deg=values["angle"],
        nu=values["nu"],
        tiles=int(values["tiles"]),
        rng=rng,
    )
    return phases.astype(float)


def _check_random_field(values: Values, shape: tuple[int, int], size: int) -> None:
    tiles, stretch = values["tiles"], values["aspect_ratio"]
    longest_um = values["correlation_length"] * math.sqrt(max(stretch, 1 / stretch))
    if tiles != int(tiles) or any(side % tiles for side in shape):
        raise ConfigError(f"tiles={tiles:g}: expected a whole number that divides fields of {shape[0]} px.")
    if tiles > 1 and max(shape) > size:
        raise ConfigError(f"tiles={tiles:g} repeats the field, so that its parts are copies: give --field-size {size}.")
    if longest_um * LEAST_LENGTHS > min(shape) / tiles * RANDOM_FIELD_PIXEL_UM:
        raise ConfigError(
            f"A correlation length of {longest_um:.3g} µm is too long for a periodic field of "
            f"{min(shape) / tiles * RANDOM_FIELD_PIXEL_UM:g} µm: expected at most a {LEAST_LENGTHS}th of it; "
            "give a larger --field-size."
        )


def _grey(field: Float[np.ndarray, "h w"], *, black: float, white: float) -> UInt8[np.ndarray, "h w"]:
    """Grey values that are `black` at 0 and `white` at 1."""
    return np.rint(black + (white - black) * field).clip(0, 255).astype(np.uint8)


def _spinodal_variables() -> tuple[Variable, ...]:
    limits = {"composition": (0.01, 0.99), "temperature": (200.0, 1000.0), "time": (1.0, 1e6), "misfit": (0.0, 0.1)}
    return tuple(
        Variable(name, unit, "log" if scale == "log" else "linear", *mg2si_mg2sn.DEFAULT_RANGES[name], *limits[name])
        for name, (unit, scale) in mg2si_mg2sn.CONDITIONS.items()
    )


SPINODAL = Simulator(
    name="spinodal",
    about="spinodal decomposition of Mg2Si-Mg2Sn, by the Cahn-Hilliard equation with coherency strain",
    variables=_spinodal_variables(),
    pixel_size_um=mg2si_mg2sn.PIXEL_SIZE_UM,
    draw=_draw_spinodal,
    plain=partial(_grey, black=0, white=255),
    plain_rule="mole fraction of Mg2Sn: 0 is black, 1 is white",
    sem=lambda field, rng: expose(field, SemLook(), rng=rng),
)
RANDOM_FIELD = Simulator(
    name="random-field",
    about="two phases, by a Gaussian random field of Matérn covariance cut at a level (Khristenko et al. 2020)",
    variables=(
        Variable("volume_fraction", "", "linear", 0.2, 0.8, 0, 1),
        Variable("correlation_length", "µm", "log", 0.2, 0.6, 0.02, 100),
        Variable("aspect_ratio", "", "log", 1, 4, 0.01, 100),
        Variable("angle", "°", "linear", 0, 90, -180, 180),
        Variable("nu", "", "log", 0.5, 8, 0.1),
        Variable("tiles", "", "linear", 1, 1, 1, 64),
    ),
    pixel_size_um=RANDOM_FIELD_PIXEL_UM,
    draw=_draw_random_field,
    plain=partial(_grey, black=DARK, white=BRIGHT),
    plain_rule=f"the two phases are {DARK} and {BRIGHT}",
    sem=lambda field, rng: photograph(field.astype(int), SemLook(), rng=rng),
    check=_check_random_field,
)

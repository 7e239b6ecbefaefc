"""Every number that a design can ask of a picture: its metallography, and what a solver makes of its phases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sorby.decode import Grey
from sorby.design.learned import Learned
from sorby.errors import ConfigError, DataError
from sorby.measurement.units import in_units
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Segmentation, comparable, describe, phase_masks, smoothed
from sorby.microstructure.segment import otsu, phases_of
from sorby.simulation.homogenise import Elastic, properties

COMPUTED = (
    "youngs_modulus_GPa",
    "poissons_ratio",
    "shear_modulus_GPa",
    "plane_strain_bulk_modulus_GPa",
    "elastic_anisotropy",
)
CONDUCTED = ("conductivity", "conductivity_anisotropy")


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of one picture."""

    numbers: dict[str, float]
    """By name; what could not be measured is left out."""
    descriptors: Float[np.ndarray, " q"]
    """In pixels, lengths as logarithms, NaN where there is none: see `comparable`."""
    phase_map: Int[np.ndarray, "h w"]


@dataclass(frozen=True)
class Meter:
    """How pictures are measured, alike for all of a design."""

    materials: tuple[Elastic, ...] = ()
    """Of the phases, from the darkest; empty where no modulus is asked for."""
    conductivities: tuple[float, ...] = ()
    """Of the phases, from the darkest; empty where no conductivity is asked for."""
    how: Segmentation = BY_OTSU
    pixel_size_um: float | None = None
    learned: tuple[Learned, ...] = ()
    """Properties learned from labelled pictures."""

    def __post_init__(self) -> None:
        for what, given in (("materials", self.materials), ("conductivities", self.conductivities)):
            if given and len(given) != self.how.phases:
                raise ConfigError(f"{len(given)} {what} came for {self.how.phases} phases: give one for each phase.")
        if self.pixel_size_um is None and any(learned.in_um for learned in self.learned):
            raise ConfigError(
                "The property was learned in micrometres, and this generator has no pixel size: choose one that has."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Every number that can be asked for."""
        columns = [name for q in QUANTITIES for name in in_units(q, None, None)]
        known = [name for name in columns if self.pixel_size_um is not None or not name.endswith(("_um", "_mm2"))]
        learned = [name for one in self.learned for name in one.names]
        return (*known, *(COMPUTED if self.materials else ()), *(CONDUCTED if self.conductivities else ()), *learned)

    def check(self, name: str) -> None:
        """Raise `ConfigError`, with the way out, where a number of this name cannot be had."""
        if name in self.names:
            return
        if name in COMPUTED:
            raise ConfigError(f"{name} needs the moduli of the phases: --material 210,0.3 for each, from the darkest.")
        if name in CONDUCTED:
            raise ConfigError(f"{name} needs the conductivities of the phases: --conductivities 1,10 from the darkest.")
        if name.endswith(("_um", "_mm2")):
            raise ConfigError(f"{name} needs a pixel size, which this generator does not have: ask for it in px.")
        raise ConfigError(f"{name!r} is not known: choose from {', '.join(self.names)}.")

    def __call__(self, grey: Grey, *, tolerance: float = 1e-3) -> Measured:
        """Measure a picture; `tolerance` is that of the solver. Raises `DataError` for a picture of one grey."""
        described = describe(grey, self.how)
        if described.reason and not described.thresholds:
            raise DataError(described.reason)
        values = [getattr(described.values, quantity.name) for quantity in QUANTITIES]
        numbers = {
            name: value
            for quantity, number in zip(QUANTITIES, values, strict=True)
            for name, value in in_units(quantity, number, self.pixel_size_um).items()
            if value is not None
        }
        phases = phase_map(grey, self.how)
        numbers |= properties(phases, self.materials or None, self.conductivities or None, tolerance=tolerance)
        row = np.array([np.nan if value is None else value for value in values])
        for learned in self.learned:
            numbers |= learned.numbers(row, self.pixel_size_um)
        return Measured(numbers, comparable(row[None])[0], phases)


def phase_map(grey: Grey, how: Segmentation) -> Int[np.ndarray, "h w"]:
    """The number of the phase of each pixel, from the darkest, 0; two phases are without specks."""
    if how.phases == 2:
        _, (mask,) = phase_masks(grey, how)
        return (mask if how.phase % 2 else ~mask).astype(np.int64)
    smooth = smoothed(grey, how.smooth_px)
    return phases_of(smooth, how.thresholds or otsu(smooth, phases=how.phases)).astype(np.int64)


def materials(texts: Sequence[str]) -> tuple[Elastic, ...]:
    """`210,0.3` as Young's modulus in GPa and Poisson's ratio, of each phase.

    >>> materials(["70,0.33", "210,0.3"])[1]
    Elastic(E=210.0, nu=0.3)
    """
    found = []
    for text in texts:
        try:
            E, nu = map(float, text.split(","))
        except ValueError:
            raise ConfigError(f"--material {text!r}: expected E,nu, such as 210,0.3 (E in GPa).") from None
        found.append(Elastic(E, nu))
    return tuple(found)

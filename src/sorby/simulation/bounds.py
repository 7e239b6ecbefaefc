"""What phase fractions alone say of effective properties: bounds that hold for any arrangement, and for isotropic ones.

All are one weighted mean, 1 / sum(f / (v + z)) - z, that grows with z from the harmonic to the arithmetic mean. Bounds
of Hashin and Shtrikman hold for isotropic arrangements in the plane of a prism. For elasticity see Hill, J. Mech. Phys.
Solids 12 (1964) 199-212, and Hashin, ibid. 13 (1965) 119-134, with the extremes of several phases as in Walpole, ibid.
14 (1966) 151-162; for conductivity Hashin, in "Mechanics of Composite Materials", Pergamon (1970) 201-242.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sorby.errors import ConfigError
from sorby.simulation.homogenise import Elastic

Range = tuple[float, float]
"""Least and most."""


@dataclass(frozen=True)
class ElasticBounds:
    """Least and most of the moduli in plane strain, GPa."""

    bulk: Range
    shear: Range


def voigt_reuss(fractions: Sequence[float], materials: Sequence[Elastic]) -> ElasticBounds:
    """Bounds of any arrangement: uniform stress (Reuss) below, uniform strain (Voigt) above.

    `fractions` are those of the areas and sum to 1; raises `ConfigError` where they do not.
    """
    K, G = [m.bulk for m in materials], [m.shear for m in materials]
    return ElasticBounds(_between(fractions, K, 0, math.inf), _between(fractions, G, 0, math.inf))


def hashin_shtrikman(fractions: Sequence[float], materials: Sequence[Elastic]) -> ElasticBounds:
    """Bounds of isotropic arrangements, plane strain, of any number of phases.

    For two phases of which one is stiffer in bulk and shear they are the closest that fractions allow for the bulk
    modulus. Raises `ConfigError` as `voigt_reuss`.
    """
    K, G = [m.bulk for m in materials], [m.shear for m in materials]
    soft, stiff = ((extreme(K), extreme(G)) for extreme in (min, max))
    around = [k * g / (k + 2 * g) for k, g in (soft, stiff)]
    return ElasticBounds(_between(fractions, K, soft[1], stiff[1]), _between(fractions, G, *around))


def conductivity_bounds(fractions: Sequence[float], conductivities: Sequence[float]) -> Range:
    """Hashin-Shtrikman bounds of the conductivity of isotropic arrangements in the plane, in the unit that came."""
    return _between(fractions, conductivities, min(conductivities), max(conductivities))


def _between(fractions: Sequence[float], values: Sequence[float], least: float, most: float) -> Range:
    f, v = np.array(fractions, dtype=float), np.array(values, dtype=float)
    if f.shape != v.shape or f.min() < 0 or abs(f.sum() - 1) > 1e-6:
        raise ConfigError(f"fractions are {list(fractions)}: expected {len(v)} numbers from 0 that sum to 1.")
    return _mean(f, v, least), _mean(f, v, most)


def _mean(f: np.ndarray, v: np.ndarray, z: float) -> float:
    return float(f @ v) if math.isinf(z) else float(1 / (f @ (1 / (v + z))) - z)

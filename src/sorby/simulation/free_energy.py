"""Free energy of mixing of Mg2Si and Mg2Sn: a regular solution.

Energies are in joules per mole of formula units, compositions x are mole fractions of Mg2Sn, temperatures in kelvin.
"""

import math

import numpy as np
from scipy import optimize

GAS_CONSTANT = 8.314462618
"""R, J/(mol K)."""
INTERACTION = 16_100.0
"""Omega, J/mol: the mean constant term of the solid solution in twenty published simulations of Attari et al.,
"Uncertainty propagation in a multiscale CALPHAD-reinforced elastochemical phase-field model", Acta Materialia 183
(2020) 452-470, which go from 13.5 to 18.9 kJ/mol. Their smaller terms, of temperature and asymmetry, are left out."""
CRITICAL_TEMPERATURE_K = INTERACTION / (2 * GAS_CONSTANT)
"""695 °C: above it the two mix in all proportions."""

_PURE = 1e-9  # logarithms of smaller fractions are taken here, so that a pure compound has finite values


def free_energy(x: float | np.ndarray, temperature_k: float) -> float | np.ndarray:
    """f(x) = Omega x (1 - x) + R T (x ln x + (1 - x) ln(1 - x)), J/mol."""
    mixing = x * np.log(np.maximum(x, _PURE)) + (1 - x) * np.log(np.maximum(1 - x, _PURE))
    return INTERACTION * x * (1 - x) + GAS_CONSTANT * temperature_k * mixing


def chemical_potential(x: float | np.ndarray, temperature_k: float) -> float | np.ndarray:
    """f'(x), the chemical potential of Mg2Sn less that of Mg2Si, J/mol."""
    inside = np.clip(x, _PURE, 1 - _PURE)
    return INTERACTION * (1 - 2 * x) + GAS_CONSTANT * temperature_k * np.log(inside / (1 - inside))


def curvature(x: float, temperature_k: float) -> float:
    """f''(x), J/mol: negative inside the spinodal."""
    return GAS_CONSTANT * temperature_k / (x * (1 - x)) - 2 * INTERACTION


def binodal(temperature_k: float) -> float:
    """Composition of the Si-rich phase in equilibrium; the Sn-rich one is 1 minus it. With a single phase: 0.5.

    The regular solution is symmetric, so the common tangent is level: f'(x) = 0.
    """
    if temperature_k >= CRITICAL_TEMPERATURE_K:
        return 0.5
    spinodal = 0.5 - 0.5 * math.sqrt(1 - temperature_k / CRITICAL_TEMPERATURE_K)
    return float(optimize.brentq(lambda x: float(chemical_potential(x, temperature_k)), _PURE, spinodal))

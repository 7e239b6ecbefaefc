"""Cahn-Hilliard equation of a Mg2Si-Mg2Sn alloy with coherency strain, on a periodic grid.

    dx/dt = M div grad (f'(x) - K div grad x + B * x)

for the mole fraction x of Mg2Sn, with f from `free_energy` and the elastic B, a product in Fourier space, from
`elasticity` (Cahn, "On spinodal decomposition", Acta Metallurgica 9 (1961) 795-801). Lengths are in cells, times in
seconds, energies in J/mol.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from sorby.simulation.elasticity import coherency_modulus
from sorby.simulation.free_energy import GAS_CONSTANT, binodal, chemical_potential, curvature, free_energy

PIXEL_SIZE_UM = 0.001
"""Side of a cell of the grid: 1 nm."""
GRADIENT_ENERGY = 14_000.0
"""K, J/mol times cells squared; a gradient costs K |grad x|**2 / 2. Chosen: an interface is then 3 to 4 cells wide."""
MOLAR_VOLUME = 4.25e-5
"""m³ per mole of formula units, between those of Mg2Si and Mg2Sn (lattice parameters 0.635 and 0.676 nm)."""
PREFACTOR_M2_S, ACTIVATION_ENERGY = 2.0e-11, 100_000.0
"""Of the interdiffusion of an ideal solution at x = 1/2, m²/s and J/mol. Chosen."""

# A step is accepted while its two stages differ by less than these shares of the change that it makes, and of the
# standard deviation of x. Without the first, steps grow until they hold up coarsening; the second is for early growth.
_OF_THE_CHANGE, _OF_THE_CONTRAST = 0.3, 0.001


def mobility(temperature_k: float) -> float:
    """M, cells² mol/(J s): the same at all compositions."""
    diffusivity = PREFACTOR_M2_S * math.exp(-ACTIVATION_ENERGY / (GAS_CONSTANT * temperature_k))
    return diffusivity / (4 * GAS_CONSTANT * temperature_k) / (PIXEL_SIZE_UM * 1e-6) ** 2


def energy(x: Float[np.ndarray, "h w"], *, temperature_k: float, misfit: float) -> float:
    """Free energy per mole of mixing, of gradients and of coherency, mean over the grid."""
    k_squared, elastic = _waves(x.shape, misfit=misfit)
    x_hat = fft.rfft2(x)
    stress = fft.irfft2((GRADIENT_ENERGY * k_squared + elastic) * x_hat, s=x.shape)
    return float(np.mean(free_energy(x, temperature_k) + 0.5 * x * stress))


def evolution(
    x: Float[np.ndarray, "h w"], *, temperature_k: float, misfit: float, time_s: float
) -> Iterator[tuple[float, Float[np.ndarray, "h w"]]]:
    """Time and composition after each step, until `time_s`.

    Steps are semi-implicit in Fourier space: a part linear in x is solved exactly, the rest explicitly in two stages
    (ETDRK2: Cox & Matthews, J. Comput. Phys. 176 (2002) 430-455). The linear part holds half the largest curvature of
    f, which makes the energy fall in steps of any length (Fu & Yang, J. Comput. Phys. 454 (2022) 110943).
    """
    k_squared, elastic = _waves(x.shape, misfit=misfit)
    inflow = -mobility(temperature_k) * k_squared
    shift = _shift(x, temperature_k)
    linear = inflow * (shift + GRADIENT_ENERGY * k_squared + elastic)

    def explicit(x: Float[np.ndarray, "h w"]) -> Complex[np.ndarray, "h half"]:
        return inflow * fft.rfft2(chemical_potential(x, temperature_k) - shift * x)

    time, x_hat, rate = 0.0, fft.rfft2(x), explicit(x)
    step, weights = 1 / (mobility(temperature_k) * GAS_CONSTANT * temperature_k), None
    while time < time_s:
        if time + step >= time_s:
            step, weights = time_s - time, None
        if weights is None:
            weights = _weights(linear * step, step)
        decay, first_weight, second_weight = weights
        first_hat = decay * x_hat + first_weight * rate
        first = fft.irfft2(first_hat, s=x.shape)
        second_hat = first_hat + second_weight * (explicit(first) - rate)
        second = fft.irfft2(second_hat, s=x.shape)

        allowed = min(_OF_THE_CHANGE * _norm(second - x), _OF_THE_CONTRAST * float(x.std())) + 1e-12
        error = _norm(second - first) / allowed
        factor = min(2.0, 0.9 / max(error, 0.1))
        if error <= 1.5:
            time = time + step if time + step < time_s else time_s
            x, x_hat, rate = second, second_hat, explicit(second)
            yield time, x
        if not 0.9 < factor < 1.2:  # new weights cost as much as a step
            step, weights = step * factor, None


def _norm(change: Float[np.ndarray, "h w"]) -> float:
    return float(np.sqrt(np.mean(change**2)))


def _weights(z: Float[np.ndarray, "h half"], step: float) -> tuple[Float[np.ndarray, "h half"], ...]:
    """exp(z), and `step` times (exp(z) - 1) / z and (exp(z) - 1 - z) / z**2, for z <= 0."""
    safe = np.where(z < 0, z, -1)
    phi1 = np.where(z < 0, np.expm1(safe) / safe, 1)
    phi2 = np.where(z < -1e-5, (phi1 - 1) / safe, 0.5 + z / 6)  # a series where the quotient would lose its digits
    return np.exp(z), step * phi1, step * phi2


def _shift(x: Float[np.ndarray, "h w"], temperature_k: float) -> float:
    """Half the curvature of f at the purest composition that is met, which lies a little beyond the binodal."""
    purest = min(0.8 * binodal(temperature_k), float(x.min()), 1 - float(x.max()))
    return max(0.0, 0.5 * curvature(max(purest, 1e-9), temperature_k))


def _waves(shape: tuple[int, ...], *, misfit: float) -> tuple[Float[np.ndarray, "h half"], Float[np.ndarray, "h half"]]:
    """k² and the elastic B of the waves of `rfft2`."""
    ky, kx = np.meshgrid(2 * np.pi * fft.fftfreq(shape[0]), 2 * np.pi * fft.rfftfreq(shape[1]), indexing="ij")
    return kx**2 + ky**2, MOLAR_VOLUME * coherency_modulus(kx, ky, misfit=misfit)

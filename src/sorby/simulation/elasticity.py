"""Energy of coherency: a lattice whose size follows the composition, strained so that it fits together everywhere.

Microelasticity of Khachaturyan ("Theory of structural transformations in solids", 1983) with one set of cubic elastic
constants, for compositions that vary in the (001) plane. The axes of the picture are <100>.
"""

import numpy as np
from jaxtyping import Float

C11, C12 = 98e9, 25e9
"""Pa: between the constants of Mg2Si and of Mg2Sn in the simulations of Attari et al. (2020)."""
C44 = 110e9
"""Pa, chosen: three times what both compounds have. They are nearly isotropic, and misfit would not show."""


def coherency_modulus(
    kx: Float[np.ndarray, "..."], ky: Float[np.ndarray, "..."], *, misfit: float
) -> Float[np.ndarray, "..."]:
    """B(n), in J/m³: a wave of composition along n = (kx, ky) costs B times half its mean square.

    `misfit` is the relative change of the lattice parameter per mole fraction. At k = 0 nothing is strained: B is 0.
    """
    k_squared = kx**2 + ky**2
    is_wave = k_squared > 0
    nx2 = kx**2 / np.where(is_wave, k_squared, 1)
    ny2 = 1 - nx2
    # The displacements that a wave of unit stress along n leaves: n G n, with G the inverse of C_ijkl n_j n_l.
    xx, yy, xy = C11 * nx2 + C44 * ny2, C11 * ny2 + C44 * nx2, C12 + C44  # xy is to be multiplied by nx ny
    compliance = (nx2 * yy + ny2 * xx - 2 * xy * nx2 * ny2) / (xx * yy - xy**2 * nx2 * ny2)
    stress = C11 + 2 * C12  # that takes a unit strain of all axes back
    return np.where(is_wave, misfit**2 * stress * (3 - stress * compliance), 0)

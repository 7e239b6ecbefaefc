"""Effective elastic moduli and conductivity of a segmented image, one material a phase, by fast Fourier transforms.

The image repeats itself in all directions. A micrograph does not, so its edges meet in seams; mirrors would take these
away, but bring windows no nearer to the field they are cut from, and fold what runs at an angle (docs/homogenise.md).

Fields are compatible in the sense of the rotated scheme of Willot, C. R. Mécanique 343 (2015) 232-245, which serves for
any contrast; the one of least energy is found by the conjugate gradients of Zeman, Vondřejc, Novák & Marek, J. Comput.
Phys. 229 (2010) 8065-8071.

x goes to the right and y upwards, as seen in the picture. Elasticity is plane strain: a prism of the picture that does
not stretch along its axis. Tensors are 3x3 in Mandel's notation, (xx, yy, sqrt(2) xy) for stress and strain alike, so
that they turn like vectors.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import fft

from sorby.errors import ConfigError, DataError

PhaseMap = Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"]
"""Number of the phase of each pixel, from 0; of a mask, True is phase 1."""

FINEST_TOLERANCE = 1e-12
"""Below, rounding decides."""
MOST_STEPS = 10_000
"""Contrasts of a million take some thousand."""


@dataclass(frozen=True)
class Elastic:
    """An isotropic elastic material. Raises `ConfigError` where no stable material has such constants."""

    E: float
    """Young's modulus, GPa."""
    nu: float
    """Poisson's ratio, above -1 and below 0.5."""

    def __post_init__(self) -> None:
        if not 0 < self.E < math.inf:
            raise ConfigError(f"E is {self.E}; expected Young's modulus in GPa, above 0 (for a pore: 0.1, say).")
        if not -1 < self.nu < 0.5:
            raise ConfigError(f"nu is {self.nu}; expected Poisson's ratio, above -1 and below 0.5.")

    @property
    def shear(self) -> float:
        """Shear modulus G, GPa."""
        return self.E / (2 * (1 + self.nu))

    @property
    def bulk(self) -> float:
        """Plane-strain bulk modulus K, GPa: mean in-plane stress over change of area. It is G + Lamé's lambda."""
        return self.shear / (1 - 2 * self.nu)


@dataclass(frozen=True)
class Moduli:
    """The isotropic part of a plane-strain stiffness, and what it leaves out."""

    bulk: float
    """Plane-strain bulk modulus K, GPa."""
    shear: float
    """Shear modulus G, GPa."""
    anisotropy: float
    """Norm of the rest of the stiffness over that of the isotropic part: 0 for an isotropic one."""

    @property
    def nu(self) -> float:
        """Poisson's ratio of the isotropic material that has K and G in plane strain."""
        return (1 - self.shear / self.bulk) / 2

    @property
    def E(self) -> float:  # noqa: N802
        """Young's modulus of the isotropic material that has K and G in plane strain, GPa."""
        return 2 * self.shear * (1 + self.nu)


def properties(
    phase_map: PhaseMap,
    materials: Sequence[Elastic] | None = None,
    conductivities: Sequence[float] | None = None,
    *,
    tolerance: float = 1e-4,
) -> dict[str, float]:
    """Physical properties of a phase map by name, averaged over directions; conductivity in the unit that was given.

    Anisotropies are 0 for an isotropic map: the norm of what the average leaves out over that of the average. Arguments
    and errors are those of `effective_stiffness` and `effective_conductivity`.
    """
    numbers: dict[str, float] = {}
    if materials is not None:
        elastic = moduli(effective_stiffness(phase_map, materials, tolerance=tolerance))
        numbers |= {
            "youngs_modulus_GPa": elastic.E,
            "poissons_ratio": elastic.nu,
            "shear_modulus_GPa": elastic.shear,
            "plane_strain_bulk_modulus_GPa": elastic.bulk,
            "elastic_anisotropy": elastic.anisotropy,
        }
    if conductivities is not None:
        k = effective_conductivity(phase_map, conductivities, tolerance=tolerance)
        mean = float(np.trace(k)) / 2
        anisotropy = float(np.linalg.norm(k - mean * np.eye(2)) / np.linalg.norm(mean * np.eye(2)))
        numbers |= {"conductivity": mean, "conductivity_anisotropy": anisotropy}
    return numbers


def effective_stiffness(
    phase_map: PhaseMap, materials: Sequence[Elastic], *, tolerance: float = 1e-6
) -> Float[np.ndarray, "3 3"]:
    """Plane-strain stiffness of the periodic map, GPa, in Mandel's notation; material k is that of phase k.

    `tolerance` bounds the relative error of each diagonal element, which is never too small, for the map as it is on
    its pixels: curved interfaces in square pixels err by more. Raises `DataError` for a phase without material.
    """
    phases = _checked(phase_map, len(materials))
    K, G = (np.array([getattr(m, name) for m in materials]) for name in ("bulk", "shear"))
    lame, twice_G = (K - G)[phases], 2 * G[phases]

    def stress(strain: np.ndarray) -> np.ndarray:
        stress = twice_G * strain
        stress[:, :2] += lame * (strain[:, :1] + strain[:, 1:2])
        return stress

    # Softer than every phase, so that the residual bounds the error.
    K0, G0 = K[np.unique(phases)].min(), G[np.unique(phases)].min()
    x, y = _directions(phases.shape)
    zero, root = np.zeros_like(x), math.sqrt(0.5)
    B = np.array([[x, zero], [zero, y], [root * y, root * x]])  # from displacement to strain
    compliance = np.array([[x * x, x * y], [x * y, y * y]]) / (K0 + G0)  # of a wave along (x, y), and across it
    compliance += np.array([[y * y, -x * y], [-x * y, x * x]]) / G0
    return _effective(stress, np.einsum("ipyx,pqyx,jqyx->ijyx", B, compliance, B), phases.shape, tolerance)


def effective_conductivity(
    phase_map: PhaseMap, conductivities: Sequence[float], *, tolerance: float = 1e-6
) -> Float[np.ndarray, "2 2"]:
    """Conductivity of the periodic map, in the unit of `conductivities`, of which number k is that of phase k.

    It may be that of heat or of charges, a diffusivity or a permittivity. `tolerance` and errors are as for
    `effective_stiffness`; `ConfigError` for a conductivity that is not above 0.
    """
    phases = _checked(phase_map, len(conductivities))
    for k in conductivities:
        if not 0 < k < math.inf:
            raise ConfigError(f"a conductivity is {k}; expected a number above 0 (for an insulator: 0.001, say).")
    k = np.array(conductivities, dtype=float)[phases]
    n = _directions(phases.shape)
    green = np.einsum("iyx,jyx->ijyx", n, n) / k.min()
    return _effective(lambda gradient: k * gradient, green, phases.shape, tolerance)


def moduli(stiffness: Float[np.ndarray, "3 3"]) -> Moduli:
    """The isotropic stiffness nearest to one in Mandel's notation, in the Frobenius norm; no turn changes it."""
    (xx, xy, _), (_, yy, _), (_, _, ss) = stiffness.tolist()
    K, G = (xx + yy + 2 * xy) / 4, ((xx + yy) / 2 - xy + ss) / 4
    isotropic = np.array([[K + G, K - G, 0], [K - G, K + G, 0], [0, 0, 2 * G]])
    return Moduli(K, G, float(np.linalg.norm(stiffness - isotropic) / np.linalg.norm(isotropic)))


def _effective(
    flux: Callable[[np.ndarray], np.ndarray], green: np.ndarray, shape: tuple[int, int], tolerance: float
) -> np.ndarray:
    """The matrix of the energies of the fields that minimise it, for a unit mean of each component.

    `flux` is the local law, of fields (load, component, h, w). `green` takes the transform of a flux to the compatible
    field that balances it in a reference. That is no stiffer than the law anywhere, so the energy that is still to be
    gained is below `to_gain`. All loads go together; energies err by the square of what the fields do.
    """
    if not FINEST_TOLERANCE <= tolerance < 1:
        raise ConfigError(f"tolerance is {tolerance}; expected a number from {FINEST_TOLERANCE:g} to below 1.")
    num = len(green)

    def balancing(flux_field: np.ndarray) -> np.ndarray:
        waves = np.einsum("ijyx,ljyx->liyx", green, fft.rfft2(flux_field))
        return -fft.irfft2(waves, s=shape)

    def product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.einsum("liyx,liyx->l", one, other)[:, None, None, None] / (shape[0] * shape[1])

    field = np.broadcast_to(np.eye(num)[:, :, None, None], (num, num, *shape)).copy()
    fluxes = flux(field)
    step = direction = balancing(fluxes)
    to_gain = -product(fluxes, step)
    for _ in range(MOST_STEPS):
        goes_on = to_gain > tolerance * product(field, fluxes)
        if not goes_on.any():
            break
        response = flux(direction)
        # A load that is done rests: its step is rounding, and nothing may be divided by it.
        length = to_gain / np.where(goes_on, product(direction, response), math.inf)
        field += length * direction
        fluxes += length * response
        step = balancing(fluxes)
        before, to_gain = np.where(goes_on, to_gain, math.inf), -product(fluxes, step)
        direction = step + to_gain / before * direction
    else:
        raise ConfigError(f"no balance in {MOST_STEPS} steps: bring the phases' properties closer, or raise tolerance.")
    return np.einsum("iayx,jayx->ij", field, fluxes) / (shape[0] * shape[1])


def _directions(shape: tuple[int, int]) -> np.ndarray:
    """Unit vectors, (x or y, h, w // 2 + 1), that stand for the waves of `rfft2`; zero where a wave has no gradient.

    Willot takes differences along the diagonals of a pixel, between its corners. The waves without are the mean and,
    where both sides are even, the chequerboard of single pixels.
    """
    up, right = -np.pi * fft.fftfreq(shape[0])[:, None], np.pi * fft.rfftfreq(shape[1])[None, :]
    gradient = np.array([np.sin(right) * np.cos(up), np.cos(right) * np.sin(up)])
    length = np.hypot(*gradient)
    return np.divide(gradient, length, out=np.zeros_like(gradient), where=length > 1e-9)


def _checked(phase_map: PhaseMap, num: int) -> Integer[np.ndarray, "h w"]:
    phases = phase_map.astype(np.intp)
    if not phases.size:
        raise DataError("the phase map has no pixels: give a larger one.")
    if phases.min() < 0 or phases.max() >= num:
        raise DataError(
            f"the phase map has phases {phases.min()} to {phases.max()}: expected 0 to {num - 1}, one for each of "
            f"{num} materials."
        )
    return phases

"""Two-phase microstructures from a Gaussian random field cut at a level.

The field has a Matérn covariance, as in Khristenko, Constantinescu, Le Tallec, Oden & Wohlmuth, "A statistical
framework for generating microstructures of two-phase random materials", Multiscale Model. Simul. 18 (2020) 21-43.
With half of each phase its two-point probability is S2(r) = 1/4 + arcsin(rho(r)) / (2 pi) (Teubner, "Level surfaces of
Gaussian random fields and microemulsions", Europhys. Lett. 14 (1991) 403-408).
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft

from sorby.errors import ConfigError


def two_phase(
    shape: tuple[int, int],
    *,
    volume_fraction: float,
    correlation_length_px: float,
    nu: float = math.inf,
    aspect_ratio: float = 1,
    angle_deg: float = 0,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "h w"]:
    """Periodic two-phase microstructure: the highest values of a Gaussian random field.

    True marks the phase whose `volume_fraction`, in 0..1, is given; it is met to within one pixel. The other parameters
    are those of `gaussian_field` and hold on average over microstructures.
    """
    if not 0 <= volume_fraction <= 1:
        raise ConfigError(f"volume_fraction is {volume_fraction}; expected a number from 0 to 1.")
    field = gaussian_field(
        shape,
        correlation_length_px=correlation_length_px,
        nu=nu,
        aspect_ratio=aspect_ratio,
        angle_deg=angle_deg,
        rng=rng,
    )
    # Ranks rather than a threshold: equal values cannot spoil the fraction.
    ranks = field.ravel().argsort().argsort().reshape(shape)
    return ranks >= field.size - round(volume_fraction * field.size)


def gaussian_field(
    shape: tuple[int, int],
    *,
    correlation_length_px: float,
    nu: float = math.inf,
    aspect_ratio: float = 1,
    angle_deg: float = 0,
    rng: np.random.Generator,
) -> Float[np.ndarray, "h w"]:
    """Periodic Gaussian random field of mean 0 and variance 1.

    `nu` is the smoothness of the Matérn covariance: 0.5 is exponential and rough, infinity is Gaussian and smooth, with
    rho(r) = exp(-r**2 / (2 l**2)) for the correlation length l. `aspect_ratio` is the correlation length along
    `angle_deg` over the one across; their geometric mean is `correlation_length_px`. Angles run anticlockwise from the
    horizontal, as seen in the picture.
    """
    for name, value in (("correlation_length_px", correlation_length_px), ("nu", nu), ("aspect_ratio", aspect_ratio)):
        if not value > 0:
            raise ConfigError(f"{name} is {value}; expected a number above 0.")
    along, across = _frequencies(shape, angle_deg=angle_deg)
    k_squared = correlation_length_px**2 * (aspect_ratio * along**2 + across**2 / aspect_ratio)
    density = _matern_density(k_squared, nu=nu)
    density *= math.prod(shape) / density.sum()
    field: Float[np.ndarray, "h w"] = fft.ifft2(np.sqrt(density) * fft.fft2(rng.standard_normal(shape))).real
    return field


def _matern_density(k_squared: Float[np.ndarray, "h w"], *, nu: float) -> Float[np.ndarray, "h w"]:
    """Spectral density of the Matérn covariance in two dimensions, up to a factor, of (k l)**2."""
    if math.isinf(nu):
        return np.exp(-k_squared / 2)
    return (1 + k_squared / (2 * nu)) ** -(nu + 1)


def _frequencies(
    shape: tuple[int, int], *, angle_deg: float
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Angular frequencies, in radians per pixel, along a direction and across it."""
    up = -2 * np.pi * fft.fftfreq(shape[0])[:, None]  # rows are counted downwards
    right = 2 * np.pi * fft.fftfreq(shape[1])[None, :]
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return cos * right + sin * up, cos * up - sin * right

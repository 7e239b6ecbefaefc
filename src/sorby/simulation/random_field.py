"""Two-phase microstructures from a Gaussian random field cut at a level.

The field has a Matérn covariance, as in Khristenko, Constantinescu, Le Tallec, Oden & Wohlmuth, "A statistical
framework for generating microstructures of two-phase random materials", Multiscale Model. Simul. 18 (2020) 21-43.
Stretched, turned and tiled, such microstructures stand for dual-phase steel in Shiraiwa, Kato, Briffod & Enoki,
"Exploration of outliers in strength-ductility relationship of dual-phase steels", Sci. Technol. Adv. Mater.: Methods
(2022), as Lambard et al. 2023 (paper A) describe them.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft, special

from sorby.errors import ConfigError


def two_phase(
    shape: tuple[int, int],
    *,
    volume_fraction: float,
    correlation_length_px: float,
    nu: float = math.inf,
    aspect_ratio: float = 1,
    angle_deg: float = 0,
    tiles: int = 1,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "h w"]:
    """Periodic two-phase microstructure: the highest values of a Gaussian random field.

    True marks the phase whose `volume_fraction`, in 0..1, is given; it is met to within one pixel a tile. The other
    parameters are those of `gaussian_field` and hold on average over microstructures, as does `two_point_probability`.
    `tiles` is how often the microstructure repeats along each side, which it must divide.
    """
    if not 0 <= volume_fraction <= 1:
        raise ConfigError(f"volume_fraction is {volume_fraction}; expected a number from 0 to 1.")
    if tiles < 1 or shape[0] % tiles or shape[1] % tiles:
        raise ConfigError(f"tiles is {tiles}; expected a whole number that divides {shape[0]} and {shape[1]} px.")
    field = gaussian_field(
        (shape[0] // tiles, shape[1] // tiles),
        correlation_length_px=correlation_length_px,
        nu=nu,
        aspect_ratio=aspect_ratio,
        angle_deg=angle_deg,
        rng=rng,
    )
    # Ranks rather than a threshold: equal values cannot spoil the fraction.
    ranks = field.ravel().argsort().argsort().reshape(field.shape)
    return np.tile(ranks >= field.size - round(volume_fraction * field.size), (tiles, tiles))


def two_point_probability(rho: Float[np.ndarray, "*lags"], *, volume_fraction: float) -> Float[np.ndarray, "*lags"]:
    """S2: the chance that two points both lie in the phase of `volume_fraction`, where the field correlates by `rho`.

    The field is cut at the level t that the fraction is above. Two normal numbers of correlation rho both exceed t with
    the probability of an orthant of the bivariate normal distribution; with Owen's function T it is

        S2 = fraction - 2 T(t, sqrt((1 - rho) / (1 + rho)))

    (Owen, "Tables for computing bivariate normal probabilities", Ann. Math. Stat. 27 (1956) 1075-1090). For one half it
    is the arcsine law of Teubner, Europhys. Lett. 14 (1991) 403-408: 1/4 + arcsin(rho) / (2 pi).
    """
    level = -special.ndtri(volume_fraction)
    if math.isinf(level):  # one phase alone
        return np.full(rho.shape, float(volume_fraction))
    with np.errstate(divide="ignore"):  # opposite everywhere: T(t, inf) is known
        slope = np.sqrt((1 - rho) / (1 + rho))
    return volume_fraction - 2 * special.owens_t(level, slope)


def covariance(
    right_px: Float[np.ndarray, "*lags"],
    up_px: Float[np.ndarray, "*lags"],
    *,
    correlation_length_px: float,
    nu: float = math.inf,
    aspect_ratio: float = 1,
    angle_deg: float = 0,
) -> Float[np.ndarray, "*lags"]:
    """Matérn correlation of a field without borders at two points that lie so far apart, in -1..1.

    The parameters are those of `gaussian_field`, which has this covariance where the correlation lengths are small
    against its sides.
    """
    along, across = _turned(right_px, up_px, angle_deg=angle_deg)
    r = np.hypot(along / math.sqrt(aspect_ratio), across * math.sqrt(aspect_ratio)) / correlation_length_px
    if math.isinf(nu):
        return np.exp(-(r**2) / 2)
    scaled = np.where(r > 0, math.sqrt(2 * nu) * r, 1)  # at 0 the limit is 1
    return np.where(r > 0, 2 ** (1 - nu) / special.gamma(nu) * scaled**nu * special.kv(nu, scaled), 1)


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
    density = _density(
        shape,
        correlation_length_px=correlation_length_px,
        nu=nu,
        aspect_ratio=aspect_ratio,
        angle_deg=angle_deg,
    )
    field: Float[np.ndarray, "h w"] = fft.ifft2(np.sqrt(density) * fft.fft2(rng.standard_normal(shape))).real
    return field


def _density(
    shape: tuple[int, int], *, correlation_length_px: float, nu: float, aspect_ratio: float, angle_deg: float
) -> Float[np.ndarray, "h w"]:
    """Share of each frequency in the variance of a pixel, of mean 1: the spectral density of the Matérn covariance.

    A pixel grid shows waves shorter than two pixels as longer ones, so the density beyond its frequencies is folded
    back: the nearest part as it is, the rest, which varies little, evenly. Without it rough fields (`nu` of 1 and less)
    of short correlation are too smooth, by some 0.05 in the covariance; with it, to within 0.001.
    """
    density = np.zeros(shape)
    for turns_up in (-1, 0, 1):
        for turns_right in (-1, 0, 1):
            up = -2 * np.pi * (fft.fftfreq(shape[0]) + turns_up)[:, None]  # rows are counted downwards
            right = 2 * np.pi * (fft.fftfreq(shape[1]) + turns_right)[None, :]
            along, across = _turned(right, up, angle_deg=angle_deg)
            k_squared = correlation_length_px**2 * (aspect_ratio * along**2 + across**2 / aspect_ratio)
            decay = np.exp(-k_squared / 2) if math.isinf(nu) else (1 + k_squared / (2 * nu)) ** -(nu + 1)
            density += 2 * np.pi * correlation_length_px**2 * decay
    density += max(1 - density.mean(), 0)
    return density / density.mean()


def _turned(
    right: Float[np.ndarray, "..."], up: Float[np.ndarray, "..."], *, angle_deg: float
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Parts of a vector along a direction and across it."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return cos * right + sin * up, cos * up - sin * right

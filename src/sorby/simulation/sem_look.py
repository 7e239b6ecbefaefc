"""A two-phase microstructure as a scanning electron microscope would show it: dual-phase steel, etched with nital.

The look is a likeness, not physics: ferrite is etched away and dark, martensite stands in relief, bright at its edges
and striped by its laths. Only the phases and their pixel size are truth.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage, spatial

from sorby.micrograph import round_length
from sorby.simulation.random_field import gaussian_field
from sorby.simulation.sem import count

FERRITE, MARTENSITE = 0.24, 0.6
"""Mean grey of the two phases, from 0 (black) to 1 (white)."""
EDGE_UM, LATH_UM, PACKET_UM, GRAIN_UM = 0.12, 0.16, 2.0, 5.0
"""Width of the bright rim, spacing of the laths, and sizes of a martensite packet and of a ferrite grain."""


def sem_look(
    phases: Bool[np.ndarray, "h w"], *, pixel_size_um: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w"]:
    """Secondary-electron micrograph of a microstructure: `phases` is True in martensite, False in ferrite.

    Contrast, brightness, focus and noise differ from one call to the next, as they do between operators.
    """
    martensite = ndimage.gaussian_filter(phases.astype(float), 0.05 / pixel_size_um)
    grey = (1 - martensite) * _ferrite(phases.shape, pixel_size_um=pixel_size_um, rng=rng)
    grey += martensite * _martensite(phases.shape, pixel_size_um=pixel_size_um, rng=rng)
    grey += _relief(phases, pixel_size_um=pixel_size_um)
    grey += 0.03 * gaussian_field(phases.shape, correlation_length_px=max(phases.shape) / 3, rng=rng)  # shading
    return _expose(grey, rng=rng)


def with_info_bar(
    grey: UInt8[np.ndarray, "h w"], *, pixel_size_um: float, text: str = "SIMULATED", is_dark: bool = True
) -> UInt8[np.ndarray, "h_and_bar w"]:
    """The micrograph above an info bar with a scale bar, about a tenth of its height, as microscopes save it."""
    height, width = len(grey) // 10, grey.shape[1]
    ground, ink = (0, 255) if is_dark else (255, 0)
    bar = Image.new("L", (width, height), ground)
    draw, font = ImageDraw.Draw(bar), ImageFont.load_default(round(height * 0.45))
    length_um = round_length(width * pixel_size_um / 5)
    left, middle = height // 2, height // 2
    right = left + length_um / pixel_size_um - 1
    draw.rectangle((left, middle - 2, right, middle + 2), fill=ink)
    draw.text((right + height // 3, middle), f"{length_um:g} um", fill=ink, font=font, anchor="lm")
    draw.text((width - height // 2, middle), text, fill=ink, font=font, anchor="rm")
    return np.concatenate([grey, np.asarray(bar)])


def _ferrite(shape: tuple[int, ...], *, pixel_size_um: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Smooth dark grains, each of its own grey, with faint bright boundaries."""
    grains = _voronoi(shape, cell_px=GRAIN_UM / pixel_size_um, rng=rng)
    boundary = (ndimage.grey_dilation(grains, size=(3, 3)) != grains).astype(float)
    boundary = ndimage.gaussian_filter(boundary, 0.04 / pixel_size_um)
    return FERRITE + _per_cell(grains, rng.normal(0, 0.02, grains.max() + 1)) + 0.14 * boundary


def _martensite(shape: tuple[int, ...], *, pixel_size_um: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Packets of laths: stripes of one direction in each packet."""
    packets = _voronoi(shape, cell_px=PACKET_UM / pixel_size_um, rng=rng)
    directions = [
        gaussian_field(
            (shape[0], shape[1]),
            correlation_length_px=LATH_UM / pixel_size_um,
            aspect_ratio=8,
            angle_deg=angle,
            rng=rng,
        )
        for angle in rng.uniform(0, 180) + np.arange(0, 180, 30)
    ]
    which = _per_cell(packets, rng.integers(len(directions), size=packets.max() + 1))
    laths = np.choose(which, directions)
    return MARTENSITE + _per_cell(packets, rng.normal(0, 0.03, packets.max() + 1)) + 0.1 * np.tanh(laths)


def _relief(phases: Bool[np.ndarray, "h w"], *, pixel_size_um: float) -> Float[np.ndarray, "h w"]:
    """Bright rim inside martensite, where more electrons escape, and a shadow in the ferrite beside it."""
    inside, outside = (ndimage.distance_transform_edt(side) * pixel_size_um for side in (phases, ~phases))
    rim = 0.34 * np.exp(-inside / EDGE_UM) * phases
    shadow = 0.1 * np.exp(-outside / (2 * EDGE_UM)) * ~phases
    return rim - shadow


def _expose(grey: Float[np.ndarray, "h w"], *, rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """What the detector makes of it: brightness, contrast, focus, and shot noise that grows with the signal."""
    grey = grey * rng.uniform(0.9, 1.1) + rng.uniform(-0.03, 0.03)
    electrons = rng.uniform(200, 400)
    return count(ndimage.gaussian_filter(grey, rng.uniform(0.5, 0.9)), electrons=electrons, rng=rng)


def _voronoi(shape: Sequence[int], *, cell_px: float, rng: np.random.Generator) -> Int[np.ndarray, "h w"]:
    """Number of the nearest of random points, one point per `cell_px` squared on average."""
    points = rng.uniform(0, shape, (max(1, round(np.prod(shape) / cell_px**2)), 2))
    _, nearest = spatial.KDTree(points).query(np.indices(shape).reshape(2, -1).T)
    return np.reshape(nearest, shape)


def _per_cell(cells: Int[np.ndarray, "h w"], values: np.ndarray) -> np.ndarray:
    return values[cells]

"""A label image as a scanning electron microscope would show it.

A likeness, not physics: each phase has a grey of its own, edges of the phases that stand out are bright, insulating
phases charge, the beam is a little out of focus and counts electrons. Only the labels are truth. `sem_look` is the same
for one material, dual-phase steel, in more detail.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage, signal

from sorby.errors import ConfigError
from sorby.simulation.random_field import gaussian_field

WHITE = 255
CHARGE_PX = 24
"""Along so many pixels of a scan line a charge leaks away."""


@dataclass(frozen=True)
class SemLook:
    """How a microscope and its operator make a picture of a microstructure. Greys run from 0 (black) to 1 (white)."""

    greys: tuple[float, ...] = (0.3, 0.6)
    """Mean grey of each label, from label 0 on: the contrast of the phases."""
    texture: float = 0.02
    """Standard deviation of the grey within a phase, from one place to another."""
    edge: float = 0.25
    """How much brighter the rim of the brightest phase is; of the darkest there is none."""
    edge_px: float = 2.0
    """How far from the edge the rim has faded to a third."""
    charging: float = 0.0
    """From 0 to 1: dark trails behind what is bright along the scan lines, and scan lines of uneven brightness."""
    shading: float = 0.02
    """Standard deviation of the brightness over the picture."""
    focus_px: float = 0.7
    """Standard deviation of the blurred beam."""
    electrons: float = 300.0
    """Counted in a white pixel; fewer are noisier."""


def photograph(
    labels: Int[np.ndarray, "h w"], look: SemLook = SemLook(), *, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w"]:
    """Micrograph of a label image, whose labels count from 0. Raises `ConfigError` for a label without a grey."""
    if labels.min() < 0 or labels.max() >= len(look.greys):
        raise ConfigError(
            f"Labels run from {labels.min()} to {labels.max()} and {len(look.greys)} greys are given: "
            "expected labels from 0 on, and a grey for each."
        )
    shape = (labels.shape[0], labels.shape[1])
    grey = np.array(look.greys)[labels]
    grey = grey + _rim(labels, look) + look.texture * gaussian_field(shape, correlation_length_px=6, rng=rng)
    return expose(grey, look, rng=rng)


def expose(grey: Float[np.ndarray, "h w"], look: SemLook, *, rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """What the detector makes of a picture from 0 to 1: uneven brightness, charging, focus, noise of counting."""
    shape = (grey.shape[0], grey.shape[1])
    grey = grey + look.shading * gaussian_field(shape, correlation_length_px=max(shape) / 3, rng=rng)
    if look.charging:
        grey = grey + look.charging * _charge(grey, rng=rng)
    return count(ndimage.gaussian_filter(grey, look.focus_px), electrons=look.electrons, rng=rng)


def count(grey: Float[np.ndarray, "h w"], *, electrons: float, rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """Shot noise, which grows with the signal: `electrons` are counted where the grey is 1, white."""
    counts = rng.poisson(grey.clip(0) * electrons)
    return (WHITE * (counts / electrons).clip(0, 1)).astype(np.uint8)


def _rim(labels: Int[np.ndarray, "h w"], look: SemLook) -> Float[np.ndarray, "h w"]:
    """Where more electrons escape: along the edges, in the phases that stand out, which are the bright ones."""
    padded = np.pad(labels, 1, mode="edge")
    inner = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    is_edge = np.any([inner != other for other in beside], axis=0)
    if not is_edge.any():
        return np.zeros(labels.shape)
    greys = np.array(look.greys)
    height = (greys - greys.min()) / (np.ptp(greys) or 1)
    distance = ndimage.distance_transform_edt(~is_edge)
    return look.edge * height[labels] * np.exp(-distance / look.edge_px)


def _charge(grey: Float[np.ndarray, "h w"], *, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """A charge that grows with the electrons that left and leaks away along the scan line, from left to right."""
    keep = np.exp(-1 / CHARGE_PX)
    trail = signal.lfilter([0, 1 - keep], [1, -keep], grey - grey.mean(), axis=1)
    lines = ndimage.gaussian_filter1d(rng.standard_normal((len(grey), 1)), 1, axis=0)
    return 0.1 * lines - trail

"""What each kind of augmentation leaves behind in a picture: one number that the move changes, and the move itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.ndimage import gaussian_filter, uniform_filter

from sorby.augment import Augment

BLOCK = 256  # pictures at a time
MID_GREY = 127.5
LOW, HIGH, BOTH = (True, False), (False, True), (True, True)  # where moved pictures are

Grey = Float32[np.ndarray, "n s s"]
Values = Float[np.ndarray, " n"]
Measured = TypeVar("Measured", Values, Float32[np.ndarray, "n 2"])


@dataclass(frozen=True)
class Trace:
    """What one kind of move leaves behind."""

    move: str
    statistic: str
    measure: Callable[[Grey], Values]
    tails: tuple[bool, bool]
    """Whether moved pictures may have lower values, and whether higher ones."""
    augment: Augment
    """The move."""
    hidden: str
    """Why it may not be seen."""


def traces_of(real: UInt8[np.ndarray, "n c s s"]) -> list[Trace]:
    """What is looked for; the direction of the structure is that of the real pictures together."""
    mean = blockwise(anisotropy, real).mean(axis=0)
    direction = mean / max(float(np.linalg.norm(mean)), 1e-9)
    isotropic = "the structure has no direction that all micrographs share"
    return [
        Trace(
            move="quarter turns",
            statistic="anisotropy in the main direction of the real pictures",
            measure=partial(along, direction=direction),
            tails=LOW,
            augment=Augment(families=("blit",), without=("flip", "shift")),
            hidden=isotropic,
        ),
        Trace(
            move="rotation",
            statistic="anisotropy at 45 degrees to the main direction of the real pictures",
            measure=partial(askew, direction=direction),
            tails=HIGH,
            augment=Augment(families=("geom",), without=("scale", "stretch", "slide")),
            hidden=isotropic,
        ),
        Trace(
            move="cut-out",
            statistic="distance from mid-grey of the nearest square of a quarter of the side",
            measure=emptiest,
            tails=LOW,
            augment=Augment(families=("cutout",)),
            hidden="real pictures have squares of mid-grey themselves",
        ),
        Trace(
            move="shift",
            statistic="correlation of a border strip with its mirror image beside it",
            measure=mirrored,
            tails=HIGH,
            augment=Augment(families=("blit",), without=("flip", "rotate90")),
            hidden="real pictures are mirrored at their borders themselves",
        ),
        Trace(
            move="brightness",
            statistic="mean grey value",
            measure=lambda pictures: pictures.mean(axis=(1, 2)),
            tails=BOTH,
            augment=Augment(families=("colour",), without=("contrast", "hue", "saturation")),
            hidden="real pictures differ as much in brightness",
        ),
        Trace(
            move="contrast",
            statistic="standard deviation of the grey values",
            measure=lambda pictures: pictures.std(axis=(1, 2)),
            tails=BOTH,
            augment=Augment(families=("colour",), without=("brightness", "hue", "saturation")),
            hidden="real pictures differ as much in contrast",
        ),
    ]


def anisotropy(pictures: Grey) -> Float32[np.ndarray, "n 2"]:
    """Twice the main angle of the gradients of each picture, as a vector of length 0 (isotropic) to 1 (stripes).

    The structure tensor (Jxx, Jxy, Jyy) is the mean over the picture; the vector is (Jxx - Jyy, 2 Jxy) / (Jxx + Jyy).
    """
    right, down = (gaussian_filter(pictures, 1, order=order, axes=(1, 2)) for order in ((0, 1), (1, 0)))
    xx, xy, yy = ((a * b).mean((1, 2)) for a, b in ((right, right), (right, down), (down, down)))
    return np.stack([xx - yy, 2 * xy], axis=1) / np.maximum(xx + yy, 1e-9)[:, None]


def along(pictures: Grey, *, direction: Float32[np.ndarray, " 2"]) -> Values:
    """Anisotropy in a direction, -1 to 1: quarter turns change its sign."""
    return anisotropy(pictures) @ direction


def askew(pictures: Grey, *, direction: Float32[np.ndarray, " 2"]) -> Values:
    """Anisotropy at 45 degrees to a direction, 0 to 1: quarter turns leave it alone, others do not."""
    return np.abs(anisotropy(pictures) @ np.stack([-direction[1], direction[0]]))


def emptiest(pictures: Grey) -> Values:
    """Root mean square distance from mid-grey, in grey levels, of the square of a quarter of the side nearest to it."""
    window = pictures.shape[1] // 4
    inside = slice(window // 2, pictures.shape[1] - (window - 1) // 2)
    squares = uniform_filter(np.square(pictures - MID_GREY), window, axes=(1, 2))
    return np.sqrt(squares[:, inside, inside].min(axis=(1, 2)).clip(min=0))


def mirrored(pictures: Grey) -> Values:
    """Correlation, -1 to 1, of a border strip with its mirror image about the strip's inner edge, where it is highest.

    Strips run along all four borders and are a sixteenth to a quarter of the side wide. Shading is taken off first.
    """
    size = pictures.shape[1]
    detail = pictures - gaussian_filter(pictures, size / 16, mode="mirror", axes=(1, 2))
    turned = [np.rot90(detail, turns, axes=(1, 2)) for turns in range(4)]
    widths = range(size // 16, size // 4 + 1)
    return np.max([_correlation(x[:, :, :k], x[:, :, 2 * k : k : -1]) for x in turned for k in widths], axis=0)


def blockwise(function: Callable[[Grey], Measured], pictures: UInt8[np.ndarray, "n c s s"]) -> Measured:
    """A function of grey pictures, block by block."""
    grey = (pictures[start : start + BLOCK].mean(axis=1, dtype=np.float32) for start in range(0, len(pictures), BLOCK))
    return np.concatenate([function(block) for block in grey])


def _correlation(x: Float[np.ndarray, "n h w"], y: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    x, y = (part - part.mean(axis=(1, 2), keepdims=True) for part in (x, y))
    norms = np.sqrt(np.square(x).sum(axis=(1, 2)) * np.square(y).sum(axis=(1, 2)))
    return (x * y).sum(axis=(1, 2)) / np.maximum(norms, 1e-9)

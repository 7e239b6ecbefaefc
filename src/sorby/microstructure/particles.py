"""Particles, grains and islands one by one: size, shape, direction, and how to count those that the edge cuts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from skimage.measure import label

Edges = Literal["correct", "leave-out", "keep"]
Box = tuple[slice, ...]
DIRECTIONS = {
    0: (np.s_[:, :-1], np.s_[:, 1:]),
    45: (np.s_[1:, :-1], np.s_[:-1, 1:]),
    90: (np.s_[1:, :], np.s_[:-1, :]),
    135: (np.s_[1:, 1:], np.s_[:-1, :-1]),
}
"""The four directions of a pixel grid, in degrees anticlockwise from the x axis: slices of pixels and of their next."""


@dataclass(frozen=True)
class Particle:
    """One object of an image, in pixels."""

    label: int
    x_px: float
    """Centre of mass; the centre of the first pixel is 0."""
    y_px: float
    """The same, downwards."""
    area_px2: int
    perimeter_px: float
    """By Cauchy and Crofton, see `perimeters_px`."""
    equivalent_diameter_px: float
    """Of the circle of equal area."""
    major_px: float
    """Long axis, from end to end, of the ellipse of equal area, centre and direction (ImageJ's rule)."""
    minor_px: float
    aspect_ratio: float
    """major / minor, 1 and above."""
    angle_deg: float
    """Of the long axis, anticlockwise from the x axis as seen, 0 up to 180; without meaning near aspect ratio 1."""
    circularity: float
    """4 pi area / perimeter**2, at most 1 as in ImageJ, whose perimeter of a disc is longer by some 5 %."""
    touches_edge: bool
    weight: float
    """How many particles it stands for, see `particles`."""


def labelled(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Objects of a mask, numbered from 1; pixels that touch at a side or a corner (8 neighbours) are one object."""
    return label(mask, connectivity=2)


def particles(labels: Int[np.ndarray, "h w"], *, min_area_px2: int = 1, edges: Edges = "correct") -> list[Particle]:
    """All particles of at least `min_area_px2` pixels, by label; a label is one particle even if in pieces.

    `edges` says what becomes of particles that touch the edge of the image, which may go on outside:
    - "correct" leaves them out. A particle h px high and w px wide is clear of the edge at (H - h - 1)(W - w - 1) of
      its places, so the large ones are missed more often; each stands for H W / ((H - h - 1)(W - w - 1)), which makes
      counts and distributions unbiased (Miles and Lantuéjoul, in Serra, Image Analysis and Mathematical Morphology,
      1982; the 1 is the pixel along the edge). Only a particle too large to be whole in any image stays unseen.
    - "leave-out" leaves them out and weighs each of the others 1: small particles are favoured.
    - "keep" keeps them, with the size and shape of what is in the image, each of weight 1.
    """
    perimeters = perimeters_px(labels)
    boxes = [(number, box) for number, box in enumerate(ndimage.find_objects(labels), start=1) if box]
    if edges != "keep":
        boxes = [(number, box) for number, box in boxes if not _touches_edge(box, labels.shape)]
    found = (
        _particle(
            labels,
            number,
            box,
            perimeter_px=float(perimeters[number - 1]),
            weight=_weight(box, labels.shape) if edges == "correct" else 1.0,
        )
        for number, box in boxes
    )
    return [particle for particle in found if particle.area_px2 >= min_area_px2]


def density_per_px2(particles: Sequence[Particle], *, shape: tuple[int, int]) -> float:
    """Particles per pixel of an image of this shape: the sum of their weights over its area."""
    return math.fsum(p.weight for p in particles) / math.prod(shape)


def perimeters_px(labels: Int[np.ndarray, "h w"]) -> Float[np.ndarray, " n"]:
    """Perimeter of each label from 1 to the greatest, holes included, by Cauchy and Crofton's formula.

    Crossings with all lines through pixels in four directions are counted. Right on average over directions; a straight
    side alone is -5 to +3 % off. The edge of the image counts as the particle's where it cuts one.
    """
    padded = np.pad(labels, 1)
    num = int(labels.max()) + 1
    crossings = np.zeros(num)
    for angle, (here, there) in DIRECTIONS.items():
        a, b = padded[here], padded[there]
        ends = np.concatenate([a[a != b], b[a != b]])
        crossings += np.bincount(ends, minlength=num) * (math.sqrt(0.5) if angle % 90 else 1)
    return math.pi / 8 * crossings[1:]


def _particle(labels: Int[np.ndarray, "h w"], number: int, box: Box, *, perimeter_px: float, weight: float) -> Particle:
    y, x = np.nonzero(labels[box] == number)
    diameter = 2 * math.sqrt(len(x) / math.pi)
    aspect_ratio, angle_deg = _ellipse(x, y)
    return Particle(
        label=number,
        x_px=float(box[1].start + x.mean()),
        y_px=float(box[0].start + y.mean()),
        area_px2=len(x),
        perimeter_px=perimeter_px,
        equivalent_diameter_px=diameter,
        major_px=diameter * math.sqrt(aspect_ratio),
        minor_px=diameter / math.sqrt(aspect_ratio),
        aspect_ratio=aspect_ratio,
        angle_deg=angle_deg,
        circularity=min(1.0, 4 * math.pi * len(x) / perimeter_px**2),
        touches_edge=_touches_edge(box, labels.shape),
        weight=weight,
    )


def _ellipse(x: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Aspect ratio and angle of the ellipse with the central second moments of these pixels.

    A pixel is a square of second moment 1/12, not a point, so the ratio is finite for a line too (ImageJ's
    EllipseFitter, after Rodieck).
    """
    (xx, xy), (_, yy) = (np.cov(x, -y, bias=True) + np.eye(2) / 12).tolist()
    mean, half_difference = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    ratio = math.sqrt((mean + half_difference) / (mean - half_difference))
    # Twice, since a negative angle within rounding of 0 becomes 180 the first time.
    return ratio, math.degrees(math.atan2(2 * xy, xx - yy)) / 2 % 180 % 180


def _touches_edge(box: Box, shape: tuple[int, ...]) -> bool:
    return any(side.start == 0 or side.stop == length for side, length in zip(box, shape, strict=True))


def _weight(box: Box, shape: tuple[int, ...]) -> float:
    """Places of the particle in a plane as large as the image, over those where it is whole and clear of the edge."""
    places = (length - (side.stop - side.start) - 1 for side, length in zip(box, shape, strict=True))
    return math.prod(shape) / math.prod(places)

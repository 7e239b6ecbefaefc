"""Shape without position: Betti numbers, Euler number, Minkowski functionals, persistent homology.

Pixels of a phase are neighbours by their sides and corners (8) or by their sides alone (4). The ground then takes the
other rule, without which a line of pixels touching by corners would both be whole and not divide what it encloses
(Kong & Rosenfeld, "Digital topology: introduction and survey", Comput. Vis. Graph. Image Process. 48 (1989) 357-393).
What lies outside of the image is ground.
"""

from dataclasses import dataclass
from typing import Literal

import gudhi
import numpy as np
import skimage.measure
from jaxtyping import Bool, Int

from sorby.decode import Grey

Neighbours = Literal[4, 8]


def betti(mask: Bool[np.ndarray, "h w"], *, neighbours: Neighbours = 8) -> tuple[int, int]:
    """Betti numbers b0 and b1: connected parts of the phase, and holes, parts of the ground that it encloses.

    Ground that meets the edge of the image is no hole.

    >>> ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    >>> betti(ring), betti(ring, neighbours=4)
    ((1, 1), (4, 0))
    """
    ground = ~np.pad(mask, 1)
    return _num_parts(mask, neighbours), _num_parts(ground, 4 if neighbours == 8 else 8) - 1


def euler_number(mask: Bool[np.ndarray, "h w"], *, neighbours: Neighbours = 8) -> int:
    """Connected parts less holes, b0 - b1: a count over blocks of 2 x 2 pixels, faster than `betti`."""
    return int(skimage.measure.euler_number(mask, connectivity=_connectivity(neighbours)))


@dataclass(frozen=True)
class Minkowski:
    """The three additive measures of a plane figure, over the whole image."""

    area_px2: int
    perimeter_px: float
    """Length of the boundary, with the edge of the image where the phase meets it."""
    euler: int


def minkowski(mask: Bool[np.ndarray, "h w"], *, neighbours: Neighbours = 8) -> Minkowski:
    """Minkowski functionals: area, perimeter and Euler number.

    The perimeter is estimated by Crofton's formula from crossings in four directions (scikit-image's
    `perimeter_crofton`): right on average over directions, while a straight boundary comes out up to 5 % short along
    them and up to 3 % long between them.
    """
    perimeter = float(skimage.measure.perimeter_crofton(mask, directions=4))
    return Minkowski(int(mask.sum()), perimeter, euler_number(mask, neighbours=neighbours))


@dataclass(frozen=True)
class Persistence:
    """Features of the image as its grey level is lowered: one entry each in three arrays of the same length."""

    birth: Int[np.ndarray, " n"]
    """Grey level at which the feature appears."""
    death: Int[np.ndarray, " n"]
    """Grey level, below that of birth, at which it is gone."""
    dimension: Int[np.ndarray, " n"]
    """0 is a bright part, 1 a dark hole in one."""

    def total(self, dimension: Literal[0, 1]) -> int:
        """Sum of the lifetimes, birth less death, in grey levels: total persistence of degree 1.

        It grows with the area and with the contrast of the image, and noise of a pixel's size adds much to it.
        """
        return int((self.birth - self.death)[self.dimension == dimension].sum())


def persistence(grey: Grey) -> Persistence:
    """Persistent homology of the superlevel sets: of the pixels at a grey level or above it, as it falls.

    A bright part is born at its highest grey level and dies where it joins a part with a higher one, at the saddle
    between them. A hole is born where bright pixels first surround it and dies at its darkest pixel. Between death and
    birth, at grey levels above the one and up to the other, the features are those counted by `betti`: bright pixels
    are neighbours by sides and corners. The last part never dies; the lowest grey level of the image stands for that.
    All others without lifetime are left out.

    Cubical complex of GUDHI, with pixels as its squares (Edelsbrunner & Harer, Computational Topology (2010),
    chapter VII).

    >>> two_hills = persistence(np.array([[9, 4, 7, 1]], dtype=np.uint8))
    >>> two_hills.birth, two_hills.death, two_hills.dimension
    (array([7, 9]), array([4, 1]), array([0, 0]))
    """
    complex_of_darkness = gudhi.CubicalComplex(top_dimensional_cells=-grey.astype(np.float64))
    complex_of_darkness.compute_persistence()
    pairs = [-complex_of_darkness.persistence_intervals_in_dimension(dimension) for dimension in (0, 1)]
    birth, death = np.concatenate(pairs).clip(min=int(grey.min())).astype(int).T
    return Persistence(birth, death, np.repeat([0, 1], [len(pairs[0]), len(pairs[1])]))


def _num_parts(mask: Bool[np.ndarray, "h w"], neighbours: Neighbours) -> int:
    return int(skimage.measure.label(mask, connectivity=_connectivity(neighbours), return_num=True)[1])


def _connectivity(neighbours: Neighbours) -> int:
    """Steps by pixel sides that scikit-image takes to a neighbour."""
    return 1 if neighbours == 4 else 2

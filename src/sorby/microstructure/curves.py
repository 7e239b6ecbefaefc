"""Statistics of a phase that depend on a distance, as curves; and their means over a set of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sorby.microstructure.correlate import along, lineal_path, radial, two_point
from sorby.microstructure.fraction import Estimate, estimate

CURVES = ("s2", "s2_x", "s2_y", "lineal_path_x", "lineal_path_y")
"""Two-point probability over all directions, along the rows (x) and down the columns (y); lineal path along both."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of one image, in the order of `CURVES`, at the distances of 0, 1, 2, ... px."""

    parent: str
    """The micrograph the image is part of."""
    values: Float[np.ndarray, "5 r"]


def curves_of(mask: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "5 r"]:
    """All of `CURVES` for the distances up to half of the shorter side, see `two_point` and `lineal_path`."""
    most, s2 = min(mask.shape) // 2, two_point(mask)
    return np.array(
        [
            radial(s2, max_px=most),
            along(s2, axis=1, max_px=most),
            along(s2, axis=0, max_px=most),
            lineal_path(mask, axis=1, max_px=most),
            lineal_path(mask, axis=0, max_px=most),
        ]
    )


def mean_curves(curves: Sequence[Curves]) -> dict[str, list[Estimate]]:
    """Mean of each of `CURVES` at each distance, with its interval, over the parents with an image that large.

    The images of a parent make one curve, since they are not independent.
    """
    by_parent: dict[str, list[Float[np.ndarray, "5 _"]]] = {}
    for one in curves:
        by_parent.setdefault(one.parent, []).append(one.values)
    means = [np.array([at.mean(axis=0) for at in _at_each_distance(values)]).T for values in by_parent.values()]
    at_each = _at_each_distance(means)
    return {name: [estimate(at[:, number]) for at in at_each] for number, name in enumerate(CURVES)}


def _at_each_distance(curves: Sequence[Float[np.ndarray, "5 _"]]) -> list[Float[np.ndarray, "_ 5"]]:
    """The values of those curves that reach so far, for each distance that one does."""
    most = max(curve.shape[1] for curve in curves)
    return [np.array([curve[:, r] for curve in curves if r < curve.shape[1]]) for r in range(most)]

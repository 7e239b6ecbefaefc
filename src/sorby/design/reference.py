"""How unusual a microstructure is, beside those that are known.

The measure is Mahalanobis' distance of the descriptors (lengths as logarithms) from the mean of the known pictures,
with the covariance shrunk as Ledoit & Wolf (2004) do it. A descriptor that a picture does not have, or that many of the
known ones lack, does not count. What 99 % of the known pictures keep within is inside.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sorby.errors import ConfigError, DataError
from sorby.measurement.measured import descriptor_table
from sorby.microstructure.describe import QUANTITIES, Segmentation, comparable

INSIDE = 0.99
LEAST = 50
COMMON = 0.9
"""A descriptor counts that so large a share of the known pictures has."""

Row = Float[np.ndarray, " q"]


class Reference:
    """Known pictures, and the distance of others from them."""

    def __init__(self, pictures: Iterable[UInt8[np.ndarray, "_ c h w"]], how: Segmentation, *, name: str) -> None:
        """`name` is whose pictures these are, for people. Raises `DataError` for fewer than 50."""
        sklearn = _covariances()
        table = comparable(descriptor_table(pictures, how))
        if len(table) < LEAST:
            raise DataError(f"{len(table)} pictures of {name} came: at least {LEAST} show what is usual; give more.")
        self.name, self.num = name, len(table)
        self._counts = np.isfinite(table).mean(0) >= COMMON
        known = table[:, self._counts]
        self._centre = np.nanmean(known, 0)
        self._scale = np.nanstd(known, 0)
        self._scale[self._scale == 0] = 1.0
        self._precision = sklearn.LedoitWolf().fit(self._standard(table)).precision_
        self.limit = float(np.quantile(self.distances(table), INSIDE))
        """The distance that 99 % of the known pictures keep within."""

    def distances(self, table: Float[np.ndarray, "n q"]) -> Float[np.ndarray, " n"]:
        """Of each row of descriptors."""
        z = self._standard(table)
        return np.sqrt(np.einsum("ni,ij,nj->n", z, self._precision, z))

    def distance(self, descriptors: Row) -> float:
        """Of one picture."""
        return float(self.distances(descriptors[None])[0])

    def standard(self, descriptors: Row) -> Float[np.ndarray, " k"]:
        """Descriptors in standard deviations of the known pictures, those that count."""
        return self._standard(descriptors[None])[0]

    def tell(self) -> str:
        """The measure, for people."""
        names = [q.title for q, counts in zip(QUANTITIES, self._counts, strict=True) if counts]
        return (
            f"Mahalanobis distance of {len(names)} descriptors from {self.num} pictures of {self.name}; "
            f"{INSIDE:.0%} of these lie within {self.limit:.2f}"
        )

    def _standard(self, table: Float[np.ndarray, "n q"]) -> Float[np.ndarray, "n k"]:
        z = (table[:, self._counts] - self._centre) / self._scale
        return np.where(np.isfinite(z), z, 0.0)


def _covariances() -> Any:
    try:
        import sklearn.covariance
    except ImportError:
        raise ConfigError("design needs scikit-learn and Optuna: pip install 'sorby[design]'.") from None
    return sklearn.covariance

"""A property that was learned from labelled pictures, as a number of any picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sorby.design.inputs import pictured
from sorby.design.labelled import Labels, labels_of
from sorby.design.predict import averaged, rows_of, verdict
from sorby.design.property import PropertyModel, compare
from sorby.errors import ConfigError
from sorby.fields import fields_of
from sorby.measurement.units import unit_of
from sorby.microstructure.describe import QUANTITIES, Segmentation, comparable

INPUTS = "descriptors"


@dataclass(frozen=True, eq=False)
class Learned:
    """What `predict` supports from the descriptors."""

    labels: Labels
    model: PropertyModel
    in_um: bool
    """Whether it was learned from lengths in micrometres; else from lengths in pixels."""

    @property
    def name(self) -> str:
        """Of the property."""
        return self.labels.condition.name

    @property
    def names(self) -> tuple[str, str, str]:
        """Of the prediction, and of both ends of its 90 % interval."""
        return self.name, f"{self.name}_low", f"{self.name}_high"

    def numbers(self, descriptors_px: Float[np.ndarray, " q"], pixel_size_um: float | None) -> dict[str, float]:
        """Of a picture, from its `Descriptors` in pixels; NaN counts as the mean of those learned from."""
        size = pixel_size_um if self.in_um else None
        row = comparable((descriptors_px * [unit_of(quantity, size)[0] for quantity in QUANTITIES])[None])
        told = (self.labels.back(float(part[0])) for part in self.model.predict(row))
        return dict(zip(self.names, told, strict=True))


def learn(
    source: Path,
    property: str,  # noqa: A002
    *,
    labels: Path | None = None,
    group: str | None = None,
    how: Segmentation,
    num: int = 1000,
    seed: int = 0,
) -> Learned:
    """Learn a property from the descriptors of labelled pictures by the regressor that fits held-out groups best.

    For `property`, `labels` and `group` see `labels_of`. Raises `ConfigError` where cross-validation supports none, and
    what `predict` raises.
    """
    known = labels_of(source, property=property, labels=labels, group=group)
    fields = (field for field in fields_of(source, num=num, seed=seed) if field.name in known.known)
    measured = pictured(fields, network=None, describes=True, how=how)
    rows = rows_of(measured, known)
    assert measured.descriptors is not None
    table = averaged(measured.descriptors, rows)
    values, groups = np.array([row.value for row in rows], np.float64), np.array([row.group for row in rows], str)
    results = compare({INPUTS: table}, values, groups, seed=seed)
    supported = [result for result in results if result.is_supported]
    if not supported:
        raise ConfigError(
            f"{known.condition.name} cannot be asked for. {verdict(known.condition.name, INPUTS, results)}"
        )
    best = max(supported, key=lambda result: result.r2.value)
    model = PropertyModel.fit(table, values, groups, regressor=best.regressor, seed=seed)
    return Learned(known, model, measured.in_um)

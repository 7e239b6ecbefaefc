"""Each descriptor of some real and some generated pictures, with the verdict where there are micrographs enough."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sorby.measurement.units import unit_of
from sorby.microstructure.compare import Agreement, Verdict, agreement, is_lacking, verdicts
from sorby.microstructure.describe import QUANTITIES, Quantity, comparable


@dataclass(frozen=True, eq=False)
class Beside:
    """One descriptor on both sides."""

    quantity: Quantity
    unit: str
    real: Float[np.ndarray, " n"]
    """Of the pictures that have it, in `unit`."""
    generated: Float[np.ndarray, " m"]
    agreement: Agreement | None
    """None where there are too few micrographs."""
    verdict: Verdict | None
    is_lacking: bool
    """Whether most real pictures have it, and hardly any generated one."""


def beside(
    real: Float[np.ndarray, "n q"],
    parents: Int[np.ndarray, " n"],
    generated: Float[np.ndarray, "m q"],
    *,
    pixel_size_um: float | None,
    lengths: bool,
) -> list[Beside]:
    """Tables of `QUANTITIES` in pixels compared, by the rules of `sorby evaluate`; without `lengths`, only the rest."""
    columns = [column for column, quantity in enumerate(QUANTITIES) if lengths or not quantity.power]
    ours, theirs, own = comparable(real), comparable(generated), np.arange(len(generated))
    found = {column: agreement(ours[:, column], parents, theirs[:, column], own) for column in columns}
    judged = [(column, result) for column, result in found.items() if result is not None]
    told = verdicts([result for _, result in judged])
    verdict_of = {column: verdict for (column, _), verdict in zip(judged, told, strict=True)}
    rows = []
    for column in columns:
        factor, unit = unit_of(QUANTITIES[column], pixel_size_um)
        x, y = (factor * table[~np.isnan(table[:, column]), column] for table in (real, generated))
        lacking = is_lacking(real[:, column], parents, generated[:, column])
        verdict = "differs" if lacking else verdict_of.get(column)
        rows.append(Beside(QUANTITIES[column], unit, x, y, found[column], verdict, lacking))
    return rows

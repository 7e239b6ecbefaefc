"""The metallography of the generated images against that of the real ones."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sorby.evaluation.sides import Comparison, all_parents, same_scale
from sorby.measurement import descriptor_table, unit_of
from sorby.metrics.record import Descriptor
from sorby.metrics.sets import ImageSet
from sorby.microstructure.compare import Agreement, agreement
from sorby.microstructure.describe import QUANTITIES, Quantity, comparable


@dataclass(frozen=True)
class Tables:
    """Descriptors, an image a row and a column each of `QUANTITIES`; NaN where an image has none."""

    generated: Float[np.ndarray, "n q"]
    one: Float[np.ndarray, "m q"]
    """Some real images ..."""
    other: Float[np.ndarray, "k q"]
    """... and those of other micrographs."""

    @property
    def real(self) -> Float[np.ndarray, "r q"]:
        """All real images: a mean gains nothing from copies, so the training images count too."""
        return np.concatenate([self.one, self.other])


def tables_of(fakes: ImageSet, comparison: Comparison, *, pixel_size_um: float | None) -> Tables:
    """The metallography of the generated and of all real images, in the units of `pixel_size_um`."""
    sides = (fakes, *comparison.floor)
    generated, one, other = (descriptor_table(images.batches()) for images in sides)
    factors = np.array([unit_of(quantity, pixel_size_um)[0] for quantity in QUANTITIES])
    return Tables(generated * factors, one * factors, other * factors)


def descriptors_of(
    tables: Tables, fakes: ImageSet, comparison: Comparison, *, pixel_size_um: float | None, seed: int
) -> list[Descriptor]:
    """Each descriptor compared; lengths are left out where the pixel sizes are known to differ."""
    one, other = (images.parents for images in comparison.floor)
    parents = all_parents(comparison)
    generated, real, of_one, of_other = (
        comparable(table) for table in (tables.generated, tables.real, tables.one, tables.other)
    )
    rng = np.random.default_rng(seed)
    found = []
    for column, quantity in enumerate(QUANTITIES):
        if quantity.power and not same_scale(fakes.pixel_size_um, comparison.real.pixel_size_um):
            continue
        between = agreement(of_one[:, column], one, of_other[:, column], other, rng=rng)
        result = agreement(real[:, column], parents, generated[:, column], fakes.parents, rng=rng)
        if result is not None:
            found.append(_descriptor(quantity, result, between, unit=unit_of(quantity, pixel_size_um)[1]))
    return found


def _descriptor(quantity: Quantity, result: Agreement, between: Agreement | None, *, unit: str) -> Descriptor:
    shift, spread = result.shift, result.spread
    means = (result.real_mean, result.generated_mean)
    real_mean, generated_mean = map(math.exp, means) if quantity.is_length else means
    return Descriptor(
        name=quantity.name,
        title=quantity.title,
        unit=unit,
        real_mean=real_mean,
        generated_mean=generated_mean,
        shift=(shift.value, shift.low, shift.high),
        spread=(math.exp(spread.value), math.exp(spread.low), math.exp(spread.high)),
        verdict=result.verdict,
        between_real=between.shift.value if between else None,
        num_real=result.num_real,
        num_generated=result.num_generated,
        num_parents=result.num_parents,
    )

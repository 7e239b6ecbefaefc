"""The metallography of the generated images against that of the real ones."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from sorby.errors import DataError
from sorby.evaluation.sides import Comparison, all_parents, same_scale
from sorby.fields import one_channel
from sorby.measurement.measured import descriptor_table
from sorby.measurement.units import unit_of
from sorby.metrics.record import Descriptor
from sorby.metrics.sets import ImageSet
from sorby.microstructure.compare import Agreement, Verdict, agreement, is_lacking, verdicts
from sorby.microstructure.curves import Curves, curves_of, mean_curves
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Quantity, comparable, phase_masks
from sorby.microstructure.fraction import Estimate


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
    tables: Tables, fakes: ImageSet, comparison: Comparison, *, pixel_size_um: float | None
) -> list[Descriptor]:
    """Each descriptor compared; lengths are left out where the pixel sizes are known to differ."""
    one, other = (images.parents for images in comparison.floor)
    parents = all_parents(comparison)
    generated, real, of_one, of_other = (
        comparable(table) for table in (tables.generated, tables.real, tables.one, tables.other)
    )
    found = []
    for column, quantity in enumerate(QUANTITIES):
        if quantity.power and not same_scale(fakes.pixel_size_um, comparison.pixel_size_um):
            continue
        between = agreement(of_one[:, column], one, of_other[:, column], other)
        result = agreement(real[:, column], parents, generated[:, column], fakes.parents)
        if result is not None:
            found.append((quantity, result, between))
    return [
        _descriptor(quantity, result, between, verdict, unit=unit_of(quantity, pixel_size_um)[1])
        for (quantity, result, between), verdict in zip(found, verdicts([each[1] for each in found]), strict=True)
    ]


def lacking(tables: Tables, comparison: Comparison) -> list[str]:
    """Titles of the descriptors that most real images have and hardly any generated one."""
    parents = all_parents(comparison)
    return [
        quantity.title
        for quantity, real, generated in zip(QUANTITIES, tables.real.T, tables.generated.T, strict=True)
        if is_lacking(real, parents, generated)
    ]


def correlation_of(pictures: UInt8[np.ndarray, "n c h w"], parents: Int[np.ndarray, " n"]) -> list[Estimate]:
    """Two-point probability S2 of the phase at 0, 1, 2, ... px, over all directions, with its interval over parents.

    Empty where no picture has two phases.
    """
    curves = []
    for picture, parent in zip(pictures, parents, strict=True):
        try:
            _, (mask,) = phase_masks(one_channel(picture), BY_OTSU)
        except DataError:
            continue  # of one grey
        curves.append(Curves(str(parent), curves_of(mask)))
    return mean_curves(curves)["s2"] if curves else []


def _descriptor(
    quantity: Quantity, result: Agreement, between: Agreement | None, verdict: Verdict, *, unit: str
) -> Descriptor:
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
        verdict=verdict,
        between_real=between.shift.value if between else None,
        num_real=result.num_real,
        num_generated=result.num_generated,
        num_parents=result.num_parents,
    )

"""Fields of view measured, many at a time."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from sorby.fields import Field, one_channel
from sorby.microstructure.curves import Curves, curves_of
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, Segmentation, describe
from sorby.microstructure.full import FullyDescribed, describe_fully

FEW_PX = 2**22
"""Fewer pixels than these are measured before other processes would have started."""
CHUNK = 4
"""Images that a process is handed at a time ..."""
BATCH = 32
"""... and those for each process that are read ahead."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Measured:
    """A field and what was measured in it."""

    field: Field
    described: FullyDescribed
    curves: Curves | None = None


def measure_fields(
    fields: Iterable[Field], how: Segmentation, *, curves: bool = False, workers: int = 1
) -> Iterator[Measured]:
    """Measure fields in their order, in as many processes as there are `workers` where there is much to do."""
    return _mapped(partial(measure_field, how=how, curves=curves), fields, workers=workers)


def measure_field(field: Field, how: Segmentation, *, curves: bool = False) -> Measured:
    """One field; what cannot be measured has no values, with the reason, and no curves."""
    described = describe_fully(field.grey, how, mask=None if field.mask is None else field.mask > 0)
    if not curves or described.values.area_fraction is None:
        return Measured(field, described)
    # The labels cover the phase, also where it was cut into particles.
    return Measured(field, described, Curves(field.parent, curves_of(described.labels > 0)))


def descriptor_table(
    pictures: Iterable[UInt8[np.ndarray, "_ c h w"]], how: Segmentation = BY_OTSU, *, workers: int = 1
) -> Float[np.ndarray, "n q"]:
    """The descriptors of pictures, a row each in the order of `QUANTITIES`, in pixels; NaN where there is none."""
    fields = (Field("", "", one_channel(picture), None) for batch in pictures for picture in batch)
    rows = list(_mapped(partial(_compared, how=how), fields, workers=workers))
    return np.array(rows, dtype=np.float64).reshape(-1, len(QUANTITIES))


def _mapped(task: Callable[[Field], T], fields: Iterable[Field], *, workers: int) -> Iterator[T]:
    """`task` of each field, in their order, in processes if `workers` are several and the fields are not few."""
    waiting = iter(fields)
    first: list[Field] = []
    while workers > 1 and sum(field.grey.size for field in first) < FEW_PX and (field := next(waiting, None)):
        first.append(field)
    waiting = chain(first, waiting)
    if sum(field.grey.size for field in first) < FEW_PX:
        yield from map(task, waiting)
        return
    # A process that was forked from one with threads, such as PyTorch's, can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        # A pool takes in all that it is given at once, and the images of a large folder would fill the memory.
        while some := list(islice(waiting, BATCH * workers)):
            yield from pool.map(task, some, chunksize=CHUNK)


def _compared(field: Field, how: Segmentation) -> list[float | None]:
    values = describe(field.grey, how).values
    return [getattr(values, quantity.name) for quantity in QUANTITIES]

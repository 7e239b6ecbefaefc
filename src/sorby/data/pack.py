"""A dataset in another form: zip, folder or shards."""

from collections.abc import Callable
from pathlib import Path

from sorby.data.archive import ABOUT_MICROGRAPHS, check_replaceable, new_archive
from sorby.data.dataset import Dataset, DatasetWriter


def pack(data: Dataset, out: Path, *, progress: Callable[[int], None] = lambda _: None) -> Dataset:
    """Write all patches of a dataset anew: to NAME.zip, to NAME.shards, or to a folder; their bytes stay the same.

    What `sorby prepare` found out about each micrograph goes along.

    Memory does not grow with the pictures. Raises `DataError` where something other than a dataset is at `out`, or a
    picture cannot be read.
    """
    check_replaceable(out)
    names = set(data.archive.names())
    with new_archive(out) as archive:
        writer = DatasetWriter(archive)
        for number, patch in enumerate(data.patches, start=1):
            writer.add(patch, data.archive.read(patch.file))
            progress(number)
        writer.finish(
            space=data.space,
            size=data.size,
            channels=data.channels,
            recipe=data.recipe,
            licence=data.licence,
            origin=data.origin,
            tables={name: data.archive.read(name).decode() for name in ABOUT_MICROGRAPHS if name in names},
        )
    return Dataset.open(out)

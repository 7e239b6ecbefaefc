"""A dataset as the zip that StyleGAN2-ADA, StyleGAN3 and their kin train on. `sorby.data.foreign` reads such zips."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sorby.data.archive import new_archive
from sorby.data.dataset import Dataset
from sorby.data.foreign import About
from sorby.data.manifest import Split, stylegan_labels
from sorby.errors import ConfigError, DataError


def write_stylegan_zip(
    data: Dataset, out: Path, *, split: Split = "train", progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write one side of the split to NAME.zip, picture for picture the same bytes; gives their number.

    Pictures are 00000/img00000000.png and so on. A label in dataset.json is the number of the class, where a class is
    the only condition, or the list of numbers that Sorby's networks read; under "sorby", which other tools pass over,
    it says what they mean, and the pixel size.
    Raises `ConfigError` for another suffix, `DataError` where there are no such pictures, their size is no power of
    two, which those networks need, or something is at `out`: a whole dataset would be lost to a part of one.
    """
    if out.suffix.lower() != ".zip":
        raise ConfigError(f"{out} does not end in .zip: name a file that does.")
    if data.size & (data.size - 1):
        raise DataError(f"{data.path} has pictures of {data.size} px, expected a power of two: prepare it with --size.")
    if out.exists():
        raise DataError(f"{out} is there: choose another --out, or move it away.")
    side = data.split(split)
    names = [f"{number // 1000:05d}/img{number:08d}.png" for number in range(len(side))]
    with new_archive(out) as archive:
        for number, (name, patch) in enumerate(zip(names, side.patches, strict=True), start=1):
            archive.picture(name, side.archive.read(patch.file), {})
            progress(number)
        renamed = (replace(patch, file=name) for name, patch in zip(names, side.patches, strict=True))
        table = json.loads(stylegan_labels(renamed, data.space))
        about = About(pixel_size_um=data.pixel_size_um, space=data.space, licence=data.licence, origin=data.origin)
        table["sorby"] = about.model_dump(exclude_none=True, exclude=None if data.origin else {"origin"})
        archive.write("dataset.json", json.dumps(table).encode())
    return len(side)


def what_is_lost(data: Dataset, split: Split) -> str:
    """What such a zip has no place for, in one line."""
    others = len(data) - len(data.split(split))
    left_out = f"; {others} patches that are not of {split} are left out" if others else ""
    return (
        "Lost: from which micrograph, specimen and place each patch comes, and so a split by micrograph"
        f"{left_out}. Other tools pass over pixel size and units."
    )

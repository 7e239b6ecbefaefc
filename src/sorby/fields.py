"""Fields of view, from anything that holds or draws images: micrographs, datasets, generators."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.data.dataset import Dataset, is_dataset
from sorby.data.infobar import find_info_bar
from sorby.decode import Grey, luma
from sorby.errors import DataError
from sorby.generator import Generator
from sorby.mark import check_unmarked
from sorby.metrics.sets import is_generator
from sorby.micrograph import read_micrograph, said_synthetic
from sorby.sources import ImageFile, find_images

DRAWN = 16
"""Pictures of a generator that are held at once."""

Warn = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Field:
    """A field of view: one image, or one patch of a micrograph."""

    name: str
    parent: str
    """The micrograph it is part of; fields of one parent are not independent."""
    grey: Grey
    pixel_size_um: float | None
    note: str = ""
    mask: Grey | None = None
    """The phase as somebody marked it, above 0; None to find it by grey."""
    about: Mapping[str, str] = field(default_factory=dict)
    """That it is synthetic and what drew it, or that its dataset is not all real; empty where nothing says so."""


def fields_of(
    path: Path,
    *,
    num: int,
    seed: int = 0,
    pixel_size_um: float | None = None,
    masks: Path | None = None,
    device: str = "cpu",
    warn: Warn = warnings.warn,
) -> Iterator[Field]:
    """The fields of anything that holds or draws images.

    A generator draws `num` pictures from `seed` on, a dataset gives at most so many patches, drawn with `seed`.
    `pixel_size_um` stands in where a file states none. Info bars of raw micrographs are cut off, which is noted; a
    file that cannot be read, or whose mask does not fit, is told to `warn` and passed over. `masks` holds images of
    the same names. Raises `DataError` where there are no images, or no masks for them, before any is read.
    """
    if masks and (is_generator(path) or is_dataset(path)):
        raise DataError(f"--masks goes with a folder of micrographs, and {path} is none: leave it out.")
    if is_generator(path):
        return _drawn(Generator.load(path, device=device), range(seed, seed + num), pixel_size_um)
    if is_dataset(path):
        return _of_dataset(Dataset.open(path), num, seed, pixel_size_um)
    files = find_images([path])
    return _of_files(files, _masks_of(files, masks) if masks else {}, pixel_size_um, warn)


def _drawn(generator: Generator, seeds: range, pixel_size_um: float | None) -> Iterator[Field]:
    size = generator.card.pixel_size_um or pixel_size_um
    for start in range(0, len(seeds), DRAWN):
        batch = seeds[start : start + DRAWN]
        for seed, picture in zip(batch, generator.images(batch), strict=True):
            about = {"synthetic": "true", "generator": generator.hash, "seed": str(seed)}
            yield Field(f"seed {seed}", f"seed {seed}", one_channel(picture), size, note="synthetic", about=about)


def _of_dataset(data: Dataset, num: int, seed: int, pixel_size_um: float | None) -> Iterator[Field]:
    about = {"origin": data.origin} if data.origin else {}
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data))[:num])
    for index in chosen:
        patch = data.patches[index]
        grey = one_channel(data.images([int(index)])[0])
        yield Field(patch.file, patch.parent, grey, patch.pixel_size_um or pixel_size_um, about=about)


def _of_files(
    files: Sequence[ImageFile], masks: Mapping[str, ImageFile], pixel_size_um: float | None, warn: Warn
) -> Iterator[Field]:
    for file in files:
        try:
            field = _read(file, masks.get(_stem(file)), pixel_size_um)
        except DataError as error:
            warn(f"passed over: {error}")
            continue
        yield field


def _read(file: ImageFile, mask_file: ImageFile | None, pixel_size_um: float | None) -> Field:
    micrograph = read_micrograph(file)
    check_unmarked(micrograph)
    about = said_synthetic(micrograph.notes)
    grey, mask = micrograph.grey, None
    if mask_file is not None:
        mask = read_micrograph(mask_file).grey
        if mask.shape != grey.shape:
            size = f"{grey.shape[1]} x {grey.shape[0]} px as {file.name}"
            raise DataError(f"{mask_file.name} has {mask.shape[1]} x {mask.shape[0]} px, expected {size}.")
    top, bottom = find_info_bar(eight_bit(grey))
    bar = [] if bottom - top == len(grey) else [f"info bar of {len(grey) - bottom + top} rows cut off"]
    note = "; ".join([*(["synthetic"] if about else []), *bar])
    size_um = micrograph.pixel_size_um or pixel_size_um
    cut = None if mask is None else mask[top:bottom]
    return Field(file.name, file.name, grey[top:bottom], size_um, note, cut, about)


def _masks_of(files: Sequence[ImageFile], masks: Path) -> dict[str, ImageFile]:
    """The mask of each file by its name without suffix. Raises `DataError` for one without, or with two."""
    _by_stem(files)
    found = _by_stem(find_images([masks]))
    missing = [file.name for file in files if _stem(file) not in found]
    if missing:
        named = f"{missing[0]} and {len(missing) - 1} more have" if len(missing) > 1 else f"{missing[0]} has"
        raise DataError(f"{named} no mask: expected an image of the same name, with any suffix, in {masks}.")
    return found


def _by_stem(files: Sequence[ImageFile]) -> dict[str, ImageFile]:
    found: dict[str, ImageFile] = {}
    for file in files:
        if (other := found.setdefault(_stem(file), file)) is not file:
            raise DataError(f"{other.name} and {file.name} have one name: masks are found by name, rename one.")
    return found


def _stem(file: ImageFile) -> str:
    return Path(file.name).stem


def eight_bit(grey: Grey) -> UInt8[np.ndarray, "h w"]:
    """For looking at, not for measuring: 16-bit greys with the largest made white."""
    return grey if grey.dtype == np.uint8 else (grey * (255 / max(int(grey.max()), 1))).astype(np.uint8)


def one_channel(picture: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "h w"]:
    """Colours become grey as in files of them."""
    return picture[0] if len(picture) == 1 else luma(picture.transpose(1, 2, 0))

"""The prepared dataset: PNG patches, where each came from, and what it was made under.

    00000/NAME.png     the patches, square, 8-bit, one or three channels
    dataset.json       labels as StyleGAN tools read them
    manifest.csv       one row a patch, see `Patch`
    README.md          the card: all of it in words
    dataset.toml       recipe, conditions, licence, hashes

A zip or folder of PNG files without a manifest, as other StyleGAN tools write it, opens too.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from jaxtyping import Float32, Int, UInt8

from sorby.conditions import ConditionSpace
from sorby.data.archive import Archive, Writer, new_archive, open_archive
from sorby.data.card import CARD, data_card
from sorby.data.foreign import holds_foreign, open_foreign
from sorby.data.manifest import CONDITION_PREFIX, Patch, Split, read_manifest, stylegan_labels, write_manifest
from sorby.data.pixels import decode, encode, pixel_hash, shape_of
from sorby.data.shards import ShardArchive, ShardWriter
from sorby.data.table import TABLE, PatchTable, TableBuilder, open_table
from sorby.errors import ConfigError, DataError
from sorby.micrograph import common_size
from sorby.untrusted import first_words, is_plain_name, parse_toml, rows_of

__all__ = ["Dataset", "DatasetWriter", "Patch", "Split", "is_dataset", "write_dataset"]

FORMAT = 1
"""Raised whenever an older Sorby could not read what this one writes."""


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset, or a view of some of its patches. Pictures are read when asked for."""

    path: Path
    patches: PatchTable
    space: ConditionSpace
    recipe: Mapping[str, Any]
    size: int  # side of every picture in pixels
    channels: int  # 1 or 3
    archive: Archive = field(repr=False, compare=False)
    licence: str | None = None  # of the pictures, as given to `sorby prepare`
    origin: str = ""  # how many pictures are no real micrographs; empty where nothing says so

    @classmethod
    def open(cls, path: Path | str) -> "Dataset":
        """Open and check a dataset. Raises `DataError` where files are missing, changed, or of several sizes."""
        path, archive = Path(path), open_archive(Path(path))
        if "dataset.toml" in archive.names():
            return cls._open_own(path, archive)
        patches, about, size, channels = open_foreign(path, archive)
        table = PatchTable.of(patches)
        return cls(path, table, about.space, {}, size, channels, archive, about.licence, about.origin)

    @classmethod
    def _open_own(cls, path: Path, archive: Archive) -> "Dataset":
        try:
            about = parse_toml(archive.read("dataset.toml").decode())
            if not isinstance(about["format"], int):
                raise ValueError(f"format is {about['format']!r}, expected a whole number")
            if about["format"] > FORMAT:
                raise DataError(f"{path} has format {about['format']}, this Sorby reads up to {FORMAT}: update Sorby.")
            patches, space = _table(path, archive, about), ConditionSpace(conditions=about["conditions"])
            recipe, size, channels = dict(about["recipe"]), about["size_px"], about["channels"]
            licence = None if about.get("licence") is None else str(about["licence"])
            origin = str(about.get("origin", ""))
            _check_words(patches, space)
        except (KeyError, ValueError, TypeError, ConfigError) as error:
            raise DataError(
                f"{path}: its tables are damaged ({first_words(error)}): prepare the dataset again."
            ) from error
        if not patches:
            raise DataError(f"{path} lacks any patch: prepare the dataset again.")
        # Memory is taken for many pictures by what is said of them.
        first, expected = f"{path}: {patches[0].file}", (channels, size, size)
        if (came := shape_of(archive.read(patches[0].file), name=first)) != expected:
            raise DataError(f"{first} has shape {came}, expected {expected}: prepare the dataset again.")
        return cls(path, patches, space, recipe, size, channels, archive, licence, origin)

    def __len__(self) -> int:
        return len(self.patches)

    def images(self, indices: Sequence[int] | Int[np.ndarray, " m"] | None = None) -> UInt8[np.ndarray, "n c h w"]:
        """The pictures of `indices`, or all. Raises `DataError` where one is damaged or was changed."""
        chosen = self._chosen(indices)
        images = np.empty((len(chosen), self.channels, self.size, self.size), dtype=np.uint8)
        for image, patch in zip(images, chosen, strict=True):
            image[:] = self._picture(patch)
        return images

    def conditions(self, indices: Sequence[int] | Int[np.ndarray, " m"] | None = None) -> Float32[np.ndarray, "n d"]:
        """The encoded conditions of `indices`, or of all."""
        chosen = self._chosen(indices)
        if not self.space.dim:
            return np.empty((len(chosen), 0), np.float32)
        codes = np.column_stack([chosen.codes(name) for name in chosen.conditions])
        _, first, of = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        encoded = [self.space.encode(chosen[int(place)].conditions) for place in first]
        return np.array(encoded, dtype=np.float32)[of.ravel()]

    @cached_property
    def hash(self) -> str:
        """Identity of the pictures in this view: sha256 over their sha256s."""
        found = hashlib.sha256()
        for place, digest in enumerate(self.patches.digests()):
            told = digest or pixel_hash(self._picture(self.patches[place]))
            found.update((f"\n{told}" if place else told).encode())
        return found.hexdigest()

    @cached_property
    def pixel_size_um(self) -> float | None:
        """Pixel size common to all patches, None where unknown or mixed."""
        sizes = self.patches.columns["pixel_size_um"][self.patches.rows]
        _, first = np.unique(sizes, return_index=True)
        return common_size(None if np.isnan(size) else float(size) for size in sizes[np.sort(first)])

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """The distinct parents, in order of appearance."""
        return self.patches.distinct("parent")

    @cached_property
    def parent_of(self) -> Int[np.ndarray, " n"]:
        """Index into `parents` for each patch."""
        index = {parent: number for number, parent in enumerate(self.parents)}
        of_code = np.array([index.get(word, -1) for word in self.patches.words["parent"]], np.int64)
        return of_code[self.patches.codes("parent")]

    def split(self, name: Split) -> "Dataset":
        """The patches of one side of the split. Raises `DataError` where there are none."""
        chosen = self.patches.where(self.patches.is_word("split", name))
        if not chosen:
            raise DataError(f"{self.path} has no {name} patches: prepare it again with another --held-out.")
        return replace(self, patches=chosen)

    def subset(self, num_parents: int, *, seed: int) -> "Dataset":
        """All patches of `num_parents` parents drawn with `seed`; a smaller subset lies within a larger one."""
        if not 1 <= num_parents <= len(self.parents):
            raise ConfigError(
                f"A subset of {num_parents} micrographs is asked of {self.path}, which has {len(self.parents)}: "
                "choose at most that."
            )
        order = np.random.default_rng(seed).permutation(len(self.parents))
        return replace(self, patches=self.patches.where(np.isin(self.parent_of, order[:num_parents])))

    def _chosen(self, indices: Sequence[int] | Int[np.ndarray, " m"] | None) -> PatchTable:
        return self.patches if indices is None else self.patches.take(self.patches.rows[np.asarray(indices, np.int64)])

    def _picture(self, patch: Patch) -> UInt8[np.ndarray, "c h w"]:
        name, expected = f"{self.path}: {patch.file}", (self.channels, self.size, self.size)
        picture = decode(self.archive.read(patch.file), name=name, shape=expected)
        if patch.sha256 and pixel_hash(picture) != patch.sha256:
            raise DataError(f"{name} was changed since it was prepared: prepare the dataset again.")
        return picture


def _table(path: Path, archive: Archive, about: Mapping[str, Any]) -> PatchTable:
    """Where each patch came from. Raises `DataError` where the table was changed, or a picture of it is missing."""
    if isinstance(archive, ShardArchive):
        table = open_table(archive.read(TABLE), archive.column)
        if not len(table) == len(archive.index) == about["patches"]:
            raise DataError(f"{path}: its index and its columns differ in length: prepare the dataset again.")
        return table
    text = archive.read("manifest.csv")
    if hashlib.sha256(text).hexdigest() != about["sha256"]["manifest.csv"]:
        raise DataError(f"{path}: manifest.csv was changed since it was prepared: prepare the dataset again.")
    table = PatchTable.of(read_manifest(text.decode()))
    if missing := {patch.file for patch in table} - set(archive.names()):
        raise DataError(f"{path} lacks {min(missing)}: prepare the dataset again.")
    return table


def _check_words(patches: PatchTable, space: ConditionSpace) -> None:
    """Raise `ValueError` or `ConfigError` for names of no one line, and for conditions other than the dataset's."""
    for words in patches.words.values():
        if unfit := [word for word in words if not is_plain_name(word)]:
            raise ValueError(f"{unfit[0]!r} has control characters")
    for condition in space.conditions:
        for word in patches.words[CONDITION_PREFIX + condition.name]:
            condition.encode(word)


def is_dataset(path: Path) -> bool:
    """Whether `Dataset.open` is the way to read `path`, and not `find_images`.

    True for a folder or zip with the tables of Sorby or of a StyleGAN tool, and for a zip whose images are all 8-bit
    PNGs of one square size; a folder of such PNGs is a folder of images. Raises `DataError` where a zip is damaged.
    """
    tables = {"dataset.toml", "dataset.json"}
    if path.is_dir():
        return any((path / name).is_file() for name in tables)
    if not path.is_file() or path.suffix.lower() != ".zip":
        return False
    archive = open_archive(path)
    return not tables.isdisjoint(archive.names()) or holds_foreign(path, archive)


class DatasetWriter:
    """Writes patches one by one, then the tables."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._patches = TableBuilder()

    def add(self, patch: Patch, png: bytes) -> None:
        """Add one encoded picture; `patch.sha256` must be that of its pixels."""
        self._patches.add(replace(patch, file=self._writer.picture(patch.file, png, _about(patch))))

    def finish(
        self,
        *,
        space: ConditionSpace,
        size: int,
        channels: int,
        recipe: Mapping[str, Any],
        licence: str | None = None,
        origin: str = "",
        tables: Mapping[str, str] | None = None,
    ) -> None:
        """Write labels, manifest, `tables` (further text files by name) and dataset.toml."""
        table = self._patches.table()
        texts = dict(tables or {})
        rejected = texts.get("rejected.csv")
        texts[CARD] = data_card(
            table,
            space=space,
            size=size,
            channels=channels,
            recipe=recipe,
            licence=licence,
            origin=origin,
            num_rejected=None if rejected is None else sum(1 for _ in rows_of(rejected)),
        )
        if isinstance(self._writer, ShardWriter):
            for name, data in table.files().items():
                self._writer.write(name, data)
        else:
            texts |= {"dataset.json": stylegan_labels(table, space), "manifest.csv": write_manifest(table, space)}
        about = {
            "format": FORMAT,
            "made_with": f"sorby {version('sorby')}",
            **({"licence": licence} if licence else {}),
            **({"origin": origin} if origin else {}),
            "patches": len(table),
            "size_px": size,
            "channels": channels,
            "conditions": [condition.model_dump(exclude_none=True) for condition in space.conditions],
            "recipe": recipe,
            "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        }
        for name, text in (*texts.items(), ("dataset.toml", tomli_w.dumps(about))):
            self._writer.write(name, text.encode())


def _about(patch: Patch) -> dict[str, Any]:
    """What a shard says beside a picture."""
    return {name: value for name, value in asdict(patch).items() if value not in ("", None) and name != "file"}


def write_dataset(
    path: Path | str,
    items: Iterable[tuple[Patch, UInt8[np.ndarray, "..."]]],
    *,
    space: ConditionSpace,
    recipe: Mapping[str, Any],
    licence: str | None = None,
) -> Dataset:
    """Write patches and their pictures (h w, or c h w with 1 or 3 channels) as a zip or a folder, and open it.

    Raises `DataError` where there are none, or pictures are not square or of several sizes.
    """
    shape: tuple[int, ...] = ()
    with new_archive(Path(path)) as archive:
        writer = DatasetWriter(archive)
        for patch, image in items:
            picture = image[None] if image.ndim == 2 else image
            shape = shape or picture.shape
            if picture.shape != shape or shape[1] != shape[2] or shape[0] not in (1, 3):
                raise DataError(
                    f"{patch.file} has shape {picture.shape}, expected square pictures of one size: cut them so."
                )
            writer.add(replace(patch, sha256=pixel_hash(picture)), encode(picture))
        if not shape:
            raise DataError(f"{path} would hold no pictures: give some.")
        writer.finish(space=space, size=shape[1], channels=shape[0], recipe=recipe, licence=licence)
    return Dataset.open(path)

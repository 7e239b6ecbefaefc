"""What is compared: a run, a generator, a dataset or a folder of images, all as one kind of set."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8

from sorby.conditions import ConditionSpace
from sorby.config import FAMILIES, Symmetry
from sorby.data.dataset import Dataset, Split, is_dataset
from sorby.data.table import Field
from sorby.errors import DataError
from sorby.generator import Generator, Values
from sorby.mark import check_unmarked
from sorby.micrograph import common_size, is_synthetic, read_micrograph
from sorby.shipped import located
from sorby.sources import ImageFile, find_images

BATCH = 32
MAX_KEPT_BYTES = 2**30
FIRST_SEED = 2_000_000  # a million seeds for each evaluation, away from those that users and training look at


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures of one size, read or drawn when asked for."""

    name: str
    names: Sequence[str]
    """One for each picture, as the user knows it."""
    parents: Int[np.ndarray, " n"]
    """Number of the micrograph that each picture comes from; generated pictures and plain files are their own."""
    load: Callable[[Sequence[int]], UInt8[np.ndarray, "n c h w"]]
    """Pictures by their place in the set."""
    hash: str
    """Decides the pictures and their order."""
    pixel_size_um: float | None
    """None where unknown or mixed."""
    space: ConditionSpace = field(default_factory=ConditionSpace)
    """The conditions that the pictures differ in."""
    conditions: Sequence[Values] = ()
    """What each picture was made under, or asked for; empty where `space` is."""
    symmetry: Symmetry = "none"
    """Moves under which the pictures that a generator learnt from counted as good as new ones."""
    augmentation: tuple[str, ...] = FAMILIES
    """Families that its training augmented with; all, where nobody knows."""
    about: Mapping[str, str] = field(default_factory=dict)
    """That the pictures are synthetic and what drew them, or that not all are real; empty where nothing says so."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_parents(self) -> int:
        """Distinct parents."""
        return len(np.unique(self.parents))

    def batches(self) -> Iterator[UInt8[np.ndarray, "n c h w"]]:
        """All pictures in their order, a few at a time."""
        for start in range(0, len(self), BATCH):
            yield self.load(range(start, min(start + BATCH, len(self))))

    def first(self, num: int) -> UInt8[np.ndarray, "n c h w"]:
        """The first `num` pictures, or as many as there are."""
        return self.load(range(min(num, len(self))))

    def kept(self) -> "ImageSet":
        """The same, drawn once and kept in memory where that takes less than `MAX_KEPT_BYTES`."""
        if len(self) * self.first(1).nbytes > MAX_KEPT_BYTES:
            return self
        pictures = cache(lambda: np.concatenate(list(self.batches())))
        return replace(self, load=lambda indices: pictures()[list(indices)])

    def subset(self, chosen: Int[np.ndarray, " m"], *, name: str) -> "ImageSet":
        """The pictures at some places, in that order."""
        places = [int(place) for place in chosen]
        digest = hashlib.sha256(f"{self.hash}|{places}".encode()).hexdigest()
        load = self.load
        return replace(
            self,
            name=name,
            names=tuple(self.names[place] for place in places),
            parents=self.parents[chosen],
            conditions=tuple(self.conditions[place] for place in places) if self.conditions else (),
            load=lambda indices: load([places[index] for index in indices]),
            hash=digest,
        )

    def at_most(self, num: int, *, seed: int) -> "ImageSet":
        """`num` pictures drawn with `seed`, in random order, so that the first ones are a fair sample too."""
        return self.subset(np.random.default_rng(seed).permutation(len(self))[:num], name=self.name)

    def halves(self, *, seed: int) -> tuple["ImageSet", "ImageSet"]:
        """Two sets without a common parent, of about half of the parents each; of one parent, half of its pictures."""
        several = self.num_parents > 1
        owner, of = (self.parents, "real micrographs") if several else (np.arange(len(self)), "one real micrograph")
        order = np.random.default_rng(seed).permutation(np.unique(owner))
        first = np.isin(owner, order[: len(order) // 2])
        return (
            self.subset(np.flatnonzero(first), name=f"one half of the {of}"),
            self.subset(np.flatnonzero(~first), name="the other half"),
        )


def open_real(path: Path, *, num: int, seed: int, device: torch.device | str = "cpu") -> dict[Split | None, ImageSet]:
    """At most `num` pictures of each side of a dataset's split; without a held-out side, all under None.

    Micrographs of held-out conditions are on neither side.
    """
    if not is_dataset(path):
        return {None: open_set(path, num=num, seed=seed, device=device)}
    data = Dataset.open(path)
    names: dict[Split, str] = {"train": "training micrographs", "held-out": "held-out micrographs"}
    sides = {split: data.split(split) for split in names if data.patches.is_word("split", split).any()}
    if len(sides) < len(names):
        only = next(iter(sides.values()), data)
        return {None: of_dataset(only, f"all of {path.name}").at_most(num, seed=seed)}
    return {split: of_dataset(side, names[split]).at_most(num, seed=seed) for split, side in sides.items()}


def open_set(
    path: Path,
    *,
    num: int,
    seed: int,
    conditions: Sequence[Mapping[str, str]] = (),
    truncation: float = 1.0,
    device: torch.device | str = "cpu",
) -> ImageSet:
    """At most `num` pictures of anything; a conditional generator draws `conditions` in their proportions.

    Raises `DataError` where `path` holds no pictures of one size, `WeightsError` where a generator is damaged.
    """
    if is_generator(path):
        return _of_generator(path, num, seed, conditions, truncation, device)
    if is_dataset(path):
        return of_dataset(Dataset.open(path), path.name).at_most(num, seed=seed)
    return _of_files(path).at_most(num, seed=seed)


def is_generator(path: Path) -> bool:
    """Whether `path` is a generator folder, a run, or the name of a generator that comes with Sorby."""
    return any((located(path) / name).is_file() for name in ("config.json", "config.toml"))


def conditions_of(path: Path) -> list[Mapping[str, str]]:
    """Conditions of the training patches of a dataset, or of all where there is no split; empty for anything else."""
    if is_generator(path) or not is_dataset(path):
        return []
    data = Dataset.open(path)
    chosen = [patch for patch in data.patches if patch.split == "train"] or data.patches
    return [patch.conditions for patch in chosen] if data.space.dim else []


def of_dataset(data: Dataset, name: str) -> ImageSet:
    """All patches of a dataset, or of a view of one, in their order."""
    return ImageSet(
        name,
        Field(data.patches, "file"),
        data.parent_of,
        data.images,
        data.hash,
        data.pixel_size_um,
        space=data.space,
        conditions=Field(data.patches, "conditions") if data.space.dim else (),
        about={"origin": data.origin} if data.origin else {},
    )


def _of_generator(
    path: Path,
    num: int,
    seed: int,
    conditions: Sequence[Mapping[str, str]],
    truncation: float,
    device: torch.device | str,
) -> ImageSet:
    generator = Generator.load(path, device=device)
    seeds = range(FIRST_SEED + 1_000_000 * seed, FIRST_SEED + 1_000_000 * seed + num)
    rng = np.random.default_rng(seed)
    fits = bool(conditions) and set(conditions[0]) == set(generator.card.space.names)
    asked: list[Values | None] = (
        [conditions[i] for i in rng.integers(len(conditions), size=num)] if fits else [None] * num
    )
    return of_generator(generator, seeds, asked, name=path.name, truncation=truncation)


def of_generator(
    generator: Generator,
    seeds: Sequence[int],
    asked: Sequence[Values | None],
    *,
    name: str,
    truncation: float,
) -> ImageSet:
    """A picture a seed at the condition asked for, or where that is None at one of the data, drawn by the seed."""
    digest = hashlib.sha256(f"{generator.hash}|{generator.precision}|{seeds}|{truncation}|{asked}".encode()).hexdigest()
    load = partial(_draw, generator, seeds, asked, truncation)
    names = tuple(f"seed {seed}" for seed in seeds)
    card = generator.card
    drawn = (generator.condition_of(s) if values is None else values for s, values in zip(seeds, asked, strict=True))
    return ImageSet(
        name,
        names,
        np.arange(len(seeds)),
        load,
        digest,
        card.pixel_size_um,
        space=card.space,
        conditions=tuple(drawn) if card.space.dim else (),
        symmetry=card.training.get("symmetry", "none"),
        augmentation=tuple(card.training["augmentation"].split(", ")) if "augmentation" in card.training else FAMILIES,
        about={
            "synthetic": "true",
            "generator": generator.hash,
            "seeds": f"{seeds[0]} to {seeds[-1]}",
            "truncation": f"{truncation:g}",
        },
    )


def _draw(
    generator: Generator,
    seeds: Sequence[int],
    asked: Sequence[Values | None],
    truncation: float,
    indices: Sequence[int],
) -> UInt8[np.ndarray, "n c h w"]:
    """Pictures of the seeds at `indices`, those of one condition together."""
    groups: dict[str, list[int]] = {}
    for place, index in enumerate(indices):
        groups.setdefault(repr(asked[index]), []).append(place)
    size, channels = generator.card.size, generator.card.network.channels
    images = np.empty((len(indices), channels, size, size), dtype=np.uint8)
    for places in groups.values():
        condition = asked[indices[places[0]]]
        chosen = [seeds[indices[place]] for place in places]
        images[places] = generator.images(chosen, truncation=truncation, condition=condition)
    return images


def _of_files(path: Path) -> ImageSet:
    files = find_images([path])
    first = read_micrograph(files[0])
    sizes_um, drawn_by = [], []
    for file in files:
        micrograph = read_micrograph(file)
        check_unmarked(micrograph)
        sizes_um.append(micrograph.pixel_size_um)
        drawn_by += [micrograph.notes.get("generator", "not told")] if is_synthetic(micrograph.notes) else []
    digest = hashlib.sha256("".join(hashlib.sha256(file.read()).hexdigest() for file in files).encode()).hexdigest()
    load = partial(_read, files, first.grey.shape)
    names = tuple(file.name for file in files)
    return ImageSet(path.name, names, np.arange(len(files)), load, digest, common_size(sizes_um), about=_told(drawn_by))


def _told(drawn_by: Sequence[str]) -> dict[str, str]:
    """What pictures say together of which some are synthetic, by the generators of these."""
    return {"synthetic": "true", "generator": "; ".join(dict.fromkeys(drawn_by))} if drawn_by else {}


def _read(files: Sequence[ImageFile], shape: tuple[int, ...], indices: Sequence[int]) -> UInt8[np.ndarray, "n c h w"]:
    return np.stack([_picture(files[index], shape) for index in indices])[:, None]


def _picture(file: ImageFile, shape: tuple[int, ...]) -> UInt8[np.ndarray, "h w"]:
    grey = read_micrograph(file).grey
    if grey.dtype != np.uint8:
        raise DataError(f"{file.name} has 16 bits, expected 8: choose its grey range with sorby prepare first.")
    if grey.shape != shape:
        raise DataError(
            f"{file.name} is {grey.shape[1]} x {grey.shape[0]} px, expected {shape[1]} x {shape[0]} as the others of "
            "its folder: run sorby prepare on them."
        )
    return grey

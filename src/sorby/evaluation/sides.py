"""Both sides of an evaluation: what is scored, against what, and the real images that give the floor."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from sorby.card import GREYS
from sorby.data.dataset import Split
from sorby.errors import DataError
from sorby.generator import read_generator
from sorby.metrics.compare import MIN_IMAGES, check_number
from sorby.metrics.score import Against
from sorby.metrics.sets import ImageSet, conditions_of, is_generator, open_real, open_set
from sorby.micrograph import common_size, same_size


@dataclass(frozen=True)
class Comparison:
    """Generated against some real images, and the two sets of real images that give the floor."""

    against: Against
    real: ImageSet
    floor: tuple[ImageSet, ImageSet]
    """The second stands in the place of the generated images."""

    @property
    def pixel_size_um(self) -> float | None:
        """Of all real images; None where unknown or mixed."""
        return common_size(images.pixel_size_um for images in self.floor)


def comparisons_of(
    reals: Mapping[Split | None, ImageSet], *, name: str, seed: int, notes: list[str]
) -> list[Comparison]:
    """Held-out micrographs first; where there are none, all real images, with two halves of them for the floor.

    Raises `DataError` where there are too few for a score or its floor.
    """
    if len(reals) == 2 and min(len(images) for images in reals.values()) >= MIN_IMAGES:
        held_out, train = reals["held-out"], reals["train"]
        return [
            Comparison("held-out", held_out, (held_out, train)),
            Comparison("train", train, (train, held_out)),
        ]
    notes.append(
        f"{name} has no held-out micrographs (or fewer than {MIN_IMAGES} images of them): a generator that copies "
        "its training images is not found out by these scores. The floor compares two halves of the real micrographs."
    )
    images = max(reals.values(), key=len)
    check_number(len(images), name, least=2 * MIN_IMAGES)
    if images.num_parents == 1:
        notes.append(
            "All real images compared to come from one micrograph. The floor compares two halves of them, which are "
            "more alike than two micrographs are: a generator of new micrographs cannot be expected to reach it."
        )
    halves = images.halves(seed=seed)
    for half in halves:
        check_number(len(half), f"{name}, {half.name},")
    return [Comparison("real", images, halves)]


def all_parents(comparison: Comparison) -> Int[np.ndarray, " n"]:
    """Parents of both sides of the floor: the sides of a split number theirs each from 0, halves of a set do not."""
    one, other = (images.parents for images in comparison.floor)
    return np.concatenate([one, other if comparison.against == "real" else other + one.max() + 1])


def training_set(real: Path, comparison: Comparison, *, seed: int) -> ImageSet:
    """All training pictures, since a copy of any of them counts; of a set without a split, those compared to."""
    if comparison.against != "held-out":
        return comparison.real
    return open_real(real, num=sys.maxsize, seed=seed)["train"]


def generated_set(
    path: Path, real: Path, *, num: int, seed: int, truncation: float, device: torch.device | str
) -> ImageSet:
    """The generated images, of the conditions of the real ones. Raises `DataError` where they are too few."""
    conditions = conditions_of(real)
    images = open_set(path, num=num, seed=seed, conditions=conditions, truncation=truncation, device=device)
    check_number(len(images), images.name)
    return images.kept()


def check_alike(fakes: ImageSet, comparison: Comparison, notes: list[str]) -> None:
    """Raise `DataError` for pictures of different sizes or colours; note different or unknown scales."""
    real = comparison.real
    (_, c, h, w), (_, real_c, real_h, real_w) = fakes.first(1).shape, real.first(1).shape
    if (h, w) != (real_h, real_w):
        raise DataError(
            f"{fakes.name} has images of {w} x {h} px and {real.name} of {real_w} x {real_h} px: expected one size; "
            "prepare the real images at the size of the generated ones."
        )
    if c != real_c:
        raise DataError(
            f"{fakes.name} has {_colour(c)} images and {real.name} {_colour(real_c)} ones: expected one kind; a folder "
            "of images is read as grey, so give the run, the generator or a dataset in its place."
        )
    um, real_um = fakes.pixel_size_um, comparison.pixel_size_um
    if um is None or real_um is None:
        notes.append("The pixel size of one side is unknown or mixed: nobody has checked that the scales agree.")
    elif not same_scale(um, real_um):
        notes.append(
            f"Pixel sizes differ ({um:g} and {real_um:g} µm): these scores mix up structure and magnification, and "
            "lengths are not compared."
        )


def note_given(generated: Path, notes: list[str]) -> None:
    """Note what a generator did not have to learn."""
    if is_generator(generated) and GREYS in read_generator(generated)[0].training:
        notes.append("Brightness and contrast were given to this generator from its data: they agree without merit.")


def same_scale(um: float | None, real_um: float | None) -> bool:
    """Whether two pixel sizes agree, or one of them is unknown."""
    return um is None or real_um is None or same_size(um, real_um)


def _colour(channels: int) -> str:
    return "grey" if channels == 1 else "colour"

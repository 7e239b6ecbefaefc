"""Real and generated images of each condition, as many of each, with what is measured on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sorby.data.dataset import Dataset, is_dataset
from sorby.errors import ConfigError
from sorby.evaluation.conditions import Described, Key, by_condition, in_order, key_of, same_kinds
from sorby.evaluation.fidelity import fidelity_of
from sorby.evaluation.metallography import Tables
from sorby.evaluation.sides import Comparison, all_parents
from sorby.generator import Generator, Values
from sorby.measurement.measured import descriptor_table
from sorby.measurement.units import unit_of
from sorby.metrics.cache import cached_features
from sorby.metrics.features import FeatureNetwork
from sorby.metrics.record import LEAST_IMAGES, ByCondition, Fidelity
from sorby.metrics.sets import FIRST_SEED, ImageSet, is_generator, of_dataset, of_generator
from sorby.microstructure.describe import QUANTITIES
from sorby.report.html import AtCondition

MOST_SHOWN = 12
"""Conditions whose pictures and distributions are shown; scores.json has the means of all."""
PICTURES = 4

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class AtConditions:
    """Both sides at the same conditions."""

    real: ImageSet
    generated: ImageSet
    unseen: frozenset[Key]
    """Conditions that no image trained on has."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What was found."""

    by_condition: tuple[ByCondition, ...]
    fidelity: tuple[Fidelity, ...]
    """Empty where it was not asked for."""
    real: Described
    generated: Described


def at_conditions(
    generated: Path, real: Path, *, num: int, seed: int, truncation: float, device: torch.device | str, notes: list[str]
) -> AtConditions:
    """About `num` images a side, evenly over the conditions of the real ones, those held out of training included.

    A generator draws the same seeds at each condition. Raises `ConfigError` where a side has no conditions, or others.
    """
    if is_generator(real) or not is_dataset(real):
        raise ConfigError(
            f"{real} is no dataset, which would say the condition of each image: leave out --by-condition."
        )
    data = Dataset.open(real)
    if not data.space.dim:
        raise ConfigError(f"{real} has no conditions: prepare it with --labels, or leave out --by-condition.")
    each = max(num // len(keys_of(data)), LEAST_IMAGES)
    images = real_images(data, each=each, seed=seed)
    if is_generator(generated):
        generator = Generator.load(generated, device=device)
        fakes = drawn_images(
            generator, data, each=each, seed=seed, truncation=truncation, name=generated.name, notes=notes
        )
    elif is_dataset(generated) and (other := Dataset.open(generated)).space.dim:
        _check_kinds(other.space.names, same_kinds(other.space, data.space), data, generated.name)
        fakes = real_images(other, each=each, seed=seed)
    else:
        raise ConfigError(f"{generated} does not say the condition of each image: give a generator or a dataset.")
    return AtConditions(images.kept(), fakes.kept(), unseen_of(data))


def keys_of(data: Dataset) -> list[Key]:
    """The conditions of a dataset, in order."""
    return in_order({key_of(patch.conditions, data.space) for patch in data.patches}, data.space)


def unseen_of(data: Dataset) -> frozenset[Key]:
    """Conditions without a patch that is trained on; none where nothing is."""
    seen = {key_of(patch.conditions, data.space) for patch in data.patches if patch.split == "train"}
    return frozenset(set(keys_of(data)) - seen) if seen else frozenset()


def real_images(data: Dataset, *, each: int, seed: int) -> ImageSet:
    """At most so many patches of each condition, whichever side of the split they are on."""
    images = of_dataset(data, f"micrographs of {data.path.name} by condition")
    groups: dict[Key, list[int]] = {key: [] for key in keys_of(data)}
    for place in np.random.default_rng(seed).permutation(len(data)):
        groups[key_of(data.patches[place].conditions, data.space)].append(int(place))
    chosen = [place for places in groups.values() for place in sorted(places[:each])]
    return images.subset(np.array(chosen), name=images.name)


def drawn_images(
    generator: Generator,
    data: Dataset,
    *,
    each: int,
    seed: int,
    truncation: float = 1.0,
    name: str,
    notes: list[str],
) -> ImageSet:
    """So many pictures of the same seeds at each condition of a dataset; those that cannot be drawn are noted.

    Raises `ConfigError` where the generator has other conditions.
    """
    space = generator.card.space
    _check_kinds(space.names, same_kinds(space, data.space), data, name)
    conditions = [dict(zip(data.space.names, key, strict=True)) for key in keys_of(data)]
    able = [values for values in conditions if _can_draw(generator, values)]
    if len(able) < len(conditions):
        lacking = next(values for values in conditions if values not in able)
        notes.append(
            f"{len(conditions) - len(able)} conditions cannot be drawn, such as {data.space.tell(lacking)}: the "
            "generator does not know their classes."
        )
    first = FIRST_SEED + 1_000_000 * seed
    seeds = [seed for _ in able for seed in range(first, first + each)]
    asked: list[Values | None] = [values for values in able for _ in range(each)]
    return of_generator(generator, seeds, asked, name=name, truncation=truncation)


def conditioning(
    sides: AtConditions,
    network: FeatureNetwork,
    *,
    seed: int,
    notes: list[str],
    say: Say = lambda _: None,
) -> Conditioning:
    """The descriptors at each condition, and whether pictures show the condition asked for."""
    real, generated = sides.real, sides.generated
    both_known = real.pixel_size_um and generated.pixel_size_um
    scale = generated.pixel_size_um if both_known else None
    say(f"microstructure of {len(real)} real and {len(generated)} generated images by condition")
    of_real, of_generated = (_described(images, scale) for images in (real, generated))
    say(f"{network.name} features of {len(real)} real and {len(generated)} generated images by condition")
    features = cached_features(real, network), cached_features(generated, network)
    means = by_condition(of_real, of_generated, unseen=sides.unseen, pixel_size_um=scale, seed=seed, notes=notes)
    fidelity = fidelity_of(of_real, of_generated, features, network=network.name, unseen=sides.unseen, seed=seed)
    return Conditioning(tuple(means), tuple(fidelity), of_real, of_generated)


def shown(sides: AtConditions, found: Conditioning) -> list[AtCondition]:
    """Some of the conditions that both sides have, evenly over those seen and those held out."""
    space = sides.real.space
    both = in_order(set(found.real.keys) & set(found.generated.keys), space)
    held_out = [key for key in both if key in sides.unseen]
    seen = [key for key in both if key not in sides.unseen]
    some = _evenly(held_out, max(MOST_SHOWN // 2, MOST_SHOWN - len(seen)))
    chosen = set(some) | set(_evenly(seen, MOST_SHOWN - len(some)))
    return [_at(key, sides, found) for key in both if key in chosen]


def _evenly(keys: Sequence[Key], num: int) -> list[Key]:
    """At most so many, the first and the last among them."""
    return [keys[i] for i in sorted({round(place) for place in np.linspace(0, len(keys) - 1, min(num, len(keys)))})]


def _at(key: Key, sides: AtConditions, found: Conditioning) -> AtCondition:
    real, generated = (np.flatnonzero([other == key for other in side.keys]) for side in (found.real, found.generated))
    space = sides.real.space
    return AtCondition(
        name=space.tell(dict(zip(space.names, key, strict=True))),
        seen=key not in sides.unseen,
        real=sides.real.load(real[:PICTURES].tolist()),
        generated=sides.generated.load(generated[:PICTURES].tolist()),
        real_descriptors=found.real.table[real],
        generated_descriptors=found.generated.table[generated],
    )


def of_scored(
    tables: Tables,
    fakes: ImageSet,
    comparison: Comparison,
    real: Path,
    *,
    pixel_size_um: float | None,
    seed: int,
    notes: list[str],
) -> Conditioning:
    """The descriptors by condition of the images that are scored, in the proportions that the data have."""
    space = comparison.real.space
    conditions = [values for images in comparison.floor for values in images.conditions]
    of_real = Described(space, conditions, all_parents(comparison), tables.real, comparison.pixel_size_um)
    of_fakes = Described(fakes.space, fakes.conditions, fakes.parents, tables.generated, fakes.pixel_size_um)
    unseen = unseen_of(Dataset.open(real)) if space.dim and is_dataset(real) else frozenset()
    if left := unseen - set(of_real.keys):
        notes.append(
            f"{len(left)} conditions held out of training are not looked at here: --by-condition compares them too."
        )
    means = by_condition(of_real, of_fakes, unseen=unseen, pixel_size_um=pixel_size_um, seed=seed, notes=notes)
    return Conditioning(tuple(means), (), of_real, of_fakes)


def _described(images: ImageSet, scale: float | None) -> Described:
    factors = np.array([unit_of(quantity, scale)[0] for quantity in QUANTITIES])
    table = descriptor_table(images.batches()) * factors
    return Described(images.space, images.conditions, images.parents, table, images.pixel_size_um)


def _check_kinds(names: Sequence[str], alike: bool, data: Dataset, name: str) -> None:
    if not alike:
        raise ConfigError(
            f"{name} has the conditions {', '.join(names) or 'none'} and {data.path} {', '.join(data.space.names)}: "
            "expected the same, each as numbers or each as classes."
        )


def _can_draw(generator: Generator, values: Values) -> bool:
    try:
        generator.card.space.encode(values)
    except ConfigError:
        return False
    return True

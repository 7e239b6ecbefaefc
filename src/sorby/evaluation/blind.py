"""The pictures of a blind test: half real, half generated, in an order that tells nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from sorby.data.dataset import Dataset
from sorby.errors import ConfigError
from sorby.evaluation.pairs import pairs_of
from sorby.fields import one_channel
from sorby.generator import Generator, Values
from sorby.metrics.blind import Kind

SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Item:
    """One picture, and the truth about it."""

    picture: UInt8[np.ndarray, "c s s"]
    truth: Kind
    seed: int | None = None
    """Of a generated picture."""
    file: str = ""
    """Of a real one."""
    micrograph: str = ""
    """That it was cut from."""
    condition: Values = field(default_factory=dict)


@dataclass(frozen=True)
class BlindTest:
    """What a judge is shown, one after the other."""

    items: tuple[Item, ...]
    notes: tuple[str, ...]
    """What makes the two sides unlike for other reasons than the generator."""


def blind_test(
    generator: Generator,
    data: Dataset,
    *,
    num: int,
    rng: np.random.Generator,
    truncation: float = 1.0,
    names: tuple[str, str] = ("generator", "data"),
    report: Callable[[int, int], None] = lambda *_: None,
) -> BlindTest:
    """`num` pictures, an even number, of as many micrographs as there are, the generated ones of the same conditions.

    Pictures are grey where those of one side are. Raises `ConfigError` where the sides differ in size, and where there
    are too few real pictures.
    """
    if num < 2 or num % 2:
        raise ConfigError(f"A test of {num} pictures: expected an even number from 2, half of them are real.")
    if generator.card.size != data.size:
        raise ConfigError(
            f"{names[0]} draws {generator.card.size} px and {names[1]} holds {data.size} px, which tells them apart: "
            "prepare the data at the size of the generator."
        )
    seeds = rng.integers(SEEDS, size=num // 2).tolist()
    pairs = pairs_of(generator, data, seeds, rng=rng, truncation=truncation, names=names)
    if len(pairs.real) < num // 2:
        raise ConfigError(
            f"{names[1]} has {len(pairs.real)} such real pictures: ask for at most {2 * len(pairs.real)} in all."
        )
    as_grey = generator.card.network.channels != data.channels
    space = generator.card.space
    items: list[Item] = []
    for place in range(num // 2):
        report(place, num // 2)
        patch = data.patches[int(pairs.places[place])]
        pictures = [_shown(side.load([place])[0], as_grey=as_grey) for side in (pairs.real, pairs.generated)]
        drawn = pairs.generated.conditions[place] if space.dim else {}
        items.append(
            Item(pictures[0], "real", file=patch.file, micrograph=patch.parent, condition=dict(patch.conditions))
        )
        items.append(Item(pictures[1], "generated", seed=seeds[place], condition=dict(drawn)))
    order = rng.permutation(num)
    return BlindTest(tuple(items[place] for place in order), pairs.notes)


def _shown(picture: UInt8[np.ndarray, "c s s"], *, as_grey: bool) -> UInt8[np.ndarray, "d s s"]:
    return one_channel(picture)[None] if as_grey else picture

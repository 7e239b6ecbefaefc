"""A file of another program to a generator folder of Sorby, with a start for training where the file has one."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from torch import nn

from sorby import __version__
from sorby.atomic import new_folder
from sorby.card import GeneratorCard
from sorby.conditions import Condition, ConditionSpace
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.hub import FILES
from sorby.interop.foreign import Foreign, fitted
from sorby.interop.lucidrains import is_lucidrains, read_lucidrains
from sorby.interop.nvidia import is_official, read_official
from sorby.interop.rosinality import is_rosinality, read_rosinality
from sorby.interop.torch_files import read_file
from sorby.models.build import generator_network
from sorby.models.stylegan2 import Discriminator
from sorby.training.transfer import START, write_start

FORMATS = ((is_official, read_official), (is_rosinality, read_rosinality), (is_lucidrains, read_lucidrains))
LICENCE = "weights keep the licence that their makers gave them; the file does not state it"
MOST_COMBINATIONS = 1000


@dataclass(frozen=True)
class Imported:
    """What an import gave."""

    card: GeneratorCard
    """Of the generator that was written."""
    has_start: bool
    """Whether training can start from both networks."""
    remarks: tuple[str, ...]
    """What was not carried over, a sentence each."""


def import_file(
    path: Path,
    out: Path,
    *,
    kimg: float | None = None,
    p: float | None = None,
    pixel_size_um: float | None = None,
    conditions: Sequence[str] = (),
) -> Imported:
    """Write the networks of `path` as the generator folder `out`, in the place of an earlier import.

    `kimg` and `p` are those of the file where they are none. `conditions` are written `NAME:CLASS,CLASS` or
    `NAME[:UNIT]` for a number, in the order of the network's condition; without any they are named by their numbers.
    Nothing in the file is run. Raises `WeightsError` where it cannot be read or holds networks that Sorby has not,
    `ConfigError` for conditions that do not fit them, `DataError` where `out` holds other files.
    """
    foreign = read_foreign(path)
    space = condition_space(conditions, foreign.network.condition_dim)
    what = f"the generator of {path}"
    average = fitted(generator_network, foreign.network, foreign.G_ema, what)
    learning = average if foreign.G is None else fitted(generator_network, foreign.network, foreign.G, what)
    D, remarks = _discriminator(foreign, path)
    kimg = foreign.kimg if kimg is None else kimg
    if kimg is None:
        remarks = (*remarks, "the file does not tell how many images it was trained with: --kimg does")
    card = _card(foreign, path, space, kimg=kimg or 0, pixel_size_um=pixel_size_um)
    with new_folder(out, ours=(*FILES, START)) as folder:
        Generator(average, card).save(folder)
        if D is not None:
            write_start(
                folder / START,
                {"G": learning, "G_ema": average, "D": D},
                images_seen=card.images_seen,
                p=(foreign.p or 0.0) if p is None else p,
            )
    return Imported(card, D is not None, remarks)


def read_foreign(path: Path) -> Foreign:
    """The networks of a file of another program. Raises `WeightsError` where it is none that Sorby knows."""
    value = read_file(path)
    for is_such, read in FORMATS:
        if is_such(value):
            try:
                return read(value, path)
            except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise WeightsError(f"{path} holds weights of unknown shapes ({reason}): it is damaged.") from error
    raise WeightsError(
        f"{path} holds no networks that Sorby knows: expected a pickle of the official StyleGAN2-ADA or StyleGAN3, or "
        "a checkpoint of rosinality's or lucidrains' stylegan2-pytorch."
    )


def condition_space(conditions: Sequence[str], dim: int) -> ConditionSpace:
    """The conditions of a network that takes a vector of length `dim`: as written, or named by their numbers.

    >>> condition_space((), 3).conditions[0].describe()
    'class one of 0, 1, 2'
    >>> space = condition_space(("phase:ferrite,pearlite", "temperature:K"), 3)
    >>> [condition.describe() for condition in space.conditions]
    ['phase one of ferrite, pearlite', 'temperature, a number in K']
    """
    if not conditions and dim:
        classes = tuple(str(number) for number in range(dim))
        single = Condition(name="condition")
        return ConditionSpace(
            conditions=(Condition(name="class", kind="class", classes=classes) if dim > 1 else single,)
        )
    named = [_condition(text) for text in conditions]
    names = [condition.name for condition in named]
    if len(set(names)) < len(names):
        raise ConfigError(f"--condition names {', '.join(names)}: give each name once.")
    space = ConditionSpace(conditions=tuple(named))
    if space.dim != dim:
        raise ConfigError(
            f"The network takes a condition of {dim} numbers, and --condition names {space.dim}: a class takes as many "
            "as it has names, a number takes one."
        )
    return space


def _condition(text: str) -> Condition:
    name, _, rest = text.partition(":")
    classes = tuple(rest.split(",")) if "," in rest else ()
    if not name or ":" in rest or len(set(classes)) < len(classes) or "" in classes:
        raise ConfigError(f"--condition {text!r}: expected NAME:CLASS,CLASS or, for a number, NAME or NAME:UNIT.")
    if classes:
        return Condition(name=name, kind="class", classes=classes)
    return Condition(name=name, unit=rest or None)


def _discriminator(foreign: Foreign, path: Path) -> tuple[nn.Module | None, tuple[str, ...]]:
    if foreign.D is None:
        return None, foreign.remarks
    try:
        return fitted(Discriminator, foreign.network, foreign.D, f"the discriminator of {path}"), foreign.remarks
    except WeightsError as error:
        return None, (*foreign.remarks, f"the discriminator is left out: {error}")


def _card(
    foreign: Foreign, path: Path, space: ConditionSpace, *, kimg: float, pixel_size_um: float | None
) -> GeneratorCard:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    seen = _combinations(space)
    return GeneratorCard(
        network=foreign.network,
        pixel_size_um=pixel_size_um,
        space=space,
        seen_conditions=seen,
        seen_counts=(1,) * len(seen),
        images_seen=round(1000 * kimg),
        data={**foreign.data, "licence": LICENCE},
        training={"imported from": path.name, "sha256": digest, "made with": foreign.origin}
        | ({} if foreign.p is None else {"p": foreign.p}),
        sorby_version=__version__,
    )


def _combinations(space: ConditionSpace) -> tuple[dict[str, str | float], ...]:
    """All classes, each as likely: how often each was is not told, and of numbers not even which."""
    classes = [condition.classes for condition in space.conditions]
    if not classes or not all(classes) or math.prod(map(len, classes)) > MOST_COMBINATIONS:
        return ()
    return tuple(dict(zip(space.names, values, strict=True)) for values in product(*classes))

"""What runs: a study file, and the trainings that it asks for."""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sorby.conditions import ConditionSpace
from sorby.config import NetworkConfig, TrainConfig, resolve
from sorby.data.dataset import Dataset
from sorby.errors import ConfigError, DataError
from sorby.evaluation.at_conditions import keys_of, unseen_of
from sorby.evaluation.conditions import MOST_NAMED, Key, key_of
from sorby.metrics.record import LEAST_IMAGES
from sorby.microstructure.describe import QUANTITIES


class Study(BaseModel):
    """A study file: every key with its sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: str = ""
    """A line above the table."""
    dataset: Path
    """The dataset, seen from the folder that the study is run in."""
    preset: str = "laptop-64"
    """Settings that all runs start from."""
    settings: dict[str, Any] = {}
    """Settings of all runs, as in a run's config.toml."""
    variants: dict[str, dict[str, Any]] = {}
    """Settings that differ, by the name of the variant; without, there is one."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Each variant is trained with each of these."""
    hold_out: Literal["nothing", "marked", "each"] | tuple[dict[str, str | float], ...] = "nothing"
    """Conditions that no run sees: nothing more than the dataset marks; marked, which then must be some; each in turn;
    or all that have these values, such as [{ temperature = 900 }]."""
    num: int = Field(50, ge=LEAST_IMAGES)
    """Pictures drawn at each condition, and micrographs compared to, at most."""
    descriptors: tuple[str, ...] = ()
    """Measures of metallography in the table and the figure, such as area_fraction; empty for all."""
    network: str = "efficientnet-lite0"
    """Feature network of the reader of conditions. It is fast; a discriminator that looks through it flatters itself,
    and inception, ten times slower, does not."""


@dataclass(frozen=True, eq=False)
class Run:
    """One training, what it sees, and what is asked of it."""

    name: str
    """Its folder, below that of the study."""
    variant: str
    config: TrainConfig
    data: Dataset
    """With the conditions that it does not see on the third side of the split."""

    @property
    def unseen(self) -> frozenset[Key]:
        """Conditions that it does not see."""
        return unseen_of(self.data)

    def identity(self, study: Study) -> str:
        """Changes with all that its result depends on."""
        splits = [patch.split for patch in self.data.patches]
        conditions = [dict(patch.conditions) for patch in self.data.patches]
        parts = [
            self.config.model_dump(mode="json", exclude_defaults=True),
            study.num,
            study.network,
            self.data.hash,
            splits,
            conditions,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Plan:
    """A study and all its runs."""

    study: Study
    data: Dataset
    runs: tuple[Run, ...]


def read_study(path: Path, **changes: object) -> Study:
    """Read and check a study file; `changes` replace its keys.

    Raises `DataError` where there is none, `ConfigError` naming the key that does not fit, and the nearest that would.
    """
    try:
        settings = tomllib.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a study file.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML ({error}).") from None
    settings |= {name: value for name, value in changes.items() if value is not None}
    _check_keys(path, settings)
    try:
        study = Study.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        came = "" if first["type"] == "missing" else f" (came: {first['input']!r})"
        raise ConfigError(f"{path}, key {'.'.join(map(str, first['loc'][:2]))}: {first['msg']}{came}.") from None
    for name in study.variants:
        if not re.fullmatch(r"[\w.+=-]+", name):
            raise ConfigError(
                f"{path} calls a variant {name!r}, which names folders: use letters, digits and . + = - _."
            )
    for name in study.descriptors:
        _check_name(path, "descriptors", name, [quantity.name for quantity in QUANTITIES])
    return study


def plan_of(study: Study) -> Plan:
    """All runs of a study. Raises `ConfigError` or `DataError` where it cannot be done."""
    data = Dataset.open(study.dataset)
    if not data.space.dim:
        raise DataError(f"{study.dataset} has no conditions, which a study is about: prepare it with --labels.")
    views = list(_views(study, data))
    variants = study.variants or {"": {}}
    runs = []
    for variant, changes in variants.items():
        for seed in study.seeds:
            settings = {**_merged(study.settings, changes), "seed": seed}
            config = resolve(study.preset, settings, size=data.size)
            if config.network.size != data.size:
                raise ConfigError(
                    f"{study.dataset} has pictures of {data.size} px and the runs draw {config.network.size} px: "
                    "choose another preset, or set size in [settings.network]."
                )
            for label, view in views:
                name = "-".join(part for part in (variant, label, f"seed-{seed}") if part)
                runs.append(Run(name, variant, config, view))
    return Plan(study, data, tuple(runs))


def without(data: Dataset, keys: Collection[Key]) -> Dataset:
    """The same dataset with all patches of some conditions held out, and the conditions scaled by what is left.

    Raises `ConfigError` where a class would be left without a patch to train on, or everything.
    """
    patches = tuple(
        replace(patch, split="held-out-condition") if key_of(patch.conditions, data.space) in keys else patch
        for patch in data.patches
    )
    rows = [patch.conditions for patch in patches if patch.split == "train"]
    if not rows:
        raise ConfigError(f"Without these conditions {data.path} has nothing left to train on: hold out fewer.")
    columns = [f"{c.name}:{c.unit or ''}:{c.kind}" for c in data.space.conditions]
    space = ConditionSpace.from_rows(rows, columns)
    for before, now in zip(data.space.conditions, space.conditions, strict=True):
        if lost := set(before.classes) - set(now.classes):
            raise ConfigError(
                f"{before.name} {min(lost)} would be held out altogether, and a class never seen cannot be drawn: hold "
                "out values of a continuous condition, or combinations that leave some of each class."
            )
    return replace(data, patches=patches, space=space)


def _views(study: Study, data: Dataset) -> Iterator[tuple[str, Dataset]]:
    """What the runs see, with a label where there are several."""
    if study.hold_out == "nothing":
        yield "", data
    elif study.hold_out == "marked":
        if not unseen_of(data):
            raise ConfigError(
                f'{study.dataset} marks no condition as held out: hold_out = "each", or a list of conditions, does.'
            )
        yield "", data
    elif study.hold_out == "each":
        seen = [key for key in keys_of(data) if key not in unseen_of(data)]
        digits = len(str(len(seen)))
        for number, key in enumerate(seen, start=1):
            yield f"without-{number:0{digits}d}", without(data, {key})
    else:
        keys = {key for wanted in study.hold_out for key in _matching(data, wanted)}
        yield "", without(data, keys)


def _matching(data: Dataset, wanted: Mapping[str, str | float]) -> list[Key]:
    """The conditions of a dataset that have the values asked for, whatever their others are."""
    for name in wanted:
        _check_name(data.path, "hold_out", name, data.space.names)
    places = [data.space.names.index(name) for name in wanted]
    values = [
        str(value) if data.space.conditions[place].kind == "class" else float(value)
        for place, value in zip(places, wanted.values(), strict=True)
    ]
    found = [key for key in keys_of(data) if [key[place] for place in places] == values]
    if not found:
        asked = ", ".join(f"{name} = {value}" for name, value in wanted.items())
        some = [data.space.tell(dict(zip(data.space.names, key, strict=True))) for key in keys_of(data)[:MOST_NAMED]]
        raise ConfigError(f"{data.path} has no condition with {asked}, as hold_out wants: it has {'; '.join(some)} ...")
    return found


def _check_keys(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a key that no study has, or a setting that no training has."""
    for name in settings:
        _check_name(path, "", name, Study.model_fields)
    variants = settings.get("variants", {})
    tables = {"settings": settings.get("settings", {})}
    if isinstance(variants, dict):
        tables |= {f"variants.{name}": table for name, table in variants.items()}
    for where, table in tables.items():
        for name, value in table.items() if isinstance(table, dict) else ():
            _check_name(path, where, name, TrainConfig.model_fields)
            if name == "network" and isinstance(value, dict):
                for inner in value:
                    _check_name(path, f"{where}.network", inner, NetworkConfig.model_fields)


def _check_name(path: Path, where: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
        inside = f" in {where}" if where else ""
        raise ConfigError(f"{path} has {name!r}{inside}, which nothing is called: did you mean {near!r}?")


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes win, table by table."""
    merged = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged

"""What runs: the trainings that a study asks for."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sorby.conditions import ConditionSpace
from sorby.config import TrainConfig, resolve
from sorby.data.dataset import Dataset
from sorby.data.table import PatchTable
from sorby.errors import ConfigError, DataError
from sorby.evaluation.at_conditions import keys_of, unseen_of
from sorby.evaluation.conditions import MOST_NAMED, Key, key_of
from sorby.metrics.record import LEAST_IMAGES
from sorby.study.file import Settings, Study, check_name, merged


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
        asked = [study.num, study.network] if study.measure == "conditions" else []
        splits = [patch.split for patch in self.data.patches]
        conditions = [dict(patch.conditions) for patch in self.data.patches]
        settings = self.config.model_dump(mode="json", exclude_defaults=True)
        parts = [study.measure, settings, *asked, self.data.hash, splits, conditions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Plan:
    """A study and all its runs."""

    study: Study
    data: Dataset
    runs: tuple[Run, ...]


def plan_of(study: Study) -> Plan:
    """All runs of a study; of a search none, as each follows from those before.

    Raises `ConfigError` or `DataError` where it cannot be done.
    """
    data = Dataset.open(study.dataset)
    if study.measure == "conditions" and not data.space.dim:
        raise DataError(f"{study.dataset} has no conditions, which this study is about: prepare it with --labels.")
    if study.measure == "conditions":
        _check_counts(study, data)
    views = list(_views(study, data))
    variants = {} if study.search else study.all_variants()
    runs = []
    for variant, changes in variants.items():
        for seed in study.seeds:
            config = config_of(study, changes, seed=seed, size=data.size)
            for label, view in views:
                name = "-".join(part for part in (variant, label, f"seed-{seed}") if part)
                runs.append(Run(name, variant, config, view))
    return Plan(study, data, tuple(runs))


def _check_counts(study: Study, data: Dataset) -> None:
    """Each condition with too few pictures is left out of what is measured: some have to stay."""
    _, counts = np.unique(data.conditions(), axis=0, return_counts=True)
    if min(counts.max(), study.num) < LEAST_IMAGES:
        raise DataError(
            f"{study.dataset} has at most {counts.max()} pictures of a condition, and the study draws {study.num}: "
            f"expected {LEAST_IMAGES} or more, the fewest compared; prepare more micrographs or smaller patches."
        )


def config_of(study: Study, changes: Settings, *, seed: int, size: int) -> TrainConfig:
    """Settings of one run. Raises `ConfigError` where one is out of range, or does not fit pictures of `size` px."""
    settings = {**_read_none(merged(study.settings, changes)), "seed": seed}
    config = resolve(study.preset, settings, size=size)
    if config.network.size != size:
        raise ConfigError(
            f"{study.dataset} has pictures of {size} px and the runs draw {config.network.size} px: choose another "
            "preset, or set size in [settings.network]."
        )
    return config


def _read_none(settings: Mapping[str, Any]) -> Settings:
    """The word none as nothing, which TOML has no word for."""
    read = {name: _read_none(value) if isinstance(value, Mapping) else value for name, value in settings.items()}
    return {name: None if value == "none" else value for name, value in read.items()}


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
    return replace(data, patches=PatchTable.of(patches), space=space)


def _views(study: Study, data: Dataset) -> Iterator[tuple[str, Dataset]]:
    """What the runs see, with a label where there are several."""
    if study.hold_out == "nothing":
        yield "", data
    elif study.hold_out == "marked":
        if not unseen_of(data):
            raise ConfigError(
                f'{study.dataset} marks no condition as held out: set hold_out = "each", or to a list of conditions.'
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
        check_name(data.path, "hold_out", name, data.space.names)
    places = [data.space.names.index(name) for name in wanted]
    values = [
        str(value) if data.space.conditions[place].kind == "class" else float(value)
        for place, value in zip(places, wanted.values(), strict=True)
    ]
    found = [key for key in keys_of(data) if [key[place] for place in places] == values]
    if not found:
        asked = ", ".join(f"{name} = {value}" for name, value in wanted.items())
        some = [data.space.tell(dict(zip(data.space.names, key, strict=True))) for key in keys_of(data)[:MOST_NAMED]]
        raise ConfigError(
            f"{data.path} has no condition with {asked}, as hold_out wants: choose from {'; '.join(some)} ..."
        )
    return found

"""A study file: a question, in TOML, with a sentence for every key."""

import difflib
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sorby.config import NetworkConfig, TrainConfig
from sorby.errors import ConfigError, DataError, unfit
from sorby.metrics.record import LEAST_IMAGES
from sorby.microstructure.describe import QUANTITIES
from sorby.untrusted import parse_toml, read_text

Settings = dict[str, Any]

SCORES = ("fid", "kid", "precision", "recall", "held_out_fid", "held_out_recall", "descriptor_error", "fid_over_recall")
"""Scores of the log; the last is taken of both at one moment: a generator that is good and various."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Range(_Table):
    """Where a search looks for one setting."""

    low: int | float | None = None
    """Two whole numbers search whole numbers."""
    high: int | float | None = None
    log: bool = False
    """Search by ratios."""
    choices: tuple[Any, ...] = ()
    """In place of low and high."""

    @model_validator(mode="after")
    def _one_form(self) -> "Range":
        if bool(self.choices) == (self.low is not None or self.high is not None):
            raise ValueError("expected low and high, or choices")
        if not self.choices and (self.low is None or self.high is None or not self.low < self.high):
            raise ValueError(f"expected low below high, came {self.low} and {self.high}")
        if self.log and not (self.low or 0) > 0:
            raise ValueError(f"a search by ratios needs a low above 0, came {self.low}")
        return self

    def has(self, value: Any) -> bool:
        """Whether the search could come to a value."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high  # type: ignore[operator]


class Search(_Table):
    """Bayesian search of settings in place of variants."""

    trials: int = Field(30, ge=2)
    """Runs of the search."""
    score: str = "fid"
    """What is made small: a score of the log, or with measure = "conditions" the mean deviation, `deviation`."""
    space: dict[str, Range] = Field(min_length=1)
    """Settings by their names, such as learning_rate or network.leaky_slope."""
    first: Settings = {}
    """Values that are tried first, such as the published ones."""
    confirm: tuple[int, ...] = ()
    """Seeds with which `first` and the best found are trained anew: the best of many trials was lucky as well."""

    @model_validator(mode="after")
    def _complete(self) -> "Search":
        first = flat(self.first)
        if (self.first or self.confirm) and first.keys() != self.space.keys():
            raise ValueError(f"first has {', '.join(first) or 'nothing'}, expected {', '.join(self.space)} as in space")
        for name, value in first.items():
            if not self.space[name].has(value):
                raise ValueError(f"first has {name} = {value}, which is outside of its space")
        return self


class Study(_Table):
    """A study file: every key with its sentence."""

    title: str = ""
    """A line above the table."""
    finding: str = ""
    """What was published, printed beside what came out."""
    dataset: Path
    """The dataset, seen from the folder that the study is run in."""
    preset: str = "laptop-64"
    """Settings that all runs start from."""
    settings: Settings = {}
    """Settings of all runs, as in a run's config.toml."""
    variants: dict[str, Settings] = {}
    """Settings that differ, by the name of the variant; without, there is one."""
    grid: dict[str, tuple[Any, ...]] = {}
    """In place of variants: values of settings, such as r_t = [0.3, 0.4]; of several settings, all combinations."""
    search: Search | None = None
    """In place of variants: look for the best."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Each variant is trained with each of these; a search uses the first."""
    measure: Literal["scores", "conditions"] = "scores"
    """What is asked of the runs: their scores while they train; or how pictures follow the conditions."""
    scores: tuple[str, ...] = ("fid", "recall")
    """Scores that are drawn, and compared by the best of each run."""
    reference: str = ""
    """Variant that the others are held against; without one, each is held against the one before it."""
    fits: dict[str, Literal["log", "root"]] = {}
    """Straight lines of a score over the logarithm, or the square root, of the one number that varies."""
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
    scale: str = ""
    """The scale that was chosen."""
    scales: dict[str, Settings] = {}
    """Keys of the study that differ by scale, such as the preset on a laptop; the first is the one taken unasked."""

    @model_validator(mode="after")
    def _one_way(self) -> "Study":
        given = [name for name in ("variants", "grid", "search") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given: a study has one of them")
        for name in self.all_variants():
            if not re.fullmatch(r"[\w.+=-]*", name):
                raise ValueError(f"variant {name!r} names folders: use letters, digits and . + = - _")
        if self.reference and self.reference not in self.all_variants():
            raise ValueError(f"reference {self.reference!r} is none of {', '.join(self.all_variants())}")
        if self.fits and self.number is None:
            raise ValueError("fits need a grid of one setting whose values are numbers")
        if self.measure == "scores" and self.hold_out != "nothing":
            raise ValueError('hold_out needs measure = "conditions"')
        return self

    @property
    def number(self) -> str | None:
        """The one setting of the grid whose values are numbers, if it is so."""
        if len(self.grid) != 1:
            return None
        ((name, values),) = self.grid.items()
        return name if all(isinstance(value, int | float) for value in values) else None

    def all_variants(self) -> dict[str, Settings]:
        """Settings by the name of the variant, given or from the grid."""
        if not self.grid:
            return dict(self.variants) or {"": {}}
        return dict(_combined(self.grid))


def read_study(path: Path, *, scale: str | None = None, **changes: object) -> Study:
    """Read and check a study file at one of its scales; `changes` replace its keys.

    Raises `DataError` where there is none, `ConfigError` naming the key that does not fit, and the nearest that would.
    """
    try:
        given = parse_toml(read_text(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a study file.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML ({error}): mend that line.") from None
    settings = _at_scale(path, given, scale) | {name: value for name, value in changes.items() if value is not None}
    _check_keys(path, settings)
    try:
        study = Study.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = f", key {'.'.join(map(str, first['loc'][:2]))}" if first["loc"] else ""
        raise ConfigError(f"{path}{where}: {unfit(first)}.") from None
    _check_values(path, study)
    return study


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """Changes win, table by table.

    >>> merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    result = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def nested(name: str, value: Any) -> Settings:
    """A setting by its dotted name, as tables.

    >>> nested("network.z_dim", 64)
    {'network': {'z_dim': 64}}
    """
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


def flat(settings: Mapping[str, Any], before: str = "") -> Settings:
    """Settings by their dotted names.

    >>> flat({"r_t": 0.5, "network": {"z_dim": 64}})
    {'r_t': 0.5, 'network.z_dim': 64}
    """
    found: Settings = {}
    for name, value in settings.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _combined(grid: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Settings]]:
    for values in itertools.product(*grid.values()):
        settings: Settings = {}
        for name, value in zip(grid, values, strict=True):
            settings = merged(settings, nested(name, value))
        told = ("+".join(map(str, value)) or "none" if isinstance(value, list | tuple) else value for value in values)
        yield "-".join(f"{name}={value}" for name, value in zip(grid, told, strict=True)), settings


def _at_scale(path: Path, given: Settings, scale: str | None) -> Settings:
    """The keys of a study at a scale."""
    scales = given.pop("scales", {})
    if not scales and scale is None:
        return given
    chosen = scale or next(iter(scales))
    if chosen not in scales:
        raise ConfigError(
            f"{path} has no scale {chosen!r}: choose from {', '.join(scales) or 'none, it has one only'}."
        )
    return merged(given, scales[chosen]) | {"scale": chosen}


def _check_keys(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a key that no study has, or a setting that no training has."""
    for name in settings:
        check_name(path, "", name, Study.model_fields)
    variants = _table(settings, "variants")
    search = _table(settings, "search")
    tables = {"settings": _table(settings, "settings"), "search.first": _table(search, "first")}
    tables |= {f"variants.{name}": table for name, table in variants.items()}
    for where, table in tables.items():
        _check_settings(path, where, table)
    for name in search:
        check_name(path, "search", name, Search.model_fields)
    for where, names in (("grid", _table(settings, "grid")), ("search.space", _table(search, "space"))):
        for name in names:
            _check_settings(path, where, nested(name, None))


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of the file, or nothing where something else is in its place, which is told later."""
    found = settings.get(name)
    return found if isinstance(found, Mapping) else {}


def _check_settings(path: Path, where: str, table: object) -> None:
    for name, value in table.items() if isinstance(table, Mapping) else ():
        check_name(path, where, name, TrainConfig.model_fields)
        if name == "network" and isinstance(value, Mapping):
            for inner in value:
                check_name(path, f"{where}.network", inner, NetworkConfig.model_fields)


def _check_values(path: Path, study: Study) -> None:
    """Raise `ConfigError` for a score or a descriptor that does not exist."""
    for name in study.descriptors:
        check_name(path, "descriptors", name, [quantity.name for quantity in QUANTITIES])
    for where, names in (("scores", study.scores), ("fits", study.fits)):
        for name in names:
            check_name(path, where, name, SCORES)
    if study.search:
        known = SCORES if study.measure == "scores" else ("deviation",)
        check_name(path, "search.score", study.search.score, known)


def check_name(path: Path, where: str, name: str, known: Collection[str]) -> None:
    """Raise `ConfigError` with the nearest known name where `name` is not one of them."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
        inside = f" in {where}" if where else ""
        raise ConfigError(f"{path} has {name!r}{inside}, which nothing is called: did you mean {near!r}?")

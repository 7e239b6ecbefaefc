"""Every setting of `sorby simulate`, once, and what a simulator can be asked for."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sorby.errors import ConfigError, unfit

Values = Mapping[str, float]
"""A number for each variable of a simulator, by name."""


@dataclass(frozen=True)
class Variable:
    """What a simulated microstructure depends on."""

    name: str
    unit: str
    """Empty for a pure number."""
    scale: Literal["linear", "log"]
    low: float
    """The range that is simulated where no other is asked for; of a variable that then does not vary, one value."""
    high: float
    least: float = -math.inf
    """What the simulator can do at all."""
    most: float = math.inf

    @property
    def middle(self) -> float:
        """The value where neither a range nor a value is asked for, on the scale of the variable."""
        return math.sqrt(self.low * self.high) if self.scale == "log" else (self.low + self.high) / 2

    def check(self, value: float) -> None:
        """Raise `ConfigError` for a value that cannot be simulated."""
        if not self.least <= value <= self.most:
            unit = f" {self.unit}" if self.unit else ""
            nearest = self.most if value > self.most else self.least
            raise ConfigError(
                f"{self.name}={value:g} is out of range: it goes from {self.least:g} to {self.most:g}{unit}, "
                f"take {nearest:g}, the nearest."
            )


@dataclass(frozen=True)
class Simulator:
    """Draws fields of view at conditions."""

    name: str
    about: str
    """What is simulated, by whose method."""
    variables: tuple[Variable, ...]
    pixel_size_um: float | None
    draw: Callable[[tuple[int, int], Values, np.random.Generator], Float[np.ndarray, "h w"]]
    """A field of a shape in pixels, in 0..1: what is simulated, before any microscope."""
    plain: Callable[[Float[np.ndarray, "h w"]], UInt8[np.ndarray, "h w"]]
    """The field as grey values, by one rule for all conditions."""
    plain_rule: str
    """That rule, in words."""
    sem: Callable[[Float[np.ndarray, "h w"], np.random.Generator], UInt8[np.ndarray, "h w"]] | None = None
    """The field as a scanning electron microscope would show it."""
    check: Callable[[Values, tuple[int, int], int], None] = lambda *_: None
    """Raises `ConfigError` where fields of a shape, cut into pictures of a size, cannot show a condition."""
    shape: tuple[int, int] | None = None
    """Of every field, where the simulator has no choice."""
    is_one_place: bool = False
    """Whether all fields show the same places of a specimen, so that none can honestly be held out."""

    def variable(self, name: str) -> Variable:
        """The variable of a name. Raises `ConfigError` naming the nearest one where there is none."""
        names = [variable.name for variable in self.variables]
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0)
            raise ConfigError(
                f"{self.name} has no condition {name!r}: did you mean {near[0]}? It has {', '.join(names)}."
            )
        return self.variables[names.index(name)]


class Settings(BaseModel):
    """What is simulated, and how it becomes a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sample: int | None = Field(None, ge=2, le=100_000)
    """Number of conditions, spread evenly over the ranges: scrambled Sobol points."""
    grid: dict[str, tuple[float, ...]] = {}
    """Conditions in all combinations of these values, in place of a sample."""
    ranges: dict[str, tuple[float, float]] = {}
    """Ranges of conditions, in place of those of the simulator."""
    fixed: dict[str, float] = {}
    """Conditions that have one value; they are recorded in the recipe, and no network is told of them."""
    images_per_condition: int = Field(50, ge=1)
    """Pictures of each condition."""
    size: int = Field(64, ge=8, le=4096)
    """Side of the pictures in px."""
    field_size: int | None = Field(None, ge=8, le=16384)
    """Side in px of the simulated fields that pictures are cut from; by default four times theirs."""
    seed: int = Field(0, ge=0)
    """Everything random follows from it."""
    held_out: float = Field(0.25, ge=0, lt=1)
    """Share of the simulated fields that training does not see."""
    held_out_conditions: int = Field(0, ge=0)
    """Number of whole conditions that training does not see, each between others that it sees."""
    look: Literal["plain", "sem"] = "plain"
    """plain: grey values are the simulated field by one rule; sem: as an electron microscope would show it."""

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.grid and (self.sample is not None or self.ranges):
            raise ValueError("a grid goes without sample and ranges: give its values, or a sample of ranges")
        for name, (low, high) in self.ranges.items():
            if not (low < high and math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"the range of {name} is {low:g}..{high:g}, expected LOW..HIGH with LOW below HIGH")
        twice = self.fixed.keys() & (self.ranges.keys() | self.grid.keys())
        if twice:
            raise ValueError(f"{min(twice)} is given a value and varied too, expected one of them")
        if self.field_size is not None and self.field_size < self.size:
            raise ValueError(f"fields of {self.field_size} px are smaller than their pictures of {self.size} px")
        return self


def make_settings(**changes: object) -> Settings:
    """The defaults with changes. Raises `ConfigError` naming the setting that does not fit."""
    try:
        return Settings.model_validate(changes)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"Setting {where}: {unfit(first)}." if where else f"{_capital(unfit(first))}.") from None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]

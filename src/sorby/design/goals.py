"""What is wanted of a microstructure: numbers as large, as small or as near to a value as can be, and limits."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sorby.errors import ConfigError

SHORT = {
    "E": "youngs_modulus_GPa",
    "G": "shear_modulus_GPa",
    "K": "plane_strain_bulk_modulus_GPa",
    "nu": "poissons_ratio",
    "k": "conductivity",
    "volume_fraction": "area_fraction",
}
"""What these numbers are called in formulas; the volume fraction is estimated by the area fraction (Delesse)."""
TOLERANCE = 0.05
"""A target is met within this share of it."""

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """One number, and what is wanted of it."""

    name: str
    kind: Literal["maximise", "minimise", "target"]
    value: float = math.nan
    """Of a target."""

    def loss(self, numbers: Numbers) -> float:
        """The less the better: of a target the distance, as a share of it."""
        x = numbers[self.name]
        if self.kind == "target":
            return abs(x - self.value) / abs(self.value)
        return -x if self.kind == "maximise" else x

    def is_met(self, numbers: Numbers) -> bool:
        """A target within `TOLERANCE`; the most or the least cannot be told to be met."""
        return self.kind != "target" or self.loss(numbers) <= TOLERANCE

    def tell(self) -> str:
        """For people: `youngs_modulus_GPa = 150`."""
        return f"{self.name} = {self.value:g}" if self.kind == "target" else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Limit:
    """A number that has to stay on one side of a value."""

    name: str
    sign: Literal["<", ">"]
    value: float

    def excess(self, numbers: Numbers) -> float:
        """How far beyond the limit; 0 or less is inside."""
        x = numbers[self.name]
        return x - self.value if self.sign == "<" else self.value - x

    def tell(self) -> str:
        """For people: `area_fraction < 0.4`."""
        return f"{self.name} {self.sign} {self.value:g}"


def full_name(name: str) -> str:
    """`E` to `youngs_modulus_GPa`; other names as they are."""
    return SHORT.get(name, name)


def target(text: str) -> Goal:
    """`E=150` as a goal. Raises `ConfigError` for anything else, and for 0, which has no shares.

    >>> target("E=150").tell()
    'youngs_modulus_GPa = 150'
    """
    name, _, number = text.partition("=")
    value = _number(number)
    if not name or not value:
        raise ConfigError(f"--target {text!r}: expected NAME=VALUE with a value other than 0, such as E=150.")
    return Goal(full_name(name.strip()), "target", value)


def limit(text: str) -> Limit:
    """`area_fraction<0.4` as a limit. Raises `ConfigError` for anything else.

    >>> limit("volume_fraction <= 0.4").tell()
    'area_fraction < 0.4'
    """
    found = re.fullmatch(r"\s*(\w+)\s*([<>])=?\s*(\S+)\s*", text)
    value = _number(found[3]) if found else None
    if found is None or value is None:
        raise ConfigError(f"--subject-to {text!r}: expected NAME<VALUE or NAME>VALUE, such as area_fraction<0.4.")
    return Limit(full_name(found[1]), "<" if found[2] == "<" else ">", value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

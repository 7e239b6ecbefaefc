"""What the microstructure depends on: temperature, strain rate, class, with units and scales.

A `Condition` is one variable, a `ConditionSpace` all of them in order. Encoding turns values that a person writes into
the vector that a network reads: classes as one-hot, continuous values scaled (linear or log10) and standardised.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sorby.errors import ConfigError, DataError, unfit
from sorby.untrusted import is_plain_name

Kind = Literal["linear", "log", "class"]
Value = str | float


class Condition(BaseModel):
    """One processing condition, as found in the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    """Column of the labels table."""
    unit: str | None = None
    """Unit of the value as written, for people; None for classes and pure numbers."""
    kind: Kind = "linear"
    """How differences are judged: linear, by ratio (log), or not at all (class)."""
    low: float | None = None
    """Smallest value in the data; None for a class."""
    high: float | None = None
    """Largest value in the data; None for a class."""
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of their numbers or of the alphabet; empty for a continuous condition."""
    mean: float = 0.0
    """Mean of the scaled value over the data (of log10 for a log condition)."""
    std: float = Field(1.0, gt=0)
    """Standard deviation of the scaled value, 1 where the data hold a single value."""

    @model_validator(mode="after")
    def _consistent(self) -> "Condition":
        if (self.kind == "class") != bool(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{self.name} is {self.kind} and has the classes {', '.join(self.classes) or 'none'}")
        if not all(map(is_plain_name, (self.name, self.unit or "", *self.classes))):
            raise ValueError(f"{self.name!r} has control characters in a name")
        return self

    @property
    def dim(self) -> int:
        """Number of entries in the encoded vector."""
        return len(self.classes) if self.kind == "class" else 1

    def encode(self, value: Value) -> Float32[np.ndarray, " d"]:
        """One-hot class, or scaled and standardised number.

        Raises `ConfigError` for a value of another kind, or too far from the data to be told in single precision.
        """
        if self.kind == "class":
            return np.eye(self.dim, dtype=np.float32)[self._class_index(str(value))]
        standard = (self.scaled(value) - self.mean) / self.std
        if abs(standard) > float(np.finfo(np.float32).max):
            raise ConfigError(f"{self.name}={value} is too far from the data: give {self.describe()}.")
        return np.array([standard], dtype=np.float32)

    def decode(self, vector: Float32[np.ndarray, " d"]) -> Value:
        """The value of an encoded vector; for a class the largest entry."""
        if self.kind == "class":
            return self.classes[int(np.argmax(vector))]
        scaled = float(vector[0]) * self.std + self.mean
        return 10**scaled if self.kind == "log" else scaled

    def scaled(self, value: Value) -> float:
        """Number on the scale of the condition (log10 for a log condition), not yet standardised."""
        number = self._checked(value)
        return math.log10(number) if self.kind == "log" else number

    def covers(self, value: Value) -> bool:
        """Whether the data hold this class, or values on both sides of this number. Raises like `encode`."""
        self.encode(value)  # raises for what is unfit
        if self.kind == "class":
            return True
        number = self._checked(value)
        return (self.low is None or self.low <= number) and (self.high is None or number <= self.high)

    def describe(self) -> str:
        """One phrase for people: `temperature from 800 to 1100 °C`."""
        if self.kind == "class":
            return f"{self.name} one of {', '.join(self.classes)}"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None or self.high is None:
            return f"{self.name}, a number{unit and ' in'}{unit}"
        return f"{self.name} from {self.low:g} to {self.high:g}{unit}"

    def tell(self, value: Value) -> str:
        """A value with its unit, however it was written: `temperature 900 °C`."""
        number = None if self.kind == "class" else _number(value)
        return f"{self.name} {value if number is None else f'{number:g}'} {self.unit or ''}".rstrip()

    def _checked(self, value: Value) -> float:
        number = _number(value)
        if number is None or (self.kind == "log" and number <= 0):
            expected = "a number above 0" if self.kind == "log" else "a number"
            raise ConfigError(f"{self.name}={value} is not {expected}: give {self.describe()}.")
        return number

    def _class_index(self, value: str) -> int:
        if value not in self.classes:
            raise ConfigError(f"{self.name}={value} is not a class of this data: give {self.describe()}.")
        return self.classes.index(value)


class ConditionSpace(BaseModel):
    """All conditions of a dataset or generator, in the order of the encoded vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditions: tuple[Condition, ...] = ()
    """Empty for an unconditional dataset."""

    @model_validator(mode="after")
    def _no_name_twice(self) -> "ConditionSpace":
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two conditions have one name among {', '.join(self.names)}")
        return self

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> "ConditionSpace":
        """Build the space of `columns`, each written `NAME[:UNIT[:linear|log|class]]`, from the rows of a table.

        Without a kind, a column of numbers is linear and any other a class. Raises `DataError` for a missing column, an
        empty value, or a value that does not fit its kind; `ConfigError` for a column written otherwise or twice.
        """
        try:
            return cls(conditions=tuple(_condition(rows, *parts) for parts in parse_columns(columns)))
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(f"The labels give no condition ({unfit(first)}): mend them.") from None

    @property
    def dim(self) -> int:
        """Length of the encoded vector; 0 without conditions."""
        return sum(condition.dim for condition in self.conditions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the conditions, in order."""
        return tuple(condition.name for condition in self.conditions)

    def encode(self, values: Mapping[str, Value]) -> Float32[np.ndarray, " d"]:
        """Vector of a value for every condition. Raises `ConfigError` where one is missing, unknown or unfit."""
        if set(values) != set(self.names):
            raise ConfigError(
                f"Conditions given: {', '.join(values) or 'none'}; expected {', '.join(self.names) or 'none'}: "
                "give each of these once."
            )
        parts = [condition.encode(values[condition.name]) for condition in self.conditions]
        return np.concatenate([np.zeros(0, dtype=np.float32), *parts])

    def tell(self, values: Mapping[str, Value]) -> str:
        """Values with their units, for people: `temperature 900 °C, strain_rate 0.1 1/s`."""
        return ", ".join(condition.tell(values[condition.name]) for condition in self.conditions)

    def decode(self, vector: Float32[np.ndarray, " d"]) -> dict[str, Value]:
        """The values of an encoded vector."""
        starts = np.cumsum([0, *(condition.dim for condition in self.conditions)])
        return {
            condition.name: condition.decode(vector[start : start + condition.dim])
            for condition, start in zip(self.conditions, starts, strict=False)
        }

    def out_of_range(self, values: Mapping[str, Value]) -> list[str]:
        """One warning for each number outside what the data hold. Raises `ConfigError` for a value that is unfit."""
        asked = [condition for condition in self.conditions if condition.name in values]
        return [
            f"{condition.name}={values[condition.name]} is outside the data, which hold {condition.describe()}."
            for condition in asked
            if not condition.covers(values[condition.name])
        ]


def parse_column(column: str) -> tuple[str, str | None, Kind | None]:
    """Name, unit and kind of `NAME[:UNIT[:KIND]]`; None where not given.

    >>> parse_column("strain_rate:1/s:log")
    ('strain_rate', '1/s', 'log')
    >>> parse_column("phase")
    ('phase', None, None)
    """
    name, unit, kind = (*column.split(":"), "", "")[:3]
    if not name or column.count(":") > 2 or kind not in ("", "linear", "log", "class"):
        raise ConfigError(
            f"Condition {column!r}: expected NAME, NAME:UNIT or NAME:UNIT:KIND with KIND linear, log or class."
        )
    return name, unit or None, kind or None  # type: ignore[return-value]


def parse_columns(columns: Sequence[str]) -> list[tuple[str, str | None, Kind | None]]:
    """The parts of each column. Raises `ConfigError` where one is written otherwise, or two have one name."""
    parsed = [parse_column(column) for column in columns]
    names = [name for name, _, _ in parsed]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"Condition {twice[0]!r} is given {names.count(twice[0])} times: give it once.")
    return parsed


def _condition(rows: Sequence[Mapping[str, str]], name: str, unit: str | None, kind: Kind | None) -> Condition:
    values = [_cell(row, name) for row in rows]
    numbers = [_number(value) for value in values]
    if kind == "class" or (kind is None and None in numbers):
        return Condition(name=name, unit=unit, kind="class", classes=_in_order(set(values)))
    return _continuous(Condition(name=name, unit=unit, kind=kind or "linear"), values)


def _continuous(condition: Condition, values: Sequence[str]) -> Condition:
    unfit = [v for v in values if (n := _number(v)) is None or (condition.kind == "log" and n <= 0)]
    if unfit or not values:
        expected = "numbers above 0" if condition.kind == "log" else "numbers"
        got = repr(unfit[0]) if unfit else "no value"
        raise DataError(f"Column {condition.name!r} holds {got}, expected {expected} for a {condition.kind} condition.")
    scaled = np.array([condition.scaled(value) for value in values])
    numbers = [float(value) for value in values]
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused below, as not finite
        mean, std = float(scaled.mean()), float(scaled.std()) or 1.0
    update = {"low": min(numbers), "high": max(numbers), "mean": mean, "std": std}
    return Condition.model_validate(condition.model_dump() | update)


def _in_order(classes: set[str]) -> tuple[str, ...]:
    numbers = {name: _number(name) for name in classes}
    return tuple(sorted(classes, key=lambda name: (numbers[name] is None, numbers[name] or 0.0, name)))


def _cell(row: Mapping[str, str], name: str) -> str:
    if name not in row:
        raise DataError(f"The labels have no column {name!r}; they have {', '.join(row)}: choose one of these.")
    if not row[name]:
        filled = ", ".join(f"{key} {value}" for key, value in row.items() if value) or "no other value"
        raise DataError(f"Column {name!r} is empty in the row with {filled}: fill it or leave the row out.")
    return row[name]


def _number(value: Value) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

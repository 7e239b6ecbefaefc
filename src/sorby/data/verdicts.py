"""What `sorby prepare` decided about each micrograph, as its dataset records it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from pydantic import ValidationError

from sorby.data.dataset import Dataset, Split
from sorby.data.labels import NameIndex
from sorby.data.overrides import Decision
from sorby.data.plan import REMEDIES
from sorby.data.quality import Fault, Measures
from sorby.data.recipe import Recipe
from sorby.errors import DataError
from sorby.untrusted import first_words, rows_of

MEASURED = ("pixel_size_um", *(field.name for field in fields(Measures)))


@dataclass(frozen=True)
class Verdict:
    """One micrograph."""

    name: str
    split: Split | None
    """None where it was rejected."""
    fault: Fault | None
    """Why it was rejected."""
    num_patches: int
    numbers: Mapping[str, float]
    """`MEASURED`, without what was not measured."""
    warnings: str

    @property
    def remedy(self) -> str:
        """What to do about a rejection that no list overrules, since nothing can be cut; else nothing."""
        return REMEDIES.get(self.fault.reason, "") if self.fault else ""


def recipe_of(dataset: Dataset) -> Recipe | None:
    """How `sorby prepare` made a dataset; None where it did not."""
    try:
        return Recipe(**dataset.recipe) if dataset.recipe else None
    except (ValidationError, TypeError):
        return None


def decisions_of(recipe: Recipe, verdicts: list[Verdict]) -> dict[str, Decision]:
    """What a person had decided when the dataset was made, by the names of the micrographs."""
    index = NameIndex(verdict.name for verdict in verdicts)
    found: dict[str, Decision] = {}
    # A micrograph on both lists was rejected.
    for names, decision in ((recipe.keep, "keep"), (recipe.reject, "reject")):
        for written in names:
            fitting = index.fitting(written)
            found[fitting[0] if len(fitting) == 1 else written] = decision  # type: ignore[assignment]
    return found


def verdicts(dataset: Dataset) -> list[Verdict]:
    """Rejected micrographs first, then those kept, in the order of the dataset.

    Raises `DataError` where the tables of a dataset are damaged. A dataset of others has no rejected ones, no measures.
    """
    try:
        rejected = [_rejected(row) for row in _table(dataset, "rejected.csv")]
        measured = {row["parent"]: row for row in _table(dataset, "parents.csv")}
        _, first, counts = np.unique(dataset.parent_of, return_index=True, return_counts=True)
        kept = [
            _kept(dataset, int(index), int(count), measured.get(name, {}))
            for name, index, count in zip(dataset.parents, first, counts, strict=True)
        ]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{dataset.path}: its tables are damaged ({first_words(error)}): prepare the dataset again."
        ) from None
    return rejected + kept


def _table(dataset: Dataset, name: str) -> list[dict[str, str]]:
    if name not in dataset.archive.names():
        return []
    return list(rows_of(dataset.archive.read(name).decode()))


def _rejected(row: Mapping[str, str]) -> Verdict:
    fault = Fault(row["reason"], row["measured"], row["limit"])
    return Verdict(row["file"], None, fault, 0, _numbers(row), "")


def _kept(dataset: Dataset, index: int, count: int, row: Mapping[str, str]) -> Verdict:
    patch = dataset.patches[index]
    return Verdict(patch.parent, patch.split, None, count, _numbers(row), row.get("warnings", ""))


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {name: float(row[name]) for name in MEASURED if row.get(name)}

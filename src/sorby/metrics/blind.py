"""Real or generated? What the answers of a judge who was not told are worth.

A judge who sees no difference is right half of the time. The interval is that of Clopper & Pearson (Biometrika 26
(1934) 404-413), which holds the true rate at least as often as it says, and the p value is that of the binomial test,
two-sided: it is below 0.05 exactly where the interval leaves out one half. Both take the answers as independent, so
they speak of this judge and these pictures, and not of other judges.
"""

from collections.abc import Sequence
from statistics import median
from typing import Literal

import scipy.stats
from pydantic import BaseModel, ConfigDict, Field

from sorby.errors import DataError
from sorby.untrusted import csv_of

Kind = Literal["real", "generated"]

METHOD = "95 % intervals of Clopper and Pearson; two-sided binomial test against one half"
SURE = 0.05
"""p value at which a judge is said not to guess."""
COLUMNS = (
    "judge",
    "number",
    "answer",
    "truth",
    "right",
    "confidence",
    "seconds",
    "seed",
    "file",
    "micrograph",
    "condition",
)


class Judged(BaseModel):
    """One picture and what the judge took it for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Kind
    truth: Kind
    seconds: float = Field(ge=0)
    """From the moment that the picture was there."""
    confidence: int | None = Field(default=None, ge=1, le=3)
    """1 a guess, 2 fairly sure, 3 certain; None where the judge did not say."""
    seed: int | None = None
    """Of a generated picture."""
    file: str = ""
    """Of a real one."""
    micrograph: str = ""
    """That it was cut from."""
    condition: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the answer is the truth."""
        return self.answer == self.truth


class Rate(BaseModel):
    """A share of right answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    right: int
    of: int
    value: float
    low: float
    """Of its 95 % interval."""
    high: float


class BlindResult(BaseModel):
    """What a test came to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Rate
    p_value: float
    """Chance that guessing gives a number of right answers as far from one half."""
    generated_found: Rate | None
    """Generated pictures that were taken for generated (sensitivity); None where none was judged."""
    real_found: Rate | None
    """Real pictures that were taken for real (specificity)."""
    median_seconds: float
    told: str
    """In words."""
    method: str = METHOD


def result_of(judged: Sequence[Judged]) -> BlindResult:
    """Raises `DataError` where nothing was judged."""
    if not judged:
        raise DataError("No picture was judged: answer at least one.")
    accuracy = rate_of(judged)
    p_value = float(scipy.stats.binomtest(accuracy.right, accuracy.of, 0.5).pvalue)
    sides = [[one for one in judged if one.truth == kind] for kind in ("generated", "real")]
    found, kept = (rate_of(side) if side else None for side in sides)
    return BlindResult(
        accuracy=accuracy,
        p_value=p_value,
        generated_found=found,
        real_found=kept,
        median_seconds=median(one.seconds for one in judged),
        told=_told(accuracy.value, p_value),
    )


def rate_of(judged: Sequence[Judged]) -> Rate:
    """The share of right answers among at least one.

    >>> answers = [Judged(answer="real", truth=truth, seconds=1) for truth in ("real", "generated")]
    >>> rate = rate_of(answers)
    >>> rate.value, round(rate.low, 4), round(rate.high, 4)
    (0.5, 0.0126, 0.9874)
    """
    right, num = sum(one.is_right for one in judged), len(judged)
    interval = scipy.stats.binomtest(right, num).proportion_ci(0.95, "exact")
    return Rate(right=right, of=num, value=right / num, low=float(interval.low), high=float(interval.high))


def as_csv(judged: Sequence[Judged], *, judge: str) -> str:
    """A row a picture, in the order in which they were judged; no cell is a formula to a spreadsheet."""
    rows = (
        {"judge": judge, "number": number, "right": int(one.is_right), **one.model_dump()}
        for number, one in enumerate(judged, start=1)
    )
    return csv_of([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])


def _told(accuracy: float, p_value: float) -> str:
    if p_value > SURE:
        return (
            "So many right answers come of guessing, too: the judge was not shown to tell generated from real pictures."
        )
    if accuracy > 0.5:
        return "The judge tells generated from real pictures, more often than guessing does."
    return "The judge tells the two apart and takes one for the other, more often than guessing does."

"""A score, with all that it depends on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Against = Literal["held-out", "train", "real"]

LOWER_IS_BETTER = ("FID", "KID")


class Floor(BaseModel):
    """The same score of real images against other real images: what a perfect generator would reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    num_real: int
    """Images on the real side."""
    num_other: int
    """Real images of other micrographs in the place of the generated ones."""
    between: str
    """Which real images they were."""


class Score(BaseModel):
    """One number about generated images, never without what it hangs on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """FID, KID, precision, recall, density or coverage."""
    value: float
    against: Against
    """Which real images: held-out micrographs, those trained on, or all where there is no split."""
    low: float | None = None
    high: float | None = None
    """95 % interval; None where there are too few micrographs for one."""
    interval_method: str = ""
    floor: Floor | None = None
    network: str
    network_sha256: str
    filter: str
    """How images were resized for the network."""
    num_real: int
    num_generated: int
    num_parents: int
    """Micrographs that the real images come from."""
    seed: int
    k: int | None = None
    """Neighbours counted; None where there are none."""
    notes: tuple[str, ...] = ()
    """What has to be known before the value is believed or compared."""

    @property
    def reached_floor(self) -> bool | None:
        """Whether the interval holds the floor or lies on its better side.

        None where either is missing, or where the floor has other numbers of images and the score hangs on them.
        """
        if self.floor is None or self.low is None or self.high is None:
            return None
        if self.name != "KID" and (self.floor.num_real, self.floor.num_other) != (self.num_real, self.num_generated):
            return None
        return self.low <= self.floor.value if self.name in LOWER_IS_BETTER else self.high >= self.floor.value

    def __str__(self) -> str:
        interval = "no interval" if self.low is None else f"95 % {self.low:.4g} to {self.high:.4g}"
        floor = "no floor" if self.floor is None else f"real against real {self.floor.value:.4g}"
        k = "" if self.k is None else f", k = {self.k}"
        return (
            f"{self.name} {self.value:.4g} ({interval}; {floor}) against {self.against}, {self.network}, "
            f"{self.filter}, {self.num_generated} generated, {self.num_real} real{k}, seed {self.seed}"
        )

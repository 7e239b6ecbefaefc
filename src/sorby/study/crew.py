"""What a study needs of those who work on its runs, wherever they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Place:
    """Where one run is worked on at a time."""

    device: str


@dataclass(frozen=True)
class Ended:
    """A run that is no longer worked on."""

    name: str
    lost: str = ""
    """How the worker was lost; empty where it ended by itself, with a result or with a reason that it noted."""


@runtime_checkable
class Crew(Protocol):
    """Works on several runs at once."""

    @property
    def free(self) -> Sequence[Place]:
        """Places where nothing is worked on."""
        ...

    def start(self, name: str) -> None:
        """Begin to work on a run, at a free place."""
        ...

    def wait(self) -> Ended:
        """The next run that ends. Raises `DataError` where the crew is lost as a whole."""
        ...

    def stop(self) -> None:
        """End all work; what was done up to the last tick is kept."""
        ...


def log_of(folder: Path, name: str) -> Path:
    """What the worker of a run says, over all the times that it is taken up; its folder is made."""
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def environment(threads: int) -> dict[str, str]:
    """Has a process that begins compute with so many threads."""
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}

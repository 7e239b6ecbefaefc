"""Blind tests that are under way: the key stays here until the last picture is judged."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sorby.errors import ConfigError
from sorby.evaluation.blind import Item
from sorby.metrics.blind import Judged, Kind

MOST_TRIALS = 300
MOST_BYTES = 2**28
"""Of the pictures of all tests; those longest not looked at are forgotten first."""


@dataclass(eq=False)
class Trial:
    """A test of one judge."""

    items: tuple[Item, ...]
    judge: str
    about: dict[str, Any]
    """How it was made, told with the result."""
    shown: dict[str, Any]
    """What the judge may know from the start."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    judged: list[Judged] = field(default_factory=list)
    is_ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_over(self) -> bool:
        """Whether the truth may be told."""
        return self.is_ended or len(self.judged) == len(self.items)

    @property
    def size_bytes(self) -> int:
        """Of the pictures."""
        return sum(item.picture.nbytes for item in self.items)

    def answer(self, number: int, answer: Kind, *, seconds: float, confidence: int | None) -> None:
        """What picture `number`, from 0, was taken for. Raises `ConfigError` where it is not the next one."""
        with self.lock:
            if self.is_over:
                raise ConfigError("This test is over: see its result, or begin another.")
            if number != len(self.judged):
                raise ConfigError(f"Picture {number + 1} came, expected picture {len(self.judged) + 1}: load the page.")
            item = self.items[number]
            condition = ", ".join(f"{name} {value}" for name, value in item.condition.items())
            self.judged.append(
                Judged(
                    answer=answer,
                    truth=item.truth,
                    seconds=seconds,
                    confidence=confidence,
                    seed=item.seed,
                    file=item.file,
                    micrograph=item.micrograph,
                    condition=condition,
                )
            )

    def end(self) -> None:
        """Before its last picture. Raises `ConfigError` where nothing was judged."""
        with self.lock:
            if not self.judged:
                raise ConfigError("No picture was judged yet: judge at least one, or begin another test.")
            self.is_ended = True


class Trials:
    """Each is known by its token alone."""

    def __init__(self) -> None:
        self._trials: OrderedDict[str, Trial] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: Trial) -> None:
        """Keep a test, and forget old ones that there is no room for."""
        with self._lock:
            self._trials[trial.token] = trial
            while len(self._trials) > MOST_TRIALS or (len(self._trials) > 1 and self._size_bytes() > MOST_BYTES):
                self._trials.popitem(last=False)

    def get(self, token: str) -> Trial:
        """Raises `ConfigError` where there is none of this token."""
        with self._lock:
            if token not in self._trials:
                raise ConfigError("This test is not known: it was forgotten, or the explorer was started anew.")
            self._trials.move_to_end(token)
            return self._trials[token]

    def _size_bytes(self) -> int:
        return sum(trial.size_bytes for trial in self._trials.values())

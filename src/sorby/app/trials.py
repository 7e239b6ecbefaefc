"""Blind tests that are under way: the key stays here until the last picture is judged."""

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sorby.errors import ConfigError
from sorby.evaluation.blind import Item
from sorby.generator import Generator
from sorby.metrics.blind import Judged, Kind

MOST_TRIALS = 300
MOST_BYTES = 2**28
"""Of the pictures of all tests; of those that are over, the ones longest not looked at are forgotten first."""
ABANDONED_S = 24 * 3600.0
"""A test that nobody looked at for so long may be forgotten before it is over."""


@dataclass(eq=False)
class Trial:
    """A test of one judge."""

    generator: Generator
    items: tuple[Item, ...]
    judge: str
    about: dict[str, Any]
    """How it was made, told with the result."""
    shown: dict[str, Any]
    """What the judge may know from the start."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    judged: list[Judged] = field(default_factory=list)
    is_ended: bool = False
    looked_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_over(self) -> bool:
        """Whether the truth may be told."""
        return self.is_ended or len(self.judged) == len(self.items)

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody looked at it for a day."""
        return time.monotonic() - self.looked_at > ABANDONED_S

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
        """Keep a test, and forget old ones that there is no room for.

        Raises `ConfigError` where all that there is room for are under way.
        """
        with self._lock:
            kept = [trial, *self._trials.values()]
            while len(kept) > MOST_TRIALS or (len(kept) > 1 and sum(one.size_bytes for one in kept) > MOST_BYTES):
                old = next((one for one in kept[1:] if one.is_over or one.is_abandoned), None)
                if old is None:
                    raise ConfigError("There is no room for another test: wait until one of those under way is over.")
                kept.remove(old)
                del self._trials[old.token]
            self._trials[trial.token] = trial

    def get(self, token: str) -> Trial:
        """Raises `ConfigError` where there is none of this token."""
        with self._lock:
            if token not in self._trials:
                raise ConfigError(
                    "This test is not known: it was forgotten, or the explorer was started anew; begin another."
                )
            self._trials.move_to_end(token)
            self._trials[token].looked_at = time.monotonic()
            return self._trials[token]

"""Checkpoints: one file a moment, tensors with the numbers in its header, there whole or not at all.

The newest two are kept, so that a damaged one does not end the run.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor

from sorby.atomic import write_bytes
from sorby.augment.controller import AdaState
from sorby.errors import WeightsError, printable
from sorby.team import Team
from sorby.training.state import State, fill, tensors_of
from sorby.untrusted import MOST_WEIGHTS, check_plain, first_words, parse_json

KEPT = 2
DAMAGED = (SafetensorError, OSError, KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError)
"""What a damaged checkpoint can raise while it is read or taken over; one that does not fit raises `WeightsError`."""


def save(state: State, folder: Path) -> None:
    """Write the state of this moment into `folder` and remove all but the newest checkpoints."""
    tensors, numbers = _contents(state)
    data = save_tensors(tensors, metadata={"sorby": json.dumps(numbers)})
    write_bytes(folder / f"{state.images_seen:010d}.safetensors", data)
    for old in checkpoints(folder)[KEPT:]:
        old.unlink()


def hand_on(state: State, team: Team) -> None:
    """Give the first process's state to the others, which need not see its files."""
    tensors, numbers = team.first(lambda: _contents(state) if team.size > 1 else ({}, {}))
    if not team.is_first:
        _put(state, tensors, numbers)


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoint files, the newest first."""
    return sorted(folder.glob("[0-9]*.safetensors"), reverse=True)


def restore(state: State, folder: Path, *, warn: Callable[[str], None]) -> bool:
    """Fill `state` from the newest readable checkpoint; False where there is none at all.

    One that is damaged, or of another network, is said to `warn`, and the one before is used.
    Raises `WeightsError` where none can be used.
    """
    found, reason = checkpoints(folder), ""
    for path in found:
        try:
            _put(state, *read(path))
        except (*DAMAGED, WeightsError) as error:
            reason = first_words(error).rstrip(".")
            warn(printable(f"checkpoint {path} cannot be used ({reason}); trying the one before"))
            continue
        for newer in found[: found.index(path)]:
            newer.unlink()
        return True
    if found:
        raise WeightsError(f"No checkpoint in {folder} can be used ({reason}): choose another --out to start again.")
    return False


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and numbers of a checkpoint. Raises one of `DAMAGED`."""
    check_plain(path, MOST_WEIGHTS)
    with safe_open(path, framework="pt") as file:
        numbers = parse_json((file.metadata() or {})["sorby"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, dict(numbers)


def _contents(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    numbers = {"images_seen": state.images_seen, "ada": state.ada.numbers(), "best": state.best}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(state).items()}, numbers


def _put(state: State, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    numbers["ada"].pop("was_high", None)  # which the first checkpoints have
    images_seen, ada = int(numbers["images_seen"]), AdaState(**numbers["ada"])
    best = {str(name): float(score) for name, score in numbers["best"].items()}
    fill(state, tensors)
    state.images_seen, state.ada, state.best = images_seen, ada, best

"""Directions as a folder: vectors, what each does, and sheets to look at.

directions.safetensors   vectors, in w
directions.json          how they were found, for which generator, and what they do
effects.csv              the same numbers as a table
NAME.png                 pictures moved along each
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from sorby.atomic import new_folder, write_bytes, write_text
from sorby.draw import pixels_of
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator, Values
from sorby.latent.directions import Direction, offset
from sorby.latent.effects import Effect
from sorby.mark import MARKED, marked_all
from sorby.micrograph import write_micrograph
from sorby.models.place import name_of
from sorby.report.sheet import sheet_of_rows
from sorby.untrusted import MOST_WEIGHTS, csv_of, first_words, parse_json, read_bytes, read_text

VECTORS, ABOUT, EFFECTS = "directions.safetensors", "directions.json", "effects.csv"
STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Of the sheets, in standard deviations."""
ROWS = 4
SHEET_PX = 128


def save_directions(
    folder: Path,
    generator: Generator,
    directions: Sequence[Direction],
    effects: Sequence[Sequence[Effect]],
    *,
    seeds: Sequence[int],
    condition: Values | None,
    settings: Mapping[str, Any],
    mark: bool = False,
) -> None:
    """Write the folder in one step. `seeds` are those of the measurement, `settings` what else decides the numbers.
    With a `mark` each picture on the sheets says that it is synthetic in its pixels too.

    Raises `DataError` where `folder` holds files of others.
    """
    names = [direction.name for direction in directions]
    about = {
        "generator": generator.hash,
        "seeds": [seeds[0], seeds[-1]],
        "condition": dict(condition or {}),
        **settings,
        "directions": [_entry(d, row) for d, row in zip(directions, effects, strict=True)],
    }
    with new_folder(
        folder, ours={VECTORS, ABOUT, EFFECTS, *_sheets(folder), *(f"{name}.png" for name in names)}
    ) as new:
        vectors = {direction.name: direction.vector.contiguous() for direction in directions}
        write_bytes(new / VECTORS, save_tensors(vectors, metadata={"generator": generator.hash}))
        write_text(new / ABOUT, json.dumps(about, indent=2) + "\n")
        write_text(new / EFFECTS, _table(directions, effects))
        for direction, row in zip(directions, effects, strict=True):
            _write_sheet(new / f"{direction.name}.png", generator, direction, row, seeds[:ROWS], condition, mark=mark)


def read_told(folder: Path) -> tuple[str, dict[str, str]]:
    """The hash of the generator that a folder of directions belongs to, and what each of them does, in words.

    Raises `WeightsError` where it holds none.
    """
    try:
        about = parse_json(read_text(folder / ABOUT))
        return str(about["generator"]), {str(entry["name"]): str(entry["one_sd"]) for entry in about["directions"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _none_in(folder, error) from None


def load_directions(folder: Path, generator: Generator) -> list[Direction]:
    """The directions of a folder. Raises `WeightsError` where it holds none, or those of another generator."""
    try:
        about = parse_json(read_text(folder / ABOUT))
        vectors = load_tensors(read_bytes(folder / VECTORS, MOST_WEIGHTS))
        owner = str(about["generator"])
        found = [_direction(entry, vectors) for entry in about["directions"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, SafetensorError) as error:
        raise _none_in(folder, error) from None
    if owner != generator.hash:
        raise ConfigError(f"{folder} holds directions of another generator ({owner[:12]}...): find its own.")
    for direction in found:
        check_vector(folder, direction.name, direction.vector, generator.network.w_mean.shape)
    return found


def check_vector(folder: Path, name: str, came: Tensor, expected: tuple[int, ...]) -> None:
    """Raise `WeightsError` where a tensor of a folder is of another kind or shape than expected, or not finite."""
    if came.dtype != torch.float32 or came.shape != expected or not came.isfinite().all():
        told = f"{came.dtype} of shape {tuple(came.shape)}"
        wanted = f"finite float32 of shape {tuple(expected)}"
        raise WeightsError(f"{name} in {folder} is {told}, expected {wanted}: find it again.")


def _direction(entry: Mapping[str, Any], vectors: Mapping[str, Tensor]) -> Direction:
    first, last = map(int, entry["layers"])
    return Direction(str(entry["name"]), vectors[entry["name"]], range(first, last), float(entry["share"]))


def _none_in(folder: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{folder} holds no directions ({first_words(error)}): expected a folder of `sorby directions`."
    )


def tell(effects: Sequence[Effect]) -> str:
    """What a direction does, for people, in order of certainty."""
    told = sorted((effect for effect in effects if effect.is_told), key=lambda effect: effect.p_value)
    return "; ".join(effect.tell() for effect in told) or "nothing that chance does not"


def _entry(direction: Direction, effects: Sequence[Effect]) -> dict[str, Any]:
    return {
        "name": direction.name,
        "identity": direction.identity,
        "layers": [direction.layers.start, direction.layers.stop],
        "share": direction.share,
        "one_sd": tell(effects),
        "effects": {
            e.quantity.name: {"value": e.value, "low": e.low, "high": e.high, "p_value": e.p_value} for e in effects
        },
    }


def _table(directions: Sequence[Direction], effects: Sequence[Sequence[Effect]]) -> str:
    rows = [["direction", "descriptor", "effect_of_1_sd", "low", "high", "p_value", "told", "in_words"]]
    for direction, row in zip(directions, effects, strict=True):
        for e in row:
            numbers = [f"{x:.6g}" for x in (e.value, e.low, e.high, e.p_value)]
            rows.append([direction.name, e.quantity.name, *numbers, "yes" if e.is_told else "no", e.tell()])
    return csv_of(rows)


def _write_sheet(
    path: Path,
    generator: Generator,
    direction: Direction,
    effects: Sequence[Effect],
    seeds: Sequence[int],
    condition: Values | None,
    *,
    mark: bool,
) -> None:
    """A row a seed, a column a step from -3 to 3 standard deviations; small pictures enlarged, to be told by eye."""
    zoom = max(SHEET_PX // generator.card.size, 1)
    columns = [
        generator.images(seeds, condition=condition, offset=offset(generator, [direction], [step])) for step in STEPS
    ]
    title = f"{direction.name}, {STEPS[0]:g} to {STEPS[-1]:g} sd; 1 sd: {tell(effects)}"
    rows = [
        (title if i == 0 else "", marked_all(pictures) if mark else pictures)
        for i, pictures in enumerate(np.stack(columns, axis=1).repeat(zoom, 3).repeat(zoom, 4))
    ]
    size_um = generator.card.pixel_size_um
    sheet = sheet_of_rows(rows, pixel_size_um=None if size_um is None else size_um / zoom)
    about = {
        "synthetic": "true",
        "generator": generator.hash,
        "seeds": ", ".join(map(str, seeds)),
        "precision": name_of(generator.dtype),
        **{f"condition {name}": str(value) for name, value in (condition or {}).items()},
        "direction": direction.name,
        "effect": tell(effects),
        **(MARKED if mark else {}),
    }
    write_micrograph(path, pixels_of(sheet.transpose(2, 0, 1)), pixel_size_um=None, description=about)


def _sheets(folder: Path) -> list[str]:
    """Sheets of directions that an earlier command found, and perhaps more of them."""
    return [path.name for kind in ("pca", "sefa", "random") for path in folder.glob(f"{kind}-*.png")]

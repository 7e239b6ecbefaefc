"""Tab Data: what `sorby prepare` kept and rejected, and a person's decisions, written where it reads them."""

import shlex
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from sorby.app.given import GivenDesk, GivenOpened
from sorby.app.upload import MIB, body_of
from sorby.data.dataset import Dataset
from sorby.data.overrides import Decision, overrides_path, read_overrides, write_overrides
from sorby.data.prepare import review_path
from sorby.data.recipe import Recipe, options
from sorby.data.review import previews
from sorby.data.verdicts import Verdict, decisions_of, recipe_of, verdicts
from sorby.errors import ConfigError, DataError
from sorby.untrusted import MOST_TABLE, first_words, read_text

router = APIRouter(tags=["data"])

MOST_BYTES = 4 * MIB
CHANGES = TypeAdapter(dict[str, Literal["keep", "reject", ""]])
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": CHANGES.json_schema()}}}}


@router.get("/api/datasets/{name}/review")
async def review(request: Request, name: str, opened: GivenOpened, desk: GivenDesk) -> dict[str, Any]:
    """Each micrograph: kept or rejected and why, what it measures, warnings; and the decisions of the override list."""
    dataset = opened.dataset(name)
    return await desk.answer(request, lambda: _review(dataset))


@router.get("/api/datasets/{name}/preview", response_class=Response)
async def preview(
    request: Request,
    name: str,
    opened: GivenOpened,
    desk: GivenDesk,
    file: Annotated[str, Query(description="Of `review`.")],
) -> Response:
    """A micrograph in small, from the review sheet beside the dataset, or else its first patch."""
    dataset = opened.dataset(name)
    picture = await desk.answer(request, lambda: _preview(dataset, file))
    return Response(picture, media_type="image/png" if picture.startswith(b"\x89PNG") else "image/jpeg")


@router.post("/api/datasets/{name}/overrides", openapi_extra=BODY)
async def decide(request: Request, name: str, opened: GivenOpened, desk: GivenDesk) -> dict[str, Any]:
    """Write decisions, `keep`, `reject` or none by name, into the override list beside the dataset; the new review.

    Those that are not named stay as they are, so that two people who review at once do not undo each other's.
    """
    dataset = opened.dataset(name)
    data = await body_of(request, MOST_BYTES, "The list of decisions")
    try:
        changes = CHANGES.validate_json(data)
    except ValidationError:
        raise ConfigError("Expected decisions by name as JSON, each keep, reject or nothing.") from None

    def work() -> dict[str, Any]:
        _write(dataset, changes)
        return _review(dataset)

    return await desk.answer(request, work)


def _review(dataset: Dataset) -> dict[str, Any]:
    recipe, found = recipe_of(dataset), verdicts(dataset)
    made_with = {} if recipe is None else decisions_of(recipe, found)
    file = _list_of(dataset)
    decided = {} if recipe is None else _decided(dataset, recipe, found)
    return {
        "list": file.name,
        "is_written": file.is_file(),
        "by_prepare": recipe is not None,
        "command": "" if recipe is None else _command(dataset, recipe, decided),
        "limits": {} if recipe is None else recipe.limits.model_dump(),
        "made_with": made_with,
        "decisions": decided,
        "micrographs": [_told(verdict) | {"pictured": _is_pictured(dataset, verdict)} for verdict in found],
    }


def _told(verdict: Verdict) -> dict[str, Any]:
    fault = verdict.fault
    return {
        "name": verdict.name,
        "kept": fault is None,
        "split": verdict.split,
        "reason": fault.reason if fault else "",
        "measured": fault.measured if fault else "",
        "limit": fault.limit if fault else "",
        "remedy": verdict.remedy,
        "patches": verdict.num_patches,
        "numbers": dict(verdict.numbers),
        "warnings": verdict.warnings,
    }


def _write(dataset: Dataset, changes: dict[str, Literal["keep", "reject", ""]]) -> None:
    """Raises `ConfigError` for a micrograph that is not there, or that no list keeps."""
    recipe, found = recipe_of(dataset), {verdict.name: verdict for verdict in verdicts(dataset)}
    if recipe is None:
        raise ConfigError("This dataset was not made by sorby prepare: nothing of it can be overruled.")
    decided = _decided(dataset, recipe, list(found.values()))
    for name, decision in changes.items():
        if name not in found and name not in decided:
            raise ConfigError(f"No micrograph {name[:100]!r} is in this dataset: take the names of its review.")
        if decision == "keep" and name in found and found[name].remedy:
            fault = found[name].fault
            raise ConfigError(f"{name} is {fault and fault.reason}, and no list keeps it: {found[name].remedy}.")
        if decision:
            decided[name] = decision
        else:
            decided.pop(name, None)
    write_overrides(_list_of(dataset), decided)


def _decided(dataset: Dataset, recipe: Recipe, found: list[Verdict]) -> dict[str, Decision]:
    """As it is written, or else as it was when the dataset was made; by the names of the micrographs."""
    file = _list_of(dataset)
    if file.is_file():
        written = read_overrides(file)
        keep, reject = (tuple(name for name in written if written[name] == said) for said in ("keep", "reject"))
        recipe = recipe.model_copy(update={"keep": keep, "reject": reject})
    return decisions_of(recipe, found)


def _list_of(dataset: Dataset) -> Path:
    return overrides_path(dataset.path.absolute())


def _command(dataset: Dataset, recipe: Recipe, decided: dict[str, Decision]) -> str:
    """What to type in the folder of the dataset; only the sources and the labels are not recorded in it."""
    if recipe.reference is not None and decided.get(recipe.reference) == "reject":
        recipe = recipe.model_copy(update={"reference": None})
    words = ["sorby", "prepare", "SOURCE...", "--out", dataset.path.absolute().name, *options(recipe)]
    words += ["--labels", "LABELS.csv"] if recipe.columns else []
    words += ["--licence", dataset.licence] if dataset.licence else []
    return shlex.join([*words, "--overrides", _list_of(dataset).name])


def _preview(dataset: Dataset, file: str) -> bytes:
    shown = _shown(dataset)
    if file in shown:
        return shown[file]
    if file not in dataset.parents:
        raise ConfigError(f"There is no preview of {file[:100]!r}: take the names of its review.")
    first = int(np.argmax(dataset.parent_of == dataset.parents.index(file)))
    return dataset.archive.read(dataset.patches[first].file)


def _is_pictured(dataset: Dataset, verdict: Verdict) -> bool:
    return verdict.num_patches > 0 or verdict.name in _shown(dataset)


def _shown(dataset: Dataset) -> dict[str, bytes]:
    sheet = review_path(dataset.path.absolute())
    return _previews(sheet, sheet.stat().st_mtime_ns) if sheet.is_file() else {}


@lru_cache(maxsize=4)
def _previews(sheet: Path, _: int) -> dict[str, bytes]:
    try:
        return previews(read_text(sheet, MOST_TABLE))
    except (OSError, ValueError) as error:
        raise DataError(f"{sheet.name} cannot be read ({first_words(error)}): prepare the dataset again.") from None

"""Tab Runs: how trainings go, while they go."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sorby.app.inside import folder_inside, names_in, read_inside
from sorby.app.opened import Opened
from sorby.config import flat
from sorby.errors import DataError
from sorby.inspect import of_run
from sorby.study.status import seconds_an_image
from sorby.training.tick import read_config, read_log
from sorby.untrusted import first_words

router = APIRouter(tags=["runs"])

LATE_TICKS = 3
LATE_SECONDS = 60.0
"""A run is called late when it wrote nothing for both of these."""

Study = Annotated[str | None, Query(description="The open study that the run belongs to; none: an open run.")]


@router.get("/api/runs/{name}")
def run(
    request: Request,
    name: str,
    study: Study = None,
    since: Annotated[float, Query(description="kimg of the last line that the caller has; below 0: none.")] = -1,
) -> dict[str, Any]:
    """How far a run is, and the lines of its log after `since`.

    `whole` tells that the lines are all that there are, since the log knows no line at `since`: a run that was begun
    anew. Sample sheets from `since` on are named by the images seen; `written_s` is how long ago the log was written.
    """
    folder = _folder(request, name, study)
    log, config = read_log(folder), read_config(folder)
    seen = log[-1]["images_seen"] if log else 0
    whole = all(line["kimg"] != since for line in log)
    rate, written_s = seconds_an_image(log), _seconds_since_written(folder)
    finished = seen >= config.total_images
    tick_s = None if rate is None else rate * config.tick_images
    late = not finished and tick_s is not None and written_s > max(LATE_TICKS * tick_s, LATE_SECONDS)
    samples = [file for file in names_in(folder / "samples", ".png") if file[:-4].isdecimal()]
    return {
        "kimg": seen / 1000,
        "of_kimg": config.kimg,
        "images_per_s": None if not log else _finite(log[-1].get("img_s")),
        "seconds": log[-1]["seconds"] if log else 0.0,
        "seconds_left": None if rate is None else max(config.total_images - seen, 0) * rate,
        "tick_s": tick_s,
        "written_s": written_s,
        "finished": finished,
        "late": late,
        "whole": whole,
        "lines": [_line(line) for line in log if whole or line["kimg"] > since],
        "samples": [file for file in samples if whole or int(file[:-4]) >= since * 1000],
        "real": "real.png" in names_in(folder / "samples", ".png"),
    }


@router.get("/api/runs/{name}/settings")
def settings(request: Request, name: str, study: Study = None) -> dict[str, Any]:
    """What `sorby inspect` tells of a run, the command that goes on with it among it, and all its settings."""
    folder = _folder(request, name, study)
    try:
        facts = of_run(folder).facts
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{folder.name} is being written just now ({first_words(error)}): look again.") from None
    told = {key: "none" if value is None else value for key, value in flat(read_config(folder)).items()}
    return {"facts": dict(facts), "settings": told}


@router.get("/api/runs/{name}/samples/{file}", response_class=Response)
def sample(request: Request, name: str, file: str, study: Study = None) -> Response:
    """A sheet of samples, as training wrote it; `real.png` has micrographs."""
    return Response(read_inside(_folder(request, name, study), "samples", file, ".png"), media_type="image/png")


def _folder(request: Request, name: str, study: str | None) -> Path:
    """Raises `ConfigError` where the run was not opened, nor the study, or the study has no such run."""
    opened: Opened = request.app.state.opened
    return opened.run(name) if study is None else folder_inside(opened.study(study), name)


def _seconds_since_written(folder: Path) -> float:
    for file in ("log.jsonl", "config.toml"):
        try:
            return max(time.time() - (folder / file).stat().st_mtime, 0.0)
        except OSError:
            continue
    return 0.0


def _line(line: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of a line."""
    return {name: _finite(value) for name, value in line.items() if isinstance(value, int | float)}


def _finite(value: Any) -> float | None:
    """JSON has no word for what is not finite."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None

"""Studies in the tab Runs: how their runs stand, and what they say together."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sorby.app.blocks import blocks
from sorby.app.guard import REPORT_POLICY
from sorby.app.inside import names_in, read_inside
from sorby.app.opened import Opened
from sorby.errors import ConfigError, DataError
from sorby.study.file import read_study
from sorby.study.status import Planned, planned, status_of
from sorby.untrusted import first_words

router = APIRouter(tags=["studies"])

TAIL = 20_000
"""Characters of a log that are shown."""


@router.get("/api/studies/{name}")
def study(request: Request, name: str) -> dict[str, Any]:
    """What `sorby study status` tells: how each run stands, how long all will take, and which figures there are."""
    folder = _folder(request, name)
    file = folder / "study.toml"
    try:
        runs = _planned(folder, file.stat().st_mtime_ns, len(names_in(folder / "work", ".json")))
        status, title = status_of(folder, runs), read_study(file).title
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{name} is being written just now ({first_words(error)}): look again.") from None
    told = status.model_dump(mode="json", exclude={"folder"})
    figures, logs = names_in(folder, ".svg"), names_in(folder / "logs", ".log")
    return {"title": title or name, "counts": status.counts, **told, "figures": figures, "logs": logs}


@router.get("/api/studies/{name}/results")
def results(request: Request, name: str) -> dict[str, Any]:
    """What the finished runs say together, results.md, as headings, texts and tables; none before one is finished."""
    folder = _folder(request, name)
    try:
        text = read_inside(folder, "", "results.md", ".md").decode(errors="replace")
    except ConfigError:
        text = ""
    return {"blocks": blocks(text)}


@router.get("/api/studies/{name}/figures/{file}", response_class=Response)
def figure(request: Request, name: str, file: str) -> Response:
    """A figure as SVG, in which no script runs."""
    data = read_inside(_folder(request, name), "", file, ".svg")
    return Response(data, media_type="image/svg+xml", headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/api/studies/{name}/logs/{file}")
def log(request: Request, name: str, file: str) -> dict[str, str]:
    """The end of what a run of the study said."""
    return {"text": read_inside(_folder(request, name), "logs", file, ".log").decode(errors="replace")[-TAIL:]}


def _folder(request: Request, name: str) -> Path:
    opened: Opened = request.app.state.opened
    return opened.study(name)


@lru_cache(maxsize=16)
def _planned(folder: Path, _modified: int, _begun: int) -> list[Planned]:
    """The runs of a study, again where its file was changed or a run begun: the dataset is read for it."""
    return planned(folder / "study.toml", folder)

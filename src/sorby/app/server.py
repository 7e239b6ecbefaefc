"""The explorer as a web application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from sorby.app import (
    compare,
    directions,
    generate,
    jobs,
    judge,
    mixing,
    nearest,
    projecting,
    reports,
    review,
    runs,
    studies,
    walk,
)
from sorby.app.desk import Desk, GoneError
from sorby.app.guard import Guard
from sorby.app.opened import Opened
from sorby.app.sides import Sides
from sorby.app.trials import Trials
from sorby.card import describe
from sorby.errors import SorbyError, unfit

STATIC = Path(__file__).parent / "static"
TABS = (generate, walk, directions, mixing, projecting, compare, nearest, judge, review, runs, studies, reports, jobs)
"""Each has a `router`."""


def application(opened: Opened, *, host: str = "127.0.0.1", password: str | None = None) -> FastAPI:
    """The explorer of what was opened. `/openapi.json` describes its API, which scripts may call as the page does."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.desk.close()

    # Its own pages of documentation would fetch scripts from elsewhere.
    app = FastAPI(title="Sorby", version=version("sorby"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.opened, app.state.desk = opened, Desk()
    app.state.sides, app.state.indices, app.state.trials = Sides(opened), {}, Trials()
    app.state.uploads = 0
    app.add_exception_handler(SorbyError, _told)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(GoneError, _gone)
    app.add_exception_handler(HTTPException, _refused)
    app.add_api_route("/api/opened", lambda: about(opened), methods=["GET"], tags=["opened"], summary="What is open")
    for tab in TABS:
        app.include_router(tab.router)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    app.add_middleware(Guard, host=host, password=password)
    return app


def about(opened: Opened) -> dict[str, Any]:
    """What is open, and what can be asked of it."""
    return {
        "generators": [
            {
                "name": name,
                "size_px": generator.card.size,
                "pixel_size_um": generator.card.pixel_size_um,
                "conditions": [condition.model_dump() for condition in generator.card.space.conditions],
                "layers": generator.network.num_styles,
                "about": describe(generator.card),
            }
            for name, generator in ((name, opened.generator(name)) for name in opened.generators)
        ],
        "datasets": [
            {
                "name": name,
                "patches": len(dataset),
                "size_px": dataset.size,
                "pixel_size_um": dataset.pixel_size_um,
                "conditions": [condition.model_dump() for condition in dataset.space.conditions],
            }
            for name, dataset in ((name, opened.dataset(name)) for name in opened.datasets)
        ],
        "runs": list(opened.runs),
        "studies": list(opened.studies),
        "reports": opened.written_reports(),
        "directions": list(opened.directions),
    }


async def _told(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": _utf8(str(error))}, 422)


async def _unfit(_: Request, error: Exception) -> Response:
    """The first thing that does not fit, on one line."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": _utf8(f"{first['loc'][-1]}: {unfit(first)}.")}, 422)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


def _utf8(text: str) -> str:
    """Halves of characters, which JSON can carry and UTF-8 cannot, become question marks."""
    return text.encode(errors="replace").decode()

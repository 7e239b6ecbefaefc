"""Long jobs, whichever tab began them: how far they are, what came of them, and an end to them."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from sorby.app.given import GivenDesk
from sorby.errors import ConfigError

router = APIRouter(tags=["jobs"])

KINDS = {"png": "image/png", "tif": "image/tiff", "mp4": "video/mp4", "gif": "image/gif", "json": "application/json"}


@router.get("/api/jobs/{key}")
def job(key: str, desk: GivenDesk) -> dict[str, Any]:
    """State, progress, and, when it is finished, the result of a job."""
    found = desk.job(key)
    return {
        "key": key,
        "state": found.state,
        "done": found.done,
        "total": found.total,
        "error": found.error,
        "result": found.result,
        "files": list(found.files),
    }


@router.delete("/api/jobs/{key}")
def cancel(key: str, desk: GivenDesk) -> dict[str, str]:
    """Tell a job to stop: it does so before its next step."""
    desk.cancel(key)
    return {"key": key}


@router.get("/api/jobs/{key}/{file}", response_class=Response)
def file(key: str, file: str, desk: GivenDesk) -> Response:
    """A file that a job made."""
    files = desk.job(key).files
    if file not in files:
        raise ConfigError(f"The job has no file {file!r}: it has {', '.join(files) or 'none'}.")
    kind = KINDS.get(file.rpartition(".")[2], "application/octet-stream")
    return Response(files[file], media_type=kind, headers={"Content-Disposition": f'inline; filename="{file}"'})

"""Reports of evaluations, as they were written."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sorby.app.guard import REPORT_POLICY
from sorby.app.inside import read_inside
from sorby.app.opened import Opened

router = APIRouter(tags=["reports"])


@router.get("/reports/{name}", response_class=Response)
def report(request: Request, name: str) -> Response:
    """The page that `sorby evaluate` wrote, in which no script runs and which can ask for nothing."""
    opened: Opened = request.app.state.opened
    page = read_inside(opened.report(name), "", "report.html", ".html")
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})

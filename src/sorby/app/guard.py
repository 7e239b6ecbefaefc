"""Who may ask: pages of this explorer, by its own address or with its password."""

import base64
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""Of reports, which are whole pages of their own: pictures and styles inside, no scripts."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""
MOST_BODY = 128 * 2**20
"""Bytes of a request; a tab may take less."""


class Guard:
    """Refuses what is not meant, before anything is read, and tells browsers what a page may do.

    On a loopback address the name that a browser asked for has to be one, so that no other site can pass itself off as
    this machine (DNS rebinding). A page of another site may lead here by a link, and may not ask for anything else.
    """

    def __init__(self, app: ASGIApp, *, host: str, password: str | None = None) -> None:
        self.app, self.password = app, password
        self.names = LOOPBACK if host in LOOPBACK else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = False

        async def guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                told = MutableHeaders(scope=message)
                told.setdefault("Content-Security-Policy", PAGE_POLICY)
                told.update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        try:
            await self.app(scope, _limited(receive), guarded)
        except Exception:
            if not began:
                bug = "This is a bug of Sorby; the terminal has its traceback."
                await JSONResponse({"error": bug}, 500)(scope, receive, guarded)
            raise

    def _refusal(self, method: str, headers: Mapping[str, str]) -> JSONResponse | None:
        if self.names is not None and _name(headers.get("host", "")) not in self.names:
            return _said("This explorer answers to 127.0.0.1 and localhost only.", 403)
        if self.password is not None and not _has_password(headers, self.password):
            return _said("Password?", 401, {"WWW-Authenticate": 'Basic realm="Sorby", charset="UTF-8"'})
        if _is_foreign(method, headers):
            return _said("Only a page of this explorer may do that.", 403)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY:
            return _said(TOO_LARGE, 413)
        return None


TOO_LARGE = f"The request is larger than {MOST_BODY // 2**20} MiB, which is the most that is taken here."


def _said(error: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, headers)


def _limited(receive: Receive) -> Receive:
    """`receive`, which refuses to read on where more comes than is taken, whatever length was declared."""
    length = 0

    async def limited() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > MOST_BODY:
            raise HTTPException(413, TOO_LARGE)
        return message

    return limited


def _is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of another site asks; a link from there that a person followed is no such thing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        asked = (method, headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        return site not in ("same-origin", "none") and asked != ("GET", "navigate", "document")
    # Old browsers say nothing of this, and new ones nothing to plain http:// addresses of other machines.
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _name(host: str) -> str:
    """The name of `name:port`.

    >>> _name("127.0.0.1:8000"), _name("[::1]:8000"), _name("localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    return host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]


def _has_password(headers: Mapping[str, str], password: str) -> bool:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return False
    return scheme.lower() == "basic" and secrets.compare_digest(
        given.encode(), password.encode(errors="surrogateescape")
    )

"""Who may ask: pages of this explorer, by its own address or with its password."""

import base64
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Of reports, which are whole pages of their own: pictures and styles inside, no scripts."""


class Guard:
    """Refuses what is not meant, before anything is read, and tells browsers what a page may do.

    On a loopback address the name that a browser asked for has to be one, so that no other site can pass itself off as
    this machine (DNS rebinding). A page of another site may not change or start anything.
    """

    def __init__(self, app: ASGIApp, *, host: str, password: str | None = None) -> None:
        self.app, self.password = app, password
        self.names = LOOPBACK if host in LOOPBACK else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                told.setdefault("Content-Security-Policy", PAGE_POLICY)
                told["X-Content-Type-Options"] = "nosniff"
                told["Referrer-Policy"] = "no-referrer"
                told["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, guarded)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> PlainTextResponse | None:
        if self.names is not None and _name(headers.get("host", "")) not in self.names:
            return PlainTextResponse("This explorer answers to 127.0.0.1 and localhost only.", 403)
        if self.password is not None and not _has_password(headers, self.password):
            return PlainTextResponse("Password?", 401, {"WWW-Authenticate": 'Basic realm="Sorby", charset="UTF-8"'})
        if method not in ("GET", "HEAD") and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("Only a page of this explorer may do that.", 403)
        return None


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
    return scheme.lower() == "basic" and secrets.compare_digest(given.encode(), password.encode())

"""What a user sends, read as it comes, up to a size."""

from starlette.requests import ClientDisconnect, Request

from sorby.app.desk import GoneError
from sorby.errors import ConfigError

MIB = 2**20
MOST_UPLOADS = 8
"""Taken at once, of all users: each is in memory as far as it has come."""


async def body_of(request: Request, most_bytes: int, what: str) -> bytes:
    """The body of a request.

    Raises `ConfigError` as soon as it is longer than `most_bytes`, and keeps no more, and where too many come at once;
    `GoneError` where it breaks off.
    """
    state = request.app.state
    if state.uploads >= MOST_UPLOADS:
        raise ConfigError(f"{MOST_UPLOADS} files are being sent already: try again when some have come.")
    state.uploads += 1
    try:
        return await _body(request, most_bytes, what)
    finally:
        state.uploads -= 1


async def _body(request: Request, most_bytes: int, what: str) -> bytes:
    too_long = ConfigError(
        f"{what} is larger than {most_bytes / MIB:g} MiB, the most that is taken: give a smaller one."
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise too_long
    parts, length = [], 0
    try:
        async for part in request.stream():
            length += len(part)
            if length > most_bytes:
                raise too_long
            parts.append(part)
    except ClientDisconnect:
        raise GoneError from None
    return b"".join(parts)

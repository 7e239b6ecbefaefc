"""What a user sends, read as it comes, up to a size."""

from starlette.requests import Request

from sorby.errors import ConfigError

MIB = 2**20


async def body_of(request: Request, most_bytes: int, what: str) -> bytes:
    """The body of a request. Raises `ConfigError` as soon as it is longer than `most_bytes`, and keeps no more."""
    too_long = ConfigError(f"{what} is larger than {most_bytes / MIB:g} MiB, which is the most that is taken here.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise too_long
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most_bytes:
            raise too_long
        parts.append(part)
    return b"".join(parts)

"""`sorby serve`: the explorer in a browser."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sorby.errors import ConfigError

if TYPE_CHECKING:
    import socket


def serve(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Generators, runs, datasets, folders of studies, evaluations and directions; uhcs-64 and so on too."
        ),
    ],
    *,
    port: Annotated[int, typer.Option(help="Where the page is: http://127.0.0.1:PORT.", min=0, max=65535)] = 7860,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own need a password.")] = (
        "127.0.0.1"
    ),
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; or set SORBY_PASSWORD.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Explore generators, data and runs in a browser. Over ssh: ssh -L 7860:127.0.0.1:7860 HOST."""
    try:
        import uvicorn

        from sorby.app.server import application
    except ImportError as error:
        raise ConfigError(f"The explorer needs {error.name}: pip install 'sorby[serve]'.") from None
    from sorby.app.guard import LOOPBACK
    from sorby.app.opened import open_all
    from sorby.cli.train import chosen_device

    password = _password(password_file)
    if host not in LOOPBACK and not password:
        raise ConfigError(
            f"--host {host} opens the explorer to others: set SORBY_PASSWORD or --password-file, or leave --host out "
            "and come by ssh -L."
        )
    app = application(open_all(sources, device=chosen_device(device)), host=host, password=password)
    listening = _listen(host, port)
    typer.echo(f"Sorby is at {address(*listening.getsockname()[:2])}  (Ctrl-C ends it)")
    settings = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=1)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listening])


def address(host: str, port: int) -> str:
    """What to open in a browser.

    >>> address("::1", 7860)
    'http://[::1]:7860'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> "socket.socket":
    """Raises `ConfigError` where the address is taken or is not this machine's."""
    import socket

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"{address(host, port)} cannot be listened on ({error.strerror}): choose another --port or --host."
        ) from None


def _password(file: Path | None) -> str | None:
    """Raises `ConfigError` where the file cannot be read or its first line is empty."""
    from sorby.untrusted import first_words

    if file is None:
        return os.environ.get("SORBY_PASSWORD") or None
    try:
        first = file.read_text().splitlines()[:1]
    except (OSError, ValueError) as error:
        raise ConfigError(f"--password-file {file} cannot be read ({first_words(error)}): name a text file.") from None
    if not first or not first[0]:
        raise ConfigError(f"--password-file {file} is empty: write the password as its first line.")
    return first[0]

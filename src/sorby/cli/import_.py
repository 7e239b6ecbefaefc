"""`sorby import`: a network of another program as a generator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sorby.config import NetworkConfig

FROM_DATA = ("size", "channels", "condition_dim")


def import_(
    file: Annotated[
        Path,
        typer.Argument(help="Pickle of the official StyleGAN2-ADA or 3, or checkpoint of rosinality's or lucidrains'."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the generator.")],
    kimg: Annotated[
        float | None, typer.Option(help="Thousands of images it has seen; else as the file's name tells.", min=0)
    ] = None,
    p: Annotated[
        float | None, typer.Option("--p", help="Augmentation probability; else that in the file.", min=0, max=1)
    ] = None,
    pixel_size_um: Annotated[
        float | None, typer.Option("--pixel-size-um", help="Micrometres a pixel, which no such file knows.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Name of a condition, in order: phase:ferrite,martensite or temperature:K; repeatable."),
    ] = None,
) -> None:
    """Turn a network of another program into a generator. Nothing in the file is run."""
    from sorby.errors import ConfigError
    from sorby.interop.imported import import_file

    if pixel_size_um is not None and not 0 < pixel_size_um < float("inf"):
        raise ConfigError(f"--pixel-size-um is {pixel_size_um}, expected a number above 0.")
    imported = import_file(file, out, kimg=kimg, p=p, pixel_size_um=pixel_size_um, conditions=condition or ())
    for remark in imported.remarks:
        typer.echo(f"note: {remark}")
    seen = imported.card.images_seen / 1000
    typer.echo(f"Imported {file}, trained with {seen:g} kimg, into {out}. Draw with: sorby generate {out} --num 16")
    if imported.has_start:
        typer.echo(f"Train on with: {command(out, imported.card.network, kimg=seen + 1000)}")


def command(out: Path, network: "NetworkConfig", *, kimg: float) -> str:
    """The command that goes on training from an import, up to `kimg`."""
    from sorby.config import resolve

    published = resolve("auto", size=network.size).network.model_dump()
    sets = [
        f" --set network.{name}={value}"
        for name, value in network.model_dump().items()
        if value != published[name] and name not in FROM_DATA
    ]
    return f"sorby transfer {out} DATASET --out RUN --preset auto --kimg {kimg:g}{''.join(sets)}"

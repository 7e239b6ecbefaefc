"""`sorby mix`: styles of one picture in another."""

from pathlib import Path
from typing import Annotated

import typer

from sorby.cli.choices import MARK
from sorby.errors import ConfigError


def mix(
    generator: Annotated[Path, typer.Argument(help="Generator folder, run, or one of Sorby's own, such as uhcs-64.")],
    out: Annotated[Path, typer.Option(help="Sheet of all mixtures (.png or .tif).")],
    rows: Annotated[str, typer.Option(help="Seeds at the left, which give the rest of the style, and the noise.")] = (
        "0,1,2,3"
    ),
    columns: Annotated[str, typer.Option(help="Seeds on top, which give the style of the layers.")] = "4,5,6,7",
    layers: Annotated[
        str | None, typer.Option(help="Layers taken from the columns, such as 0-3 (coarse) or 6-9 (fine).")
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Condition of all pictures; repeatable.")
    ] = None,
    truncation: Annotated[float, typer.Option(help="0 to 1; lower: fewer kinds, fewer failures.", min=0, max=1)] = 1.0,
    mark: Annotated[bool, typer.Option("--mark", help=MARK)] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Mix the styles of pictures: coarse layers of one, fine layers of another, as a sheet."""
    from sorby.cli.choices import seeds_of
    from sorby.cli.generate import pairs
    from sorby.cli.train import chosen_device
    from sorby.generator import Generator
    from sorby.latent.mix import layers_of, told, write_mixture

    if out.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise ConfigError(f"{out} cannot be written: expected a name ending in .png, .tif or .tiff.")
    asked = pairs(condition or []) or None
    model = Generator.load(generator, device=chosen_device(device))
    last = model.network.num_styles - 1
    mixed = layers_of(model, layers or f"{(last + 1) // 2}-{last}")
    left, top = seeds_of("--rows", rows), seeds_of("--columns", columns)
    write_mixture(model, out, left, top, mixed, condition=asked, truncation=truncation, mark=mark)
    typer.echo(f"{out}: seeds {rows} with {told(model, mixed)} of the seeds {columns}")

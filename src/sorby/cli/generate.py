"""`sorby generate`: draw pictures from a generator."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sorby.errors import ConfigError


def generate(
    generator: Annotated[
        Path,
        typer.Argument(
            help="Generator folder, a run (its best generator is used), or one of Sorby's own: uhcs-64, uhcs-128."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    num: Annotated[int, typer.Option(help="How many pictures.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the first picture; the next ones count up.", min=0)] = 0,
    truncation: Annotated[float, typer.Option(help="0 to 1; lower: fewer kinds, fewer failures.")] = 1.0,
    condition: Annotated[
        list[str] | None, typer.Option(help="Condition asked for, such as temperature=1100; repeatable.")
    ] = None,
    image_format: Annotated[str, typer.Option("--format", help="tiff or png.")] = "tiff",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Draw new micrographs, with their scale; each says in its metadata that it is synthetic."""
    from rich.progress import track

    from sorby.cli.train import chosen_device
    from sorby.draw import draw
    from sorby.generator import Generator

    suffix: Literal[".tif", ".png"]
    if image_format not in ("tiff", "tif", "png"):
        raise ConfigError(f"Format {image_format!r} is not known: choose tiff or png.")
    suffix = ".png" if image_format == "png" else ".tif"
    model = Generator.load(generator, device=chosen_device(device))
    asked = wishes(condition) if condition else None
    if asked:
        model.card.space.encode(asked)  # refuses what cannot be drawn at all, before any warning
        for warning in model.card.space.out_of_range(asked):
            typer.echo(f"warning: {warning}", err=True)
    seeds = range(seed, seed + num)
    pictures = draw(model, seeds, out, truncation=truncation, condition=asked, suffix=suffix)
    for _ in track(pictures, total=num, description="generate"):
        pass
    scale = "no pixel size" if model.card.pixel_size_um is None else f"{model.card.pixel_size_um:g} µm a pixel"
    typer.echo(f"{num} pictures of {model.card.size} px ({scale}) in {out}")


def wishes(texts: list[str]) -> dict[str, str]:
    """Conditions by name; each may be asked for once."""
    asked: dict[str, str] = {}
    for name, value in map(pair, texts):
        if name in asked:
            raise ConfigError(f"--condition {name} was given twice ({asked[name]} and {value}): give it once.")
        asked[name] = value
    return asked


def pair(text: str) -> tuple[str, str]:
    """`temperature=1100` to its parts.

    >>> pair("temperature=1100")
    ('temperature', '1100')
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--condition {text!r}: expected NAME=VALUE, such as temperature=1100.")
    return name, value

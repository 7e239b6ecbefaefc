"""`sorby generate`: draw pictures from a generator."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sorby.cli.choices import MARK
from sorby.cli.several import DEVICES as SEVERAL
from sorby.cli.several import are_several, team_of
from sorby.errors import ConfigError

if TYPE_CHECKING:
    from sorby.draw import Move
    from sorby.generator import Generator
    from sorby.team import Team

Wish = dict[str, str]
MOST_COLUMNS = 12
"""Pictures of each condition on the sheet."""


def generate(
    generator: Annotated[
        Path,
        typer.Argument(
            help="Generator folder, a run (its best generator is used), or one of Sorby's own: uhcs-64, uhcs-128, "
            "uhcs-classes-64."
        ),
    ],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Further conditions, after --condition.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    num: Annotated[int, typer.Option(help="How many pictures, of each condition.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the first picture; the next ones count up.", min=0)] = 0,
    truncation: Annotated[float, typer.Option(help="0 to 1; lower: fewer kinds, fewer failures.")] = 1.0,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Condition asked for, such as temperature=1100 strain_rate=0.01; several values, as in "
            "temperature=900,1000,1100, give a folder each and a sheet of all.",
        ),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SD", help="Move along a direction, such as pca-1=1.5; repeatable; see --directions."
        ),
    ] = None,
    directions: Annotated[Path | None, typer.Option(help="Folder of `sorby directions`.")] = None,
    image_format: Annotated[str, typer.Option("--format", help="tiff or png.")] = "tiff",
    mark: Annotated[bool, typer.Option("--mark", help=MARK)] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
    devices: Annotated[int | None, typer.Option(help=SEVERAL, min=1)] = None,
) -> None:
    """Draw new micrographs, with their scale; each says in its metadata that it is synthetic."""
    from rich.progress import track

    from sorby.cli.train import chosen_device
    from sorby.generator import Generator

    if more and not condition:
        raise ConfigError(f"What is {more[0]!r}? Expected a generator and options; conditions come after --condition.")
    if image_format not in ("tiff", "tif", "png"):
        raise ConfigError(f"Format {image_format!r} is not known: choose tiff or png.")
    asked = pairs([*(condition or []), *(more or [])])
    several = are_several(devices)
    model = Generator.load(generator, device="cpu" if several else chosen_device(device))
    wishes = wishes_of(asked, model)
    for wish in wishes:
        model.card.space.encode(wish)  # refuses what cannot be drawn at all, before any warning
    warnings = dict.fromkeys(text for wish in wishes for text in model.card.space.out_of_range(wish))
    seeds = range(seed, seed + num)
    suffix: Literal[".tif", ".png"] = ".png" if image_format == "png" else ".tif"
    way = _move(model, directions, move or [])
    with team_of(device, devices) as team:
        if team.is_first:
            for warning in warnings:
                typer.echo(f"warning: {warning}", err=True)
        if several:
            model = Generator.load(generator, device=team.device)
        total = math.ceil(num * max(len(wishes), 1) / team.size)
        drawn = _drawn(model, seeds, out, wishes, truncation, way, suffix, team, mark=mark)
        for _ in track(drawn, total=total, description="generate"):
            pass
        team.wait()
        if not team.is_first:
            return
        scale = "no pixel size" if model.card.pixel_size_um is None else f"{model.card.pixel_size_um:g} µm a pixel"
        at = f", at {model.card.space.tell(wishes[0])}" if len(wishes) == 1 else ""
        each = f" at each of {len(wishes)} conditions" if len(wishes) > 1 else ""
        typer.echo(f"{num} pictures{each} of {model.card.size} px ({scale}) in {out}{at}")
        if len(wishes) > 1:
            typer.echo(f"sheet: {_sheet(model, seeds[:MOST_COLUMNS], out, wishes, truncation, way, mark=mark)}")


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Conditions by name; each may be asked for once."""
    asked: dict[str, str] = {}
    for name, value in map(pair, texts):
        if name in asked:
            raise ConfigError(f"--condition {name} was given twice ({asked[name]} and {value}): give it once.")
        asked[name] = value
    return asked


def pair(text: str, option: str = "--condition", example: str = "temperature=1100") -> tuple[str, str]:
    """`temperature=1100` to its parts.

    >>> pair("temperature=1100")
    ('temperature', '1100')
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"{option} {text!r}: expected NAME=VALUE, such as {example}.")
    return name, value


def wishes_of(asked: Mapping[str, str], model: "Generator") -> list[Wish]:
    """All combinations of the values; a class may itself have a comma in its name. Empty for nothing asked for."""
    from itertools import product

    classes = {condition.name: condition.classes for condition in model.card.space.conditions}
    values = [[text] if text in classes.get(name, ()) else text.split(",") for name, text in asked.items()]
    return [dict(zip(asked, each, strict=True)) for each in product(*map(dict.fromkeys, values))] if asked else []


def folder_of(wish: Wish) -> str:
    """Name of the folder of a condition; characters that a file system might refuse become a dash.

    >>> folder_of({"temperature": "900", "rate": "a/b"})
    'temperature=900,rate=a-b'
    """
    text = ",".join(f"{name}={value}" for name, value in wish.items())
    return "".join("-" if letter in '/\\:*?"<>|' else letter for letter in text)


def _drawn(
    model: "Generator",
    seeds: range,
    out: Path,
    wishes: Sequence[Wish],
    truncation: float,
    move: "Move | None",
    suffix: Literal[".tif", ".png"],
    team: "Team",
    *,
    mark: bool,
) -> Iterator[Path]:
    """Pictures of one condition lie in `out`, those of several in a folder each."""
    from sorby.draw import draw

    if len(wishes) < 2:
        folders: list[tuple[Path, Wish | None]] = [(out, wishes[0] if wishes else None)]
    else:
        folders = [(out / folder_of(wish), wish) for wish in wishes]
    for folder, wish in folders:
        yield from draw(
            model, seeds, folder, truncation=truncation, condition=wish, move=move, suffix=suffix, team=team, mark=mark
        )


def _move(model: "Generator", folder: Path | None, texts: Sequence[str]) -> "Move | None":
    """Along the directions of a folder. Raises `ConfigError` where one is asked for without the other."""
    from sorby.latent.direction_files import load_directions
    from sorby.latent.directions import move_along

    if not texts and folder is None:
        return None
    if folder is None or not texts:
        raise ConfigError("--move and --directions go together, as in --directions FOLDER --move pca-1=1.5.")
    known = load_directions(folder, model)
    asked = [pair(text, "--move", "pca-1=1.5") for text in texts]
    return move_along(model, known, {name: _amount(name, value) for name, value in asked})


def _amount(name: str, value: str) -> float:
    try:
        amount = float(value)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise ConfigError(f"--move {name}={value}: expected a number of standard deviations, such as 1.5.")
    return amount


def _sheet(
    model: "Generator",
    seeds: range,
    out: Path,
    wishes: Sequence[Wish],
    truncation: float,
    move: "Move | None",
    *,
    mark: bool,
) -> Path:
    """A row a condition and a column a seed (Jain et al. 2024, figure 2)."""
    from sorby.draw import pixels_of
    from sorby.mark import MARKED, marked_all
    from sorby.micrograph import write_micrograph
    from sorby.models.place import name_of
    from sorby.report.sheet import sheet_of_rows

    tell = model.card.space.tell
    offset = None if move is None else move.offset
    rows = [(tell(wish), model.images(seeds, truncation=truncation, condition=wish, offset=offset)) for wish in wishes]
    rows = [(title, marked_all(pictures)) for title, pictures in rows] if mark else rows
    sheet = sheet_of_rows(rows, pixel_size_um=model.card.pixel_size_um)
    about = {
        "synthetic": "true",
        "generator": model.hash,
        "seeds": f"{seeds[0]} to {seeds[-1]}",
        "conditions": "; ".join(map(tell, wishes)),
        "truncation": f"{truncation:g}",
        "precision": name_of(model.dtype),
        **({} if move is None else {"move": move.name, "directions": move.directions}),
        **(MARKED if mark else {}),
    }
    path = out / "conditions.png"
    write_micrograph(
        path, pixels_of(sheet.transpose(2, 0, 1)), pixel_size_um=model.card.pixel_size_um, description=about
    )
    return path

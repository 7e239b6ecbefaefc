"""`sorby directions`: what changes when a picture is moved in the space of its generator."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sorby.cli.choices import MARK

Method = Literal["pca", "sefa", "both", "random"]


def directions(
    generator: Annotated[Path, typer.Argument(help="Generator folder, run, or one of Sorby's own, such as uhcs-64.")],
    out: Annotated[Path, typer.Option(help="Folder for the directions, their effects, and a sheet of each.")],
    method: Annotated[
        str, typer.Option(help="pca of w, sefa (closed form, of the weights), both; or random, as a control.")
    ] = "both",
    num: Annotated[int, typer.Option(help="Directions of each method.", min=1)] = 5,
    layers: Annotated[
        str | None, typer.Option(help="Layers that are moved, such as 0-3 (coarse); by default all.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Pictures that each direction is measured on.", min=8)] = 48,
    seed: Annotated[int, typer.Option(help="Seed of the first picture; the next ones count up.", min=0)] = 0,
    by_chance: Annotated[
        int, typer.Option(help="Random directions; an effect has to be larger than theirs to be told.", min=8)
    ] = 30,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Condition of all pictures; repeatable.")
    ] = None,
    mark: Annotated[bool, typer.Option("--mark", help=MARK)] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Find directions, and measure what each does to the microstructure; `generate --move` moves along them."""
    from sorby.cli.choices import chosen
    from sorby.cli.generate import pairs
    from sorby.cli.train import chosen_device
    from sorby.generator import Generator
    from sorby.latent.direction_files import save_directions, tell
    from sorby.latent.directions import Spread, pca, random, sefa
    from sorby.latent.effects import effects
    from sorby.latent.mix import layers_of, told

    kind: Method = chosen("--method", method, Method)
    asked = pairs(condition or []) or None
    model = Generator.load(generator, device=chosen_device(device))
    moved = layers_of(model, layers)
    spread = Spread(model, condition=asked)
    found = pca(spread, moved, num=num) if kind in ("pca", "both") else []
    found += sefa(model, spread, moved, num=num) if kind in ("sefa", "both") else []
    found += random(spread, moved, num=num, seed=seed + 1) if kind == "random" else []
    chance = random(spread, moved, num=by_chance, seed=seed)
    measured_on = range(seed, seed + seeds)
    typer.echo(f"measuring {len(found)} directions and {by_chance} random ones on {seeds} pictures each ...", err=True)
    measured = effects(model, found, chance, seeds=measured_on, condition=asked)
    settings = {"by_chance": by_chance, "layers": told(model, moved)}
    save_directions(out, model, found, measured, seeds=measured_on, condition=asked, settings=settings, mark=mark)
    for direction, row in zip(found, measured, strict=True):
        typer.echo(f"{direction.name}, +1 sd: {tell(row)}")
    typer.echo(f"{len(found)} directions of {told(model, moved)} in {out}; move along one with generate --move")

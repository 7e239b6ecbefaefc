"""`sorby interpolate`: a walk between pictures, as a film."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sorby.cli.choices import MARK
from sorby.errors import ConfigError

if TYPE_CHECKING:
    from sorby.generator import Generator
    from sorby.latent.walk import Stop

FILM_FRAMES, SHEET_FRAMES = 240, 6


def interpolate(
    generator: Annotated[Path, typer.Argument(help="Generator folder, run, or one of Sorby's own, such as uhcs-64.")],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUES]...", help="Further conditions, after --condition.")
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option(help="Film (.mp4 or .gif), sheet of the frames (.png), or folder for a TIFF each frame.")
    ],
    seeds: Annotated[str, typer.Option(help="Stops, such as 0,1,2; also folders written by `sorby project`.")] = "0,1",
    way: Annotated[
        str | None,
        typer.Option(
            help="slerp: great circles in z; linear: straight lines in z; w: straight lines in w; circle: one great "
            "circle through two seeds, all the way round. By default slerp, with a projection w."
        ),
    ] = None,
    noise: Annotated[
        str, typer.Option(help="Of the fine detail: follow the stops, hold the first's, or loop through others.")
    ] = "follow",
    closed: Annotated[bool, typer.Option("--closed", help="Go back to the first stop, for a film that loops.")] = False,
    condition: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUES", help="A condition, or one at each stop: temperature=900,1000,1100."),
    ] = None,
    truncation: Annotated[str, typer.Option(help="0 to 1, or one at each stop, such as 0,1.")] = "1",
    frames: Annotated[
        int | None, typer.Option(help=f"Pictures on the way: {FILM_FRAMES}, on a sheet {SHEET_FRAMES}.", min=2)
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames a second of a film.", min=0.1, max=120)] = 24,
    trace: Annotated[
        list[str] | None,
        typer.Option(help="Curve under a film of a measured number, such as area_fraction; repeatable."),
    ] = None,
    scale_bar: Annotated[bool, typer.Option(help="Draw a scale bar under the pictures.")] = True,
    mark: Annotated[bool, typer.Option("--mark", help=MARK)] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Walk between pictures: through seeds, conditions or truncations, as a film, a sheet or single frames."""
    from sorby.cli.choices import chosen
    from sorby.cli.generate import pairs
    from sorby.cli.train import chosen_device
    from sorby.generator import Generator
    from sorby.latent.film import write_walk
    from sorby.latent.walk import NoiseWay, Walk, Way

    of_noise = chosen("--noise", noise, NoiseWay)
    how = None if way is None else chosen("--way", way, Way)
    asked = pairs([*(condition or []), *(more or [])])
    model = Generator.load(generator, device=chosen_device(device))
    passed = _stops(model, seeds, asked, _numbers(truncation))
    by_itself: Way = "slerp" if all(stop.origin for stop in passed) else "w"
    walk = Walk(model, passed, way=how or by_itself, noise=of_noise, closed=closed)
    num = frames or (SHEET_FRAMES if out.suffix.lower() == ".png" else FILM_FRAMES)
    write_walk(walk, out, frames=num, fps=fps, traces=trace or (), scale_bar=scale_bar, mark=mark)
    long = f", {num / fps:.3g} s" if out.suffix.lower() in (".mp4", ".gif") else ""
    typer.echo(f"{out}: {num} frames{long}; {walk.describe()}")


def _stops(model: "Generator", seeds: str, asked: dict[str, str], truncations: list[float]) -> "list[Stop]":
    """One stop for each seed, value of a condition and truncation, in step."""
    from functools import partial

    from sorby.cli.choices import seeds_of
    from sorby.latent.projection_files import load_projection
    from sorby.latent.walk import stops

    values = {name: text.split(",") for name, text in asked.items()}
    num = max([1, *map(len, values.values())])
    for name, given in values.items():
        if len(given) not in (1, num):
            raise ConfigError(f"{name} has {len(given)} values, another condition {num}: give 1 or {num}.")
    conditions = [{name: given[i % len(given)] for name, given in values.items()} for i in range(num)]
    drawn = partial(stops, model, conditions=conditions if asked else [None], truncations=truncations)
    parts = seeds.split(",")
    folders = [part for part in parts if Path(part).is_dir() and not part.isdecimal()]
    unknown = [part for part in parts if not part.strip().isdecimal() and part not in folders]
    if unknown:
        raise ConfigError(f"--seeds {unknown[0]!r}: expected numbers from 0 on, or folders of `sorby project`.")
    if not folders:
        return drawn(seeds_of("--seeds", seeds))
    if max(num, len(truncations)) > 1 or (len(folders) == len(parts) and (asked or truncations != [1])):
        raise ConfigError(
            "A projection has a place of its own: give one condition and truncation, for the seeds alone."
        )
    projected = {folder: load_projection(Path(folder), model) for folder in folders}
    return [projected.get(part) or drawn(seeds_of("--seeds", part))[0] for part in parts]


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1.0]
    if not all(0 <= number <= 1 for number in numbers):
        raise ConfigError(f"--truncation {text!r}: expected numbers from 0 to 1, such as 0.7 or 0,1.")
    return numbers

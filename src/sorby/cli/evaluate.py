"""`sorby evaluate`: whether the generated images can be believed."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sorby.cli.several import DEVICES as SEVERAL
from sorby.cli.several import are_several, team_of
from sorby.errors import ConfigError


def evaluate(
    generated: Annotated[Path, typer.Argument(help="Run, generator, dataset, or folder of images.")],
    real: Annotated[Path, typer.Argument(help="Dataset with held-out micrographs, or a folder of real images.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html and scores.json; of a run, its own without.")
    ] = None,
    num: Annotated[int, typer.Option(help="Images of each side, at most.", min=1)] = 2000,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="inception, efficientnet-lite0 or vgg16; repeatable. By default all that are installed. "
            "vgg16=FILE takes the weights from a file."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the images and the halves for the intervals.", min=0)] = 0,
    truncation: Annotated[float, typer.Option(help="0 to 1, for a generator.", min=0, max=1)] = 1.0,
    by_condition: Annotated[
        bool,
        typer.Option(
            "--by-condition",
            help="Look at each condition, those held out of training too: pictures, means, distributions, and whether "
            "pictures show the condition asked for.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
    devices: Annotated[int | None, typer.Option(help=SEVERAL, min=1)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Also write the numbers as report.md.")] = False,
) -> None:
    """Say whether generated images can be believed: microstructure, then FID, KID, precision, recall and more."""
    from sorby.cli.train import chosen_device
    from sorby.evaluation.run import evaluate as run
    from sorby.evaluation.run import share_features
    from sorby.report.reading import about_conditions, headline

    if out is None:
        out = own_folder(generated)
    first = chosen_device(device, several=are_several(devices))
    if are_several(devices):
        nets = network or ()
        with team_of(device, devices) as team:
            share_features(generated, real, num=num, seed=seed, networks=nets, truncation=truncation, team=team)
        if not team.is_first:
            return
        first = str(team.device)
    report = run(
        generated,
        real,
        out,
        num=num,
        seed=seed,
        networks=network or (),
        truncation=truncation,
        at_each_condition=by_condition,
        device=first,
        command=shlex.join(["sorby", *sys.argv[1:]]),
        say=lambda text: typer.echo(f"{text} ...", err=True),
    )
    if markdown:
        from sorby.atomic import write_text
        from sorby.report.markdown import markdown as as_markdown

        write_text(out / "report.md", as_markdown(report))
    typer.echo(headline(report).text)
    for sentence in about_conditions(report):
        typer.echo(sentence.text)
    for score in report.scores:
        if score.against == report.against[0]:
            typer.echo(score)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"report: {out / 'report.html'}")


def own_folder(generated: Path) -> Path:
    """A run keeps its report; for anything else a folder has to be named."""
    if (generated / "config.toml").is_file():
        return generated
    raise ConfigError(f"{generated} is no run, which would keep its report itself: name a folder for it with --out.")

"""`sorby transfer`: train, starting from another generator."""

from pathlib import Path
from typing import Annotated

import typer

from sorby.cli.train import train


def transfer(
    generator: Annotated[Path, typer.Argument(help="Run, generator folder, or name of one that comes with Sorby.")],
    dataset: Annotated[Path, typer.Argument(help="Dataset made by `sorby prepare`, or a StyleGAN zip.")],
    freeze_d: Annotated[
        int, typer.Option(help="Blocks of the discriminator, from the picture on, that stay as they are.", min=0)
    ] = 0,
    options: Annotated[list[str] | None, typer.Argument(help="All options of `sorby train`.")] = None,
) -> None:
    """Train a generator on a dataset, starting from another one."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command()(train)
    start = ["--set", f"start_from={generator}", "--set", f"freeze_d={freeze_d}"]
    typer.main.get_command(alone).main(
        [str(dataset), *start, *(options or [])], prog_name="sorby transfer", standalone_mode=False
    )

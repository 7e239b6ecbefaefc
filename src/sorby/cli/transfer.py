"""`sorby transfer`: train, starting from another generator."""

from pathlib import Path
from typing import Annotated

import typer

from sorby.cli.train import train

OF_THE_DATA = {"channels", "condition_dim"}
"""Of a network, what follows from the dataset that it learns from."""


def transfer(
    generator: Annotated[Path, typer.Argument(help="Run, generator folder, or name of one that comes with Sorby.")],
    dataset: Annotated[Path, typer.Argument(help="Dataset made by `sorby prepare`, or a StyleGAN zip.")],
    freeze_d: Annotated[
        int, typer.Option(help="Blocks of the discriminator, from the picture on, that stay as they are.", min=0)
    ] = 0,
    options: Annotated[list[str] | None, typer.Argument(help="All options of `sorby train`.")] = None,
) -> None:
    """Train a generator on a dataset, starting from another one, with a network like that one's."""
    from sorby.generator import read_generator

    card, _ = read_generator(generator)
    network = card.network.model_dump(exclude=OF_THE_DATA)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command()(train)
    settings = {"start_from": generator, "freeze_d": freeze_d, **{f"network.{k}": v for k, v in network.items()}}
    start = [part for k, v in settings.items() for part in ("--set", f"{k}={'none' if v is None else v}")]
    typer.main.get_command(alone).main(
        [str(dataset), *start, *(options or [])], prog_name="sorby transfer", standalone_mode=False
    )

"""`sorby pack`: a dataset in another form."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def pack(
    dataset: Annotated[Path, typer.Argument(help="Dataset of `sorby prepare`, or of a StyleGAN tool.")],
    out: Annotated[
        Path, typer.Option(help="NAME.shards for millions of patches, NAME.zip for StyleGAN tools, or a folder.")
    ],
) -> None:
    """Write a dataset in another form; its pictures stay the same."""
    from rich.progress import Progress

    from sorby.data.dataset import Dataset
    from sorby.data.pack import pack as run

    data = Dataset.open(dataset)
    with Progress(disable=not sys.stdout.isatty(), transient=True) as bar:
        task = bar.add_task("packing", total=len(data))
        packed = run(data, out, progress=lambda number: bar.update(task, completed=number))
    typer.echo(f"Packed {len(packed)} patches into {out}. Train on it with: sorby train {out}")

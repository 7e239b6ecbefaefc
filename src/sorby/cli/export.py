"""`sorby export`: generators and datasets for other programs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sorby.errors import ConfigError


def export(
    source: Annotated[
        Path,
        typer.Argument(help="Generator folder, run, or one of Sorby's own; a dataset; for --metadata an image too."),
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="NAME.onnx, NAME.zip or NAME.json.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="A generator as one file for onnxruntime.")] = False,
    stylegan: Annotated[
        bool, typer.Option("--stylegan", help="A dataset as the zip that StyleGAN2-ADA and StyleGAN3 train on.")
    ] = False,
    split: Annotated[
        str, typer.Option(help="Side of the dataset: train, held-out or held-out-condition. Of --stylegan.")
    ] = "train",
    metadata: Annotated[
        bool, typer.Option("--metadata", help="What is known of it, as concepts of NXem and terms of the EM Glossary.")
    ] = False,
    hub: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="Push a generator to the Hugging Face hub under this name.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Of --hub: seen by you alone.")] = False,
) -> None:
    """Hand a generator or a dataset to other programs: --onnx, --stylegan, --metadata or --hub."""
    if onnx + stylegan + metadata + (hub is not None) != 1:
        raise ConfigError("To what? Give one of --onnx, --stylegan, --metadata and --hub USER/NAME.")
    if hub is not None:
        if out is not None:
            raise ConfigError("--out is a file, and --hub needs none: leave one of them out.")
        _push(source, hub, is_private=private)
        return
    if out is None:
        raise ConfigError(f"Where to? Give --out NAME.{'onnx' if onnx else 'json' if metadata else 'zip'}.")
    if onnx:
        _onnx(source, out)
    elif metadata:
        _metadata(source, out)
    else:
        _stylegan(source, out, split)


def _onnx(source: Path, out: Path) -> None:
    from sorby.generator import Generator
    from sorby.interop.onnx import export_onnx

    generator = Generator.load(source)
    difference = export_onnx(generator, out)
    space = generator.card.space
    asked = f", at a condition: {'; '.join(one.describe() for one in space.conditions)}" if space.conditions else ""
    typer.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, draws {generator.card.size} px{asked}. "
        f"Its pictures differ from those of PyTorch by {difference:.1g} at most (-1 black, 1 white)."
    )


def _stylegan(source: Path, out: Path, split: str) -> None:
    from rich.progress import Progress

    from sorby.cli.choices import chosen
    from sorby.data.dataset import Dataset
    from sorby.data.manifest import Split
    from sorby.interop.stylegan_zip import what_is_lost, write_stylegan_zip

    side: Split = chosen("--split", split, Split)
    data = Dataset.open(source)
    with Progress(disable=not sys.stdout.isatty(), transient=True) as bar:
        task = bar.add_task("exporting", total=len(data))
        num = write_stylegan_zip(data, out, split=side, progress=lambda number: bar.update(task, completed=number))
    typer.echo(f"{out}: {num} patches of {data.size} px. {what_is_lost(data, side)}")


def _metadata(source: Path, out: Path) -> None:
    from sorby.interop.nexus import export_metadata

    typer.echo(f"{out}: {export_metadata(source, out)} concepts of NXem")


def _push(source: Path, name: str, *, is_private: bool) -> None:
    from sorby.generator import Generator

    # Without the option what is there stays as private as it is.
    address = Generator.load(source).push_to_hub(name, private=is_private or None)
    typer.echo(f"Pushed to {address}. Draw from it with: sorby generate hf:{name} --out pictures")

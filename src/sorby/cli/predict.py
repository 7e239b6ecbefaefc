"""`sorby predict`: a property from structure."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    source: Annotated[Path, typer.Argument(help="Dataset, or folder of micrographs with --labels.")],
    property: Annotated[  # noqa: A002
        str, typer.Option(help="NAME[:UNIT[:linear|log]]: a condition of the dataset, or a column of --labels.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for predict.json, predictions.csv and predict.svg.")],
    labels: Annotated[Path | None, typer.Option(help="CSV with the columns `file` and the property.")] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column of what is held out together; by default the specimen, or the micrograph."),
    ] = None,
    inputs: Annotated[str, typer.Option(help="descriptors, features, both with a comma, or none.")] = (
        "descriptors,features"
    ),
    latents: Annotated[
        Path | None, typer.Option(help="An .npz with `latents`, a row a picture, and perhaps `files`.")
    ] = None,
    regressor: Annotated[
        list[str] | None, typer.Option(help="random-forest, gaussian-process or ridge; repeatable. [all]")
    ] = None,
    network: Annotated[str, typer.Option(help="That gives the features.")] = "efficientnet-lite0",
    phases: Annotated[int, typer.Option(help="Phases told apart by their grey, 2 to 4.")] = 2,
    phase: Annotated[int, typer.Option(help="Phase described: 0 the darkest, -1 the brightest.")] = -1,
    num: Annotated[int, typer.Option(help="Patches of a dataset, at most.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Draws the patches, the folds and the trees.", min=0)] = 0,
    pixel_size_um: Annotated[
        float | None, typer.Option("--pixel-size-um", help="Where a file states none.", min=1e-9)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Say whether a property follows from pictures: from descriptors, network features and latents, side by side."""
    from rich.progress import Progress

    from sorby.cli.train import chosen_device
    from sorby.design.predict import predict as run
    from sorby.design.property import REGRESSORS, interval
    from sorby.microstructure.describe import Segmentation

    with Progress(transient=True) as progress:
        bar = progress.add_task("pictures", total=None)
        found = run(
            source,
            out,
            property=property,
            labels=labels,
            group=group,
            inputs=[name for name in inputs.split(",") if name not in ("", "none")],
            latents=latents,
            regressors=regressor or REGRESSORS,
            network=network,
            how=Segmentation(phases=phases, phase=phase),
            num=num,
            seed=seed,
            pixel_size_um=pixel_size_um,
            device=chosen_device(device),
            on_picture=lambda: progress.advance(bar),
            say=lambda text: typer.echo(text, err=True),
        )
    for sentence in found.verdicts:
        typer.echo(sentence)
    unit = found.labels.unit
    for result in found.results:
        error = f"mean absolute error {result.mean_absolute_error:.3g} {unit}".rstrip()
        mark = "+" if result.is_supported else "-"
        typer.echo(f"  {mark} {result.inputs}, {result.regressor}: R² {interval(result.r2)}, {error}")
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"figure: {out / 'predict.svg'}")

"""`sorby measure`: the metallography of images, real or generated."""

import os
from pathlib import Path
from typing import Annotated

import typer


def measure(
    path: Annotated[Path, typer.Argument(help="Folder of micrographs, dataset, run or generator.")],
    out: Annotated[Path, typer.Option(help="Table of images (.csv); one of particles and outlines go beside it.")],
    phases: Annotated[int, typer.Option(help="Phases told apart by their grey, 2 to 4.")] = 2,
    phase: Annotated[int, typer.Option(help="Phase measured: 0 the darkest, -1 the brightest.")] = -1,
    threshold: Annotated[
        list[int] | None,
        typer.Option(help="Grey level between two phases; repeatable. By default Otsu's of each image."),
    ] = None,
    local: Annotated[
        int | None, typer.Option(help="Local threshold in a window of so many px, for uneven brightness.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of images of the same names in which the phase is above 0.")
    ] = None,
    smooth: Annotated[float, typer.Option(help="Gaussian against noise, standard deviation in px.", min=0)] = 1.0,
    min_area: Annotated[int, typer.Option(help="Smallest particle, in px².", min=1)] = 5,
    separate: Annotated[
        int | None, typer.Option(help="Cut touching particles with middles further apart than so many px.", min=1)
    ] = None,
    edges: Annotated[
        str, typer.Option(help="Particles cut by the edge: correct (left out, counts corrected), leave-out or keep.")
    ] = "correct",
    pixel_size_um: Annotated[
        float | None, typer.Option("--pixel-size-um", help="Where a file states none.", min=1e-9)
    ] = None,
    num: Annotated[int, typer.Option(help="Pictures of a generator, or patches of a dataset at most.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="First seed of a generator; draws the patches of a dataset.", min=0)] = 0,
    overlays: Annotated[int, typer.Option(help="Images drawn with their outlines, to be checked by eye.", min=0)] = 24,
    curves: Annotated[
        bool, typer.Option("--curves", help="Write two-point probability and lineal path over the distance as well.")
    ] = False,
) -> None:
    """Measure phases and particles: a table of images, a table of particles, and outlines to check them by eye."""
    from rich.console import Console
    from rich.table import Table

    from sorby.cli.choices import chosen
    from sorby.measurement.run import measure as run
    from sorby.measurement.units import in_units
    from sorby.microstructure.describe import Segmentation
    from sorby.microstructure.full import ALL_QUANTITIES
    from sorby.microstructure.particles import Edges

    how = Segmentation(
        phases=len(threshold) + 1 if threshold else phases,
        phase=phase,
        thresholds=tuple(threshold or ()),
        window_px=local,
        smooth_px=smooth,
        min_area_px2=min_area,
        separate_px=separate,
        edges=chosen("--edges", edges, Edges),
    )
    summary = run(
        path,
        out,
        how=how,
        num=num,
        seed=seed,
        pixel_size_um=pixel_size_um,
        masks=masks,
        overlays=overlays,
        curves=curves,
        workers=os.cpu_count() or 1,
        say=lambda text: typer.echo(f"{text} ...", err=True),
    )
    table = Table(box=None, header_style="cyan")
    for title in ("", "mean", "95 % interval", "threshold ± step", "n"):
        table.add_column(title, justify="right" if title else "left", no_wrap=not title)
    for quantity in ALL_QUANTITIES:
        names = [name for name in in_units(quantity, None, None) if name in summary.estimates]
        for name in names[-1:]:  # in micrometres where they are known
            e, band = summary.estimates[name], summary.bands.get(name, (None, None))
            table.add_row(name, f"{e.value:.4g}", _range(e.low, e.high), _range(*band), str(e.num))
    Console().print(table)
    for note in summary.notes:
        typer.echo(f"note: {note}", err=True)
    tables = [out, out.with_suffix(".particles.csv"), *([out.with_suffix(".curves.csv")] if curves else [])]
    typer.echo(
        f"{summary.num_fields} images of {summary.num_parents} micrographs, {summary.num_particles} particles: "
        f"{', '.join(map(str, tables))}; check the outlines in {out.with_suffix('.overlays')}"
    )


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3g} to {high:.3g}"

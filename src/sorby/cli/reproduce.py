"""`sorby reproduce`: a run once more, and whether it comes to the same."""

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    run: Annotated[Path, typer.Argument(help="Run folder of `sorby train`.")],
    dataset: Annotated[Path, typer.Argument(help="The dataset that it was trained on.")],
    out: Annotated[Path | None, typer.Option(help="Keep the new run here; the same command again goes on.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Compare only so many thousand images, from the start.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
) -> None:
    """Train a run anew with its own settings, and say whether it comes to the same numbers, weights and pictures."""
    from tempfile import TemporaryDirectory

    from sorby.data.dataset import Dataset
    from sorby.reproduce import Tick
    from sorby.reproduce import reproduce as run_again

    def told(tick: Tick) -> None:
        typer.echo(tick.tell())

    data = Dataset.open(dataset)
    with TemporaryDirectory(prefix="sorby-") as folder:
        outcome = run_again(run, data, out or Path(folder) / "run", kimg=kimg, device=device, on_tick=told)
    if outcome.grey_levels is not None and not outcome.weights_same:
        typer.echo(
            f"Pictures of the last generators differ by {outcome.grey_levels:.2g} of 255 grey levels on average."
        )
    if outcome.is_same:
        until = "to its end" if outcome.weights_same else "as far as it was repeated"
        typer.echo(f"{run} is reproduced {until}: the same to the bit.")
        return
    reasons = (
        "; ".join(outcome.differences) or "neither versions nor processor differ, so this is a bug: please report it"
    )
    typer.echo(f"{run} is not reproduced to the bit: {reasons}.")
    raise typer.Exit(1)

"""`sorby study`: many trainings that answer one question."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sorby.study.plan import Plan

study = typer.Typer(help="Many trainings that answer one question, with a table and figures.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Study file, such as studies/augmentation.toml.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the study; by default runs/ and the file's name.")]
Data = Annotated[Path | None, typer.Option(help="Another dataset than the file names.")]
Scale = Annotated[str | None, typer.Option(help="Which of the file's scales, such as laptop or paper.")]


@study.command()
def run(
    file: File,
    out: Out = None,
    dataset: Data = None,
    scale: Scale = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto takes all GPUs, or the CPU.")] = "auto",
    parallel: Annotated[
        int | None, typer.Option(help="Runs at once; by default one a GPU, or one a CPU core.", min=1)
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads a run.", min=1)] = 1,
    retry: Annotated[bool, typer.Option("--retry", help="Try runs again that failed for good.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and stop.")] = False,
) -> None:
    """Train and measure all runs of a study, then compare them. Run the same command again to resume."""
    plan, folder = _opened(file, out, dataset, scale)
    if dry_run:
        for line in listed(plan, folder):
            typer.echo(line)
        return

    from sorby.cli.train import chosen_device
    from sorby.study.local import Local, places
    from sorby.study.run import run_study

    crew = Local(folder, places(chosen_device(device), parallel=parallel, threads=threads), threads=threads)
    signal.signal(signal.SIGTERM, _interrupt)  # a queue that ends this job lets the workers end as well
    try:
        missing = run_study(plan, folder, crew, retry=retry, say=lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        typer.echo(f"Stopped. The same command again goes on in {folder}.", err=True)
        raise typer.Exit(130) from None
    _show(folder)
    if missing:
        typer.echo(f"{len(missing)} of {len(plan.runs)} runs gave no result: {', '.join(missing)}.", err=True)
        raise typer.Exit(1)


@study.command()
def plot(file: File, out: Out = None, dataset: Data = None, scale: Scale = None) -> None:
    """Draw figures and tables of the runs that are finished, also while others still run."""
    from sorby.study.run import write_report

    plan, folder = _opened(file, out, dataset, scale)
    if not write_report(plan, folder):
        typer.echo(f"No run of {folder} is finished yet.", err=True)
        raise typer.Exit(1)
    _show(folder)


def _opened(file: Path, out: Path | None, dataset: Path | None, scale: str | None) -> tuple["Plan", Path]:
    """The plan of a study file, and the folder that it runs in."""
    from sorby.study.file import read_study
    from sorby.study.plan import plan_of

    plan = plan_of(read_study(file, scale=scale, dataset=dataset))
    return plan, out or Path("runs") / "-".join(part for part in (file.stem, plan.study.scale) if part)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(folder: Path) -> None:
    """The table, and where the files are."""
    typer.echo((folder / "results.md").read_text())
    typer.echo(
        f"In {folder}: results.md, results.json, {', '.join(sorted(path.name for path in folder.glob('*.svg')))}"
    )


def listed(plan: "Plan", folder: Path) -> list[str]:
    """The runs of a study, what each does not see, and whether it is finished."""
    from sorby.evaluation.at_conditions import keys_of
    from sorby.study.work import finished

    space = plan.data.space
    conditions = f"; {len(keys_of(plan.data))} conditions" if space.dim else ""
    lines = [
        f"{len(plan.runs)} runs, {sum(run.config.kimg for run in plan.runs):g} kimg in all, in {folder}{conditions} of "
        f"{plan.study.dataset}."
    ]
    for run in plan.runs:
        told = [space.tell(dict(zip(space.names, key, strict=True))) for key in sorted(run.unseen, key=str)]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        unseen = f", without {'; '.join(told[:3])}{more}" if told else ""
        done = ", finished" if finished(folder, run, plan.study) else ""
        lines.append(f"{run.name}: {run.config.preset}, {run.config.kimg:g} kimg, seed {run.config.seed}{unseen}{done}")
    return lines

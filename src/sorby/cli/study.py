"""`sorby study`: many trainings that answer one question."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sorby.errors import ConfigError, printable

if TYPE_CHECKING:
    from sorby.study.crew import Crew
    from sorby.study.estimate import Estimate
    from sorby.study.file import Study
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
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on; auto finds one.")] = None,
    gpus: Annotated[float, typer.Option(help="With --ray: GPUs a run, which may be a part of one.", min=0)] = 0,
    storage: Annotated[
        str | None,
        typer.Option(help="Database of a search, such as postgresql://...; by default a file."),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try runs again that failed for good.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Start without being asked.")] = False,
    price: Annotated[
        float | None, typer.Option(help="Of one GPU for an hour, or of the machine where runs use none.", min=0)
    ] = None,
) -> None:
    """Train and measure all runs of a study, then compare them. Run the same command again to resume.

    First says what it will take, from parts of the runs timed on this machine, and asks whether to go on.
    """
    plan, folder = _opened(file, out, dataset, scale)
    if dry_run:
        for line in listed(plan, folder):
            typer.echo(line)
        return

    from sorby.cli.train import chosen_device
    from sorby.study.crew import Crew
    from sorby.study.estimate import estimated
    from sorby.study.local import Local, places

    def say(text: str) -> None:
        typer.echo(text, err=True)

    where = places(chosen_device(device), parallel=parallel, threads=threads)
    found = estimated(plan, folder, where, threads=threads, price=price, say=say)
    _ask(found, yes=yes)

    def crew_in(place: Path) -> Crew:
        if ray is None:
            return Local(place, where[: found.at_once], threads=threads)
        from sorby.study.cluster import Cluster

        return Cluster(place, ray, gpus=gpus, threads=threads)

    signal.signal(signal.SIGTERM, _interrupt)  # a queue that ends this job lets the workers end as well
    try:
        missing = _carried_out(plan, folder, crew_in, storage=storage, retry=retry, say=say)
    except KeyboardInterrupt:
        say(f"Stopped. The same command again goes on in {folder}.")
        raise typer.Exit(130) from None
    if (folder / "results.md").exists():  # not where no run gave a result
        _show(folder)
    if missing:
        say(f"{len(missing)} runs gave no result: {', '.join(missing)}; see {folder / 'logs'}.")
        raise typer.Exit(1)


@study.command()
def plot(file: File, out: Out = None, dataset: Data = None, scale: Scale = None) -> None:
    """Draw figures and tables of the runs that are finished, also while others still run."""
    from sorby.study.run import write_report
    from sorby.study.search import write_search

    plan, folder = _opened(file, out, dataset, scale)
    write = write_search if plan.study.search else write_report
    if not write(plan, folder):
        typer.echo(f"No run of {folder} is finished yet.", err=True)
        raise typer.Exit(1)
    _show(folder)


@study.command()
def status(
    file: File,
    out: Out = None,
    scale: Scale = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the study ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show how each run stands, also from another machine and after the study was stopped."""
    from rich.console import Console
    from rich.live import Live

    from sorby.study.file import read_study
    from sorby.study.status import planned, status_of, told, watched

    folder = _folder(file, out, read_study(file, scale=scale))
    console = Console()
    if watch and not as_json:
        try:
            with Live(console=console, auto_refresh=False) as live:
                for found in watched(file, folder, scale=scale):
                    live.update(told(found, most=console.height - 6), refresh=True)
        except KeyboardInterrupt:
            pass
        return
    found = status_of(folder, planned(file, folder, scale=scale))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        console.print(told(found))


def _carried_out(
    plan: "Plan",
    folder: Path,
    crew_in: Callable[[Path], "Crew"],
    *,
    storage: str | None,
    retry: bool,
    say: Callable[[str], None],
) -> list[str]:
    """Run the study, or the search; gives the runs without a result."""
    if plan.study.search:
        from sorby.study.search import run_search

        return run_search(plan, folder, crew_in, storage=storage, say=say)
    from sorby.study.run import run_study

    return run_study(plan, folder, crew_in(folder), retry=retry, say=say)


def _ask(estimate: "Estimate", *, yes: bool) -> None:
    """Say what is left of a study will take, and end where the person does not want it.

    Raises `ConfigError` where nobody can be asked.
    """
    from sorby.study.estimate import told

    typer.echo(told(estimate), err=True)
    if yes or not estimate.costs:
        return
    if not _is_terminal():
        raise ConfigError("The study was not started, as there is no terminal to ask at: add --yes.")
    if not typer.confirm("Go on?"):
        raise typer.Exit(1)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _opened(file: Path, out: Path | None, dataset: Path | None, scale: str | None) -> tuple["Plan", Path]:
    """The plan of a study file, and the folder that it runs in."""
    from sorby.study.file import read_study
    from sorby.study.plan import plan_of

    plan = plan_of(read_study(file, scale=scale, dataset=dataset))
    return plan, _folder(file, out, plan.study)


def _folder(file: Path, out: Path | None, study: "Study") -> Path:
    """Where a study runs."""
    return out or Path("runs") / "-".join(part for part in (file.stem, study.scale) if part)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(folder: Path) -> None:
    """The table, and where the files are."""
    typer.echo("\n".join(map(printable, (folder / "results.md").read_text().splitlines())))
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

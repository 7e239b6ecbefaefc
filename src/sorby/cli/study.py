"""`sorby study`: many trainings that answer one question."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sorby.study.plan import Plan, Run

study = typer.Typer(help="Many trainings that answer one question, with a table and a figure.", no_args_is_help=True)


@study.callback()
def _verbs() -> None:
    """Keep `run` a word of its own, though it is the only one."""


@study.command()
def run(
    file: Annotated[Path, typer.Argument(help="Study file, such as studies/leave-one-condition-out.toml.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the study; by default runs/ and the file's name.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Another dataset than the file names.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and stop.")] = False,
) -> None:
    """Train and measure all runs of a study, then compare them. Run the same command again to resume."""
    from sorby.study.plan import plan_of, read_study

    plan = plan_of(read_study(file, dataset=dataset))
    folder = out or Path("runs") / file.stem
    if dry_run:
        for line in listed(plan, folder):
            typer.echo(line)
        return

    import torch

    from sorby.cli.train import Printer, chosen_device, progress_bar
    from sorby.study.run import run_study
    from sorby.study.table import markdown
    from sorby.training.run import train

    if threads is not None:
        torch.set_num_threads(threads)
    best = chosen_device(device)

    def trainer(each: "Run", path: Path) -> None:
        with progress_bar(each.config) as bar:
            printer = Printer(bar, total=each.config.total_images)
            train(
                each.data,
                path,
                each.config,
                device=best,
                on_tick=printer.tick,
                on_step=printer.step,
                warn=printer.warn,
            )

    try:
        result = run_study(plan, folder, device=best, trainer=trainer, say=lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        typer.echo(f"Stopped. The same command again goes on in {folder}.", err=True)
        raise typer.Exit(130) from None
    typer.echo(markdown(result))
    typer.echo(f"table: {folder / 'results.md'}, figure: {folder / 'results.svg'}, numbers: {folder / 'results.json'}")


def listed(plan: "Plan", folder: Path) -> list[str]:
    """The runs of a study, what each does not see, and whether it is finished."""
    from sorby.evaluation.at_conditions import keys_of
    from sorby.study.run import finished

    space = plan.data.space
    lines = [
        f"{len(plan.runs)} runs, {sum(run.config.kimg for run in plan.runs):g} kimg in all, in {folder}; "
        f"{len(keys_of(plan.data))} conditions of {plan.study.dataset}."
    ]
    for run in plan.runs:
        told = [space.tell(dict(zip(space.names, key, strict=True))) for key in sorted(run.unseen, key=str)]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        unseen = f", without {'; '.join(told[:3])}{more}" if told else ""
        done = ", finished" if finished(folder / run.name, run, plan.study) else ""
        lines.append(f"{run.name}: {run.config.preset}, {run.config.kimg:g} kimg, seed {run.config.seed}{unseen}{done}")
    return lines

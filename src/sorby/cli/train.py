"""`sorby train`: train a generator on a prepared dataset."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sorby.cli.several import DEVICES as SEVERAL
from sorby.config import TrainConfig, presets, resolve, to_toml
from sorby.errors import ConfigError

LISTS = ("augment", "augment_without", "descriptors")
"""Settings that hold several names."""
DEVICES = ("cpu", "cuda", "mps", "xpu")

if TYPE_CHECKING:
    from rich.progress import Progress

    from sorby.training.state import State


def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset made by `sorby prepare`, or a StyleGAN zip.")],
    out: Annotated[Path | None, typer.Option(help="Run folder; the same command again resumes it.")] = None,
    preset: Annotated[str, typer.Option(help=f"Named settings: auto, {', '.join(presets())}.")] = "laptop-64",
    kimg: Annotated[
        float | None, typer.Option(help="Stop after this many thousand images; may be raised later.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    subset: Annotated[int | None, typer.Option(help="Train on this many parent micrographs only.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="Families, such as blit,geom; of colour, filter, noise, cutout, blur too; or none."),
    ] = None,
    r_t: Annotated[float | None, typer.Option("--r-t", help="Target of adaptive augmentation.")] = None,
    p: Annotated[
        float | None, typer.Option("--p", help="Fixed augmentation probability in place of an adaptive one.")
    ] = None,
    symmetry: Annotated[
        str | None, typer.Option(help="Moves that make a micrograph as good as new: none, mirror-x, mirror-xy, square.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Weight of the R1 penalty.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bfloat16, or fastest: that of the device.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, such as network.mapping_layers=8; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2 (the third GPU), mps; auto picks.")] = "auto",
    gpus: Annotated[int, typer.Option(help="GPUs that preset auto reckons the batch for.", min=1)] = 1,
    devices: Annotated[int | None, typer.Option(help=SEVERAL, min=1)] = None,
    accumulate: Annotated[
        int, typer.Option(help="Compute each batch in this many parts, which takes less memory.", min=1)
    ] = 1,
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the settings and stop.")] = False,
) -> None:
    """Train a generator on a dataset. Run the same command again to resume."""
    from sorby.data.dataset import Dataset

    data = Dataset.open(dataset)
    given = {
        "kimg": kimg,
        "seed": seed,
        "subset": subset,
        "augment": None if augment is None else names(augment),
        "r_t": r_t,
        "p": p,
        "symmetry": symmetry,
        "batch_size": batch,
        "r1_gamma": gamma,
        "precision": precision,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    config = resolve(preset, changes | assignments(set_ or []), size=data.size, gpus=gpus)

    import torch

    from sorby.cli.several import team_of
    from sorby.training.run import augmentation
    from sorby.training.run import train as run_training

    augmentation(config)  # refuses an unknown move also where nothing is trained
    if dry_run:
        typer.echo(to_toml(config))
        return
    run = out or Path("runs") / dataset.stem
    with team_of(device, devices) as team, progress_bar(config) as bar:
        if threads is not None:
            torch.set_num_threads(threads)
        printer = Printer(bar, total=config.total_images)
        try:
            run_training(
                data,
                run,
                config,
                team=team,
                accumulate=accumulate,
                on_tick=printer.tick,
                on_step=printer.step,
                warn=printer.warn,
            )
        except KeyboardInterrupt:
            if team.is_first:
                typer.echo(f"Stopped. The same command again goes on from the last tick of {run}.", err=True)
            raise typer.Exit(130) from None
        typer.echo(
            f"Finished: {run}. Look at {run}/samples; draw pictures with: sorby generate {run} --num 64 --out pictures"
        )


class Printer:
    """Progress for a person: a bar on a terminal, a line a tick everywhere."""

    def __init__(self, bar: "Progress", *, total: int) -> None:
        self.bar = bar
        self.task = bar.add_task("train", total=total, live="starting")
        self.moved = False

    def step(self, state: "State") -> None:
        """Move the bar; the first time, to where the run was resumed, which says nothing about speed."""
        if self.moved:
            self.bar.update(self.task, completed=state.images_seen)
        else:
            self.bar.reset(self.task, completed=state.images_seen, live="first tick")
            self.moved = True

    def tick(self, _: "State", line: dict[str, float]) -> None:
        """Print what the log holds of this tick, and keep the newest numbers beside the bar."""
        live = [f"{line['img_s']:.1f} img/s", *_numbers(line, ("r_t", "p", "loss_G", "loss_D", "r1"), ".3f")]
        self.bar.update(self.task, live="  ".join(live))
        parts = [
            f"kimg {line['kimg']:.1f}",
            *live,
            *_numbers(line, ("fid", "kid", "precision", "recall", "descriptor_error"), ".4g"),
        ]
        self.bar.console.print("  ".join(parts), highlight=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        """Print a warning above the bar."""
        self.bar.console.print(f"warning: {message}", markup=False, highlight=False, soft_wrap=True)


def _numbers(line: dict[str, float], names: tuple[str, ...], form: str) -> list[str]:
    return [f"{name} {line[name]:{form}}" for name in names if name in line]


def progress_bar(config: TrainConfig) -> "Progress":
    """A bar that counts images and guesses the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn(f"[bold]{config.preset}"),
        BarColumn(),
        TextColumn("{task.percentage:.1f}% of " + f"{config.kimg:g} kimg"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[live]}"),
        transient=True,
        disable=not sys.stdout.isatty(),  # a log file needs no bar; the lines of the ticks say it all
    )


def names(text: str) -> tuple[str, ...]:
    """`blit,geom` to its parts; `none` to nothing.

    >>> names("blit,geom"), names("none")
    (('blit', 'geom'), ())
    """
    return () if text == "none" else tuple(part.strip() for part in text.split(","))


def assignments(pairs: list[str]) -> dict[str, Any]:
    """`network.z_dim=64` and the like to nested settings; a list is written with commas.

    >>> assignments(["network.z_dim=64", "augment_without=rotate,flip", "p=none"])
    {'network': {'z_dim': '64'}, 'augment_without': ['rotate', 'flip'], 'p': None}
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r}: expected NAME=VALUE, such as r1_gamma=0.1.")
        *groups, field = name.split(".")
        target = settings
        for group in groups:
            target = target.setdefault(group, {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {pair!r}: {group} was already given a value of its own.")
        is_list = field in LISTS
        target[field] = list(names(value)) if is_list else None if value == "none" else value
    return settings


def chosen_device(name: str, *, several: bool = False) -> str:
    """The device asked for; for `auto` the best there is. Raises `ConfigError` where it is not there.

    The first of `several` is not tried: each process would take some of its memory.
    """
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    best = "cpu" if accelerator is None else accelerator.type
    if name == "auto":
        return best
    if name.partition(":")[0] not in DEVICES:
        raise ConfigError(f"Device {name!r} is not known: choose one of {', '.join(DEVICES)}, or auto.")
    if several:
        return name
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"Device {name} cannot be used ({str(error).splitlines()[0]}): choose {best} or auto."
        ) from None
    return name

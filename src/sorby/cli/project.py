"""`sorby project`: the place of a micrograph in a generator's space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sorby.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sorby.data.dataset import Dataset
    from sorby.generator import Generator, Values
    from sorby.latent.project import Space, Step

MEMORISATION_FILES = ("projections.csv", "memorisation.json", "memorisation.svg")
FILM_FRAMES = 120


def project(
    generator: Annotated[Path, typer.Argument(help="Generator folder, run, or one of Sorby's own, such as uhcs-64.")],
    image: Annotated[Path, typer.Argument(help="A micrograph; or a dataset, to see whether training is memorised.")],
    out: Annotated[Path, typer.Option(help="Folder for the projection; a stop of `sorby interpolate --seeds`.")],
    condition: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="At which to look; repeatable. By default the nearest in the data."),
    ] = None,
    space: Annotated[str, typer.Option(help="w: one w for all layers; w+: one for each, closer and less true.")] = "w",
    steps: Annotated[int | None, typer.Option(help="Of the search: 300, in a dataset 100.", min=1)] = None,
    film: Annotated[Path | None, typer.Option(help="Film of the search (.mp4 or .gif).")] = None,
    num: Annotated[int, typer.Option(help="Of a dataset: patches of each side of the split.", min=2)] = 32,
    seed: Annotated[int, typer.Option(help="Of the noise, and of the patches.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Find what a generator has to be given to draw a real micrograph, and how near it comes."""
    import torch

    from sorby.cli.choices import chosen
    from sorby.cli.generate import pairs
    from sorby.cli.train import chosen_device
    from sorby.data.dataset import Dataset, is_dataset
    from sorby.generator import Generator
    from sorby.latent.project import DATASET_STEPS, STEPS, Space

    where: Space = chosen("--space", space, Space)
    asked = pairs(condition or []) or None
    model = Generator.load(generator, device=chosen_device(device), dtype=torch.float32)
    if not is_dataset(image):
        _one(model, image, out, asked, where, steps or STEPS, seed, film)
        return
    if film is not None:
        raise ConfigError("A film shows one projection: give a micrograph in place of a dataset, or no --film.")
    _dataset(model, Dataset.open(image), out, asked, where, steps or DATASET_STEPS, seed, num)


def _one(
    model: "Generator",
    image: Path,
    out: Path,
    asked: "Values | None",
    space: "Space",
    steps: int,
    seed: int,
    film: Path | None,
) -> None:
    from rich.progress import Progress

    from sorby.atomic import check_folder
    from sorby.latent.project import Step
    from sorby.latent.project import project as search
    from sorby.latent.projection_files import FILES, beside, save_projection
    from sorby.latent.target import target_of
    from sorby.micrograph import read_micrograph
    from sorby.report.video import SUFFIXES, require_ffmpeg, write_video

    if film is not None:
        if film.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{film} cannot be written as a film: expected a name ending in {' or '.join(SUFFIXES)}.")
        require_ffmpeg()
    target = target_of(read_micrograph(image), model.card)
    check_folder(out, ours=FILES)
    for note in target.notes:
        typer.echo(f"note: {note}", err=True)
    frames, every = [], max(steps // FILM_FRAMES, 1)
    with Progress() as progress:
        task = progress.add_task("project", total=steps)

        def on_step(step: Step) -> None:
            progress.update(task, completed=step.done)
            if film is not None and (step.done % every == 0 or step.done == step.total):
                frames.append(beside(target, model.draw(step.ws, step.noise)[0]))

        found = search(
            model, target.picture[None], condition=asked, space=space, steps=steps, seed=seed, on_step=on_step
        )
    save_projection(out, model, target, found, space=space, steps=steps, seed=seed)
    if film is not None:
        about = {
            "synthetic": "right half",
            "generator": model.hash,
            "shows": f"search of the projection of {image.name}",
            "projected": f"into {space}, {steps} steps, seed {seed}",
            **{f"condition {name}": str(value) for name, value in found.conditions[0].items()},
        }
        write_video(film, frames, fps=24, about=about)
    at = f", at {model.card.space.tell(found.conditions[0])}" if found.conditions[0] else ""
    typer.echo(f"{target.name} projected to a perceptual distance of {found.distances[0]:.3f}{at}: {out}")


def _dataset(
    model: "Generator",
    dataset: "Dataset",
    out: Path,
    asked: "Values | None",
    space: "Space",
    steps: int,
    seed: int,
    num: int,
) -> None:
    import json
    from dataclasses import asdict
    from functools import partial

    from rich.progress import Progress

    from sorby.atomic import check_folder, new_folder, write_bytes, write_text
    from sorby.data.manifest import Split
    from sorby.latent.memorisation import Side, figure, memorisation, parents_of, spread_over_parents, table
    from sorby.latent.project import project as search

    check_folder(out, ours=MEMORISATION_FILES)
    names: tuple[Split, Split] = ("train", "held-out")
    views = [dataset.split(name) for name in names]
    sides = []
    with Progress() as progress:
        for name, view in zip(names, views, strict=True):
            chosen = spread_over_parents(view, num, seed=seed)
            on_step = partial(_show, progress, progress.add_task(name, total=None))
            found = search(
                model,
                view.images(chosen),
                condition=asked,
                space=space,
                steps=steps,
                seed=seed,
                fit_noise=False,
                on_step=on_step,
            )
            files = tuple(view.patches[int(index)].file for index in chosen)
            sides.append(Side(name, files, parents_of(view, chosen), found.distances))
    result = memorisation(*sides)
    about = {
        "generator": model.hash,
        "dataset": dataset.hash,
        "space": space,
        "steps": steps,
        "seed": seed,
        "patches": [len(side.files) for side in sides],
        "micrographs": [len(side.by_parent()) for side in sides],
        **asdict(result),
    }
    with new_folder(out, ours=MEMORISATION_FILES) as folder:
        write_text(folder / MEMORISATION_FILES[0], table(sides))
        write_text(folder / MEMORISATION_FILES[1], json.dumps(about, indent=2) + "\n")
        write_bytes(folder / MEMORISATION_FILES[2], figure(*sides))
    typer.echo(f"{result.tell()}: {out}")


def _show(progress: "Progress", task: "TaskID", step: "Step") -> None:
    progress.update(task, completed=step.done, total=step.total)

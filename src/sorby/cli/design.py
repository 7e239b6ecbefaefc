"""`sorby design`: structure for a property."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sorby.errors import ConfigError

if TYPE_CHECKING:
    from sorby.design.learned import Learned
    from sorby.design.meter import Meter
    from sorby.design.reference import Reference
    from sorby.design.sources import Source
    from sorby.microstructure.describe import Segmentation

RANDOM_FIELD = "random-field"
MOST_KNOWN = 1000
"""Pictures of a dataset that say what is usual."""
OWN_PICTURES, FIRST_OWN = 256, 1_000_000
"""How many of a generator's own pictures stand for its data where there are none, and the first of their seeds."""


def design(
    generator: Annotated[
        str, typer.Argument(help=f"Generator folder, run, one of Sorby's own, or {RANDOM_FIELD}, which needs --data.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the answers.")],
    maximise: Annotated[list[str] | None, typer.Option(help="Number to make large, such as E; repeatable.")] = None,
    minimise: Annotated[list[str] | None, typer.Option(help="Number to make small; repeatable.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Number to reach, such as E=150; repeatable.")] = None,
    subject_to: Annotated[
        list[str] | None, typer.Option(help="Limit, such as 'area_fraction<0.4'; repeatable.")
    ] = None,
    material: Annotated[
        list[str] | None,
        typer.Option(help="E in GPa and Poisson's ratio of a phase, such as 70,0.33; one each, from the darkest."),
    ] = None,
    conductivities: Annotated[
        str | None, typer.Option(help="Of the phases, from the darkest, such as 1,10; of heat or charges.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Dataset that answers have to be like; by default the generator's own pictures."),
    ] = None,
    property_: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            metavar="NAME[:UNIT[:log]]",
            help="Number learned from --data, a condition of it or a column of --labels, and asked for by its name; "
            "repeatable.",
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV with the columns `file` and the property.")] = None,
    group: Annotated[str | None, typer.Option(help="Column of what is held out together while it is learned.")] = None,
    screened: Annotated[int, typer.Option(help="Pictures drawn at first, as they come.", min=8)] = 64,
    trials: Annotated[int, typer.Option(help="Pictures of the search from the best of these.", min=0)] = 60,
    answers: Annotated[int, typer.Option(help="At most so many.", min=1, max=99)] = 4,
    axes: Annotated[int, typer.Option(help="Principal axes of w to move along.", min=0)] = 6,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.", min=0)] = 0,
    phases: Annotated[int, typer.Option(help="Phases told apart by their grey.", min=2, max=4)] = 2,
    threshold: Annotated[
        list[int] | None, typer.Option(help="Grey level between two phases; by default Otsu's of each picture.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:2, mps; auto picks.")] = "auto",
) -> None:
    """Find microstructures with the properties asked for, inside what the data show; exit code 1 if there are none."""
    from rich.progress import Progress

    from sorby.design import goals as wanted
    from sorby.design.inverse import Task, check
    from sorby.design.meter import Meter, materials
    from sorby.design.run import design as run
    from sorby.microstructure.describe import Segmentation

    goals = [wanted.Goal(wanted.full_name(name), "maximise") for name in maximise or []]
    goals += [wanted.Goal(wanted.full_name(name), "minimise") for name in minimise or []]
    goals += [wanted.target(text) for text in target or []]
    limits = [wanted.limit(text) for text in subject_to or []]
    how = Segmentation(phases=len(threshold) + 1 if threshold else phases, thresholds=tuple(threshold or ()))
    conducted = _numbers(conductivities)
    source = _source(generator, data, axes, device)
    learned = _learned(data, property_ or [], labels, group, how)
    meter = Meter(materials(material or []), conducted, how, source.pixel_size_um, learned)
    check(goals, limits, meter)
    typer.echo("measuring what is usual ...", err=True)
    reference = _reference(source, data, meter)
    with Progress(transient=True) as progress:
        row = progress.add_task("design", total=screened + trials)
        found = run(
            Task(tuple(goals), tuple(limits), meter, reference),
            source,
            out,
            screened=screened,
            trials=trials,
            answers=answers,
            seed=seed,
            on_step=lambda: progress.advance(row),
        )
    typer.echo(found.verdict)
    typer.echo(f"inside: {reference.tell()}")
    if not found.is_met:
        typer.echo(f"what was tried: {out / 'trials.csv'}, {out / 'trials.svg'}")
        raise typer.Exit(1)
    for number, measured in enumerate(found.again, 1):
        numbers = ", ".join(f"{goal.name} {measured.numbers[goal.name]:.4g}" for goal in goals)
        typer.echo(f"{out / str(number)}: {numbers}")


def _source(generator: str, data: Path | None, axes: int, device: str) -> "Source":
    """What draws."""
    from sorby.cli.train import chosen_device
    from sorby.data.dataset import Dataset
    from sorby.design.sources import GeneratorSource, RandomFieldSource
    from sorby.generator import Generator

    if generator != RANDOM_FIELD:
        return GeneratorSource(Generator.load(generator, device=chosen_device(device)), axes=axes)
    if data is None:
        raise ConfigError(f"{RANDOM_FIELD} knows no size and no pixel size: give --data.")
    dataset = Dataset.open(data)
    return RandomFieldSource(size=dataset.size, pixel_size_um=dataset.pixel_size_um)


def _learned(
    data: Path | None, properties: list[str], labels: Path | None, group: str | None, how: "Segmentation"
) -> "tuple[Learned, ...]":
    """The properties that are learned from the data."""
    from sorby.design.learned import learn

    if properties and data is None:
        raise ConfigError(
            "--property is learned from pictures: give --data, and --labels if it is none of its conditions."
        )
    found = []
    for name in properties:
        assert data is not None
        typer.echo(f"learning {name} ...", err=True)
        one = learn(data, name, labels=labels, group=group, how=how)
        validated = one.model.validated
        typer.echo(
            f"{one.name} follows from the descriptors: R² {validated.r2.value:.2f}, {validated.num_groups} groups"
        )
        found.append(one)
    return tuple(found)


def _reference(source: "Source", data: Path | None, meter: "Meter") -> "Reference":
    """What is usual: the training pictures of a dataset, or the generator's own pictures."""
    import numpy as np

    from sorby.data.dataset import Dataset
    from sorby.design.reference import Reference

    if data is not None:
        train = Dataset.open(data).split("train")
        some = np.random.default_rng(0).permutation(len(train))[:MOST_KNOWN]
        return Reference([train.images(some)], meter.how, name=data.name)
    own = range(FIRST_OWN, FIRST_OWN + OWN_PICTURES)
    pictures = (source.draw(seed, {})[None, None] for seed in own)
    return Reference(pictures, meter.how, name="the generator itself")


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"--conductivities {text!r}: expected numbers, such as 1,10.") from None

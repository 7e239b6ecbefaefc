"""`sorby simulate`: microstructures whose truth is known, as a dataset."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sorby.cli.prepare import Bar
from sorby.errors import ConfigError
from sorby.simulation.settings import Settings, make_settings

if TYPE_CHECKING:
    from sorby.simulation.dataset import Plan

Value = TypeVar("Value")

EXAMPLES = {"--grid": "temperature=380,410,440", "--range": "time=900..1800", "--set": "misfit=0"}
SPLITS = {"train": "to train on", "held-out": "held out", "held-out-condition": "of conditions held out"}


def _help(name: str) -> str:
    """The sentence of a setting, and its default where it has one."""
    field = Settings.model_fields[name]
    sentence = " ".join((field.description or "").split())
    return f"{sentence} [{field.default}]" if field.default not in (None, {}) else sentence


def simulate(
    simulator: Annotated[str, typer.Argument(help="spinodal, random-field or superimpose.")],
    out: Annotated[Path, typer.Option(help="The dataset: NAME.zip, or a folder.")],
    micrographs: Annotated[
        list[Path] | None, typer.Argument(help="For superimpose: two micrographs of one magnification.")
    ] = None,
    sample: Annotated[int | None, typer.Option(help=_help("sample") + " [48]")] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help=_help("grid") + " Such as temperature=380,410,440; repeatable.")
    ] = None,
    ranges: Annotated[
        list[str] | None, typer.Option("--range", help=_help("ranges") + " Such as time=900..1800; repeatable.")
    ] = None,
    fixed: Annotated[
        list[str] | None, typer.Option("--set", help=_help("fixed") + " Such as misfit=0; repeatable.")
    ] = None,
    images_per_condition: Annotated[int | None, typer.Option(help=_help("images_per_condition"))] = None,
    size: Annotated[int | None, typer.Option(help=_help("size"))] = None,
    field_size: Annotated[int | None, typer.Option(help=_help("field_size"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    held_out: Annotated[float | None, typer.Option(help=_help("held_out"))] = None,
    held_out_conditions: Annotated[int | None, typer.Option(help=_help("held_out_conditions"))] = None,
    look: Annotated[str | None, typer.Option(help=_help("look"))] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads; by default one a core, at most four.", min=1, metavar="<int>")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be simulated, stop.")] = False,
) -> None:
    """Make a dataset of microstructures whose truth is known, at conditions that fill their ranges.

    spinodal: decomposition of Mg2Si-Mg2Sn, by composition, temperature, time and misfit.

    random-field: two phases, by volume_fraction, correlation_length, aspect_ratio, angle, nu and tiles.

    superimpose: two real micrographs laid over each other, by the share of the second.
    """
    from sorby.data.archive import check_replaceable
    from sorby.simulation.dataset import carry_out, make_plan
    from sorby.simulation.simulators import simulator_named

    given = {
        "sample": sample,
        "grid": _each(grid, "--grid", "NAME=VALUE,VALUE", _values),
        "ranges": _each(ranges, "--range", "NAME=LOW..HIGH", _bounds),
        "fixed": _each(fixed, "--set", "NAME=VALUE", float),
        "images_per_condition": images_per_condition,
        "size": size,
        "field_size": field_size,
        "seed": seed,
        "held_out": held_out,
        "held_out_conditions": held_out_conditions,
        "look": look,
    }
    settings = make_settings(**{name: value for name, value in given.items() if value is not None})
    check_replaceable(out)
    plan = make_plan(simulator_named(simulator, micrographs or ()), settings)
    for line in summary(plan):
        typer.echo(line)
    if dry_run:
        return
    with Bar() as bar:
        carry_out(plan, out, workers=workers, on_progress=bar.show)
    typer.echo(f"Made {out}. Train on it with: sorby train {out}{advice(plan)}")


def advice(plan: "Plan") -> str:
    """What learns smooth pictures best; a discriminator that knows photographs collapses on them."""
    size = plan.settings.size
    if plan.simulator.name != "spinodal" or plan.settings.look != "plain" or size < 64:
        return ""
    return " --preset contragan-64" + (f" --set network.size={size}" if size > 64 else "")


def summary(plan: "Plan") -> list[str]:
    """What will be simulated, in a few lines."""
    height, width = plan.shape
    conditions = [f"{v.name} {_span([c[v.name] for c in plan.conditions])} {v.unit}".rstrip() for v in plan.varied]
    counts = Counter(dict.fromkeys(SPLITS, 0))
    for field in plan.fields:
        counts[field.split] += field.num_patches
    splits = ", ".join(f"{counts[split]} {what}" for split, what in SPLITS.items())
    return [
        f"{plan.simulator.name}: {len(plan.conditions)} conditions: {', '.join(conditions)}.",
        f"{plan.num_patches} pictures of {plan.settings.size} px from {len(plan.fields)} fields of {width} x {height} "
        f"px: {splits}.",
    ]


def _span(values: list[float]) -> str:
    """The levels of a grid, or the ends of a range."""
    levels = sorted(set(values))
    return ", ".join(f"{v:g}" for v in levels) if len(levels) < 4 else f"{levels[0]:g} to {levels[-1]:g}"


def _each(texts: list[str] | None, option: str, form: str, read: Callable[[str], Value]) -> dict[str, Value] | None:
    """The values of a repeated option by name. Raises `ConfigError` for one written otherwise, or given twice."""
    found: dict[str, Value] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if name in found:
            raise ConfigError(f"{option} {name} was given twice: give it once.")
        try:
            found[name] = read(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ConfigError(f"{option} {text}: expected {form} with numbers, such as {EXAMPLES[option]}.")
    return found or None


def _values(text: str) -> tuple[float, ...]:
    """Numbers between commas.

    >>> _values("300,400")
    (300.0, 400.0)
    """
    return tuple(map(float, text.split(",")))


def _bounds(text: str) -> tuple[float, float]:
    """Both ends of a range.

    >>> _bounds("300..700")
    (300.0, 700.0)
    """
    low, _, high = text.partition("..")
    return float(low), float(high)

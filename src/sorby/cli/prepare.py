"""`sorby prepare`: raw microscope files to a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sorby.data.recipe import PRESETS, Recipe, make_recipe

if TYPE_CHECKING:
    from sorby.data.plan import Plan


def _help(name: str) -> str:
    """The sentence of a setting, and its default where it has one."""
    field = Recipe.model_fields[name]
    sentence = " ".join((field.description or "").split())
    return f"{sentence} [{field.default}]" if field.default not in (None, (), False) else sentence


def prepare(
    sources: Annotated[list[str], typer.Argument(help="Images, folders, patterns such as 'raw/*.tif', or zips.")],
    out: Annotated[Path, typer.Option(help="The dataset: NAME.zip, or a folder.")],
    recipe: Annotated[str, typer.Option(help=f"Named settings to start from: {', '.join(PRESETS)}.")] = "plain",
    crop: Annotated[str | None, typer.Option(help="centre: one square from the middle of each image.")] = None,
    patches: Annotated[
        bool, typer.Option("--patches", help="A grid of squares over each image (the default).")
    ] = False,
    size: Annotated[int | None, typer.Option(help=_help("size"))] = None,
    stride: Annotated[int | None, typer.Option(help=_help("stride"))] = None,
    scale: Annotated[float | None, typer.Option(help=_help("scale"))] = None,
    um_per_px: Annotated[float | None, typer.Option(help=_help("um_per_px"))] = None,
    max_upsample: Annotated[float | None, typer.Option(help=_help("max_upsample"))] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV with a column `file`, one row an image; or the zip of a StyleGAN tool that has labels."),
    ] = None,
    condition: Annotated[list[str] | None, typer.Option(help=_help("conditions") + " Repeatable.")] = None,
    group: Annotated[str | None, typer.Option(help=_help("group"))] = None,
    specimen: Annotated[str | None, typer.Option(help=_help("specimen"))] = None,
    only: Annotated[list[str] | None, typer.Option(help=_help("only") + " Repeatable.")] = None,
    allow_missing: Annotated[bool | None, typer.Option("--allow-missing", help=_help("allow_missing"))] = None,
    pixel_size_um: Annotated[float | None, typer.Option(help=_help("pixel_size_um"))] = None,
    pixel_size_column: Annotated[str | None, typer.Option(help=_help("pixel_size_column"))] = None,
    synthetic: Annotated[bool | None, typer.Option("--synthetic", help=_help("synthetic"))] = None,
    keep_names: Annotated[bool | None, typer.Option("--keep-names", help=_help("keep_names"))] = None,
    held_out: Annotated[float | None, typer.Option(help=_help("held_out"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("seed"))] = None,
    info_bar: Annotated[str | None, typer.Option(help=_help("info_bar"))] = None,
    grey_range: Annotated[str | None, typer.Option(help=_help("grey_range"))] = None,
    median: Annotated[int | None, typer.Option(help=_help("median"))] = None,
    match: Annotated[bool | None, typer.Option("--match/--no-match", help=_help("match"))] = None,
    reference: Annotated[str | None, typer.Option(help=_help("reference") + " Implies --match.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="A limit of rejection, such as saturated=0.8 or crack=0; repeatable.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="List of images, one a line, kept whatever they measure.")] = None,
    reject: Annotated[Path | None, typer.Option(help="List of images, one a line, to leave out.")] = None,
    overrides: Annotated[
        Path | None,
        typer.Option(help="CSV of `file` and `decision`, keep or reject, as the Data tab of `sorby serve` writes it."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the images, recorded in the dataset.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads; by default one a core, at most four.", min=1, metavar="<int>")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at everything, say what would be made, stop.")
    ] = False,
) -> None:
    """Make a dataset of 8-bit patches from micrographs, with a review sheet of what was kept, cut and rejected."""
    from sorby.data.archive import check_replaceable
    from sorby.data.plan import make_plan
    from sorby.data.prepare import carry_out, default_workers, review_path

    kept, rejected = _lists(keep, reject, overrides)
    given = {
        "cut": _cut(crop, patches=patches),
        "size": size,
        "stride": stride,
        "scale": scale,
        "um_per_px": um_per_px,
        "max_upsample": max_upsample,
        "conditions": condition,
        "group": group,
        "specimen": specimen,
        "only": only,
        "allow_missing": allow_missing,
        "pixel_size_um": pixel_size_um,
        "pixel_size_column": pixel_size_column,
        "synthetic": synthetic,
        "keep_names": keep_names,
        "held_out": held_out,
        "seed": seed,
        "info_bar": info_bar,
        "grey_range": grey_range,
        "median": median,
        "match": True if match is None and reference else match,
        "reference": reference,
        "limits": _limits(limit or []),
        "keep": kept,
        "reject": rejected,
    }
    settings = make_recipe(recipe, **{name: value for name, value in given.items() if value not in (None, [], ())})
    check_replaceable(out)
    with Bar() as bar:
        threads = workers or default_workers()
        plan = make_plan(sources, settings, labels=labels, workers=threads, on_progress=bar.show)
        if not dry_run:
            carry_out(plan, out, licence=licence, workers=threads, on_progress=bar.show)
    for line in summary(plan):
        typer.echo(line)
    if not dry_run:
        typer.echo(f"Made {out}. Look at {review_path(out)}; train on it with: sorby train {out}")


def summary(plan: "Plan") -> list[str]:
    """What was decided, in a few lines."""
    from collections import Counter

    held_out = sum(kept.split == "held-out" for kept in plan.kept)
    cut = f"{plan.num_patches} patches of {plan.recipe.size} px from {len(plan.kept)} micrographs"
    lines = [f"{cut}, {held_out} of them held out."]
    if plan.num_left_out:
        lines.append(f"{plan.num_left_out} images were not chosen by the labels.")
    if plan.recipe.match:
        lines.append(f"Grey values were matched to {plan.recipe.reference}.")
    for reason, number in Counter(image.fault.reason for image in plan.rejected).most_common():
        names = ", ".join(image.name for image in plan.rejected if image.fault.reason == reason)
        lines.append(f"Rejected {number}, {reason}: {names if len(names) < 100 else names[:97] + '...'}")
    warned = [kept.survey.name for kept in plan.kept if kept.survey.warnings]
    if warned:
        lines.append(f"Kept {len(warned)} with a warning: {', '.join(warned[:3])}; see the review sheet.")
    return lines + [f"Note: {warning}" for warning in plan.warnings]


class Bar:
    """A bar for each stage of the work."""

    def __enter__(self) -> "Bar":
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.progress.start()
        self.tasks: dict[str, Any] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Move the bar of `stage`."""
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=total)
        self.progress.update(self.tasks[stage], completed=done)


def _cut(crop: str | None, *, patches: bool) -> str | None:
    from sorby.errors import ConfigError

    if crop is not None and (patches or crop not in ("centre", "center")):
        raise ConfigError(f"--crop {crop}: expected --crop centre, or --patches, not both.")
    return "centre" if crop else "patches" if patches else None


def _lists(keep: Path | None, reject: Path | None, overrides: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Images to keep and images to reject."""
    from sorby.data.labels import read_list
    from sorby.data.overrides import read_overrides
    from sorby.errors import ConfigError

    if overrides is None:
        return read_list(keep) if keep else (), read_list(reject) if reject else ()
    if keep or reject:
        raise ConfigError("--overrides says both what to keep and what to reject: leave out --keep and --reject.")
    decisions = read_overrides(overrides)
    kept, rejected = ([name for name, said in decisions.items() if said == word] for word in ("keep", "reject"))
    return tuple(kept), tuple(rejected)


def _limits(pairs: list[str]) -> dict[str, str] | None:
    """`saturated=0.8` and the like to settings.

    >>> _limits(["saturated=0.8", "crack=0"])
    {'saturated': '0.8', 'crack': '0'}
    """
    from sorby.errors import ConfigError

    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--limit {pair}: expected NAME=NUMBER, such as saturated=0.8.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)} or None

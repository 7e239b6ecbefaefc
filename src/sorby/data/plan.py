"""What will be made of which micrograph: everything is decided here, nothing is written."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sorby.conditions import ConditionSpace, parse_column
from sorby.data.duplicates import near_duplicates
from sorby.data.grey import reference_scores
from sorby.data.labels import Row, check_columns, choose, join, read_table, resolve_names, value_of
from sorby.data.manifest import Split
from sorby.data.pool import in_order
from sorby.data.quality import Fault, find_fault
from sorby.data.recipe import Recipe
from sorby.data.split import held_out_groups
from sorby.data.survey import Rejected, Survey, look_at
from sorby.errors import DataError
from sorby.micrograph import is_synthetic
from sorby.sources import ImageFile, find_images

MOST_PREVIEWS = 3000
"""Later images have no thumbnail in the review sheet."""

REMEDIES = {
    "unreadable": "export them again from the microscope's program",
    "smaller than a patch": "choose a smaller --size, or a larger --scale",
    "no pixel size": "give it with --pixel-size-um or --pixel-size-column",
    "too coarse": "choose a larger --um-per-px",
    "generated picture": "give --synthetic to learn from generated pictures on purpose",
    "marked": "draw them again without --mark",
    "no row in the labels": "add rows to the labels",
    "no label": "fill the column, or leave out its --condition",
}
"""What to do where no image remains, by reason."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Kept:
    """A micrograph that goes into the dataset."""

    survey: Survey
    group: str
    split: Split
    conditions: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """All decisions about a dataset."""

    recipe: Recipe  # with the name of the reference that was chosen
    kept: tuple[Kept, ...]
    rejected: tuple[Rejected, ...]
    space: ConditionSpace
    num_left_out: int  # images whose labels are not among `Recipe.only`
    warnings: tuple[str, ...]

    @property
    def num_patches(self) -> int:
        """Patches in the dataset."""
        return sum(len(kept.survey.cutting.corners) for kept in self.kept)


def make_plan(
    sources: Sequence[str | Path], recipe: Recipe, *, labels: Path | None, workers: int, on_progress: Progress
) -> Plan:
    """Look at all images and decide. Raises `DataError` where nothing remains or labels and images do not fit."""
    files, rows, num_left_out = _select(find_images([str(source) for source in sources]), recipe, labels)
    names = [file.name for file in files]
    keep = resolve_names(recipe.keep, names, what="keep")
    reject = resolve_names(recipe.reject, names, what="reject")

    seen = list(_look_at_all(files, rows, recipe, workers=workers, on_progress=on_progress))
    rejected = [image for image in seen if isinstance(image, Rejected)]
    surveys = [image for image in seen if isinstance(image, Survey)]
    kept, faulty = _judge(surveys, recipe, keep=keep, reject=reject)
    order = {name: index for index, name in enumerate(names)}
    rejected = sorted([*rejected, *faulty], key=lambda image: order[image.name])
    if not kept:
        raise DataError(_nothing_left(rejected))
    space = ConditionSpace.from_rows([survey.row for survey in kept], recipe.conditions)
    return Plan(
        recipe=_with_reference(recipe, kept),
        kept=_split(kept, recipe, space),
        rejected=tuple(rejected),
        space=space,
        num_left_out=num_left_out,
        warnings=_warnings(kept, recipe),
    )


def _select(files: list[ImageFile], recipe: Recipe, labels: Path | None) -> tuple[list[ImageFile], dict[str, Row], int]:
    """The files to look at, their rows, and how many files `only` leaves out."""
    if labels is None:
        if recipe.columns:
            raise DataError(f"Column {recipe.columns[0]!r} is asked for without a table: give it with --labels CSV.")
        return files, {}, 0
    table = read_table(labels)
    check_columns(labels, table, recipe)
    chosen = choose(labels, table, recipe.only) if recipe.only else table
    rows = join(labels, chosen, [file.name for file in files], allow_missing=recipe.allow_missing)
    for name, row in rows.items():
        _check_pixel_size(labels, name, value_of(row, recipe.pixel_size_column))
    taken = [file for file in files if file.name in rows or not recipe.only]
    return taken, rows, len(files) - len(taken)


def _check_pixel_size(labels: Path, name: str, value: str) -> None:
    try:
        good = not value or 0 < float(value) < float("inf")
    except ValueError:
        good = False
    if not good:
        raise DataError(
            f"{labels}: the pixel size of {name} is {value!r}, expected a length in µm above 0, or nothing."
        )


def _look_at_all(
    files: Sequence[ImageFile], rows: dict[str, Row], recipe: Recipe, *, workers: int, on_progress: Progress
) -> Iterator[Survey | Rejected]:
    def look(item: tuple[int, ImageFile]) -> Survey | Rejected:
        index, file = item
        fault = _unlabelled(rows.get(file.name), recipe) if rows else None
        if fault:
            return Rejected(file.name, fault)
        return look_at(file, rows.get(file.name, {}), recipe, preview=index < MOST_PREVIEWS)

    for done, image in enumerate(in_order(look, enumerate(files), workers=workers), start=1):
        on_progress("looking", done, len(files))
        yield image


def _unlabelled(row: Row | None, recipe: Recipe) -> Fault | None:
    if not row:
        return Fault("no row in the labels")
    empty = [name for name, _, _ in map(parse_column, recipe.conditions) if not row[name]]
    return Fault("no label", f"column {empty[0]} is empty") if empty else None


def _judge(
    surveys: Sequence[Survey], recipe: Recipe, *, keep: frozenset[str], reject: frozenset[str]
) -> tuple[list[Survey], list[Rejected]]:
    """Part the good from the faulty; of duplicates the first is kept."""
    kept, rejected = [], []
    for survey in surveys:
        fault = Fault("on the reject list") if survey.name in reject else find_fault(survey.measures, recipe.limits)
        if fault and (survey.name not in keep or survey.name in reject):
            rejected.append(Rejected(survey.name, fault, survey.preview, survey.measures))
        else:
            kept.append(survey)
    faults = _copies(kept, recipe.limits.near_duplicate, keep)
    rejected += [
        Rejected(survey.name, faults[i], survey.preview, survey.measures)
        for i, survey in enumerate(kept)
        if i in faults
    ]
    return [survey for index, survey in enumerate(kept) if index not in faults], rejected


def _copies(surveys: Sequence[Survey], limit: float, keep: frozenset[str]) -> dict[int, Fault]:
    """Faults of images that are there already, by index."""
    first: dict[str, Survey] = {}
    faults: dict[int, Fault] = {}
    for index, survey in enumerate(surveys):
        original = first.setdefault(survey.sha256, survey)
        if original is not survey and survey.name not in keep:
            faults[index] = Fault("duplicate", f"the same pixels as {original.name}")
    pairs = near_duplicates([survey.thumbnail for survey in surveys], limit) if limit else iter(())
    for later, earlier, correlation in sorted(pairs):
        if not {later, earlier} & faults.keys() and surveys[later].name not in keep:
            like = f"correlates {correlation:.3f} with {surveys[earlier].name}"
            faults[later] = Fault("near-duplicate", like, f"less than {limit:g}")
    return faults


def _with_reference(recipe: Recipe, kept: Sequence[Survey]) -> Recipe:
    if not recipe.match or recipe.reference is not None:
        return recipe
    measures = [survey.measures for survey in kept]
    scores = reference_scores(np.array([[m.evenness, m.sharpness, m.noise] for m in measures]))
    return recipe.model_copy(update={"reference": kept[int(scores.argmax())].name})


def _split(kept: Sequence[Survey], recipe: Recipe, space: ConditionSpace) -> tuple[Kept, ...]:
    classes = [condition.name for condition in space.conditions if condition.kind == "class"]
    # A leading mark keeps a group called like a file apart from that file, which is its own group.
    group_of = {s.name: f"g{group}" if (group := value_of(s.row, recipe.group)) else f"f{s.name}" for s in kept}
    class_of = {s.name: "\0".join(s.row[name] for name in classes) for s in kept}
    held_out = held_out_groups(group_of, class_of, fraction=recipe.held_out, seed=recipe.seed)
    return tuple(
        Kept(
            survey=survey,
            group=value_of(survey.row, recipe.group),
            split="held-out" if group_of[survey.name] in held_out else "train",
            conditions={name: survey.row[name] for name in space.names},
        )
        for survey in kept
    )


def _warnings(kept: Sequence[Survey], recipe: Recipe) -> tuple[str, ...]:
    unknown = sum(survey.pixel_size_um is None for survey in kept)
    sizes = {survey.pixel_size_um for survey in kept if survey.pixel_size_um}
    groups = {value_of(survey.row, recipe.group) or survey.name for survey in kept}
    found = []
    if unknown:
        found.append(f"{unknown} of {len(kept)} micrographs have no pixel size: nothing can be measured in µm on them.")
    if recipe.um_per_px is None and len(sizes) > 1:
        found.append("pixel sizes differ: --um-per-px brings all micrographs to one length scale.")
    if told := origin_of(kept):
        found.append(f"{told}, as they say themselves.")
    if recipe.held_out and len(groups) < 2:
        found.append("there is one micrograph or group: none could be held out.")
    return tuple(found)


def origin_of(kept: Sequence[Survey]) -> str:
    """How many are no real micrographs, by their own words; "" where none says so."""
    kinds = {
        "generated": sum(is_synthetic(survey.notes) for survey in kept),
        "simulated": sum(survey.notes.get("simulated") == "true" for survey in kept),
    }
    return ", ".join(f"{number} of {len(kept)} images are {kind}" for kind, number in kinds.items() if number)


def _nothing_left(rejected: Sequence[Rejected]) -> str:
    if not rejected:
        return "No image is chosen by the labels: check --only and the file names."
    fault, count = Counter(image.fault.reason for image in rejected).most_common(1)[0]
    example = next(image for image in rejected if image.fault.reason == fault)
    detail = ", ".join(part for part in (example.fault.measured, example.fault.limit) if part)
    return (
        f"None of the {len(rejected)} images can be used; {count} for this reason: {fault}, such as {example.name}"
        f"{f' ({detail})' if detail else ''}: {REMEDIES.get(fault, 'decide otherwise with --limit or --keep')}."
    )

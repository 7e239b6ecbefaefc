"""From raw microscope files to a dataset, by a recipe (paper A, Methods; paper B, A.4).

Read, cut off the info bar, 8-bit grey, median filter, histogram matching, one resampling, patches. The files are read
twice, first to decide and then to cut, so that memory hardly grows with their number.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from sorby.atomic import write_text
from sorby.data.archive import check_replaceable, new_archive
from sorby.data.dataset import Dataset, DatasetWriter
from sorby.data.grey import grey_range, histogram, match, median, to_8bit
from sorby.data.infobar import frame_rows
from sorby.data.labels import NameIndex, value_of
from sorby.data.manifest import Patch
from sorby.data.pixels import encode, pixel_hash
from sorby.data.plan import Kept, Plan, Progress, make_plan, origin_of
from sorby.data.pool import in_order
from sorby.data.quality import Measures
from sorby.data.recipe import Recipe
from sorby.data.review import review_sheet
from sorby.data.survey import Survey, picture_of
from sorby.errors import DataError
from sorby.micrograph import read_micrograph
from sorby.untrusted import csv_of

NOT_REAL = ("synthetic", "generator", "seed", "simulated")
"""Notes that a patch takes over from its parent, where that is no real micrograph."""
MEASURES = tuple(field.name for field in fields(Measures))


def prepare(
    sources: Sequence[str | Path],
    out: Path | str,
    *,
    recipe: Recipe,
    labels: Path | None = None,
    licence: str | None = None,
    workers: int | None = None,
    on_progress: Progress = lambda *_: None,
) -> Dataset:
    """Make a dataset at `out` (a zip by its suffix, else a folder) and the review sheet beside it.

    The result depends on the images, the labels and the recipe alone, not on the number of `workers`.
    Raises `DataError` where nothing remains, or sources, labels and lists do not fit together.
    """
    check_replaceable(Path(out))
    plan = make_plan(sources, recipe, labels=labels, workers=workers or default_workers(), on_progress=on_progress)
    return carry_out(plan, out, licence=licence, workers=workers, on_progress=on_progress)


def carry_out(
    plan: Plan,
    out: Path | str,
    *,
    licence: str | None = None,
    workers: int | None = None,
    on_progress: Progress = lambda *_: None,
) -> Dataset:
    """Cut and write what was planned."""
    out, reference = Path(out), _reference_histogram(plan)
    with new_archive(out) as archive:
        writer = DatasetWriter(archive)
        for patch, png in _patches(plan, reference, workers=workers or default_workers(), on_progress=on_progress):
            writer.add(patch, png)
        writer.finish(
            space=plan.space,
            size=plan.recipe.size,
            channels=1,
            recipe=plan.recipe.recorded(),
            licence=licence,
            origin=origin_of([kept.survey for kept in plan.kept]),
            tables={"parents.csv": _parents_table(plan.kept), "rejected.csv": _rejected_table(plan)},
        )
    write_text(review_path(out), review_sheet(plan, title=out.name))
    return Dataset.open(out)


def review_path(out: Path | str) -> Path:
    """Where the review sheet of a dataset lies."""
    return Path(out).with_name(f"{Path(out).name.removesuffix('.zip')}.review.html")


def default_workers() -> int:
    """Threads: one a core, at most four, since each holds a micrograph or two in memory."""
    return min(4, os.cpu_count() or 1)


def _patches(
    plan: Plan, reference: Int[np.ndarray, "256"] | None, *, workers: int, on_progress: Progress
) -> Iterator[tuple[Patch, bytes]]:
    def cut(item: tuple[Kept, str]) -> list[tuple[Patch, bytes]]:
        return _cut_one(*item, plan.recipe, reference)

    stems = _unique_stems([kept.survey.name for kept in plan.kept])
    num_patches = 0
    for done, patches in enumerate(in_order(cut, zip(plan.kept, stems, strict=True), workers=workers), start=1):
        for patch, png in patches:
            yield _in_folder(patch, num_patches), png
            num_patches += 1
        on_progress("cutting", done, len(plan.kept))


def _cut_one(
    kept: Kept, stem: str, recipe: Recipe, reference: Int[np.ndarray, "256"] | None
) -> list[tuple[Patch, bytes]]:
    survey, cutting = kept.survey, kept.survey.cutting
    grey = median(picture_of(survey), recipe.median)
    grey = grey if reference is None else match(grey, reference)
    about = {name: survey.notes[name] for name in NOT_REAL if name in survey.notes}
    pictures = [picture[None] for picture in cutting.cut(cutting.resample(grey))]
    return [
        (
            Patch(
                file=f"{stem}-{number:04d}.png" if len(pictures) > 1 else f"{stem}.png",
                parent=survey.name,
                group=kept.group,
                specimen=value_of(survey.row, recipe.specimen),
                x_px=box.x_px,
                y_px=box.y_px,
                width_px=box.width_px,
                height_px=box.height_px,
                pixel_size_um=_patch_pixel_size(survey, recipe),
                split=kept.split,
                conditions=kept.conditions,
                sha256=pixel_hash(picture),
            ),
            encode(picture, about),
        )
        for number, (picture, box) in enumerate(zip(pictures, cutting.boxes(), strict=True))
    ]


def _patch_pixel_size(survey: Survey, recipe: Recipe) -> float | None:
    if recipe.um_per_px is not None or survey.pixel_size_um is None:
        return recipe.um_per_px
    return survey.pixel_size_um / survey.cutting.scale


def _in_folder(patch: Patch, index: int) -> Patch:
    return replace(patch, file=f"{index // 1000:05d}/{patch.file}")


def _unique_stems(names: Iterable[str]) -> list[str]:
    """File names without suffix, of plain characters, with -2, -3 ... where they are equal otherwise.

    >>> _unique_stems(["a/x.tif", "b/x.png", "grain size (1).tif"])
    ['x', 'x-2', 'grain-size-1']
    """
    taken: set[str] = set()
    stems = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", PurePosixPath(name).stem).strip("-") or "image"
        stem = next(stem for n in count(1) if (stem := plain if n == 1 else f"{plain}-{n}") not in taken)
        taken.add(stem)
        stems.append(stem)
    return stems


def _reference_histogram(plan: Plan) -> Int[np.ndarray, "256"] | None:
    """Histogram of the reference, prepared like any other image; None where nothing is matched."""
    recipe = plan.recipe
    if not recipe.match or recipe.reference is None:
        return None
    surveys = {kept.survey.name: kept.survey for kept in plan.kept}
    fitting = NameIndex(surveys).fitting(recipe.reference)
    if len(fitting) > 1:
        raise DataError(f"The reference {recipe.reference} fits {' and '.join(fitting[:2])}: write more of its path.")
    grey = picture_of(surveys[fitting[0]]) if fitting else _outside_reference(Path(recipe.reference), recipe)
    return histogram(median(grey, recipe.median))


def _outside_reference(path: Path, recipe: Recipe) -> UInt8[np.ndarray, "h w"]:
    if not path.is_file():
        raise DataError(f"The reference {path} is neither among the kept images nor a file: name one of these.")
    raw = read_micrograph(path).grey
    top, bottom = frame_rows(to_8bit(raw, *grey_range(raw, recipe.grey_range))[0], recipe.info_bar)
    picture = raw[top:bottom]
    return to_8bit(picture, *grey_range(picture, recipe.grey_range))[0]


def _parents_table(kept: Iterable[Kept]) -> str:
    """How each micrograph was read and what it measures."""
    return _csv(
        {
            "parent": survey.name,
            "sha256": survey.sha256,
            "width_px": survey.width_px,
            "height_px": survey.height_px,
            "top_px": survey.top_px,
            "bottom_px": survey.bottom_px,
            "grey_low": survey.grey_low,
            "grey_high": survey.grey_high,
            "clipped": f"{survey.clipped:.5f}",
            "pixel_size_um": "" if survey.pixel_size_um is None else f"{survey.pixel_size_um:.10g}",
            **_measured(survey.measures),
            "notes": "; ".join(f"{name}={value}" for name, value in survey.notes.items()),
            "warnings": "; ".join(survey.warnings),
        }
        for survey in (image.survey for image in kept)
    )


def _rejected_table(plan: Plan) -> str:
    return _csv(
        ({"file": image.name, **asdict(image.fault), **_measured(image.measures)} for image in plan.rejected),
        header=("file", "reason", "measured", "limit", *MEASURES),
    )


def _measured(measures: Measures | None) -> dict[str, str]:
    if measures is None:
        return dict.fromkeys(MEASURES, "")
    return {name: f"{value:.4g}" for name, value in asdict(measures).items()}


def _csv(rows: Iterable[dict[str, Any]], *, header: Sequence[str] = ()) -> str:
    table = list(rows)
    return csv_of([table[0] if table else header, *(row.values() for row in table)])

"""The evaluation as one page: no script, no other file, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined

from sorby.metrics.record import LEAST_IMAGES, Report
from sorby.metrics.structure import grey_histogram, radial_power
from sorby.micrograph import common_size
from sorby.microstructure.compare import MARGIN_MEAN, MARGIN_SPREAD
from sorby.microstructure.describe import QUANTITIES, comparable
from sorby.microstructure.fraction import Estimate
from sorby.report import descriptor_plots, plots
from sorby.report.reading import (
    NOT_SAID,
    REAL_NAMES,
    VERDICTS,
    by_verdict,
    elsewhere,
    evidence,
    findings,
    headline,
    not_compared,
    number,
    percent,
    share_of,
    with_interval,
)

Values = Float[np.ndarray, " _"]

GRID_IMAGES = 24
LONGEST_NAME = 24
"""Letters of a condition that leave room for a figure; longer ones are numbered in it."""
SHOWN_AS_REAL = {"shown as": "real"}
GRID_PX = 1600  # width of a page's two grids together, about

EXPLANATIONS = {
    "FID": "distance of means and spreads, lower is better",
    "KID": "distance without bias for small sets, lower is better",
    "precision": "generated images that lie among the real ones",
    "recall": "real images that lie among the generated ones",
    "density": "how deep among the real ones, about 1 is good",
    "coverage": "real images with a generated one nearby",
}


@dataclass(frozen=True)
class AtCondition:
    """What the report shows of one condition: pictures of both sides, and all their descriptors."""

    name: str
    seen: bool
    real: UInt8[np.ndarray, "_ c h w"]
    generated: UInt8[np.ndarray, "_ d h w"]
    """Of a generator the same seeds at each condition."""
    real_descriptors: Float[np.ndarray, "_ q"]
    """A row an image, a column each of `QUANTITIES`; NaN where an image has none."""
    generated_descriptors: Float[np.ndarray, "_ q"]


@dataclass(frozen=True)
class Pictures:
    """What the report shows: fair samples of both sides, and the pairs most alike."""

    generated: UInt8[np.ndarray, "_ c h w"]
    real: UInt8[np.ndarray, "_ d h w"]
    pairs: Sequence[tuple[UInt8[np.ndarray, "_ h w"], UInt8[np.ndarray, "_ h w"]]]
    """Generated, real."""
    copies: Sequence[tuple[UInt8[np.ndarray, "_ h w"], UInt8[np.ndarray, "_ h w"]]]
    """Generated, and the training picture most like it, moved onto it."""
    generated_descriptors: Float[np.ndarray, "_ q"]
    """A row an image, a column each of `QUANTITIES`; NaN where an image has none."""
    real_descriptors: Float[np.ndarray, "_ q"]
    generated_s2: Sequence[Estimate]
    """Two-point probability at 0, 1, 2, ... px; empty where no image has two phases."""
    real_s2: Sequence[Estimate]
    conditions: Sequence[AtCondition] = ()
    """Some of the conditions, evenly; empty where that was not asked for."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What generated pictures say of themselves, wherever they are taken out of the page."""


def render(report: Report, pictures: Pictures, *, log: Sequence[Mapping[str, Any]]) -> str:
    """The page. All text is escaped: file names are the user's, not ours."""
    width, height = report.size_px
    columns = max(2, min(6, GRID_PX // 2 // width))
    rows = max(2, min(GRID_IMAGES // columns, GRID_PX // 2 // height))
    tables = (pictures.real_descriptors, pictures.generated_descriptors)
    environment = Environment(
        loader=PackageLoader("sorby.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    return environment.get_template("evaluation.html.j2").render(
        report=report,
        headline=headline(report),
        by_verdict=by_verdict(report),
        not_compared=not_compared(report),
        evidence=evidence,
        findings=findings(report),
        elsewhere=elsewhere(report),
        not_said=NOT_SAID,
        real_names=REAL_NAMES,
        explanations=EXPLANATIONS,
        score_notes=list(dict.fromkeys(note for score in report.scores for note in score.notes)),
        generated_grid=plots.grid(
            pictures.generated[: rows * columns],
            columns=columns,
            pixel_size_um=report.pixel_size_um,
            about=pictures.about,
        ),
        real_grid=plots.grid(
            pictures.real[: rows * columns],
            columns=columns,
            pixel_size_um=report.real_pixel_size_um,
            about=SHOWN_AS_REAL,
        ),
        pairs=[_pair(*pair, about=pictures.about) for pair in pictures.pairs],
        margins=descriptor_plots.margins(report.descriptors),
        by_condition=descriptor_plots.by_condition(report.by_condition),
        has_unseen=any(not mean.seen for d in report.by_condition for mean in d.means),
        condition_grids=_grids(report, pictures),
        ridges=_ridges(report, pictures.conditions),
        with_interval=with_interval,
        share_of=share_of,
        percent=percent,
        distributions=descriptor_plots.distributions(report.descriptors, *(_columns(report, t) for t in tables)),
        quantiles=descriptor_plots.quantiles(
            report.descriptors, *(_columns(report, comparable(table)) for table in tables)
        ),
        copies=[_pair(*pair, about=pictures.about) for pair in pictures.copies],
        num_conditions=len({mean.condition for d in report.by_condition for mean in d.means}),
        most_conditions=descriptor_plots.MOST_CONDITIONS,
        least_images=LEAST_IMAGES,
        verdicts=VERDICTS,
        margin_mean=MARGIN_MEAN,
        margin_spread=MARGIN_SPREAD,
        histogram=plots.histograms(grey_histogram(pictures.real), grey_histogram(pictures.generated)),
        spectrum=plots.spectra(
            radial_power(pictures.real),
            radial_power(pictures.generated),
            size_px=min(width, height),
            pixel_size_um=common_size((report.pixel_size_um, report.real_pixel_size_um)),
        ),
        correlation=plots.correlation(
            pictures.real_s2, pictures.generated_s2, sizes_um=(report.real_pixel_size_um, report.pixel_size_um)
        ),
        curves=plots.curves(log),
    )


def _columns(report: Report, table: Float[np.ndarray, "_ q"]) -> list[Values]:
    """Values of the descriptors of the report, without the images that have none."""
    places = [[quantity.name for quantity in QUANTITIES].index(d.name) for d in report.descriptors]
    return [table[:, i][~np.isnan(table[:, i])] for i in places]


def _pair(
    generated: UInt8[np.ndarray, "_ h w"], real: UInt8[np.ndarray, "_ h w"], *, about: Mapping[str, str]
) -> tuple[str, str]:
    return plots.grid(generated[None], columns=1, about=about), plots.grid(real[None], columns=1, about=SHOWN_AS_REAL)


def _grids(report: Report, pictures: Pictures) -> list[tuple[AtCondition, str, str]]:
    """Pictures of both sides at each condition (paper B, figure 2)."""
    columns = max(1, min(4, GRID_PX // 4 // report.size_px[0]))
    return [
        (
            at,
            plots.grid(
                at.real[:columns], columns=columns, pixel_size_um=report.real_pixel_size_um, about=SHOWN_AS_REAL
            ),
            plots.grid(
                at.generated[:columns],
                columns=columns,
                pixel_size_um=report.pixel_size_um,
                about={**pictures.about, "condition": at.name},
            ),
        )
        for at in pictures.conditions
    ]


def _ridges(report: Report, conditions: Sequence[AtCondition]) -> str:
    if not conditions or not report.by_condition:
        return ""
    places = [[quantity.name for quantity in QUANTITIES].index(d.name) for d in report.by_condition]
    real, generated = (
        [[table[:, i][~np.isnan(table[:, i])] for i in places] for table in tables]
        for tables in zip(*((at.real_descriptors, at.generated_descriptors) for at in conditions), strict=True)
    )
    titles = [d.title + (f", {d.unit}" if d.unit else "") for d in report.by_condition]
    names = [at.name + ("" if at.seen else " (held out)") for at in conditions]
    short = max(map(len, names)) <= LONGEST_NAME
    labels = [f"{number} {name}" if short else str(number) for number, name in enumerate(names, start=1)]
    return descriptor_plots.ridges(titles, labels, real, generated)

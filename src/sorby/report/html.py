"""The evaluation as one page: no script, no other file, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined

from sorby.metrics.record import Report
from sorby.metrics.structure import grey_histogram, radial_power
from sorby.microstructure.compare import MARGIN_MEAN, MARGIN_SPREAD
from sorby.microstructure.describe import QUANTITIES, comparable
from sorby.report import plots
from sorby.report.reading import NOT_SAID, REAL_NAMES, VERDICTS, elsewhere, findings, headline

Values = Float[np.ndarray, " _"]

GRID_IMAGES = 24
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
        findings=findings(report),
        elsewhere=elsewhere(report),
        not_said=NOT_SAID,
        real_names=REAL_NAMES,
        explanations=EXPLANATIONS,
        score_notes=list(dict.fromkeys(note for score in report.scores for note in score.notes)),
        generated_grid=plots.grid(pictures.generated[: rows * columns], columns=columns),
        real_grid=plots.grid(pictures.real[: rows * columns], columns=columns),
        pairs=[(plots.grid(a[None], columns=1), plots.grid(b[None], columns=1)) for a, b in pictures.pairs],
        distributions=plots.distributions(report.descriptors, *(_columns(report, table) for table in tables)),
        quantiles=plots.quantiles(report.descriptors, *(_columns(report, comparable(table)) for table in tables)),
        copies=[(plots.grid(a[None], columns=1), plots.grid(b[None], columns=1)) for a, b in pictures.copies],
        mean_deviation=mean_deviation(report),
        verdicts=VERDICTS,
        margin_mean=MARGIN_MEAN,
        margin_spread=MARGIN_SPREAD,
        histogram=plots.histograms(grey_histogram(pictures.real), grey_histogram(pictures.generated)),
        spectrum=plots.spectra(
            radial_power(pictures.real),
            radial_power(pictures.generated),
            size_px=min(width, height),
            pixel_size_um=report.pixel_size_um,
        ),
        curves=plots.curves(log),
    )


def mean_deviation(report: Report) -> float:
    """Mean over the descriptors of the deviation of the mean, as a share (paper B, figure 3d); 0 without any."""
    deviations = [d.deviation for d in report.descriptors if d.deviation is not None]
    return float(np.mean(deviations)) if deviations else 0.0


def _columns(report: Report, table: Float[np.ndarray, "_ q"]) -> list[Values]:
    """Values of the descriptors of the report, without the images that have none."""
    places = [[quantity.name for quantity in QUANTITIES].index(d.name) for d in report.descriptors]
    return [table[:, i][~np.isnan(table[:, i])] for i in places]


def number(value: float) -> str:
    """Three digits, as many as a score is worth.

    >>> number(12.3456), number(0.0123456), number(134.56)
    ('12.3', '0.0123', '135')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

"""Pictures and figures as data URIs, so that a page needs no other file and no network."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sorby.micrograph import encode_micrograph
from sorby.microstructure.fraction import Estimate
from sorby.report.scale_bar import with_scale_bar

Values = Float[np.ndarray, " _"]

REAL, GENERATED, QUIET = "#2f6690", "#d1603d", "#8a8f98"
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "sorby",
    "text.color": "#23272e",
    "xtick.color": "#565c66",
    "ytick.color": "#565c66",
}
GAP_PX = 2
PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("FID, quick", ("fid",)),
    ("Precision and recall, quick", ("precision", "recall")),
    ("Descriptor error", ("descriptor_error",)),
    ("Augmentation", ("p", "r_t")),
    ("Losses", ("loss_G", "loss_D", "r1")),
)
"""Panels of the training curves: title, and columns of the log."""


def grid(
    images: UInt8[np.ndarray, "n c h w"],
    *,
    columns: int,
    pixel_size_um: float | None = None,
    about: Mapping[str, str],
) -> str:
    """Images side by side, unscaled, as a PNG; above a scale bar where the pixel size is given.

    `about` is written into it, so that it says what it is wherever it is saved.
    """
    sheet = tile(images, columns=columns)
    if pixel_size_um is not None:
        sheet = with_scale_bar(sheet, picture_px=images.shape[3], pixel_size_um=pixel_size_um)
    pixels = sheet[..., 0] if sheet.shape[2] == 1 else sheet
    return _uri("image/png", encode_micrograph(pixels, ".png", pixel_size_um=pixel_size_um, description=about))


def tile(images: UInt8[np.ndarray, "n c h w"], *, columns: int) -> UInt8[np.ndarray, "H W c"]:
    """One picture of all images, white between them and in places left over."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (h + GAP_PX) - GAP_PX, columns * (w + GAP_PX) - GAP_PX, c), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (h + GAP_PX), (i % columns) * (w + GAP_PX)
        sheet[y : y + h, x : x + w] = image.transpose(1, 2, 0)
    return sheet


def histograms(real: Float[np.ndarray, " 256"], generated: Float[np.ndarray, " 256"]) -> str:
    """Grey values of both sides; the axis follows the values between black and white, whose peaks may leave it."""
    top = 120 * max(real[1:-1].max(), generated[1:-1].max(), 1e-3)
    with rc_context(STYLE):
        figure, axes = _figure(1, width=4.4)
        axes[0].fill_between(np.arange(256), 100 * real, step="mid", color=REAL, alpha=0.25, linewidth=0)
        axes[0].step(np.arange(256), 100 * real, where="mid", color=REAL, linewidth=1, label="real")
        axes[0].step(np.arange(256), 100 * generated, where="mid", color=GENERATED, linewidth=1.2, label="generated")
        axes[0].set(xlabel="grey value", ylabel="% of pixels", xlim=(0, 255), ylim=(0, top))
        axes[0].legend()
        return svg(figure)


def label_decades(axis: Axis) -> None:
    """Of a logarithmic axis 1, 2 and 5 times each power of ten are labelled, as plain numbers, and nothing between."""
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def spectra(
    real: Float[np.ndarray, " r"], generated: Float[np.ndarray, " r"], *, size_px: int, pixel_size_um: float | None
) -> str:
    """Radial power of both sides over the wavelength, in micrometres where the pixel size is known."""
    wavelength = size_px / np.arange(1, len(real) + 1) * (pixel_size_um or 1)
    with rc_context(STYLE):
        figure, axes = _figure(1, width=4.4)
        axes[0].loglog(wavelength, real, color=REAL, linewidth=2.5, alpha=0.6, label="real")
        axes[0].loglog(wavelength, generated, color=GENERATED, linewidth=1.2, label="generated")
        axes[0].invert_xaxis()
        label_decades(axes[0].xaxis)
        axes[0].set(xlabel=f"wavelength in {'µm' if pixel_size_um else 'px'}", ylabel="power")
        axes[0].legend()
        return svg(figure)


def correlation(
    real: Sequence[Estimate], generated: Sequence[Estimate], *, sizes_um: tuple[float | None, float | None]
) -> str:
    """Two-point probability of both sides over the distance, with intervals; "" where a side has none.

    `sizes_um` are the pixel sizes of real and generated images; where one is not known, distances are in pixels.
    """
    if not real or not generated:
        return ""
    um = sizes_um[0] and sizes_um[1]
    ends = []
    with rc_context(STYLE):
        figure, (axis,) = _figure(1, width=4.4)
        looks = ((REAL, "real"), (GENERATED, "generated"))
        for curve, size_um, (colour, label) in zip((real, generated), sizes_um, looks, strict=True):
            values, low, high = (
                np.array([getattr(at, end) for at in curve], np.float64) for end in ("value", "low", "high")
            )
            distance = np.arange(len(curve)) * (size_um if um and size_um else 1.0)
            axis.fill_between(distance, low, high, color=colour, alpha=0.2, linewidth=0)  # none where NaN
            axis.plot(distance, values, color=colour, linewidth=1.4, label=label)
            ends.append(distance[_settled(values)])
        axis.set(xlabel=f"distance in {'µm' if um else 'px'}", ylabel="$S_2$", xlim=(0, max(ends)), ylim=(0, None))
        axis.legend()
        return svg(figure)


def _settled(values: Values) -> int:
    """Place twice as far as a curve takes to come within 3 % of its end for good, or its end."""
    away = np.flatnonzero(np.abs(values - values[-1]) > 0.03 * abs(values[0] - values[-1]))
    return min(2 * (int(away[-1]) + 1), len(values) - 1) if len(away) else len(values) - 1


def curves(log: Sequence[Mapping[str, Any]]) -> str:
    """Training curves over kimg: every panel of `PANELS` of which the log has a column; "" where it has none."""
    panels = [(title, [key for key in keys if any(key in line for line in log)]) for title, keys in PANELS]
    panels = [(title, keys) for title, keys in panels if keys]
    if not panels:
        return ""
    with rc_context(STYLE):
        figure, axes = _figure(len(panels), width=2.9)
        for axis, (title, keys) in zip(axes, panels, strict=True):
            for key, colour in zip(keys, (GENERATED, REAL, QUIET), strict=False):
                _curve(axis, log, key, colour)
            axis.set(title=title, xlabel="kimg")
            if len(keys) > 1:
                axis.legend()
        return svg(figure)


def _curve(axis: Axes, log: Sequence[Mapping[str, Any]], key: str, colour: str) -> None:
    points = [(line["kimg"], line[key]) for line in log if line.get(key) is not None]
    marker = "o" if len(points) < 40 else ""
    axis.plot([x for x, _ in points], [y for _, y in points], color=colour, label=key, marker=marker, markersize=2.5)


def _figure(panels: int, *, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * panels, 2.6), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def svg(figure: Figure) -> str:
    """The figure as a data URI; equal figures give equal text."""
    return _uri("image/svg+xml", svg_file(figure))


def svg_file(figure: Figure, *, transparent: bool = True) -> bytes:
    """The figure as a file; equal figures give equal files."""
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=transparent)
    return file.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"

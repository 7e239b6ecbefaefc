"""Figures as data URIs, so that a page needs no other file and no network."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image
from scipy.stats import gaussian_kde

from sorby.metrics.record import Descriptor

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


def grid(images: UInt8[np.ndarray, "n c h w"], *, columns: int) -> str:
    """Images side by side, unscaled, as a PNG."""
    return _png(tile(images, columns=columns))


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
        return _svg(figure)


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
        axes[0].xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes[0].xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes[0].xaxis.set_minor_locator(NullLocator())
        axes[0].set(xlabel=f"wavelength in {'µm' if pixel_size_um else 'px'}", ylabel="power")
        axes[0].legend()
        return _svg(figure)


def distributions(descriptors: Sequence[Descriptor], real: Sequence[Values], generated: Sequence[Values]) -> str:
    """The distribution over images of each descriptor, as kernel density estimates (Scott's bandwidth)."""
    if not descriptors:
        return ""
    columns = 4
    rows = -(-len(descriptors) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 * columns, 1.9 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, descriptor, *sides in zip(axes, descriptors, real, generated, strict=False):
            low, high = np.quantile(np.concatenate(sides), [0.002, 0.98])
            grid = np.linspace(low, high, 200)
            for values, colour in zip(sides, (REAL, GENERATED), strict=True):
                axis.plot(grid, density(values, grid), color=colour, linewidth=1.4)
                axis.axvline(values.mean(), color=colour, linewidth=0.8, linestyle=":")
            unit = f", {descriptor.unit}" if descriptor.unit else ""
            axis.set(yticks=[], title=f"{descriptor.title}{unit}")
            axis.title.set_fontsize(8)
            axis.ticklabel_format(scilimits=(-3, 4))
        for axis in axes[len(descriptors) :]:
            axis.set_axis_off()
        return _svg(figure)


def quantiles(descriptors: Sequence[Descriptor], real: Sequence[Values], generated: Sequence[Values]) -> str:
    """Quantiles of the generated images over those of the real ones, in real standard deviations from the real mean."""
    if not descriptors:
        return ""
    shares = np.linspace(0.05, 0.95, 19)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        axis = figure.subplots()
        axis.axline((0, 0), slope=1, color=QUIET, linewidth=0.8)
        for descriptor, x, y in zip(descriptors, real, generated, strict=True):
            ends = [(np.quantile(values, shares) - x.mean()) / x.std() for values in (x, y)]
            marker = {"agrees": "", "differs": "o", "open": ""}[descriptor.verdict]
            style = "-" if descriptor.verdict != "open" else ":"
            axis.plot(*ends, style, marker=marker, markersize=2.5, linewidth=1.2, label=descriptor.title)
        axis.set(xlabel="real, standard deviations", ylabel="generated", xlim=(-2.5, 3), ylim=(-2.5, 3))
        figure.legend(loc="outside right upper", fontsize=6)
        return _svg(figure)


def density(values: Values, grid: Values) -> Values:
    """Kernel density estimate; all at one place where the values do not vary."""
    if len(values) < 2 or np.ptp(values) == 0:
        return np.zeros_like(grid)
    return gaussian_kde(values)(grid)


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
        return _svg(figure)


def _curve(axis: Axes, log: Sequence[Mapping[str, Any]], key: str, colour: str) -> None:
    points = [(line["kimg"], line[key]) for line in log if line.get(key) is not None]
    marker = "o" if len(points) < 40 else ""
    axis.plot([x for x, _ in points], [y for _, y in points], color=colour, label=key, marker=marker, markersize=2.5)


def _figure(panels: int, *, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * panels, 2.6), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _svg(figure: Figure) -> str:
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _uri("image/svg+xml", file.getvalue())


def _png(picture: UInt8[np.ndarray, "h w c"]) -> str:
    file = BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(file, format="PNG", optimize=True)
    return _uri("image/png", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"

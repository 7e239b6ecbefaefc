"""Measured numbers under a film: a curve each, and a mark that moves with the picture."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sorby.report.plots import GENERATED, QUIET, STYLE

DPI = 100
HEIGHT_PX = 90
"""Of a curve with its title."""


class Traces:
    """Curves of a whole film, drawn once; `at` gives them with the mark of a frame."""

    def __init__(self, values: Mapping[str, Float[np.ndarray, " t"]], *, width_px: int) -> None:
        """`values` by title, one a frame; NaN where nothing was measured, which leaves a gap."""
        with rc_context(STYLE):
            size = (width_px / DPI, HEIGHT_PX * len(values) / DPI)
            figure = Figure(figsize=size, dpi=DPI, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            axes = figure.subplots(len(values), 1, squeeze=False)[:, 0]
            for axis, (title, curve) in zip(axes, values.items(), strict=True):
                axis.plot(curve, color=GENERATED, linewidth=1.2)
                axis.set(title=title, xticks=[], xlim=(0, max(len(curve) - 1, 1)))
                axis.title.set_fontsize(8)
                axis.locator_params(axis="y", nbins=3)
            canvas.draw()
            self._drawn = np.asarray(canvas.buffer_rgba())[..., :3].copy()
            self._boxes = [axis.get_window_extent() for axis in axes]
        self._last = max(len(next(iter(values.values()))) - 1, 1)

    def at(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """The curves with a line at this frame."""
        picture = self._drawn.copy()
        for box in self._boxes:
            column = round(box.x0 + (box.width - 1) * frame / self._last)
            rows = slice(picture.shape[0] - round(box.y1), picture.shape[0] - round(box.y0))
            picture[rows, column] = _rgb(QUIET)
        return picture


def _rgb(colour: str) -> list[int]:
    """Red, green and blue.

    >>> _rgb("#2f6690")
    [47, 102, 144]
    """
    return list(bytes.fromhex(colour[1:]))

"""What a microscope drew into the picture: info bars to remove, scale bars to warn of."""

import numpy as np
from jaxtyping import Bool, Float, UInt8

SAME = 4
"""Grey values this close count as one: JPEG leaves a drawn surface not quite even."""
DRAWN = 0.5
"""Share of a row that has the bar's background."""
LEAST_ROWS = 8
MOST = 0.25
"""Tallest info bar, as a share of the height."""
GAP_ROWS = 2
"""Rows inside a bar that may be something else."""
ENOUGH_COLUMNS = 2048
"""Of wider pictures only every second, third ... column is looked at for a bar."""


def find_info_bar(grey: UInt8[np.ndarray, "h w"]) -> tuple[int, int]:
    """First and last + 1 row of the picture, without an info bar below or above it.

    A bar is a block of rows at the edge that one grey value fills at least half (text, boxes and a scale bar fill the
    rest), that starts abruptly over the whole width, and is at most a quarter of the height.
    """
    thinned = grey[:, :: max(1, grey.shape[1] // ENOUGH_COLUMNS)]
    bottom = len(grey) - _bar_rows(thinned[::-1])
    return _bar_rows(thinned[:bottom]), bottom


def frame_rows(grey: UInt8[np.ndarray, "h w"], rule: str) -> tuple[int, int]:
    """First and last + 1 row of the picture by `Recipe.info_bar`."""
    if rule == "auto":
        return find_info_bar(grey)
    return 0, len(grey) - (0 if rule == "none" else int(rule))


def has_scale_bar(grey: UInt8[np.ndarray, "h w"]) -> bool:
    """Whether a scale bar is drawn into the picture: a white or black horizontal beam with straight ends.

    It is longer than a thirtieth of the width and 24 px, at least eight times as long as thick, and 2 or more px thick.
    """
    least = max(24, grey.shape[1] // 30)
    return any(_has_beam(mask, least) for mask in (grey >= 250, grey <= 5))


def _bar_rows(grey: UInt8[np.ndarray, "h w"]) -> int:
    """Rows of a bar that starts at row 0; 0 where there is none."""
    height = len(grey)
    if height < 4 * LEAST_ROWS:
        return 0
    level = int(np.bincount(grey[:LEAST_ROWS].ravel(), minlength=256).argmax())
    block = grey[: int(MOST * height) + GAP_ROWS + 2]
    share = _share(block, level)
    rows = _leading_rows((share >= DRAWN) | _is_line(block))
    is_bar = LEAST_ROWS <= rows <= MOST * height and np.median(share[:rows]) >= 0.75
    return rows if is_bar and _starts_abruptly(share, rows) else 0


def _share(grey: UInt8[np.ndarray, "h w"], level: int) -> Float[np.ndarray, " h"]:
    return (np.abs(grey.astype(np.int16) - level) <= SAME).mean(axis=1)


def _is_line(grey: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, " h"]:
    """Rows of one grey value nearly all along, such as the frame of a bar."""
    level = np.median(grey, axis=1, keepdims=True)
    return (np.abs(grey - level) <= SAME).mean(axis=1) >= 0.95


def _leading_rows(good: Bool[np.ndarray, " h"]) -> int:
    """Number of rows before the first run of more than `GAP_ROWS` that are not good."""
    rows = np.flatnonzero(good)
    breaks = np.flatnonzero(np.diff(rows, prepend=-1) > GAP_ROWS + 1)
    rows = rows[: breaks[0]] if len(breaks) else rows
    return int(rows[-1]) + 1 if len(rows) else 0


def _starts_abruptly(share: Float[np.ndarray, " h"], rows: int) -> bool:
    """Just inside the bar its background fills most of the row, just outside little."""
    inside, outside = share[max(rows - 6, 0) : rows], share[rows : rows + 3]
    return bool(inside.max() >= 0.8 and len(outside) and outside.max() < 0.3)


def _has_beam(mask: Bool[np.ndarray, "h w"], least: int) -> bool:
    """Whether equal runs of at least `least` px lie in consecutive rows, with no such run above or below."""
    runs = _long_runs(mask, least)
    for row, (start, stop) in runs:
        if (row - 1, (start, stop)) in runs:
            continue
        thick = 1
        while (row + thick, (start, stop)) in runs:
            thick += 1
        if 2 <= thick <= (stop - start) / 8 and not _covered(mask, row, thick, start, stop):
            return True
    return False


def _covered(mask: Bool[np.ndarray, "h w"], row: int, thick: int, start: int, stop: int) -> bool:
    beside = [mask[y, start:stop].mean() for y in (row - 1, row + thick) if 0 <= y < len(mask)]
    return bool(max(beside, default=0.0) > 0.5)


def _long_runs(mask: Bool[np.ndarray, "h w"], least: int) -> set[tuple[int, tuple[int, int]]]:
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    long = stops - starts >= least
    return {(int(y), (int(a), int(b))) for y, a, b in zip(rows[long], starts[long], stops[long], strict=True)}

import base64
import re

import numpy as np

from sorby.microstructure.fraction import Estimate
from sorby.report import plots

LOG = [{"kimg": float(i), "p": 0.1 * i, "loss_G": 1.0, **({"fid": 90.0 - i} if i % 2 else {})} for i in range(6)]


def svg(uri):
    return base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).decode()


def test_tiles_keep_their_pixels_and_a_gap_between_them():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 1, 4, 5), np.uint8)
    sheet = plots.tile(images, columns=2)[..., 0]
    assert sheet.shape == (10, 12)
    assert (sheet[:4, 7:] == 1).all()
    assert (sheet[6:, :5] == 2).all()
    assert (sheet[4:6] == 255).all()
    assert (sheet[6:, 7:] == 255).all()


def test_a_log_without_scores_has_no_score_panels():
    assert plots.curves([]) == ""
    assert plots.curves([{"kimg": 1.0}]) == ""
    assert len(plots.curves(LOG)) > len(plots.curves([{k: v for k, v in line.items() if k != "fid"} for line in LOG]))


def test_equal_data_give_equal_figures_that_fetch_nothing():
    assert plots.curves(LOG) == plots.curves(LOG)
    assert not re.findall(r'(?:href|src)="(?!#)', svg(plots.curves(LOG)))
    spectrum = np.geomspace(1e6, 1, 32)
    assert "image/svg" in plots.spectra(spectrum, spectrum, size_px=64, pixel_size_um=None)


def curve(values, half=None):
    return [Estimate(v, half and v - half, half and v + half, 5 if half else 1, None) for v in values]


def test_correlation_is_drawn_with_and_without_intervals_and_not_of_nothing():
    values = 0.16 + 0.24 * np.exp(-np.arange(20) / 3)
    both = plots.correlation(curve(values, 0.02), curve(values), sizes_um=(0.1, 0.1))
    assert "image/svg" in both
    assert both == plots.correlation(curve(values, 0.02), curve(values), sizes_um=(0.1, 0.1))
    assert plots.correlation([], curve(values), sizes_um=(None, None)) == ""


def test_the_axis_of_the_correlation_ends_where_it_has_long_been_flat():
    """exp(-r) comes within 3 % at r = ln(1 / 0.03) = 3.5: 3 is the last one away, and twice 4 is shown."""
    assert plots._settled(np.exp(-np.arange(50.0))) == 8
    assert plots._settled(np.ones(10)) == 9
    assert plots._settled(np.linspace(1, 0, 10)) == 9

import numpy as np
import pytest

from sorby.report.sheet import sheet_of_rows


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_stand_in_their_order_with_every_pixel_of_their_pictures(channels):
    rng = np.random.default_rng(0)
    rows = [(f"temperature {t} °C", rng.integers(0, 256, (3, channels, 24, 24), np.uint8)) for t in (900, 1000)]
    sheet = sheet_of_rows(rows, pixel_size_um=None)
    height = len(sheet) // 2
    for place, (_, pictures) in enumerate(rows):
        bottom = (place + 1) * height
        for column, picture in enumerate(pictures):
            left = column * 26
            np.testing.assert_array_equal(sheet[bottom - 24 : bottom, left : left + 24], picture.transpose(1, 2, 0))
    assert (sheet[: height - 24] < 100).any()  # there is a title


def test_a_scale_bar_stands_below_where_the_pixel_size_is_known():
    rows = [
        ("a very long title of many conditions that is wider than the pictures", np.zeros((1, 1, 24, 24), np.uint8))
    ]
    plain, scaled = (sheet_of_rows(rows, pixel_size_um=um) for um in (None, 0.1))
    np.testing.assert_array_equal(scaled[: len(plain)], plain)
    assert len(scaled) > len(plain)
    assert plain.shape[1] == 24

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sorby.metrics.traces import anisotropy, emptiest, mirrored, traces_of


def stripes(right, down, *, size=64):
    """One picture whose grey goes up and down `right` times across and `down` times along it, in eights."""
    y, x = np.indices((size, size))
    return np.cos(2 * np.pi * (right * x + down * y) / 8).astype(np.float32)[None]


@pytest.mark.parametrize(
    ("right", "down", "vector"), [(1, 0, (1, 0)), (0, 1, (-1, 0)), (1, 1, (0, 1)), (1, -1, (0, -1))]
)
def test_the_anisotropy_of_stripes_points_along_twice_the_angle_of_their_gradient(right, down, vector):
    np.testing.assert_allclose(anisotropy(stripes(right, down))[0], vector, atol=0.05)


def test_the_direction_is_that_of_all_real_pictures_together_however_few_of_them_have_one():
    """One picture of stripes among nineteen of noise, which point anywhere: along the stripes 1, across them -1."""
    noise = np.random.default_rng(0).integers(0, 256, (19, 1, 64, 64))
    real = np.concatenate([127 + 100 * stripes(1, 0)[None], noise]).astype(np.uint8)
    measures = {trace.move: trace.measure for trace in traces_of(real)}
    turned, half_turned = stripes(0, 1), stripes(1, 1)
    for pictures, along, askew in ((stripes(1, 0), 1, 0), (turned, -1, 0), (half_turned, 0, 1)):
        assert measures["quarter turns"](pictures)[0] == pytest.approx(along, abs=0.1)
        assert measures["rotation"](pictures)[0] == pytest.approx(askew, abs=0.1)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 24), (24, 0), (24, 24), (7, 13)])
def test_an_empty_square_is_found_wherever_it_is(row, column):
    pictures = np.random.default_rng(0).choice([0.0, 255.0], (2, 32, 32)).astype(np.float32)
    pictures[0, row : row + 8, column : column + 8] = 128
    assert emptiest(pictures) == pytest.approx([0.5, 127.5])


@pytest.mark.parametrize("size", [20, 32])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("row", [0, 3, 11])
def test_a_square_is_as_empty_as_the_share_of_it_that_is_also_at_a_border(size, turns, row):
    """Three empty columns, of squares of 5 and of 8 px."""
    side = size // 4
    picture = np.random.default_rng(0).choice([0.0, 255.0], (size, size)).astype(np.float32)
    picture[row : row + side, :3] = 128
    distance = np.sqrt((3 * 0.5**2 + (side - 3) * 127.5**2) / side)
    assert emptiest(np.rot90(picture, turns)[None]) == pytest.approx([distance])


@pytest.mark.parametrize("width", [2, 5, 8])
@pytest.mark.parametrize("turns", range(4))
def test_a_border_mirrored_inwards_is_found_on_every_side(width, turns):
    noise = np.random.default_rng(0).standard_normal((1, 32, 32)).astype(np.float32)
    shifted = noise.copy()
    shifted[:, :, :width] = noise[:, :, 2 * width : width : -1]
    assert mirrored(np.rot90(shifted, turns, axes=(1, 2)))[0] > 0.95
    assert mirrored(noise)[0] < 0.5


def slow_mirrored(picture):
    """The definition, strip by strip."""
    size, found = len(picture), []
    detail = picture - gaussian_filter(picture, size / 16, mode="mirror")
    for turned in (detail, detail[::-1], detail.T, detail.T[::-1]):  # each border in turn at the top
        for width in range(size // 16, size // 4 + 1):
            strip, beside = turned[:width], turned[width + 1 : 2 * width + 1][::-1]
            found.append(np.corrcoef(strip.ravel(), beside.ravel())[0, 1])
    return max(found)


@pytest.mark.parametrize("size", [32, 48])
def test_mirrored_borders_are_told_by_the_definition_in_each_picture_for_itself(size):
    """Borders mirrored about what is too near, near enough, and too far; dark, bright, shaded and dull pictures."""
    noise = np.random.default_rng(1).standard_normal((6, size, size))
    for picture, width in zip(noise, (1, 2, size // 8, size // 4, size // 4 + 1, size // 4 + 2), strict=True):
        picture[:width] = picture[width + 1 : 2 * width + 1][::-1]
    noise[1] *= 1e-3
    noise[2] += np.linspace(0, 100, size)
    noise[3] *= 100
    pictures = (noise + 50 * np.arange(6)[:, None, None]).astype(np.float32)
    assert mirrored(pictures) == pytest.approx([slow_mirrored(picture) for picture in pictures], abs=2e-3)

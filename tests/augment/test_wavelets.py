import math

import numpy as np
import pytest
import torch

from sorby.augment.wavelets import SYM2, SYM6, SYM6_CENTRE, band_filters, doubling, halving, mirror


@pytest.mark.parametrize(("taps", "vanishing"), [(SYM2, 2), (SYM6, 6)])
def test_lowpass_is_orthonormal_with_its_vanishing_moments(taps, vanishing):
    h, n = np.array(taps), np.arange(len(taps))
    assert h.sum() == pytest.approx(math.sqrt(2), abs=1e-12)
    for shift in range(len(h) // 2):
        assert h[2 * shift :] @ h[: len(h) - 2 * shift] == pytest.approx(float(shift == 0), abs=1e-11)
    for power in range(vanishing):
        # Centred, lest high powers magnify the last digit.
        assert ((-1.0) ** n * h) @ (n - n.mean()) ** power == pytest.approx(0, abs=1e-9)
    assert abs(((-1.0) ** n * h) @ (n - n.mean()) ** vanishing) > 0.1


@pytest.mark.parametrize("size", [8, 32, 64])
def test_halving_undoes_doubling(size):
    # Beyond the border the doubled image is unknown here, so the three pixels that would need it are left out.
    undone = halving(size)[:, 5:-5] @ doubling(size)
    torch.testing.assert_close(undone[3:-3], torch.eye(size)[3:-3], atol=1e-6, rtol=0)


def test_doubling_keeps_a_straight_line_where_the_pixel_centres_lie():
    size = 16
    line = torch.arange(float(size))
    fine = doubling(size) @ line
    expected = (torch.arange(2.0 * size) - SYM6_CENTRE) / 2
    torch.testing.assert_close(fine[6:-6], expected[6:-6], atol=1e-5, rtol=0)


def test_doubling_and_halving_keep_a_constant():
    torch.testing.assert_close(doubling(32) @ torch.ones(32), torch.ones(64))
    torch.testing.assert_close(halving(32) @ torch.ones(74), torch.ones(32))


def test_mirror_counts_pixels_as_numpy_reflect_padding_does():
    padded = np.pad(np.arange(6), 20, mode="reflect")
    np.testing.assert_array_equal(mirror(torch.arange(-20.0, 26.0), 6).round().numpy(), padded)


def test_bands_add_up_to_doing_nothing():
    total = band_filters().sum(dim=0)
    expected = torch.zeros(43, dtype=torch.float64)
    expected[21] = 1
    torch.testing.assert_close(total, expected, atol=1e-14, rtol=0)


def test_bands_are_zero_phase_and_pass_their_own_frequencies_most():
    bands = band_filters()
    torch.testing.assert_close(bands, bands.flip(1), atol=1e-15, rtol=0)
    frequency = math.pi * torch.tensor([1 / 16, 3 / 16, 3 / 8, 3 / 4], dtype=torch.float64)
    response = bands @ torch.cos(torch.arange(-21, 22)[:, None] * frequency)
    assert (response > -1e-12).all()
    assert response.argmax(dim=0).tolist() == [0, 1, 2, 3]
    assert response.diagonal().min() > 0.5

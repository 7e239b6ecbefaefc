"""Orthogonal wavelet filters, and what ADA does with them: resample by two, split an axis into bands."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Daubechies, Ten Lectures on Wavelets (SIAM 1992): the extremal-phase filter with 2 vanishing moments (table 6.1, in
# closed form), which is also the least asymmetric one, and the least asymmetric filter with 6 (table 6.3). Sum sqrt(2).
SYM2 = tuple((a + b * math.sqrt(3)) / (4 * math.sqrt(2)) for a, b in ((1.0, 1.0), (3.0, 1.0), (3.0, -1.0), (1.0, -1.0)))
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)

# Pixel k of an image lies at 2k + SYM6_CENTRE on the grid twice as fine. A symmetric filter would give 1/2.
SYM6_CENTRE = sum(n * h for n, h in enumerate(SYM6)) / sum(SYM6) - 5
SYM6_MARGIN = 5  # fine pixels that `halving` needs beyond each border


def mirror(positions: Float[Tensor, "*s"], size: int) -> Float[Tensor, "*s"]:
    """Reflect positions about the first and the last pixel into 0..size-1; overwrites them, for they may be many.

    >>> mirror(torch.tensor([-2.0, -0.5, 0.0, 4.0, 5.0, 6.5, 10.0]), 5).tolist()
    [2.0, 0.5, 0.0, 4.0, 3.0, 1.5, 2.0]
    """
    period = 2 * (size - 1)
    positions /= period
    positions -= positions.round()
    return positions.abs_().mul_(period)


def doubling(size: int) -> Float[Tensor, "{2*size} {size}"]:
    """Matrix that resamples an axis of `size` pixels to twice as many by sym6, mirrored at the borders."""
    fine, tap = torch.arange(2 * size)[:, None], torch.arange(12)
    twice = fine + SYM6_MARGIN - tap  # is 2k where pixel k reaches this fine pixel through this tap
    weights = torch.tensor(SYM6) * math.sqrt(2) * (twice % 2 == 0)
    pixel = mirror((twice / 2).floor(), size).round().long()
    return torch.zeros(2 * size, size).scatter_add_(1, pixel, weights)


def halving(size: int) -> Float[Tensor, "{size} {2*size+10}"]:
    """Matrix that undoes `doubling`: from 2 * `size` fine pixels and `SYM6_MARGIN` beyond each border to `size`."""
    columns = 2 * torch.arange(size)[:, None] + torch.arange(12)
    weights = torch.tensor(SYM6) / math.sqrt(2)
    return torch.zeros(size, 2 * size + 2 * SYM6_MARGIN).scatter_(1, columns, weights.expand(size, 12))


def band_filters() -> Float[Tensor, "4 taps"]:
    """Zero-phase filters of the bands [0, pi/8], [pi/8, pi/4], [pi/4, pi/2], [pi/2, pi]; they add up to a single 1.

    With H the sym2 lowpass, L(z) = H(z) H(1/z) / 2 is a halfband filter, and 1 - L(z) = H(-z) H(-1/z) / 2 is the rest
    (Karras et al. 2020, appendix B). What passes L(z) L(z^2) L(z^4) is the lowest band; what each factor takes away
    from those before it is another.
    """
    halfband = np.convolve(SYM2, SYM2[::-1]) / 2
    passed = [np.ones(1)]
    for step in (1, 2, 4):
        stretched = np.zeros(step * (len(halfband) - 1) + 1)
        stretched[::step] = halfband
        passed.append(np.convolve(passed[-1], stretched))
    one, half, quarter, eighth = (np.pad(kernel, (len(passed[-1]) - len(kernel)) // 2) for kernel in passed)
    return torch.from_numpy(np.stack([eighth, quarter - eighth, half - quarter, one - half]))

"""Image-space filters: gains of four frequency bands (Karras et al. 2020, appendix B), and the blurs of paper A.

Rows and columns are filtered one after the other, with the same filter, mirrored beyond the first and last pixels.
"""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sorby.augment.chance import changed, on_subset
from sorby.augment.moves import MatrixMove, PixelMove, Shape, normal
from sorby.augment.wavelets import band_filters

# Expected power of the bands [0, pi/8], [pi/8, pi/4], [pi/4, pi/2], [pi/2, pi]: that of a 1/f^2 spectrum.
POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
GAUSS_RADIUS = 9  # pixels: three times the largest sigma


def band(a: Float[Tensor, " n"], *, number: int) -> Float[Tensor, "n 4 4"]:
    """Amplify one band by 2**a, then all so that the expected power stays; the gains are the diagonal."""
    gains = torch.ones(len(a), 4, dtype=a.dtype, device=a.device)
    gains[:, number] = torch.exp2(a)
    power = gains.square() @ gains.new_tensor(POWER)
    return torch.diag_embed(gains / power.sqrt()[:, None])


def amplify(images: Float[Tensor, "n c h w"], matrices: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n c h w"]:
    """Carry out the gains on the diagonals."""
    kernels = matrices.diagonal(dim1=1, dim2=2) @ band_filters().to(matrices)
    return on_subset(images, kernels, changed(matrices), filter_axes)


def gauss(images: Float[Tensor, "n c h w"], sigma_px: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Gaussian blur."""
    distance = torch.arange(-GAUSS_RADIUS, GAUSS_RADIUS + 1).to(images)
    weights = torch.exp(-0.5 * (distance / sigma_px[:, None]).square())
    return filter_axes(images, weights / weights.sum(dim=1, keepdim=True))


def gauss_sigma(shape: Shape, rng: torch.Generator) -> Float[Tensor, " n"]:
    """Pixels: the size of a standard normal number, at most 3."""
    return torch.randn(shape[0], generator=rng, device=rng.device).abs().clamp(1e-3, 3)


def median(images: Float[Tensor, "n c h w"], _nothing: Float[Tensor, "n 0"]) -> Float[Tensor, "n c h w"]:
    """Median of each pixel and its eight neighbours; the gradient goes to the pixel that was taken."""
    h, w = images.shape[2:]
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    neighbours = [padded[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return torch.stack(neighbours, dim=-1).median(dim=-1).values


def nothing(shape: Shape, rng: torch.Generator) -> Float[Tensor, "n 0"]:
    """Draw no number: the median is always the same."""
    return torch.empty(shape[0], 0, device=rng.device)


FILTER = tuple(MatrixMove("bands", normal(1.0), partial(band, number=number)) for number in range(4))
BLUR = (PixelMove("median", nothing, median), PixelMove("gauss", gauss_sigma, gauss))


def filter_axes(images: Float[Tensor, "n c h w"], kernels: Float[Tensor, "n taps"]) -> Float[Tensor, "n c h w"]:
    """Convolve rows and columns of each image with its own symmetric kernel of odd length."""
    n, c, h, w = images.shape
    margin = kernels.shape[1] // 2
    padded = F.pad(images, (margin,) * 4, mode="reflect").reshape(1, n * c, h + 2 * margin, w + 2 * margin)
    weights = kernels.repeat_interleave(c, dim=0)[:, None]
    rows = F.conv2d(padded, weights[:, :, None], groups=n * c)
    return F.conv2d(rows, weights[..., None], groups=n * c).view(n, c, h, w)

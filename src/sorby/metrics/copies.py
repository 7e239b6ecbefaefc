"""Copies of training pictures among generated ones, looked for in the pixels, where no feature network can hide them.

A generated picture is a copy where some training picture, mirrored or turned by right angles and shifted by up to a
quarter of its side, is like it. How like is the normalised cross-correlation over what the two have in common. Pictures
are first reduced to `SIDE` px and freed of shading and of grain (a difference of two Gaussians): the arrangement of the
structure remains, and chance draws that only once.

Held-out pictures come from other micrographs than the training pictures, so their likeness to those is what chance
gives; generated pictures that are more like a training picture were not drawn by chance (the idea of Meehan, Chaudhuri
& Dasgupta, "A non-parametric test to detect data-copying in generative models", AISTATS 2020).

What is hardly found: a copied part below three quarters of the picture, a copy turned by some five degrees or magnified
by a tenth, or one with light and dark exchanged.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sorby.errors import DataError

SIDE = 32  # px that pictures are reduced to
FINE, BROAD = 0.7, 3.0  # reduced px: standard deviations of the Gaussians whose difference is kept
REACH = 4  # shifts go up to side / REACH along both axes, so that at least 9/16 of the pictures overlap
CANDIDATES = 32  # training pictures and moves for each picture that are compared at `SIDE`
QUANTILE = 0.99  # of the held-out similarities: what is above happens by chance to one picture in a hundred
BLOCK = 64  # pictures of each side at a time
FLAT = 0.01  # grey levels: a picture of less contrast is like nothing

MOVES = {
    " ".join(filter(None, (mirrored, turned))) or "as it is": (bool(mirrored), turns)
    for mirrored in ("", "mirrored")
    for turns, turned in enumerate(("", "turned 90", "turned 180", "turned 270"))
}
"""The eight moves of the square: whether left and right change sides, then turns by 90 degrees, counter-clockwise."""


@dataclass(frozen=True)
class Copy:
    """The training picture most like a picture, and how it has to be moved to look like it."""

    index: int
    """Place of the picture in its set."""
    nearest: int
    """Place of the training picture in its set."""
    similarity: float
    """-1 to 1; 1 is the same structure, 0 that of a picture without any."""
    move: str
    """What is done to the training picture first, of `MOVES`."""
    shift_px: tuple[float, float]
    """Then it goes down and to the right by so many pixels of the picture, in steps of its side / `SIDE`."""


@dataclass(frozen=True, eq=False)
class Audit:
    """How like training pictures the generated ones are, and how like them held-out pictures are by chance."""

    nearest: tuple[Copy, ...]
    """One for each generated picture, in their order."""
    by_chance: tuple[Copy, ...] | None
    """The same for each held-out picture; None where there are none. Is the nearest of them the same place taken twice,
    the split into training and held-out micrographs is wrong, and copies are hidden."""

    @property
    def similarities(self) -> Float[np.ndarray, " n"]:
        """Of the generated pictures to their nearest training pictures."""
        return np.array([copy.similarity for copy in self.nearest])

    @property
    def held_out_similarities(self) -> Float[np.ndarray, " k"] | None:
        """Of the held-out pictures to theirs."""
        return None if self.by_chance is None else np.array([copy.similarity for copy in self.by_chance])

    @property
    def threshold(self) -> float | None:
        """Similarity above which a picture counts as a copy: the `QUANTILE` of the held-out pictures.

        Of fewer than a hundred held-out pictures it is little below the largest.
        """
        held_out = self.held_out_similarities
        return None if held_out is None else float(np.quantile(held_out, QUANTILE))

    @property
    def memorisation_rate(self) -> float | None:
        """Share of generated pictures above the threshold, 0 to 1."""
        return None if self.threshold is None else float(np.mean(self.similarities > self.threshold))

    @property
    def memorisation_interval(self) -> tuple[float, float] | None:
        """95 % interval of that rate, exact for independent generated pictures (Clopper & Pearson 1934)."""
        if self.threshold is None:
            return None
        count = int(np.sum(self.similarities > self.threshold))
        interval = scipy.stats.binomtest(count, len(self.nearest)).proportion_ci()
        return float(interval.low), float(interval.high)

    @property
    def held_out_rate(self) -> float | None:
        """Share of held-out pictures above the threshold: about 1 %, by its definition."""
        held_out = self.held_out_similarities
        return None if held_out is None else float(np.mean(held_out > self.threshold))

    def p_value(self, held_out_parents: Int[np.ndarray, " k"]) -> float | None:
        """Chance that so many generated pictures are more like a training picture than *every* held-out one is.

        Were both drawn alike, each order of all similarities would be as likely; patches of one micrograph count as
        one held-out picture, which makes the chance larger. Needs no threshold, and so holds for few held-out pictures.
        None without held-out pictures.
        """
        held_out = self.held_out_similarities
        if held_out is None:
            return None
        num, num_held_out = len(self.nearest), len(np.unique(held_out_parents))
        above = int(np.sum(self.similarities > held_out.max()))
        return math.comb(num - above + num_held_out, num_held_out) / math.comb(num + num_held_out, num_held_out)

    def closest(self, num: int) -> tuple[Copy, ...]:
        """The `num` generated pictures most like a training picture, the most like first."""
        return tuple(sorted(self.nearest, key=lambda copy: -copy.similarity)[:num])


def audit(
    generated: UInt8[np.ndarray, "n _ _ _"],
    train: UInt8[np.ndarray, "m _ _ _"],
    held_out: UInt8[np.ndarray, "k _ _ _"] | None,
) -> Audit:
    """Look for copies of `train` among `generated`; `held_out` are real pictures of other micrographs than `train`.

    All pictures are square and of one size; colours are averaged. Held-out pictures of the same micrographs would be
    more like the training pictures than chance makes them, and hide copies. Without held-out pictures nobody knows what
    chance gives, and the rates are None. Raises `DataError` for an empty set and for pictures of other shapes.
    """
    size = generated.shape[2]
    _check(generated, "generated", size=size)
    _check(train, "training", size=size)
    if held_out is None:
        return Audit(find_copies(generated, train), None)
    _check(held_out, "held-out", size=size)
    return Audit(find_copies(generated, train), find_copies(held_out, train))


def find_copies(pictures: UInt8[np.ndarray, "n c s s"], train: UInt8[np.ndarray, "m c s s"]) -> tuple[Copy, ...]:
    """The training picture most like each of `pictures`, in their order.

    All training pictures under all moves are compared at half of `SIDE`, and the `CANDIDATES` best of them again at
    `SIDE`. Memory grows with the number of pictures and not with its square.
    """
    return find_among(pictures, structure(train))


def find_among(pictures: UInt8[np.ndarray, "n c s s"], known: Float[Tensor, "m 32 32"]) -> tuple[Copy, ...]:
    """The same, with the `structure` of the training pictures on hand, which takes longer than to find one picture."""
    step_px = pictures.shape[2] / SIDE
    copies: list[Copy] = []
    for block in structure(pictures).split(BLOCK):
        for picture, candidates in zip(block, _candidates(block, known), strict=True):
            copies.append(_nearest(picture, known, candidates, index=len(copies), step_px=step_px))
    return tuple(copies)


def align(picture: UInt8[np.ndarray, "c s s"], copy: Copy) -> UInt8[np.ndarray, "c s s"]:
    """The training picture moved as found, to lie beside the generated one; black where the shift brought nothing in.

    >>> found = Copy(index=0, nearest=0, similarity=1.0, move="mirrored", shift_px=(0.0, 1.0))
    >>> align(np.array([[[1, 2], [3, 4]]], dtype=np.uint8), found)
    array([[[0, 2],
            [0, 4]]], dtype=uint8)
    """
    size, (down, right) = picture.shape[1], (round(shift) for shift in copy.shift_px)
    frame = np.pad(_move(torch.from_numpy(picture), copy.move).numpy(), ((0, 0), (size, size), (size, size)))
    return frame[:, size - down : 2 * size - down, size - right : 2 * size - right]


def structure(pictures: UInt8[np.ndarray, "n c s s"]) -> Float[Tensor, "n 32 32"]:
    """Each picture by area means at `SIDE` px, without what is broader than `BROAD` or finer than `FINE`."""
    blocks = torch.from_numpy(pictures).split(BLOCK)
    small = [F.interpolate(block.float().mean(1, keepdim=True), size=SIDE, mode="area")[:, 0] for block in blocks]
    grey = torch.cat(small).numpy()
    fine, broad = (gaussian_filter(grey, sigma, mode="mirror", axes=(1, 2)) for sigma in (FINE, BROAD))
    return torch.from_numpy(fine - broad)


def correlations(x: Float[Tensor, "n s s"], y: Float[Tensor, "m s s"]) -> Float[Tensor, "m n r r"]:
    """Normalised cross-correlation of all of `x` with all of `y`, where they overlap, for shifts up to s / `REACH`.

    Place (s / `REACH` - down, s / `REACH` - right) is for y moved down and to the right by so many pixels. Means are
    taken to be 0. Where the part in the overlap has less contrast than its whole picture, the contrast of the whole
    counts, so that two dull corners that happen to agree are no likeness.
    """
    reach = x.shape[-1] // REACH
    products = F.conv2d(F.pad(y, 4 * (reach,))[:, None], x[:, None])
    return products.div_(_norms(y)[:, None]).div_(_norms(x).flip(-1, -2))


def _norms(pictures: Float[Tensor, "n s s"]) -> Float[Tensor, "n r r"]:
    """Root of the sum of squares in the overlap, at least what the mean square of the picture makes of it."""
    size, reach = pictures.shape[-1], pictures.shape[-1] // REACH
    squares = torch.cat([pictures.square(), torch.ones(1, size, size)])
    columns = F.avg_pool2d(F.pad(squares, 4 * (reach,)), (size, 1), stride=1)
    *inside, overlap = F.avg_pool2d(columns, (1, size), stride=1)
    least = squares[:-1].mean((1, 2))[:, None, None] * overlap
    return size * torch.stack(inside).maximum(least).sqrt().clamp(min=FLAT)


def _candidates(pictures: Float[Tensor, "n s s"], train: Float[Tensor, "m s s"]) -> Int[Tensor, "n k"]:
    """Numbers place * 8 + move of the training pictures most like each picture at half the size, best first."""
    small = F.avg_pool2d(pictures, 2)
    back = torch.stack([_move(small, move, back=True) for move in MOVES], dim=1).flatten(0, 1)
    found = [correlations(back, block).amax((2, 3)) for block in F.avg_pool2d(train, 2).split(BLOCK)]
    scores = torch.cat(found).unflatten(1, (len(pictures), len(MOVES))).transpose(0, 1).flatten(1)
    return scores.topk(min(CANDIDATES, scores.shape[1])).indices


def _nearest(
    picture: Float[Tensor, "s s"],
    train: Float[Tensor, "m s s"],
    candidates: Int[Tensor, " k"],
    *,
    index: int,
    step_px: float,
) -> Copy:
    """The best of the candidates, which are numbered as `_candidates` does."""
    names = list(MOVES)
    moved = torch.stack(
        [_move(train[number // len(MOVES)], names[number % len(MOVES)]) for number in candidates.tolist()]
    )
    scores = correlations(picture[None], moved)[:, 0]
    best, row, column = (int(place) for place in np.unravel_index(int(scores.argmax()), scores.shape))
    place, move = divmod(int(candidates[best]), len(MOVES))
    reach = scores.shape[1] // 2
    return Copy(
        index=index,
        nearest=place,
        similarity=float(scores[best, row, column].clamp(max=1)),
        move=names[move],
        shift_px=((reach - row) * step_px, (reach - column) * step_px),
    )


def _move(pictures: Tensor, move: str, *, back: bool = False) -> Tensor:
    """Do one of `MOVES` to pictures "... s s", or undo it."""
    mirrored, turns = MOVES[move]
    if back:
        turned = pictures.rot90(-turns, (-2, -1))
        return turned.flip(-1) if mirrored else turned
    return (pictures.flip(-1) if mirrored else pictures).rot90(turns, (-2, -1))


def _check(pictures: UInt8[np.ndarray, "n _ _ _"], name: str, *, size: int) -> None:
    if len(pictures) == 0:
        raise DataError(f"There are no {name} pictures: expected at least one; give some.")
    height, width = pictures.shape[2:]
    if (height, width) != (size, size):
        raise DataError(f"The {name} pictures have {width} x {height} px: expected squares of {size} px; cut them so.")

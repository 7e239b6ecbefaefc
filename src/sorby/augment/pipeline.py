"""The augmentation pipeline of ADA: families of moves, a policy, and one call that does them to a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from sorby.augment.chance import apply_some, compose, whole_shape
from sorby.augment.colour import COLOUR, LUMA_FLIP, recolour
from sorby.augment.corrupt import CUTOUT, NOISE
from sorby.augment.filters import BLUR, FILTER, amplify
from sorby.augment.geometry import BLIT, GEOM
from sorby.augment.moves import MatrixMove, PixelMove
from sorby.augment.warp import warp
from sorby.errors import ConfigError
from sorby.seeds import Rows

# In the order of Karras et al. 2020, appendix B; the blurs of paper A stand with the other filters.
MATRIX_MOVES = {"blit": BLIT, "geom": GEOM, "colour": COLOUR, "filter": FILTER}
PIXEL_MOVES = {"blur": BLUR, "noise": NOISE, "cutout": CUTOUT}
# Families whose matrices are multiplied, the size of those matrices, and what carries them out.
STAGES = ((("blit", "geom"), 3, warp), (("colour",), 4, recolour), (("filter",), 4, amplify))

Move = TypeVar("Move", MatrixMove, PixelMove)
FAMILIES = (*MATRIX_MOVES, *PIXEL_MOVES)
_ALL: tuple[MatrixMove | PixelMove, ...] = (*BLIT, *GEOM, *COLOUR, *FILTER, *BLUR, *NOISE, *CUTOUT)
MOVES = tuple(dict.fromkeys(move.name for move in _ALL))


@dataclass(frozen=True)
class Augment:
    """Which moves the discriminator's images undergo; calling it does them.

    Raises `ConfigError` for unknown names.

    >>> rolled = Augment(families=("blit", "geom"), without=("rotate90", "rotate"))
    """

    families: tuple[str, ...] = ("blit", "geom")
    """Families of moves, of `FAMILIES`; none at all changes nothing."""
    without: tuple[str, ...] = ()
    """Moves left out, of `MOVES`: those that are no symmetry of the sample, such as free rotation of a rolled sheet."""
    strengths: Mapping[str, float] = field(default_factory=dict)
    """Families whose moves are done with so many times p, at most always; 1 for those not named."""
    luma_flip: bool = False
    """Whether the colour family may make light dark and dark light; phases are told by their grey."""

    def __post_init__(self) -> None:
        _check("augmentation", self.families, FAMILIES)
        _check("augmentation with a strength", tuple(self.strengths), FAMILIES)
        _check("move to leave out", self.without, MOVES)

    def __call__(
        self, images: Float[Tensor, "n c h w"], *, p: float, rng: torch.Generator, rows: Rows | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Do each move to each image with probability `p`, 0..1, independently of the others.

        `images` are square, in -1..1, with 1 or 3 channels; type and memory format are kept and gradients flow,
        but not twice: a gradient penalty is taken at the augmented images. p = 0 gives back the same object. With `rng`
        on the CPU the draws are the same on every device. Images that are `rows` of a batch get what they would in it.
        """
        if not 0 <= p <= 1:
            raise ConfigError(f"The augmentation probability is {p}, expected 0 to 1.")
        if p == 0 or not self.families:
            return images
        rows = rows or Rows.whole(len(images))
        shape = whole_shape(images, rows)
        moved = images.to(torch.promote_types(images.dtype, torch.float32))
        with torch.autocast(images.device.type, enabled=False):
            for families, size, execute in STAGES:
                if moves := self._allowed(MATRIX_MOVES, families):
                    ps = [self._p_of(family, p) for family, _ in moves]
                    matrices = compose([move for _, move in moves], shape, size=size, ps=ps, rng=rng)
                    moved = execute(moved, rows.take(matrices))
            for family, move in self._allowed(PIXEL_MOVES, PIXEL_MOVES):
                moved = apply_some(move, moved, p=self._p_of(family, p), rng=rng, rows=rows)
        return moved.to(images.dtype).contiguous(memory_format=_memory_format(images))

    def _allowed(self, table: Mapping[str, tuple[Move, ...]], families: Iterable[str]) -> list[tuple[str, Move]]:
        """Moves of those `families` that were asked for, with their family, less the ones left out."""
        out = self.without if self.luma_flip else (*self.without, LUMA_FLIP.name)
        asked = [family for family in families if family in self.families]
        return [(family, move) for family in asked for move in table[family] if move.name not in out]

    def _p_of(self, family: str, p: float) -> float:
        return min(p * self.strengths.get(family, 1.0), 1.0)


def _check(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise ConfigError(f"Unknown {what} {name!r}: choose from {', '.join(known)}.")
    return names


def _memory_format(images: Tensor) -> torch.memory_format:
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format

"""Whether generated pictures are copies of training pictures, or show what only the augmentation did."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import UInt8

from sorby.evaluation.scores import NUM_PAIRS
from sorby.evaluation.sides import Comparison, all_parents
from sorby.metrics.copies import Copy, align, audit
from sorby.metrics.leak import LEAST_PX, leaks
from sorby.metrics.record import CopyAudit, CopyPair, Leak
from sorby.metrics.sets import ImageSet
from sorby.seeds import rng_for
from sorby.training.batches import move

Picture = UInt8[np.ndarray, "_ h w"]
Pictures = UInt8[np.ndarray, "_ c h w"]


def copies_of(
    samples: Mapping[ImageSet, Pictures], fakes: ImageSet, comparison: Comparison, train: ImageSet
) -> tuple[CopyAudit | None, list[tuple[Picture, Picture]]]:
    """The audit of the sample of generated pictures, and its closest pairs as they lie on one another."""
    generated = samples[fakes]
    if generated.shape[2] != generated.shape[3]:
        return None, []
    known = train.load(range(len(train)))
    held_out = samples[comparison.real] if comparison.against == "held-out" else None
    found = audit(generated, known, held_out)
    closest = found.closest(NUM_PAIRS)
    chance = sorted(found.by_chance or (), key=lambda copy: -copy.similarity)[:NUM_PAIRS]
    result = CopyAudit(
        pairs=tuple(_copy_pair(copy, fakes, train) for copy in closest),
        by_chance=tuple(_copy_pair(copy, comparison.real, train) for copy in chance),
        threshold=found.threshold,
        rate=found.memorisation_rate,
        interval=found.memorisation_interval,
        p_value=found.p_value(comparison.real.parents[: len(found.by_chance or ())]),
        num_generated=len(generated),
        num_train=len(known),
        num_held_out=0 if held_out is None else len(held_out),
    )
    return result, [(generated[copy.index], align(known[copy.nearest], copy)) for copy in closest]


def leaks_of(samples: Mapping[ImageSet, Pictures], fakes: ImageSet, comparison: Comparison, *, seed: int) -> list[Leak]:
    """Of all real pictures on hand, since the range of the data is asked for; none for pictures not square or small.

    Real pictures are moved as the generator saw them by the symmetry that its training was told of: that is no leak.
    """
    generated, one, other = (samples[images] for images in (fakes, *comparison.floor))
    if generated.shape[2] != generated.shape[3] or generated.shape[2] < LEAST_PX:
        return []
    parents = all_parents(comparison)
    num_one = len(comparison.floor[0])
    chosen = np.concatenate([parents[:num_one][: len(one)], parents[num_one:][: len(other)]])
    real = torch.from_numpy(np.concatenate([one, other]))
    seen = move(real, fakes.symmetry, rng=rng_for(seed, "symmetry")).numpy()
    tests = leaks(generated, seen, parents=chosen, families=fakes.augmentation, rng=np.random.default_rng(seed))
    return [Leak(move=t.move, leaked=t.leaked, reason=t.reason, p_value=t.p_value) for t in tests]


def _copy_pair(copy: Copy, pictures: ImageSet, train: ImageSet) -> CopyPair:
    return CopyPair(
        picture=pictures.names[copy.index],
        train=train.names[copy.nearest],
        similarity=copy.similarity,
        move=copy.move,
        shift_px=copy.shift_px,
    )

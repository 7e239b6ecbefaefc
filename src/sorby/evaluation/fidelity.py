"""Whether a picture shows the condition it was asked for, as a reader sees it that learned from real pictures.

The reader is a ridge regression (Hoerl & Kennard, Technometrics 12 (1970) 55-67) from features of a pretrained network
and from the descriptors to the encoded condition. Real pictures are read by readers that had none of their micrograph
to learn from, which gives the ceiling; generated pictures are read by the same readers, each by one of them.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sorby.conditions import ConditionSpace
from sorby.evaluation.conditions import Described, Key, in_order
from sorby.evaluation.lines import LEAST_CONDITIONS, line_of, mean_number
from sorby.metrics.record import LEAST_IMAGES, Fidelity, Number, Reading
from sorby.microstructure.describe import comparable
from sorby.microstructure.fraction import by_parent

FOLDS = 5
PENALTIES = np.logspace(-5, 1, 13)
"""Of the ridge, as shares of the sum of squares of the inputs; the best on real pictures is taken."""
FURTHEST = 5.0
"""Standard deviations from the mean that an input counts at most: one broken picture must not decide."""


@dataclass(frozen=True, eq=False)
class Read:
    """Conditions read from pictures, encoded, beside those that they were made under or asked for."""

    read: Float[np.ndarray, "n k"]
    asked: Float[np.ndarray, "n k"]
    condition: Int[np.ndarray, " n"]
    """Number of the condition of each picture."""
    parents: Int[np.ndarray, " n"]

    def where(self, chosen: Bool[np.ndarray, " n"]) -> "Read":
        """Some of the pictures."""
        return Read(self.read[chosen], self.asked[chosen], self.condition[chosen], self.parents[chosen])


def fidelity_of(
    real: Described,
    generated: Described,
    features: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]],
    *,
    network: str,
    unseen: Collection[Key] = (),
    seed: int,
) -> list[Fidelity]:
    """Over the conditions seen in training, and over those held out, as far as there are any.

    `features` are those of `network` of the real and of the generated images. Conditions of fewer than `LEAST_IMAGES`
    real images are left out, and generated images that ask for none of the others.
    """
    space = real.space
    keys = in_order([key for key, num in Counter(real.keys).items() if num >= LEAST_IMAGES], space)
    if len(keys) < 2:
        return []
    encoded = np.array([space.encode(dict(zip(space.names, key, strict=True))) for key in keys], dtype=np.float64)
    conditions = [np.array([keys.index(k) if k in keys else -1 for k in side.keys]) for side in (real, generated)]
    known = [numbers >= 0 for numbers in conditions]
    of_real, of_generated = (numbers[there] for numbers, there in zip(conditions, known, strict=True))
    inputs = [
        (np.asarray(f[there], np.float64), comparable(side.table)[there])
        for f, side, there in zip(features, (real, generated), known, strict=True)
    ]
    parents = real.parents[known[0]]
    by_micrograph = all(len(np.unique(parents[of_real == number])) > 1 for number in range(len(keys)))
    folds = folds_of(of_real, parents if by_micrograph else np.arange(len(parents)), seed=seed)
    real_read, generated_read = read_by_folds(*inputs, targets=encoded[of_real], folds=folds)
    sides = (
        Read(real_read, encoded[of_real], of_real, parents),
        Read(generated_read, encoded[of_generated], of_generated, np.arange(len(of_generated))),
    )
    is_unseen = np.array([key in unseen for key in keys])
    found = []
    for seen in (True, False):
        chosen = is_unseen != seen
        some_real, some_generated = (side.where(chosen[side.condition]) for side in sides)
        if len(np.unique(some_real.condition)) and len(some_generated.condition):
            found.append(_fidelity(some_real, some_generated, encoded, space, network, seen, by_micrograph))
    return found


def folds_of(conditions: Int[np.ndarray, " n"], owners: Int[np.ndarray, " n"], *, seed: int) -> Int[np.ndarray, " n"]:
    """The fold of each picture: those of one owner share one, and the owners of a condition lie in as many as can be.

    >>> folds_of(np.array([0, 0, 0, 1, 1]), np.array([7, 7, 8, 9, 10]), seed=0)
    array([0, 0, 1, 2, 3])
    """
    rng = np.random.default_rng(seed)
    fold_of: dict[int, int] = {}
    for condition in np.unique(conditions):
        for owner in rng.permutation(np.unique(owners[conditions == condition])):
            fold_of.setdefault(int(owner), len(fold_of) % FOLDS)
    return np.array([fold_of[int(owner)] for owner in owners])


def read_by_folds(
    real: tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n q"]],
    generated: tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "m q"]],
    *,
    targets: Float[np.ndarray, "n k"],
    folds: Int[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "m k"]]:
    """Targets as read from real pictures by readers that learned from the other folds, and from generated ones.

    Each side is features and descriptors; NaN, where a picture lacks a descriptor, counts as the mean of the real ones.
    """
    num_generated, num_targets = len(generated[0]), targets.shape[1]
    of_real = np.empty((len(PENALTIES), len(targets), num_targets))
    of_generated = np.empty((len(PENALTIES), num_generated, num_targets))
    reader_of = np.arange(num_generated) % FOLDS
    for fold in range(FOLDS):
        learn, read, mine = folds != fold, folds == fold, reader_of == fold
        blocks = [
            standardised(r[learn], np.concatenate([r[learn], r[read], g[mine]]))
            for r, g in zip(real, generated, strict=True)
        ]
        inputs = np.concatenate(blocks, axis=1)
        num = int(learn.sum())
        answers = ridge(inputs[:num], targets[learn], inputs[num:])
        of_real[:, read], of_generated[:, mine] = np.split(answers, [int(read.sum())], axis=1)
    best = int(np.argmin([np.mean((read - targets) ** 2) for read in of_real]))
    return of_real[best], of_generated[best]


def standardised(learn: Float[np.ndarray, "n d"], everything: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
    """By mean and spread of those learned from, none further than `FURTHEST`; a block has a mean square of about 1."""
    mean = np.nanmean(np.where(np.isnan(learn).all(axis=0), 0.0, learn), axis=0)
    spread = np.nanstd(np.where(np.isnan(learn).all(axis=0), 0.0, learn), axis=0)
    scaled = (everything - mean) / np.where(spread > 0, spread, 1.0)
    return np.clip(np.nan_to_num(scaled), -FURTHEST, FURTHEST) / np.sqrt(learn.shape[1])


def ridge(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], new: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "p m k"]:
    """What ridge regressions with each of `PENALTIES` say of `new`; their constants are not penalised."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    centred = x - mean_x
    values, vectors = np.linalg.eigh(centred.T @ centred)
    projected, along = vectors.T @ (centred.T @ (y - mean_y)), (new - mean_x) @ vectors
    penalties = PENALTIES * (np.sum(centred**2) or 1.0)
    return np.stack([along @ (projected / (values.clip(min=0) + p)[:, None]) + mean_y for p in penalties])


def _fidelity(
    real: Read,
    generated: Read,
    encoded: Float[np.ndarray, "c k"],
    space: ConditionSpace,
    network: str,
    seen: bool,
    by_micrograph: bool,
) -> Fidelity:
    return Fidelity(
        seen=seen,
        right=_right(generated, encoded),
        right_real=_right(real, encoded),
        chance=1 / len(encoded),
        readings=_readings(real, generated, space),
        network=network,
        num_real=len(real.read),
        num_generated=len(generated.read),
        num_parents=len(np.unique(real.parents)),
        num_conditions=len(np.unique(real.condition)),
        by_micrograph=by_micrograph,
    )


def _right(side: Read, encoded: Float[np.ndarray, "c k"]) -> Number:
    """Share of the pictures read as nearer to their condition than to any other; the interval is over parents."""
    nearest = np.argmin(np.linalg.norm(side.read[:, None] - encoded, axis=2), axis=1)
    right = (nearest == side.condition).astype(np.float64)
    return mean_number(by_parent(right, side.parents), low=0, high=1)


def _readings(real: Read, generated: Read, space: ConditionSpace) -> tuple[Reading, ...]:
    found, start = [], 0
    for condition in space.conditions:
        column, start = start, start + condition.dim
        if condition.kind == "class":
            continue
        lines = [
            line_of(side.asked[:, column], side.read[:, column], side.condition)
            if len(np.unique(side.asked[:, column])) >= LEAST_CONDITIONS
            else None
            for side in (generated, real)
        ]
        if lines[0] and lines[1]:
            found.append(Reading(condition=condition.name, unit=condition.unit or "", line=lines[0], real=lines[1]))
    return tuple(found)

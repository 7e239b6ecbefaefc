"""Tab Compare: the training picture most like a generated one, and how like chance makes them."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from fastapi import APIRouter, Query, Request
from jaxtyping import Float
from pydantic import BaseModel, Field
from torch import Tensor

from sorby.app.asked import condition_of
from sorby.app.desk import Job
from sorby.app.given import GivenDesk, GivenGenerator, GivenOpened, GivenSides
from sorby.app.shown import png
from sorby.data.dataset import Dataset
from sorby.draw import provenance
from sorby.errors import ConfigError
from sorby.evaluation.pairs import spread_over
from sorby.metrics.copies import Copy, align, find_among, structure

router = APIRouter(tags=["compare"])

MOST_TRAINING = 30_000
"""Training pictures that are looked through while somebody waits, about a second on one core."""
HELD_OUT = 64
"""Held-out pictures that tell what chance gives."""
RARE = 0.05
"""A likeness that a picture which is no copy has more rarely deserves a look."""
AT_ONCE = 256


class Index(NamedTuple):
    """The training pictures of a dataset, ready to be looked through."""

    train: Dataset
    known: Float[Tensor, "m 32 32"]
    by_chance: tuple[Copy, ...] | None
    """Of the held-out pictures; None where there are none."""


class NearestAsked(BaseModel):
    """Which generated picture, and whose training pictures."""

    dataset: str
    seed: int = Field(0, ge=0, lt=2**31)
    truncation: float = Field(1.0, ge=0, le=1)
    condition: list[str] = Field([], description="NAME=VALUE, one for each condition; none: that of the seed.")


@router.post("/api/datasets/{name}/index")
def index(request: Request, name: str, desk: GivenDesk, known: GivenSides) -> dict[str, str]:
    """Begin to read the training pictures of a dataset, once, before `nearest` is asked: the key of the job."""
    names, indices = known.names(name), request.app.state.indices
    train = known.view(name, "train")
    held_out = known.view(name, "held-out") if "held-out" in names else None
    if len(train) > MOST_TRAINING:
        raise ConfigError(
            f"{name} has {len(train)} training pictures, and up to {MOST_TRAINING} are looked through here: "
            "sorby evaluate looks through all."
        )

    def work(job: Job) -> dict[str, Any]:
        if name not in indices or indices[name].train is not train:
            indices[name] = _index(train, held_out, job)
        return {"train": len(train), "held_out": len(indices[name].by_chance or ())}

    return {"key": desk.start(work).key}


@router.get("/api/generators/{name}/nearest")
async def nearest(
    request: Request,
    name: str,
    generator: GivenGenerator,
    opened: GivenOpened,
    desk: GivenDesk,
    sides: GivenSides,
    asked: Annotated[NearestAsked, Query()],
) -> dict[str, Any]:
    """The training picture most like a generated one, and how like one held-out pictures are (`sorby.metrics.copies`).

    Mirrored or turned by right angles and shifted by up to a quarter of its side; 1 is the same structure, 0 none.
    """
    data = opened.dataset(asked.dataset)
    values, _ = condition_of(generator, asked.condition)
    if generator.card.size != data.size:
        raise ConfigError(
            f"{name} draws {generator.card.size} px and {asked.dataset} holds {data.size} px: expected one size; "
            "choose the dataset that the generator learnt from."
        )
    if asked.dataset not in request.app.state.indices:
        raise ConfigError(f"The training pictures of {asked.dataset} were not read yet: ask for its index first.")
    index: Index = request.app.state.indices[asked.dataset]

    def work() -> dict[str, Any]:
        drawn = generator.images([asked.seed], truncation=asked.truncation, condition=values)
        (found,) = find_among(drawn, index.known)
        patch, (original,) = index.train.patches[found.nearest], index.train.images([found.nearest])
        about = provenance(generator, generator.hash, asked.seed, truncation=asked.truncation, condition=values)
        real, size_um = {"file": patch.file, "parent": patch.parent}, patch.pixel_size_um
        return {
            "seed": asked.seed,
            "png": png(drawn[0], pixel_size_um=generator.card.pixel_size_um, about=about),
            "nearest": png(original, pixel_size_um=size_um, about=real),
            "aligned": png(align(original, found), pixel_size_um=size_um, about=real | {"moved": _moved(found)}),
            "file": patch.file,
            "micrograph": patch.parent,
            "moved": _moved(found),
            "similarity": found.similarity,
            "num_train": len(index.train),
            "learnt": sides.learnt(generator, asked.dataset),
            **_chance(found, index.by_chance),
        }

    return await desk.answer(request, work)


def _index(train: Dataset, held_out: Dataset | None, job: Job) -> Index:
    chosen = [] if held_out is None else spread_over(held_out.parent_of, np.random.default_rng(0))[:HELD_OUT].tolist()
    total = len(train) + AT_ONCE * len(chosen)  # one held-out picture takes about as long as so many to read
    parts = []
    for start in range(0, len(train), AT_ONCE):
        job.report(start, total)
        parts.append(structure(train.images(range(start, min(start + AT_ONCE, len(train))))))
    known = torch.cat(parts)
    by_chance: list[Copy] = []
    for number, place in enumerate(chosen):
        assert held_out is not None
        job.report(len(train) + AT_ONCE * number, total)
        by_chance += find_among(held_out.images([place]), known)
    return Index(train, known, tuple(by_chance) or None)


def _chance(found: Copy, by_chance: tuple[Copy, ...] | None) -> dict[str, Any]:
    """How many held-out pictures are as like a training picture, and how rarely one that is no copy would be first."""
    if by_chance is None:
        return {"usual": None, "num_held_out": 0, "num_as_like": 0, "chance": None, "is_beyond_chance": None}
    likenesses = np.array([copy.similarity for copy in by_chance])
    as_like = int((likenesses >= found.similarity).sum())
    chance = (as_like + 1) / (len(likenesses) + 1)
    return {
        "usual": float(np.median(likenesses)),
        "num_held_out": len(likenesses),
        "num_as_like": as_like,
        "chance": chance,
        "is_beyond_chance": chance <= RARE,
    }


def _moved(found: Copy) -> str:
    """What was done to the training picture, in words."""
    down, right = (round(shift) for shift in found.shift_px)
    shifts = [f"{abs(by)} px {way[by < 0]}" for by, way in ((down, ("down", "up")), (right, ("right", "left"))) if by]
    return ", ".join([found.move, *shifts])

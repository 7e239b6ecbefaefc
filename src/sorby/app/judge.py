"""Tab Judge: a blind test, real or generated, whose pictures tell nothing of themselves until it is over."""

import io
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, Field

from sorby.app.asked import one_of
from sorby.app.desk import Desk, Job
from sorby.app.opened import Opened
from sorby.app.shown import scale_bar
from sorby.app.sides import Sides
from sorby.app.trials import Trial, Trials
from sorby.draw import pixels_of, provenance
from sorby.errors import ConfigError
from sorby.evaluation.blind import Item, blind_test
from sorby.evaluation.pairs import other_scale
from sorby.metrics.blind import Kind, as_csv, result_of
from sorby.micrograph import encode_micrograph

router = APIRouter(tags=["judge"])


class BlindAsked(BaseModel):
    """A blind test."""

    generator: str
    dataset: str
    side: str = Field("", description="held-out, train or held-out-condition; without, the first that there is.")
    num: int = Field(40, ge=2, le=200, multiple_of=2, description="Pictures, half of them real.")
    truncation: float = Field(1.0, ge=0, le=1)
    judge: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f]*$", description="Name or initials, for the record.")


class Answered(BaseModel):
    """What a picture was taken for."""

    number: int = Field(ge=0, description="Of the picture, from 0; they are judged in order.")
    answer: Kind
    seconds: float = Field(ge=0, le=86400)
    confidence: int | None = Field(None, ge=1, le=3, description="1 a guess, 2 fairly sure, 3 certain.")


@router.post("/api/judge")
def begin(request: Request, asked: BlindAsked) -> dict[str, str]:
    """Begin to draw a test: the key of the job, whose result is the token of the test."""
    opened: Opened = request.app.state.opened
    sides: Sides = request.app.state.sides
    desk: Desk = request.app.state.desk
    trials: Trials = request.app.state.trials
    generator, data = opened.generator(asked.generator), sides.view(asked.dataset, asked.side)
    side, hash_ = asked.side or sides.names(asked.dataset)[0], request.app.state.hashes[asked.generator]

    def work(job: Job) -> dict[str, Any]:
        scale = other_scale(generator.card, data, learnt_from=sides.learnt(generator, asked.dataset))
        test = blind_test(
            generator,
            data,
            num=asked.num,
            rng=np.random.default_rng(secrets.randbits(128)),
            truncation=asked.truncation,
            names=(asked.generator, asked.dataset),
            report=job.report,
        )
        learnt = f"The real pictures are training pictures of {asked.dataset}, which the generator may have learnt."
        larger = f"Magnification may tell the pictures apart: {scale}."
        notes = [*([learnt] if side == "train" else []), *([larger] if scale else []), *test.notes]
        bar = None if scale else scale_bar(data.size, data.pixel_size_um)
        shown = {"num": asked.num, "notes": notes, "scale_bar": bar}
        about = {
            "generator": asked.generator,
            "generator_hash": hash_,
            "dataset": asked.dataset,
            "side": side,
            "truncation": asked.truncation,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        trial = Trial(test.items, asked.judge.strip(), about, shown)
        trials.add(trial)
        return {"token": trial.token}

    return {"key": desk.start(work).key}


@router.get("/api/judge/{token}")
def state(request: Request, token: str) -> dict[str, Any]:
    """How far a test is; nothing that tells real from generated."""
    trial = _trial(request, token)
    return {**trial.shown, "judge": trial.judge, "judged": len(trial.judged), "is_over": trial.is_over}


@router.get("/api/judge/{token}/pictures/{number}.png", response_class=Response)
def picture(request: Request, token: str, number: int) -> Response:
    """A picture, from 0: until the test is over all are files of one kind and length, then a generated one says so."""
    trial = _trial(request, token)
    if not 0 <= number < len(trial.items):
        raise ConfigError(f"Picture {number + 1} is not in this test, which has {len(trial.items)}.")
    item = trial.items[number]
    data = _signed(request, trial, item) if trial.is_over and item.seed is not None else _unmarked(item.picture)
    return Response(data, media_type="image/png")


@router.post("/api/judge/{token}/answers")
def answer(request: Request, token: str, answered: Answered) -> dict[str, Any]:
    """Judge the next picture; whether that was right is told at the end."""
    trial = _trial(request, token)
    trial.answer(answered.number, answered.answer, seconds=answered.seconds, confidence=answered.confidence)
    return {"judged": len(trial.judged), "is_over": trial.is_over}


@router.post("/api/judge/{token}/end")
def end(request: Request, token: str) -> dict[str, Any]:
    """End a test before its last picture; the result is of those judged."""
    trial = _trial(request, token)
    trial.end()
    return {"judged": len(trial.judged), "is_over": True}


@router.get("/api/judge/{token}/result")
def result(request: Request, token: str) -> dict[str, Any]:
    """What a test came to, how it was made, and every picture with its answer and the truth."""
    return _result(_over(request, token))


@router.get("/api/judge/{token}/result.{suffix}", response_class=Response)
def result_file(request: Request, token: str, suffix: str) -> Response:
    """The record as a `csv`, a row a picture, or all of the result as `json`."""
    trial = _over(request, token)
    if one_of(suffix, ("csv", "json"), "Format") == "csv":
        text, kind = as_csv(trial.judged, judge=trial.judge), "text/csv; charset=utf-8"
        data = text.encode("utf-8-sig")  # which spreadsheets take for what it is
    else:
        data, kind = json.dumps(_result(trial), indent=2).encode(), "application/json"
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="judged.{suffix}"'})


def _trial(request: Request, token: str) -> Trial:
    trials: Trials = request.app.state.trials
    return trials.get(token)


def _over(request: Request, token: str) -> Trial:
    """Raises `ConfigError` while a test goes on."""
    trial = _trial(request, token)
    if not trial.is_over:
        raise ConfigError(f"{len(trial.judged)} of {len(trial.items)} are judged: the result is told when all are.")
    return trial


def _result(trial: Trial) -> dict[str, Any]:
    return {
        **result_of(trial.judged).model_dump(),
        "judge": trial.judge,
        **trial.about,
        "asked": len(trial.items),
        "notes": trial.shown["notes"],
        "pictures": [one.model_dump() | {"right": one.is_right} for one in trial.judged],
    }


def _unmarked(picture: UInt8[np.ndarray, "c s s"]) -> bytes:
    """A PNG of pixels alone, not compressed, so that all of a test are of one length."""
    file = io.BytesIO()
    Image.fromarray(pixels_of(picture)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _signed(request: Request, trial: Trial, item: Item) -> bytes:
    """A generated picture that says what it is."""
    opened: Opened = request.app.state.opened
    generator = opened.generator(trial.about["generator"])
    assert item.seed is not None
    about = provenance(
        generator,
        trial.about["generator_hash"],
        item.seed,
        truncation=trial.about["truncation"],
        condition=item.condition,
    )
    size_um = generator.card.pixel_size_um
    return encode_micrograph(pixels_of(item.picture), ".png", pixel_size_um=size_um, description=about)

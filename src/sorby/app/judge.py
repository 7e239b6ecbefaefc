"""Tab Judge: a blind test, real or generated, whose pictures tell nothing of themselves until it is over."""

import io
import json
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, Field

from sorby.app.asked import one_of
from sorby.app.desk import Job
from sorby.app.given import GivenDesk, GivenOpened, GivenSides
from sorby.app.shown import scale_bar
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


async def _trials(request: Request) -> Trials:
    trials: Trials = request.app.state.trials
    return trials


GivenTrials = Annotated[Trials, Depends(_trials)]


async def _trial(token: str, trials: GivenTrials) -> Trial:
    return trials.get(token)


GivenTrial = Annotated[Trial, Depends(_trial)]


async def _ended(trial: GivenTrial) -> Trial:
    """Raises `ConfigError` while a test goes on."""
    if not trial.is_over:
        raise ConfigError(f"{len(trial.judged)} of {len(trial.items)} are judged: judge the others first.")
    return trial


EndedTrial = Annotated[Trial, Depends(_ended)]


@router.post("/api/judge")
def begin(
    trials: GivenTrials, opened: GivenOpened, sides: GivenSides, desk: GivenDesk, asked: BlindAsked
) -> dict[str, str]:
    """Begin to draw a test: the key of the job, whose result is the token of the test."""
    generator, data = opened.generator(asked.generator), sides.view(asked.dataset, asked.side)
    side = asked.side or sides.names(asked.dataset)[0]

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
            "generator_hash": generator.hash,
            "dataset": asked.dataset,
            "side": side,
            "truncation": asked.truncation,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        trial = Trial(generator, test.items, asked.judge.strip(), about, shown)
        trials.add(trial)
        return {"token": trial.token}

    return {"key": desk.start(work).key}


@router.get("/api/judge/{token}")
def state(trial: GivenTrial) -> dict[str, Any]:
    """How far a test is; nothing that tells real from generated."""
    return {**trial.shown, "judge": trial.judge, "judged": len(trial.judged), "is_over": trial.is_over}


@router.get("/api/judge/{token}/pictures/{number}.png", response_class=Response)
def picture(trial: GivenTrial, number: int) -> Response:
    """A picture, from 0: until the test is over all are files of one kind and length, then a generated one says so."""
    if not 0 <= number < len(trial.items):
        raise ConfigError(
            f"Picture {number + 1} is not in this test, which has {len(trial.items)}: load the page again."
        )
    item = trial.items[number]
    data = _signed(trial, item) if trial.is_over and item.seed is not None else _unmarked(item.picture)
    return Response(data, media_type="image/png")


@router.post("/api/judge/{token}/answers")
def answer(trial: GivenTrial, answered: Answered) -> dict[str, Any]:
    """Judge the next picture; whether that was right is told at the end."""
    trial.answer(answered.number, answered.answer, seconds=answered.seconds, confidence=answered.confidence)
    return {"judged": len(trial.judged), "is_over": trial.is_over}


@router.post("/api/judge/{token}/end")
def end(trial: GivenTrial) -> dict[str, Any]:
    """End a test before its last picture; the result is of those judged."""
    trial.end()
    return {"judged": len(trial.judged), "is_over": True}


@router.get("/api/judge/{token}/result")
def result(trial: EndedTrial) -> dict[str, Any]:
    """What a test came to, how it was made, and every picture with its answer and the truth."""
    return _result(trial)


@router.get("/api/judge/{token}/result.{suffix}", response_class=Response)
def result_file(trial: EndedTrial, suffix: str) -> Response:
    """The record as a `csv`, a row a picture, or all of the result as `json`."""
    if one_of(suffix, ("csv", "json"), "Format") == "csv":
        text, kind = as_csv(trial.judged, judge=trial.judge), "text/csv; charset=utf-8"
        data = text.encode("utf-8-sig")  # which spreadsheets take for what it is
    else:
        data, kind = json.dumps(_result(trial), indent=2).encode(), "application/json"
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="judged.{suffix}"'})


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


def _signed(trial: Trial, item: Item) -> bytes:
    """A generated picture that says what it is."""
    assert item.seed is not None
    generator, truncation = trial.generator, trial.about["truncation"]
    about = provenance(generator, generator.hash, item.seed, truncation=truncation, condition=item.condition)
    size_um = generator.card.pixel_size_um
    return encode_micrograph(pixels_of(item.picture), ".png", pixel_size_um=size_um, description=about)

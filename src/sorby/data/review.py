"""The review sheet: one page that shows what was kept, how it was cut, what was rejected and why. Needs no network."""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from html import unescape
from importlib import resources
from itertools import pairwise
from typing import Any

from jinja2 import Environment

from sorby.data.plan import Kept, Plan
from sorby.data.survey import Rejected

LISTS = ("keep", "reject", "limits")
"""Settings too long for the sheet."""
MOST_BOXES = 400
"""Boxes drawn on one thumbnail."""


def review_sheet(plan: Plan, *, title: str) -> str:
    """Self-contained HTML of a plan."""
    template = resources.files("sorby.data").joinpath("review.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title,
        plan=plan,
        settings=_settings(plan),
        held_out=sum(kept.split == "held-out" for kept in plan.kept),
        reasons=Counter(image.fault.reason for image in plan.rejected).most_common(),
        warned=[_card(kept) for kept in plan.kept if kept.survey.warnings],
        kept=(_card(kept) for kept in plan.kept),
        rejected=(_rejected_card(image) for image in plan.rejected),
    )


def previews(sheet: str) -> dict[str, bytes]:
    """The small JPEGs of a review sheet, by the name of the micrograph."""
    found = {}
    for before, after in pairwise(sheet.split("<figcaption><b>")):
        _, link, jpeg = before.rpartition('href="data:image/jpeg;base64,')
        if link:
            found[unescape(after.partition("</b>")[0])] = b64decode(jpeg.partition('"')[0])
    return found


def _settings(plan: Plan) -> list[tuple[str, Any]]:
    """The recipe, without what is off and without long lists."""
    settings = {name: value for name, value in plan.recipe.recorded().items() if name not in LISTS}
    return [(name, _phrase(value)) for name, value in settings.items() if value not in ((), False, 0)]


def _phrase(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _card(kept: Kept) -> dict[str, Any]:
    survey = kept.survey
    facts = [f"{len(survey.cutting.corners)} patches" if len(survey.cutting.corners) > 1 else "1 patch"]
    facts += [f"{name} {value}" for name, value in kept.conditions.items()]
    facts += [f"{survey.pixel_size_um:.4g} µm/px"] if survey.pixel_size_um else []
    facts += [f"info bar: {bar} rows"] if (bar := survey.height_px - survey.bottom_px + survey.top_px) else []
    facts += [f"grey {survey.grey_low} to {survey.grey_high}, {survey.clipped:.2%} outside"] if survey.clipped else []
    return {
        "name": survey.name,
        "split": kept.split,
        "image": _data_url(survey.preview),
        "width": survey.width_px,
        "height": survey.height_px,
        "bars": [(0, survey.top_px), (survey.bottom_px, survey.height_px - survey.bottom_px)],
        "boxes": survey.cutting.boxes()[:MOST_BOXES],
        "facts": facts,
        "warnings": survey.warnings,
    }


def _rejected_card(image: Rejected) -> dict[str, Any]:
    return {"name": image.name, "image": _data_url(image.preview), "fault": image.fault}


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}" if jpeg else ""

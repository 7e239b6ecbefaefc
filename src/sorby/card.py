"""The card of a generator: all that has to be known to use its pictures and to believe them."""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.conditions import ConditionSpace
from sorby.config import NetworkConfig
from sorby.errors import ConfigError

FORMAT = 1
GREYS = "grey levels"
"""What `training` of a card calls them, where they were given to the generator and not learnt."""
LATER_SETTINGS = (
    "model",
    "layout",
    "condition_in",
    "clamp",
    "upsampling",
    "condition_by",
    "normalisation",
    "leaky_slope",
)
"""Settings that the first generators did not have; these keep the hash that their pictures bear."""


class GeneratorCard(BaseModel):
    """What is written beside the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    """Version of this file."""
    network: NetworkConfig
    """Shape of the network."""
    pixel_size_um: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Micrometres a pixel of its pictures; None where the data had none, or several."""
    space: ConditionSpace = ConditionSpace()
    """The conditions it was trained with."""
    seen_conditions: tuple[dict[str, str | float], ...] = ()
    """Combinations of conditions in the training data, distinct, in the order of the data."""
    seen_counts: tuple[int, ...] = ()
    """How many patches had each of `seen_conditions`."""
    images_seen: int = Field(0, ge=0, le=2**53)
    """Real images shown in training."""
    data: dict[str, Any] = {}
    """The training data: name, hash, numbers of patches and parents, licence."""
    training: dict[str, Any] = {}
    """How it was trained: preset, seed, augmentation."""
    scores: dict[str, float] = {}
    """Quick scores at the moment of saving."""
    sorby_version: str = ""
    """Version of Sorby that wrote it."""

    @model_validator(mode="after")
    def _consistent(self) -> "GeneratorCard":
        if self.space.dim != self.network.condition_dim:
            raise ValueError(f"the conditions have {self.space.dim} numbers, the network {self.network.condition_dim}")
        counts = self.seen_counts
        if len(self.seen_conditions) != len(counts) or (counts and min(counts) < 1) or sum(counts) > 2**53:
            raise ValueError("seen_counts are not one number above 0 for each of seen_conditions, or more than 2^53")
        try:
            for values in self.seen_conditions:
                self.space.encode(values)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def size(self) -> int:
        """Height and width in px."""
        return self.network.size


def describe(card: GeneratorCard) -> str:
    """The card in words, as Markdown."""
    scale = "not known" if card.pixel_size_um is None else f"{card.pixel_size_um:g} µm a pixel"
    outside = "; values outside these ranges are drawn with a warning" if card.space.conditions else ""
    conditions = [f"- Condition, {condition.describe()}" for condition in card.space.conditions]
    about_data = {key: value for key, value in card.data.items() if key not in ("licence", "cite")}
    lines = [
        "# A Sorby generator",
        "",
        "Pictures drawn by this generator are synthetic. They are not evidence of a microstructure that was observed.",
        "",
        "## What it draws",
        "",
        f"- Picture: {card.size} x {card.size} px, {card.network.channels} channel(s), scale {scale}",
        *(conditions or ["- Conditions: none"]),
        "",
        "## Use and limits",
        "",
        "- For: microstructures like those of its training data, to look at, to measure and to compute with",
        "- Not for: evidence of what was observed, or claims about other alloys, treatments or magnifications",
        f"- It shows what its training data show, and may miss what is rare in them{outside}",
        "- Before its pictures are believed: `sorby evaluate`, against micrographs held out from training",
        "",
        "## Training data",
        "",
        *(f"- Data, {key}: {value}" for key, value in about_data.items()),
        *([] if about_data else ["- Data: not stated"]),
        "",
        "## Training",
        "",
        f"- Trained on {card.images_seen / 1000:g} kimg",
        *(f"- Training, {key}: {value}" for key, value in card.training.items()),
        "",
        "## Scores",
        "",
        *(f"- Quick score {key}: {value:.4g}" for key, value in card.scores.items()),
        "- Those that begin with `held_out` are against micrographs held out from training, the others against the"
        " training patches, where a copier would score best"
        if card.scores
        else "- Not scored",
        "",
        "## Licence and citation",
        "",
        f"- Licence of the data: {card.data.get('licence', 'not stated')}",
        f"- Cite: {card.data.get('cite', 'the source of the training data; the card does not name it')}",
        f"- Written by Sorby {card.sorby_version}",
        "",
    ]
    return "\n".join(lines)


def model_card(card: GeneratorCard) -> str:
    """`describe`, after the header by which the Hugging Face hub files a generator.

    The licence is that of the data; the hub takes any that it has no name for as `other`, with a name.
    """
    licence = re.sub(r"[^a-z0-9.]+", "-", str(card.data.get("licence", "")).lower()).strip("-")
    header = {
        "library_name": "sorby",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["materials-science", "microstructure", "micrograph", "gan", card.network.model],
        **({"license": "other", "license_name": licence} if licence else {}),
    }
    yaml = "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items())
    return f"---\n{yaml}---\n\n{describe(card)}"


def shape_of(network: NetworkConfig) -> str:
    """The shape of a network as it enters its hash: settings that came later count where they are not the default."""
    fields = type(network).model_fields
    unchanged = {name for name in LATER_SETTINGS if getattr(network, name) == fields[name].default}
    return network.model_dump_json(exclude=unchanged)

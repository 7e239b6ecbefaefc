"""Every setting of `sorby prepare`, once. A dataset records its recipe in dataset.toml."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sorby.conditions import parse_columns
from sorby.errors import ConfigError, unfit

MAX_GREY = 2**16 - 1
"""White of 16-bit data, the deepest that are read."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Limits(_Settings):
    """What a micrograph may measure before it is rejected; `sorby.data.quality` says how each is measured."""

    grey_levels: float = Field(8, ge=0)
    """Blank: fewer grey levels than this between the 1st and the 99th percentile."""
    correlation: float = Field(0.05, ge=-1, le=1)
    """Blank: neighbouring pixels correlate less than this, so that there is nothing but noise."""
    sharpness: float = Field(0.27, ge=0)
    """Blurred: details of about 2 to 6 px have less contrast than this, relative to details of about 6 to 20 px."""
    saturated: float = Field(0.6, ge=0, le=1)
    """Saturated: a larger share of the pixels than this has the darkest or the brightest value of the image."""
    crack: float = Field(0.5, ge=0)
    """Cracked: a dark, thin, unbranched line is longer than this share of the shorter side; 0 looks for none."""
    near_duplicate: float = Field(0.95, ge=0)
    """Near-duplicate: details of 1/32 of the frame correlate this much with an earlier image; 0 looks for none."""


class Recipe(_Settings):
    """How micrographs become a dataset."""

    info_bar: str = "auto"
    """Info bar to remove: auto finds it, none leaves the frame as it is, a number is that many rows at the bottom."""
    grey_range: str = "image"
    """Grey values that become black and white where data have more than 8 bits: image takes the 0.1 and 99.9
    percentiles of each image, LOW:HIGH the same two values for all. 8-bit data stay as they are."""
    median: int = Field(0, ge=0, le=31)
    """Side in px of the median filter, odd; 0 for none."""
    match: bool = False
    """Match the histogram of every image to that of the reference."""
    reference: str | None = None
    """The reference: an image of the sources or another file; by default the most even, sharp and noiseless one."""
    cut: Literal["centre", "patches"] = "patches"
    """One square from the middle of each image, or a grid of squares over it."""
    size: int = Field(64, ge=8, le=4096)
    """Side of the squares in px."""
    stride: int | None = Field(None, ge=1)
    """Distance between patches in px; by default their size, so that they touch and do not overlap."""
    scale: float | None = Field(None, gt=0, le=1)
    """Shrink every image by this factor."""
    um_per_px: float | None = Field(None, gt=0)
    """Bring every image to this pixel size in µm; needs pixel sizes."""
    max_upsample: float = Field(1.25, ge=1)
    """Reject an image that would have to be enlarged by more than this for um_per_px."""
    pixel_size_um: float | None = Field(None, gt=0)
    """Pixel size of every source image in µm, in place of what the files say."""
    pixel_size_column: str | None = None
    """Column of the labels with the pixel size in µm; where filled, it goes before all else."""
    conditions: tuple[str, ...] = ()
    """Columns of the labels that are conditions, each NAME, NAME:UNIT or NAME:UNIT:KIND (linear, log or class)."""
    group: str | None = None
    """Column of the labels; images of one group, such as overlapping fields of view, stay on one side of the split."""
    specimen: str | None = None
    """Column of the labels that names the specimen."""
    only: tuple[str, ...] = ()
    """Take only images whose row has COLUMN=VALUE; values of one column are alternatives, columns must all agree."""
    allow_missing: bool = False
    """Let the labels name images that are not there."""
    synthetic: bool = False
    """Let in pictures that say that a generator drew them; they are rejected otherwise."""
    keep_names: bool = False
    """Record who, where and which from the files' headers: user, sample, stage position, date and the like."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the micrographs that is held out, by group."""
    seed: int = Field(0, ge=0)
    """The split follows from it."""
    limits: Limits = Limits()
    """When an image is rejected."""
    keep: tuple[str, ...] = ()
    """Images kept whatever they measure."""
    reject: tuple[str, ...] = ()
    """Images left out whatever they measure."""

    @field_validator("median")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value and value % 2 == 0:
            raise ValueError(f"is {value}, expected an odd number or 0")
        return value

    @field_validator("info_bar")
    @classmethod
    def _known_bar(cls, value: str) -> str:
        if value not in ("auto", "none") and not value.isdecimal():
            raise ValueError(f"is {value!r}, expected auto, none or a number of rows")
        return value

    @field_validator("grey_range")
    @classmethod
    def _known_range(cls, value: str) -> str:
        low, _, high = value.partition(":")
        if value != "image" and not (low.isdecimal() and high.isdecimal() and int(low) < int(high) <= MAX_GREY):
            raise ValueError(f"is {value!r}, expected image or LOW:HIGH up to {MAX_GREY}, such as 0:4095")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.scale is not None and self.um_per_px is not None:
            raise ValueError("scale and um_per_px are both given, expected one of them")
        if self.cut == "centre" and self.stride is not None:
            raise ValueError("stride is for patches; a centre crop is one square an image")
        parse_columns(self.conditions)
        for choice in self.only:
            if "=" not in choice:
                raise ValueError(f"only is {choice!r}, expected COLUMN=VALUE")
        return self

    def recorded(self) -> dict[str, Any]:
        """For the dataset and its review sheet: a reference that lies elsewhere is named without the folders above
        it, which may name a person.
        """
        reference = self.reference
        shown = Path(reference).name if reference is not None and Path(reference).is_absolute() else reference
        return self.model_copy(update={"reference": shown}).model_dump(exclude_none=True)

    @property
    def step(self) -> int:
        """Distance between patches in px."""
        return self.stride or self.size

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the labels must have."""
        named = (self.group, self.specimen, self.pixel_size_column, *(choice.split("=")[0] for choice in self.only))
        return tuple(column for column in (*(name for name, _, _ in parse_columns(self.conditions)), *named) if column)


def options(recipe: Recipe) -> list[str]:
    """The options of `sorby prepare` that say a recipe, without its lists of images.

    >>> options(Recipe(size=32, limits=Limits(crack=0), conditions=("T:°C",)))
    ['--size', '32', '--condition', 'T:°C', '--limit', 'crack=0.0']
    """
    words: list[str] = []
    for name in Recipe.model_fields:
        value = getattr(recipe, name)
        if value == Recipe.model_fields[name].default or name in ("keep", "reject"):
            continue
        if name == "cut":
            words += ["--crop", "centre"]
        elif name == "limits":
            words += [word for pair in _changed(value) for word in ("--limit", pair)]
        elif isinstance(value, tuple):
            words += [word for one in value for word in (f"--{name.removesuffix('s')}", one)]
        else:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def _changed(limits: Limits) -> list[str]:
    own, usual = limits.model_dump(), Limits().model_dump()
    return [f"{name}={value}" for name, value in own.items() if value != usual[name]]


PRESETS: dict[str, dict[str, Any]] = {
    "plain": {},
    # Lambard, Yamazaki & Demura 2023, Methods: median filter, histogram matching, centre crop.
    "paper-a": {"median": 3, "match": True, "cut": "centre", "size": 512},
    # Jain et al. 2024, A.4: cracks out, uniform contrast, patches of one length scale. Its um_per_px is not stated.
    "paper-b": {"match": True, "cut": "patches", "size": 128},
}
"""Named recipes, as changes to the defaults."""


def make_recipe(preset: str = "plain", **changes: Any) -> Recipe:
    """A preset with changes. Raises `ConfigError` naming the setting that does not fit."""
    if preset not in PRESETS:
        raise ConfigError(f"Recipe {preset!r} is unknown: choose {', '.join(PRESETS)}.")
    try:
        return Recipe(**{**PRESETS[preset], **changes})
    except ValidationError as error:
        raise ConfigError(_first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = Limits.model_fields if first["loc"][0] == "limits" else Recipe.model_fields
        return f"Setting {name} is unknown: choose from {', '.join(known)}."
    between = " " if first["type"] == "value_error" else ": "
    return f"{name}{between if name else ''}{unfit(first)}."

"""Every setting of a training run, once: frozen, checked, with a sentence each; and the presets.

A run writes its resolved settings to `config.toml`. The command line's help is read from the sentences below.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sorby.errors import ConfigError, unfit
from sorby.untrusted import parse_toml

Symmetry = Literal["none", "mirror-x", "mirror-xy", "square"]
FAMILIES = ("blit", "geom", "colour", "filter", "noise", "cutout", "blur")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


OF_NETWORK = {
    "stylegan2": ("w_dim", "mapping_layers", "layout", "minibatch_std_group", "condition_in", "clamp", "upsampling"),
    "contragan": ("condition_by", "normalisation", "leaky_slope"),
}
OF_RUN = {
    "stylegan2": (
        "discriminator",
        "updates",
        "r1_gamma",
        "r1_interval",
        "path_length_weight",
        "path_length_interval",
        "style_mixing",
        "match_greys",
    ),
    "contragan": ("n_critic", "weight_clip", "gradient_penalty"),
}
"""Settings that one model alone knows."""


def _only_of(model: str, settings: BaseModel, known_to: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a setting that the model would not heed."""
    for other in known_to.keys() - {model}:
        for name in known_to[other]:
            value = getattr(settings, name)
            if value != type(settings).model_fields[name].default:
                raise ValueError(f"{name} is {value}, but only {other} knows it, not {model}: leave it out")


class NetworkConfig(_Settings):
    """Shape of the generator and the discriminator."""

    model: Literal["stylegan2", "contragan"] = "stylegan2"
    """Networks of Karras et al. 2020a, or the simpler and older ones of Jain et al. 2024."""
    size: int = 64
    """Height and width of the picture in px, a power of two from 32 to 1024."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for RGB."""
    condition_dim: int = Field(0, ge=0, le=4096)
    """Length of the encoded condition vector; 0 for none."""
    z_dim: int = Field(512, ge=1, le=8192)
    """Length of the latent z."""
    w_dim: int = Field(512, ge=1, le=8192)
    """Length of the latent w."""
    mapping_layers: int = Field(2, ge=1, le=64)
    """Fully connected layers from z to w."""
    layout: Literal["learnt", "random"] = "learnt"
    """Stylegan2: what the features at 4 px start from. A learnt constant, as published, and noise added that is 0 at
    first; or a random field, and noise from the start: chance then places what a microstructure has no place for."""
    channel_base: int = Field(16384, ge=32, le=2**20)
    """Feature maps at a resolution are this number divided by the resolution (by 32 at most in contragan) ..."""
    channel_max: int = Field(512, ge=1, le=8192)
    """... but never more than this."""
    minibatch_std_group: int = Field(4, ge=1, le=2**20)
    """Images that share one minibatch standard deviation."""
    condition_in: Literal["w", "z"] = "w"
    """Stylegan2: where conditions enter. Features of them are added to w; or, as in the official code, a linear map of
    them is joined to z, which imported networks have."""
    clamp: float | None = Field(None, gt=0)
    """Stylegan2: convolutions are held to at most this, as in the official code; none for free ones."""
    upsampling: Literal["filtered", "bilinear"] = "filtered"
    """Stylegan2: how the generator enlarges. Filtered, as published; or bilinearly before it convolves, twice at 4 px
    too, as that of lucidrains, for imported ones."""
    condition_by: Literal["product", "features"] = "product"
    """Contragan: how conditions enter. As published: the latent times a linear map of them, and one feature map of the
    critic; or as in stylegan2, by random features of them, which numbers need."""
    normalisation: Literal["batch", "layer"] = "batch"
    """Contragan: over the batch, as published; or over each picture alone, which a gradient penalty needs."""
    leaky_slope: float = Field(0.2, ge=0, lt=1)
    """Contragan: slope of the leaky ReLU below 0."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier(cls, given: Any) -> Any:
        """Files of 22 November 2026 have the strength that noise began with, of which `layout` has become."""
        if isinstance(given, dict) and given.get("noise") == 0:  # as published: a learnt layout
            return {name: value for name, value in given.items() if name != "noise"}
        return given

    @model_validator(mode="after")
    def _power_of_two(self) -> "NetworkConfig":
        if self.size not in (32, 64, 128, 256, 512, 1024):
            raise ValueError(f"size is {self.size}, expected a power of two from 32 to 1024")
        if self.upsampling == "bilinear" and self.layout == "random":
            raise ValueError(
                "layout is random, and upsampling bilinear knows a learnt one alone: leave one of them out"
            )
        if self.channel_base < self.size:
            raise ValueError(f"channel_base is {self.channel_base}, expected at least size, {self.size}")
        _only_of(self.model, self, OF_NETWORK)
        return self


class TrainConfig(_Settings):
    """Settings of one run. What is counted in images or kimg (thousands of images) does not move with the batch."""

    preset: str = ""
    """Name of the preset that these settings started from."""
    network: NetworkConfig = NetworkConfig()
    """Shape of the networks."""

    start_from: str = ""
    """A run, or a generator, whose weights training starts from; empty for new ones."""
    freeze_d: int = Field(0, ge=0)
    """Blocks of the discriminator, from the picture on, that stay as they start (Freeze-D)."""
    discriminator: Literal["stylegan2", "projected"] = "stylegan2"
    """The published one, which starts from nothing; or one on the features of a frozen, pretrained network, which
    learns from fewer images."""
    updates: Literal["alternating", "simultaneous"] = "alternating"
    """Each network learns from generated pictures of its own, as published; or both from the same ones and the same
    scores of them, which costs a quarter less."""
    kimg: float = Field(1000, gt=0, le=1e9)
    """Stop after this many thousand real images have been shown to the discriminator."""
    batch_size: int = Field(32, ge=1)
    """Images a step."""
    optimiser: Literal["adam", "rmsprop"] = "adam"
    """How weights follow from gradients; paper B has rmsprop."""
    learning_rate: float = Field(0.0025, gt=0)
    """The optimiser's learning rate for the generator."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Adam's momentum: 0 in the published recipe; 0.5 learns faster while pictures are few (beta2 is 0.99)."""
    discriminator_learning_rate: float | None = Field(None, gt=0)
    """The learning rate of the discriminator; none for that of the generator."""
    discriminator_beta1: float | None = Field(None, ge=0, lt=1)
    """The momentum of the discriminator; none for that of the generator."""
    r1_gamma: float = Field(1.0, ge=0)
    """Weight of the R1 penalty, gamma; raise it when training collapses."""
    r1_interval: int = Field(16, ge=1)
    """Apply R1 every so many steps ("lazy")."""
    path_length_weight: float = Field(2.0, ge=0)
    """Weight of path length regularisation; 0 for none."""
    path_length_interval: int = Field(4, ge=1)
    """Apply path length regularisation every so many steps."""
    style_mixing: float = Field(0.9, ge=0, le=1)
    """Probability that a generated training picture takes its w from two latents."""
    n_critic: int = Field(1, ge=1)
    """Contragan: the generator learns from every so many-th batch of the critic."""
    weight_clip: float | None = Field(None, gt=0)
    """Contragan: weights of the critic are forced to at most this after each step, as published; none for free ones."""
    gradient_penalty: float = Field(0.0, ge=0)
    """Contragan: weight of the penalty that holds the critic's gradient to 1; in place of weight_clip."""
    contrastive: Literal["none", "class", "continuous", "class-printed", "continuous-printed"] = "none"
    """Loss on how images lie to each other: equal conditions together and others apart, or as far as their conditions;
    the printed forms have the faults of the published equations."""
    contrastive_weight: float = Field(1.0, ge=0)
    """Weight of the contrastive loss, in both networks."""
    temperature: float = Field(0.1, gt=0)
    """Class forms: how sharply near images count more than far ones."""
    contrastive_alpha: float = Field(0.5, gt=0)
    """Continuous forms: distance of images over distance of conditions (which is 1.4 between two at random)."""
    contrastive_delta: float = Field(0.1, ge=0)
    """Continuous forms: distance that a pair of images may be off by."""
    ema_kimg: float = Field(10.0, gt=0)
    """Half-life of the running average of the generator's weights, in thousands of images."""
    ema_rampup: float | None = Field(0.05, gt=0)
    """The half-life is at most this fraction of the images seen; none for a constant half-life."""
    match_greys: bool = False
    """Begin with the mean and contrast of the training set, unless `start_from` names weights, and save with them."""

    augment: tuple[str, ...] = ("blit", "geom")
    """Families of adaptive discriminator augmentation; empty for none."""
    augment_without: tuple[str, ...] = ()
    """Single moves left out of the families, such as rotate where the sample was rolled."""
    augment_strengths: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Families whose moves are done with so many times p, at most always, such as { colour = 0.3 }."""
    luma_flip: bool = False
    """Let the colour family turn dark into light."""
    r_t: float = Field(0.6, gt=0, le=1)
    """Target of the overfitting measure E[sign(D(real))]."""
    p: float | None = Field(None, ge=0, le=1)
    """Fixed augmentation probability; none to adapt it to r_t."""
    ada_interval: int = Field(4, ge=1)
    """Adapt p every so many steps."""
    ada_kimg: float = Field(500, gt=0)
    """Thousands of images in which p can go from 0 to 1."""
    symmetry: Symmetry = "none"
    """Moves under which the micrographs are as good as new ones: mirroring, or all eight moves of the square."""

    subset: int | None = Field(None, ge=1)
    """Train on the patches of this many parent micrographs only, chosen by the seed."""
    seed: int = Field(0, ge=0)
    """Everything random follows from this number."""
    precision: Literal["fastest", "float32", "bfloat16"] = "float32"
    """Precision of the convolutions; with fastest, a run takes that of the device it begins on, and keeps it."""
    tick_kimg: float = Field(4.0, gt=0, le=1e9)
    """Log, draw samples and save this often."""
    score_ticks: int = Field(4, ge=0)
    """Score the generator every so many ticks; 0 for never."""
    score_images: int = Field(1000, ge=16)
    """Generated pictures a score."""
    descriptors: tuple[str, ...] = ()
    """Measures of metallography that the best generator is chosen by, such as area_fraction; empty for all."""

    @field_validator("contrastive", "symmetry", mode="before")
    @classmethod
    def _nothing_by_name(cls, value: object) -> object:
        return "none" if value is None else value  # --set reads the word as nothing, as other settings need it

    @model_validator(mode="after")
    def _consistent(self) -> "TrainConfig":
        for setting in ("augment", "augment_strengths"):
            unknown = [family for family in getattr(self, setting) if family not in FAMILIES]
            if unknown:
                raise ValueError(f"{setting} names {', '.join(unknown)}, expected some of {', '.join(FAMILIES)}")
        model = self.network.model
        _only_of(model, self, OF_RUN)
        if model == "contragan" and (self.weight_clip is None) == (self.gradient_penalty == 0):
            raise ValueError("a critic is held by weight_clip or by gradient_penalty: give one of the two")
        if model == "stylegan2" and self.batch_size % self.network.minibatch_std_group:
            group = self.network.minibatch_std_group
            raise ValueError(f"batch_size is {self.batch_size}, expected a multiple of minibatch_std_group, {group}")
        if self.tick_kimg * 1000 < self.batch_size:
            raise ValueError(f"tick_kimg is {self.tick_kimg}, expected at least one batch ({self.batch_size} images)")
        return self

    @property
    def total_images(self) -> int:
        """Images after which the run is finished."""
        return round(self.kimg * 1000)

    @property
    def tick_images(self) -> int:
        """Images between two ticks."""
        return round(self.tick_kimg * 1000)


# Settings that may change when a run goes on: none of them touches what was learnt.
MAY_CHANGE = ("kimg", "score_ticks")


def presets() -> dict[str, dict[str, Any]]:
    """Each preset by name as `presets.toml` has it: what it starts from, and what it changes; `about` says why."""
    return tomllib.loads(resources.files("sorby").joinpath("presets.toml").read_text())


def auto(size: int, *, gpus: int = 1) -> dict[str, Any]:
    """Settings that StyleGAN2-ADA publishes for any size ("auto": Karras et al. 2020b, appendix).

    >>> rules = auto(512, gpus=4)
    >>> rules["batch_size"], rules["r1_gamma"], rules["network"]["channel_base"]
    (32, 1.6384, 32768)
    """
    batch_size = max(min(gpus * min(4096 // size, 32), 64), gpus)
    return {
        "network": {
            "size": size,
            "channel_base": 32768 if size >= 512 else 16384,
            "minibatch_std_group": min(batch_size // gpus, 4),
        },
        "batch_size": batch_size,
        "learning_rate": 0.002 if size >= 1024 else 0.0025,
        "r1_gamma": 0.0002 * size**2 / batch_size,
        "ema_kimg": batch_size * 10 / 32,
        "kimg": 25000,
    }


def resolve(preset: str, changes: Mapping[str, Any] | None = None, *, size: int = 64, gpus: int = 1) -> TrainConfig:
    """Settings of a preset with some of them changed; `auto` needs the size of the data.

    Keys of `changes` are fields of `TrainConfig`; those of the networks go under "network".
    Raises `ConfigError` for an unknown preset or field, or a value out of range.
    """
    known = presets()
    if preset not in known and preset != "auto":
        raise ConfigError(f"There is no preset {preset!r}: choose one of auto, {', '.join(known)}.")
    settings = auto(size, gpus=gpus) if preset == "auto" else _settings_of(preset, known)
    return check(_merge(settings, {"preset": preset, **(changes or {})}))


def _settings_of(preset: str, known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The changes of a preset laid over those of the one that it is like, or over the published rules."""
    changes = {key: value for key, value in known[preset].items() if key not in ("about", "like", "auto")}
    if like := known[preset].get("like"):
        return _merge(_settings_of(like, known), changes)
    return _merge(auto(**known[preset]["auto"]), changes) if "auto" in known[preset] else changes


def check(settings: Mapping[str, Any]) -> TrainConfig:
    """Validate settings; raises `ConfigError` in one line."""
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"Setting {where or 'of the run'}: {unfit(first)}.") from None


def to_toml(config: TrainConfig) -> str:
    """The settings as TOML; those that are none are left out."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def flat(config: TrainConfig) -> dict[str, object]:
    """Every setting by one name, `network.size` and the like."""
    settings = config.model_dump()
    network = settings.pop("network")
    return {**settings, **{f"network.{name}": value for name, value in network.items()}}


def from_toml(text: str) -> TrainConfig:
    """Read `to_toml` back."""
    # A field whose default is a number but which was none is absent from the file.
    nothing = dict.fromkeys(("ema_rampup", "p", "subset"))
    try:
        return check({**nothing, **parse_toml(text)})
    except ValueError as error:
        raise ConfigError(f"The settings are not TOML ({error}): mend them, or copy the file again.") from None


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merge(merged[key], value) if isinstance(value, Mapping) and key in merged else value
    return merged

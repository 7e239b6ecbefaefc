"""What an evaluation found, as it is written to `scores.json`."""

from pydantic import BaseModel, ConfigDict

from sorby.errors import ConfigError
from sorby.metrics.score import Against, Score
from sorby.microstructure.compare import Verdict

LEAST_IMAGES = 10
"""Images on each side that a condition, or a descriptor at a condition, must have to be compared."""


class Check(BaseModel):
    """A distance between distributions measured on the pictures themselves, beside that of real against real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str
    value: float
    floor: float
    """The same distance between real images of different micrographs."""
    against: Against
    num_real: int
    num_generated: int


class Descriptor(BaseModel):
    """One number of metallography, generated beside real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    unit: str
    """Empty where there is none; px where the pixel size is unknown."""
    real_mean: float
    """Over images; of lengths the geometric mean, and what follows is of their logarithms."""
    generated_mean: float
    shift: tuple[float, float, float]
    """Difference of the means in real standard deviations, and its 90 % interval."""
    spread: tuple[float, float, float]
    """Ratio of the standard deviations, and its 90 % interval."""
    verdict: Verdict
    between_real: float | None
    """The shift between real images of different micrographs; None where there are too few."""
    num_real: int
    num_generated: int
    num_parents: int
    """Real micrographs, all that there are: means gain nothing from copies."""

    @property
    def deviation(self) -> float | None:
        """Deviation of the mean as a share of the real one; None for a real mean of 0."""
        return abs(self.generated_mean / self.real_mean - 1) if self.real_mean else None


class ConditionMean(BaseModel):
    """The mean of a descriptor at one condition, generated beside real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str
    """Such as "temperature 900 °C, strain_rate 0.1 1/s"."""
    seen: bool
    """Whether the real images that are trained on have it."""
    real_mean: float
    """Over micrographs, the images of each making one value; of lengths the geometric mean."""
    real_interval: tuple[float, float] | None
    """95 %, over micrographs; None for a single one."""
    generated_mean: float
    generated_interval: tuple[float, float] | None
    shift: float | None
    """Difference of the means in standard deviations of the real images there; None where those are all alike."""
    num_real: int
    num_generated: int
    num_parents: int
    """Real micrographs."""


class Number(BaseModel):
    """An estimate and its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    """None where there is too little for an interval."""
    high: float | None = None


class Line(BaseModel):
    """How one quantity follows another: y over x, points on x = y where it follows exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: Number
    """Of the straight line with the least squares: 1 follows, 0 takes no notice, below 0 goes the wrong way."""
    r2: Number
    """1 - sum (y - x)^2 / sum (x - mean x)^2: 1 follows exactly, 0 is as far off as always the same value, or worse
    below 0."""
    num_conditions: int


class Following(BaseModel):
    """How the means of a descriptor follow the real ones over some conditions, and how far real follow real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seen: bool
    """Whether these are the conditions trained on, or those held out."""
    num_conditions: int
    deviation: Number | None
    """Mean over the conditions of the absolute deviation of the generated mean, as a share of the real one (paper B,
    figure 3d), its interval over the conditions; None where every real mean is 0."""
    deviation_between_real: float | None
    """The same of half of the real micrographs of each condition from the other half; of its images where there is one
    micrograph."""
    line: Line | None
    """Generated means over real ones; None for fewer than three conditions, or real means all alike."""
    line_between_real: Line | None
    """The means of half of the real micrographs over those of the other half."""


class ByCondition(BaseModel):
    """A descriptor at each processing condition (paper B, figure 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    unit: str
    means: tuple[ConditionMean, ...]
    """In the order of the conditions, without those of too few images."""
    following: tuple[Following, ...]
    """Over the conditions seen in training, and over those held out, as far as there are any."""

    def over(self, *, seen: bool) -> Following | None:
        """What was found over the conditions seen, or over those held out."""
        return next((found for found in self.following if found.seen == seen), None)

    @property
    def deviation(self) -> float | None:
        """Mean absolute deviation over the conditions seen; over those held out where none was."""
        return self.following[0].deviation.value if self.following[0].deviation else None


class Reading(BaseModel):
    """One continuous condition as it is read from pictures, over the condition that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str
    unit: str
    line: Line
    """Of generated pictures, on the scale of the condition (log10 for a log condition)."""
    real: Line
    """Of real pictures that the reader had not learned from, over their condition: the ceiling."""


class Fidelity(BaseModel):
    """Whether generated pictures show the condition that was asked for, as a reader trained on real ones sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seen: bool
    """Whether these are pictures at conditions trained on, or at those held out."""
    right: Number
    """Share of generated pictures read as nearest to the condition asked for, of all conditions there are."""
    right_real: Number
    """The same share of real pictures that the reader had not learned from: the ceiling."""
    chance: float
    """What guessing gives."""
    readings: tuple[Reading, ...]
    """One for each continuous condition that takes three values or more."""
    network: str
    """The reader is a ridge regression on features of this network and on the descriptors."""
    num_real: int
    num_generated: int
    num_parents: int
    num_conditions: int
    by_micrograph: bool
    """Whether real pictures were read by readers that saw no other of their micrograph; by ones that did where a
    condition has a single micrograph, which makes the ceiling too high."""

    @property
    def wrong(self) -> bool | None:
        """Whether fewer pictures are right than half way from chance to real ones; False where as many as of real ones.

        None between the two.
        """
        high = self.right.value if self.right.high is None else self.right.high
        if high < (self.chance + self.right_real.value) / 2:
            return True
        least = self.right_real.value if self.right_real.low is None else self.right_real.low
        return False if high >= least else None


class Pair(BaseModel):
    """A generated image and the real one most like it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generated: str
    real: str
    distance: float


class Likeness(BaseModel):
    """The generated images nearest to a real one in feature space, in which copies would be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    against: Against
    pairs: tuple[Pair, ...]
    """Nearest first."""
    usual_distance: float
    """Median distance of a real image to the nearest one of other micrographs."""
    closer_share: float
    """Share of generated images that are nearer to a real one than 99 % of real images of other micrographs are."""


class CopyPair(BaseModel):
    """A picture and the training picture most like it, pixel by pixel, once that is moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: str
    train: str
    similarity: float
    """-1 to 1."""
    move: str
    """Done to the training picture first, such as "mirrored turned 90"."""
    shift_px: tuple[float, float]
    """Then down and to the right."""


class CopyAudit(BaseModel):
    """Copies of training pictures looked for in the pixels, under flips, turns and shifts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: tuple[CopyPair, ...]
    """Generated pictures, the most like a training picture first."""
    by_chance: tuple[CopyPair, ...]
    """The same of held-out pictures. Where these are one place seen twice, the split is wrong and hides copies."""
    threshold: float | None
    """Similarity that one held-out picture in a hundred exceeds; None without held-out pictures."""
    rate: float | None
    """Share of generated pictures above it."""
    interval: tuple[float, float] | None
    """95 % interval of the rate."""
    p_value: float | None
    """Chance that as many generated pictures are more like a training picture than every held-out one is."""
    num_generated: int
    num_train: int
    num_held_out: int


class Leak(BaseModel):
    """Whether generated pictures look as if an augmentation had been done to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    move: str
    leaked: bool | None
    """None where it cannot be seen in these data."""
    reason: str
    p_value: float | None


class Report(BaseModel):
    """All that one evaluation found, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generated: str
    real: str
    seed: int
    truncation: float
    pixel_size_um: float | None
    """Of the generated images; None where unknown."""
    real_pixel_size_um: float | None
    """Of the real images compared to first; None where unknown or mixed."""
    size_px: tuple[int, int]
    """Width and height of the generated images."""
    num: dict[str, int]
    """Images on each side."""
    num_parents: dict[str, int]
    """Micrographs that the real images of each side come from."""
    scores: tuple[Score, ...]
    checks: tuple[Check, ...]
    descriptors: tuple[Descriptor, ...]
    lacking: tuple[str, ...] = ()
    """Titles of the descriptors that most real images have and hardly any generated one."""
    by_condition: tuple[ByCondition, ...]
    """Empty where one of the sides has no conditions."""
    fidelity: tuple[Fidelity, ...] = ()
    """Empty unless asked for, with as many images at each condition."""
    likeness: Likeness
    copies: CopyAudit | None
    """None for pictures that are not square."""
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]
    hashes: dict[str, str]
    command: str
    versions: dict[str, str]

    @property
    def networks(self) -> tuple[str, ...]:
        """Feature networks used, in order."""
        return tuple(dict.fromkeys(score.network for score in self.scores))

    @property
    def against(self) -> tuple[Against, ...]:
        """What was compared to, the most telling first."""
        return tuple(dict.fromkeys(score.against for score in self.scores))

    def score(self, name: str, *, network: str | None = None, against: Against | None = None) -> Score:
        """One score, by default in the first network and against the most telling images.

        Raises `ConfigError` where the report has none.
        """
        network, against = network or self.networks[0], against or self.against[0]
        for score in self.scores:
            if (score.name, score.network, score.against) == (name, network, against):
                return score
        raise ConfigError(f"The report has no {name} in {network} features against {against} images: choose another.")

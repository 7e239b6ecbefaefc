"""What the numbers say, in plain words; and what they do not say."""

from dataclasses import dataclass
from typing import Literal

from sorby.metrics.record import Check, Descriptor, Report
from sorby.metrics.score import Score
from sorby.microstructure.compare import LEAST, MARGIN_MEAN, Verdict, overall
from sorby.microstructure.describe import QUANTITIES

VERDICTS: dict[Verdict, str] = {"agrees": "agrees", "open": "not decided", "differs": "differs"}
Mood = Literal["good", "bad", "open"]

REAL_NAMES = {
    "held-out": "micrographs held out of training",
    "train": "training micrographs",
    "real": "real micrographs",
}
FAR = 2.0  # a check is far off where it is more than this many times its floor
EXPECTED_CLOSE = 0.01
FAR_ABOVE_CHANCE = 0.03
"""The threshold is itself an estimate, so a rate of a few percent is no alarm ..."""
MANY_HELD_OUT = 100
"""... and from fewer held-out images than this none is raised by it."""
SURE = 0.01
"""Chance below which images that beat every held-out one in likeness to training images are an alarm in any case."""
FEW_COMPARED = f"At least {LEAST} micrographs and {LEAST} generated images that have them are needed."

QUESTIONS = {
    "KID": ("How far apart? KID, lower is better, is", "{:.3g}"),
    "precision": (
        "How believable? The share of generated images that lie among the real ones (precision) is",
        "{:.0%}",
    ),
    "recall": ("How varied? The share of real images that lie among the generated ones (recall) is", "{:.0%}"),
}
"""How each score is told, and how its number is written."""

NOT_SAID = (
    "The microstructure was parted into two phases by grey. Where that is not what a metallographer would do, use "
    "`sorby measure` with the segmentation that fits, on both sides.",
    "The feature networks learned from photographs of everyday things. They see texture, and may miss what a "
    "metallographer sees at once.",
    "Scores of different numbers of images, networks, resize filters or image sizes cannot be compared, and FID and "
    "recall of other papers least of all.",
    "The search for copies finds whole images, mirrored, turned by right angles and shifted. A copied half, or a copy "
    "turned by ten degrees, escapes it.",
    "A generated image is not an observation of a microstructure.",
)


@dataclass(frozen=True)
class Sentence:
    """One finding and whether it is good news."""

    mood: Mood
    text: str


def headline(report: Report) -> Sentence:
    """The verdict, by metallography: what differs beyond its margin; or that most agrees; or that it is open."""
    verdicts = [d.verdict for d in report.descriptors]
    num, agree = len(verdicts), verdicts.count("agrees")
    if overall(verdicts) == "differs":
        worst = sorted((d for d in report.descriptors if d.verdict == "differs"), key=lambda d: -abs(d.shift[0]))
        told = "; ".join(_difference(d) for d in worst[:3])
        more = "" if len(worst) <= 3 else f"; and {len(worst) - 3} more"
        return Sentence("bad", f"Do not rely on it: the generated microstructure is not the real one. {told}{more}.")
    if num < len(QUANTITIES) / 2:
        return Sentence("open", f"Not decided: {num} of {len(QUANTITIES)} measures could be compared. {FEW_COMPARED}")
    left_out = "" if num == len(QUANTITIES) else f" {len(QUANTITIES) - num} could not be compared."
    if overall(verdicts) == "agrees":
        text = f"The microstructure agrees: {agree} of {num} measures within their margins, none outside.{left_out}"
        return Sentence("good", text)
    return Sentence("open", f"Not decided: {agree} of {num} measures agree, none is shown to differ.{left_out}")


def _difference(d: Descriptor) -> str:
    unit = f" {d.unit}" if d.unit else ""
    if d.shift[1] <= MARGIN_MEAN and d.shift[2] >= -MARGIN_MEAN:
        return f"{d.title} spreads {d.spread[0]:.2g} times as much"
    return f"{d.title} {d.generated_mean:.3g}{unit} against {d.real_mean:.3g}{unit}"


def told_apart(report: Report) -> Sentence:
    """Whether the generated images can be told from real ones by KID, which is fair to small sets."""
    names = {score.name for score in report.scores}
    score = report.score("KID" if "KID" in names else "precision")
    real, verdict = REAL_NAMES[score.against], score.reached_floor
    if verdict is None:
        return Sentence("open", f"Too few micrographs to say how certain the scores against {real} are.")
    if verdict:
        text = f"By {score.name}, the generated images cannot be told from {real}, at this number of images."
        return Sentence("good", text)
    return Sentence("bad", f"By {score.name}, the generated images can be told from {real}.")


def elsewhere(report: Report) -> str:
    """Where the real images of the floor come from, seen from those they are compared to."""
    single = report.against == ("real",) and report.num_parents["real"] == 1
    return "the other half of the one micrograph" if single else "other micrographs"


def findings(report: Report) -> list[Sentence]:
    """One sentence a question, each with its numbers."""
    names = {score.name for score in report.scores}
    scores = [_told(report.score(name), *question) for name, question in QUESTIONS.items() if name in names]
    return [
        told_apart(report),
        *scores,
        *(_check(c) for c in report.checks if c.against == report.against[0]),
        _copies(report),
        *_leaks(report),
    ]


def _told(score: Score, question: str, form: str) -> Sentence:
    interval = "" if score.low is None else f" ({form.format(score.low)} to {form.format(score.high)})"
    floor = "" if score.floor is None else f"; real against real gives {form.format(score.floor.value)}"
    mood: Mood = "open" if score.reached_floor is None else "good" if score.reached_floor else "bad"
    return Sentence(mood, f"{question} {form.format(score.value)}{interval}{floor}.")


def _check(check: Check) -> Sentence:
    far = check.value > FAR * check.floor
    text = (
        f"{check.name.capitalize()}: {check.value:.3g} {check.unit} from real; real from real gives {check.floor:.3g}."
        f"{' Look at the figure below.' if far else ''}"
    )
    return Sentence("bad" if far else "good", text)


def _leaks(report: Report) -> list[Sentence]:
    leaked = [leak.move for leak in report.leaks if leak.leaked]
    denied = [leak.move for leak in report.leaks if leak.leaked is False]
    if leaked:
        return [Sentence("bad", f"Augmentation seems to have leaked into the pictures: {', '.join(leaked)}.")]
    return [Sentence("good", f"No leak of augmentation seen: {', '.join(denied)}.")] if denied else []


def _copies(report: Report) -> Sentence:
    audit = report.copies
    if audit is None or audit.rate is None or audit.interval is None:
        return _likeness(report)
    low, high = audit.interval
    text = (
        f"Copies: {audit.rate:.1%} ({low:.1%} to {high:.1%}) of the generated images are more like a training image, "
        f"mirrored, turned or shifted, than 99 % of images of other micrographs are ({EXPECTED_CLOSE:.0%} by chance)."
    )
    if low <= FAR_ABOVE_CHANCE:
        return Sentence("good", text)
    sure = audit.num_held_out >= MANY_HELD_OUT or (audit.p_value is not None and audit.p_value < SURE)
    return Sentence("bad" if sure else "open", text)


def _likeness(report: Report) -> Sentence:
    share, real = report.likeness.closer_share, REAL_NAMES[report.likeness.against]
    text = (
        f"Copies: {share:.1%} of the generated images are closer to one of the {real} than 99 % of real images of "
        f"{elsewhere(report)} are (about {EXPECTED_CLOSE:.0%} is expected of a generator that does not copy)."
    )
    return Sentence("bad" if share > 5 * EXPECTED_CLOSE else "good", text)

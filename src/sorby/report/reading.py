"""What the numbers say, in plain words; and what they do not say."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sorby.metrics.record import ByCondition, Check, ConditionMean, Descriptor, Fidelity, Following, Number, Report
from sorby.metrics.score import Score
from sorby.microstructure.compare import LEAST, MARGIN_MEAN, Interval, Verdict, overall
from sorby.microstructure.describe import QUANTITIES

VERDICTS: dict[Verdict, str] = {"differs": "differs", "open": "not decided", "agrees": "agrees"}
"""Bad news first."""
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
APART_BY_CHANCE = 0.05
"""More points than this do not lie apart by chance: each of their two intervals errs at one in twenty."""
FURTHEST = 10
MANY = 1e6
"""From here on a number is told by its power of ten: particles per mm² of a structure in nanometres."""
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
MORE_DECIDE = "More micrographs and images decide it."
FEW_COMPARED = f"At least {LEAST} micrographs and {LEAST} generated images that have them are needed."

QUESTIONS = {
    "precision": "How believable? The share of generated images that lie among the real ones (precision) is",
    "recall": "How varied? The share of real images that lie among the generated ones (recall) is",
}
"""How each score that is a share is told."""

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


@dataclass(frozen=True)
class Headline:
    """The verdict in words."""

    mood: Mood
    verdict: str
    """For whom has ten seconds."""
    reason: str
    examples: str = ""

    @property
    def text(self) -> str:
        """All of it, for where nothing else is shown."""
        return " ".join(part for part in (self.verdict, self.reason, self.examples) if part)


def headline(report: Report) -> Headline:
    """The verdict, by metallography: what differs beyond its margin; or that most agrees; or that it is open."""
    verdicts = [d.verdict for d in report.descriptors]
    num, agree, differ = len(verdicts), verdicts.count("agrees"), verdicts.count("differs")
    together = "Over all conditions together, " if report.by_condition else ""
    left_out = "" if num == len(QUANTITIES) else f" {len(QUANTITIES) - num} could not be compared."
    if report.lacking:
        return Headline(
            "bad",
            "Do not rely on it: the generated microstructure is not the real one.",
            f"Most real images have what hardly any generated one has: {', '.join(report.lacking)}.",
        )
    if overall(verdicts) == "differs":
        worst = sorted((d for d in report.descriptors if d.verdict == "differs"), key=lambda d: -abs(d.shift[0]))
        more = "" if len(worst) <= 3 else f"; and {len(worst) - 3} more"
        return Headline(
            "bad",
            "Do not rely on it: the generated microstructure is not the real one.",
            f"{together}{differ} of {num} measures outside {'its' if differ == 1 else 'their'} margins.{left_out}",
            f"Furthest off: {'; '.join(map(_difference, worst[:3]))}{more}.",
        )
    if any(found.wrong for found in report.fidelity):
        reason = "The generated images do not show the condition that they were asked for."
        return Headline("bad", "Do not rely on it: the generator does not follow its conditions.", reason)
    if num < len(QUANTITIES) / 2:
        reason = f"{num} of {len(QUANTITIES)} measures could be compared. {FEW_COMPARED}"
        return Headline("open", "Not decided whether the microstructure agrees.", reason)
    if overall(verdicts) == "agrees":
        reason = f"{together}{agree} of {num} measures within their margins, none shown to differ.{left_out}"
        if any(found.mood == "bad" for found in about_conditions(report)):
            return Headline("open", "The microstructure agrees on the whole, but not at each condition.", reason)
        return Headline("good", "The microstructure agrees.", reason)
    reason = f"{together}{agree} of {num} measures agree, none is shown to differ.{left_out} {MORE_DECIDE}"
    return Headline("open", "Not decided whether the microstructure agrees.", reason)


def by_verdict(report: Report) -> list[tuple[Verdict, list[Descriptor]]]:
    """The descriptors of each verdict, the furthest off first."""
    order = sorted(report.descriptors, key=lambda d: -abs(d.shift[0]))
    groups: list[tuple[Verdict, list[Descriptor]]] = [(v, [d for d in order if d.verdict == v]) for v in VERDICTS]
    return [(verdict, found) for verdict, found in groups if found]


def not_compared(report: Report) -> list[str]:
    """Titles of the measures that the report has no verdict on."""
    return [q.title for q in QUANTITIES if q.name not in {d.name for d in report.descriptors}]


def evidence(d: Descriptor) -> str:
    """The number that decided, with its 90 % interval."""
    name, numbers = ("ratio of spreads", d.spread) if _by_spread(d) else ("shift", d.shift)
    return "{} {:.2f} ({:.2f} to {:.2f})".format(name, *numbers).replace("-", "−")


def _by_spread(d: Descriptor) -> bool:
    """Whether the spread, and not the mean, keeps the descriptor from agreeing."""
    shift = Interval(*d.shift)
    if d.verdict == "differs":
        return not shift.outside(MARGIN_MEAN)
    return d.verdict == "open" and shift.inside(MARGIN_MEAN)


def _difference(d: Descriptor) -> str:
    unit = f" {d.unit}" if d.unit else ""
    if _by_spread(d):
        return f"{d.title} spreads {d.spread[0]:.2g} times as much"
    return f"{d.title} {d.generated_mean:.3g}{unit} against {d.real_mean:.3g}{unit}"


def told_apart(report: Report) -> Sentence:
    """Whether the generated images can be told from real ones by KID, which is fair to small sets."""
    names = {score.name for score in report.scores}
    score = report.score("KID" if "KID" in names else "precision")
    real, verdict = REAL_NAMES[score.against], score.reached_floor
    numbers = f"{number(score.value)}{_beside(score, number)}"
    if verdict is None:
        text = f"{score.name} is {numbers}. Too few micrographs to say how certain the scores against {real} are."
        return Sentence("open", text)
    can = "cannot be told" if verdict else "can be told"
    text = f"By {score.name}, the generated images {can} from {real}: {numbers}."
    return Sentence("good" if verdict else "bad", text)


def elsewhere(report: Report) -> str:
    """Where the real images of the floor come from, seen from those they are compared to."""
    single = report.against == ("real",) and report.num_parents["real"] == 1
    return "the other half of the one micrograph" if single else "other micrographs"


def findings(report: Report) -> list[Sentence]:
    """One sentence a question, each with its numbers."""
    names = {score.name for score in report.scores}
    scores = [_told(report.score(name), question) for name, question in QUESTIONS.items() if name in names]
    return [
        *about_conditions(report),
        told_apart(report),
        *scores,
        *(_check(c) for c in report.checks if c.against == report.against[0]),
        _copies(report),
        *_leaks(report),
    ]


def _told(score: Score, question: str) -> Sentence:
    mood: Mood = "open" if score.reached_floor is None else "good" if score.reached_floor else "bad"
    return Sentence(mood, f"{question} {percent(score.value)}{_beside(score, percent)}.")


def _beside(score: Score, form: Callable[[float], str]) -> str:
    """Its interval and its floor, where there are."""
    interval = "" if score.low is None or score.high is None else f" ({form(score.low)} to {form(score.high)})"
    floor = "" if score.floor is None else f"; real against real gives {form(score.floor.value)}"
    return interval + floor


def number(value: float) -> str:
    """Three digits, as many as a score is worth, with a minus sign that can be told from a dash.

    >>> number(12.3456), number(-0.0123456), number(134.56), number(754262246)
    ('12.3', '−0.0123', '135', '7.54 × 10⁸')
    """
    if math.isfinite(value) and abs(value) >= MANY:
        digits, exponent = f"{value:.2e}".split("e+")
        text = f"{digits} × 10{str(int(exponent)).translate(RAISED)}"
    else:
        text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("-", "−")


def with_interval(of: Number) -> str:
    """A slope or R² and its interval, which may lack, or may say nothing.

    >>> with_interval(Number(value=0.9, low=-0.5, high=1.25)), with_interval(Number(value=0.9, low=-5e3, high=0.99))
    ('0.9 (−0.5 to 1.25)', '0.9 (< −10 to 0.99)')
    """
    interval = "" if of.low is None or of.high is None else f" ({_near(of.low)} to {_near(of.high)})"
    return _near(of.value) + interval


def _near(value: float) -> str:
    """Slopes and R² so far from 1 are told no more exactly."""
    return number(value) if abs(value) <= FURTHEST else f"< −{FURTHEST}" if value < 0 else f"> {FURTHEST}"


def share_of(of: Number, digits: int = 0) -> str:
    r"""The same of a share, in percent.

    >>> share_of(Number(value=0.5, low=0.25, high=1))
    '50\xa0% (25 to 100)'
    """
    ends = "" if of.low is None or of.high is None else f" ({100 * of.low:.{digits}f} to {100 * of.high:.{digits}f})"
    return percent(of.value, digits) + ends


def percent(share: float, digits: int = 0) -> str:
    r"""A share for people, in one piece at the end of a line.

    >>> percent(0.123, 1)
    '12.3\xa0%'
    """
    return f"{100 * share:.{digits}f}\u00a0%"


def about_conditions(report: Report) -> list[Sentence]:
    """Whether pictures show the condition that they were asked for, and how far off their means are."""
    return [
        *map(_right, report.fidelity),
        *_deviations(report.by_condition, seen=True),
        *_deviations(report.by_condition, seen=False),
    ]


def _right(found: Fidelity) -> Sentence:
    mood: Mood = "open" if found.wrong is None else "bad" if found.wrong else "good"
    which = "At the conditions seen in training" if found.seen else "At conditions held out of training"
    text = (
        f"{which} ({found.num_conditions}), {share_of(found.right)} of the generated images are read as the condition "
        f"that they were asked for; of real ones {share_of(found.right_real)}, by chance {percent(found.chance)}."
    )
    return Sentence(mood, text)


def _deviations(found: Sequence[ByCondition], *, seen: bool) -> list[Sentence]:
    """Bad news or none: that means lie within each other's intervals proves nothing."""
    means = [mean for d in found for mean in d.means if mean.seen == seen]
    over = [(d.title, d.over(seen=seen)) for d in found]
    deviations = sorted(
        (f.deviation.value, _with_floor(title, f)) for title, f in over if f is not None and f.deviation is not None
    )
    if not deviations:
        return []
    known = [mean for mean in means if mean.real_interval and mean.generated_interval]
    apart = sum(map(_apart, known))
    (least, best), (most, worst) = deviations[0], deviations[-1]
    beyond = (
        f"the means lie apart, beyond the margin and both intervals, at {apart} of {len(known)} points; "
        if known
        else ""
    )
    which = "Condition by condition" if seen else "At conditions held out of training"
    text = f"{which}: {beyond}mean absolute deviation {percent(least, 1)} ({best}) to {percent(most, 1)} ({worst})."
    return [Sentence("bad" if apart > APART_BY_CHANCE * len(known) else "open", text)]


def _with_floor(title: str, found: Following) -> str:
    between = found.deviation_between_real
    return title if between is None else f"{title}; real from real {percent(between, 1)}"


def _apart(mean: ConditionMean) -> bool:
    """Beyond the margin of the verdict too: with images enough any difference is beyond its interval."""
    if mean.shift is not None and abs(mean.shift) <= MARGIN_MEAN:
        return False
    (low, high), (other_low, other_high) = mean.real_interval or (0, 0), mean.generated_interval or (0, 0)
    return high < other_low or other_high < low


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
        f"Copies: {percent(audit.rate, 1)} ({percent(low, 1)} to {percent(high, 1)}) of the generated images are more "
        f"like a training image, mirrored, turned or shifted, than {percent(1 - EXPECTED_CLOSE)} of images of other "
        f"micrographs are ({percent(EXPECTED_CLOSE)} by chance)."
    )
    if audit.p_value is not None and audit.p_value < SURE:
        beaten = (
            f"Some are more like one than any held-out image is, which chance hardly does (p = {audit.p_value:.1g})."
        )
        return Sentence("bad", f"{text} {beaten}")
    if low <= FAR_ABOVE_CHANCE:
        return Sentence("good", text)
    return Sentence("bad" if audit.num_held_out >= MANY_HELD_OUT else "open", text)


def _likeness(report: Report) -> Sentence:
    share, real = report.likeness.closer_share, REAL_NAMES[report.likeness.against]
    text = (
        f"Copies: {percent(share, 1)} of the generated images are closer to one of the {real} than "
        f"{percent(1 - EXPECTED_CLOSE)} of real images of {elsewhere(report)} are (about {percent(EXPECTED_CLOSE)} is "
        "expected of a generator that does not copy)."
    )
    return Sentence("bad" if share > 5 * EXPECTED_CLOSE else "good", text)

"""The numbers of an evaluation as Markdown, for a notebook, a pull request or a paper's supplement."""

from collections.abc import Iterable, Iterator, Sequence

from sorby.metrics.record import ByCondition, Descriptor, Following, Report
from sorby.metrics.score import Score
from sorby.report.reading import REAL_NAMES, VERDICTS, findings, headline, percent, share_of, with_interval


def markdown(report: Report) -> str:
    """Verdict, findings, descriptors and scores; no pictures."""
    parts = [
        f"# Evaluation of {inert(report.generated)}",
        f"**{inert(headline(report).text)}**",
        "\n".join(f"- {inert(finding.text)}" for finding in findings(report)),
        "## Microstructure",
        table(
            ("measure", "generated", "real", "shift (90 %)", "ratio of spreads (90 %)", "verdict"),
            map(_descriptor, report.descriptors),
        ),
        *_conditions(report),
        "## Scores",
        table(
            ("score", "features", "against", "value", "95 % interval", "real against real"), map(_score, report.scores)
        ),
        "\n".join(f"- {inert(note)}" for note in report.notes),
        f"    {' '.join(report.command.split())}" if report.command else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(report: Report) -> list[str]:
    """Nothing where no condition was compared."""
    if not report.by_condition:
        return []
    header = ("measure", "conditions", "mean absolute deviation", "real from real", "slope", "R²")
    return [
        "## Condition by condition",
        *([table(("read from pictures", "generated", "real", "chance"), _read(report))] if report.fidelity else []),
        table(header, (_followed(d, found) for d in report.by_condition for found in d.following)),
    ]


def _read(report: Report) -> Iterator[list[str]]:
    for found in report.fidelity:
        which = "" if found.seen else ", held out"
        shares = (share_of(found.right), share_of(found.right_real), percent(found.chance))
        yield [f"the right of {found.num_conditions} conditions{which}", *shares]
        for reading in found.readings:
            for name, title in (("slope", "slope"), ("r2", "R²")):
                lines = (with_interval(getattr(line, name)) for line in (reading.line, reading.real))
                yield [f"{reading.condition}{which}, {title}", *lines, "0"]


def _followed(d: ByCondition, found: Following) -> list[str]:
    between = found.deviation_between_real
    return [
        d.title,
        f"{found.num_conditions}{'' if found.seen else ' held out'}",
        share_of(found.deviation, 1) if found.deviation else "",
        "" if between is None else percent(between, 1),
        *(with_interval(getattr(found.line, name)) if found.line else "" for name in ("slope", "r2")),
    ]


def _descriptor(d: Descriptor) -> list[str]:
    unit = f" {d.unit}" if d.unit else ""
    return [
        d.title,
        f"{d.generated_mean:.3g}{unit}",
        f"{d.real_mean:.3g}{unit}",
        _interval(*d.shift),
        _interval(*d.spread),
        VERDICTS[d.verdict],
    ]


def _score(score: Score) -> list[str]:
    interval = "" if score.low is None or score.high is None else f"{score.low:.3g} to {score.high:.3g}"
    floor = "" if score.floor is None else f"{score.floor.value:.3g}"
    return [score.name, score.network, REAL_NAMES[score.against], f"{score.value:.3g}", interval, floor]


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells cannot leave their places."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(inert, cells)) + " |" for cells in lines)


def inert(text: str) -> str:
    r"""What a file name could use to leave its cell, taken out of force.

    >>> inert("a|b")
    'a\\|b'
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

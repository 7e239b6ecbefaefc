"""The numbers of an evaluation as Markdown, for a notebook, a pull request or a paper's supplement."""

from collections.abc import Iterable, Sequence

from sorby.metrics.record import Descriptor, Report
from sorby.metrics.score import Score
from sorby.report.reading import REAL_NAMES, VERDICTS, findings, headline


def markdown(report: Report) -> str:
    """Verdict, findings, descriptors and scores; no pictures."""
    parts = [
        f"# Evaluation of {_text(report.generated)}",
        f"**{_text(headline(report).text)}**",
        "\n".join(f"- {_text(finding.text)}" for finding in findings(report)),
        "## Microstructure",
        _table(
            ("measure", "generated", "real", "shift (90 %)", "ratio of spreads (90 %)", "verdict"),
            map(_descriptor, report.descriptors),
        ),
        "## Scores",
        _table(
            ("score", "features", "against", "value", "95 % interval", "real against real"), map(_score, report.scores)
        ),
        "\n".join(f"- {_text(note)}" for note in report.notes),
        f"    {' '.join(report.command.split())}" if report.command else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


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


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_text, cells)) + " |" for cells in lines)


def _text(text: str) -> str:
    r"""What a file name could use to leave its cell, taken out of force.

    >>> _text("a|b")
    'a\\|b'
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

"""The scores of a study as Markdown."""

from collections.abc import Sequence

from sorby.metrics.record import Number
from sorby.report.markdown import inert, table
from sorby.study.scores import BestRow, Difference, Fit, ScoredRun, Scores

HOW = """Each run counts by the best score that it had while it trained, as in the published figures. FID, precision and
recall are those of the log: on EfficientNet-lite0 features and few pictures, against all training patches, so compare
them with each other only; held-out scores are against micrographs that no run saw. In brackets 95 % intervals over
seeds."""

DIFFERENCE = """Ratio of the geometric means of distances, difference of the means of shares, with 95 % intervals; and
the chance of as much between equals (Welch's test, corrected by Holm for all rows of a score). From so few seeds only
large differences can be told."""

FITTED = """Least squares through the best score of every run; 95 % intervals. Lack of fit: the chance of means so far
off the line if the line holds; below 0.05 it does not."""

NAMES = {
    "fid": "FID",
    "kid": "KID",
    "held_out_fid": "FID, held out",
    "held_out_recall": "recall, held out",
    "descriptor_error": "descriptor error",
    "fid_over_recall": "FID over recall",
}
BEST = ["variant", "micrographs", "patches", "score", "mean", "each seed", "at the end", "p at the end"]
FORMS = {"log": "log10", "root": "root"}


def markdown(result: Scores) -> str:
    """Best scores, whether neighbours differ, and fits."""
    seeds = ", ".join(map(str, sorted({run.seed for run in result.runs})))
    scale = f", scale {inert(result.scale)}" if result.scale else ""
    parts = [
        f"# {inert(result.title) or 'Study'}",
        f"{inert(result.dataset)}{scale}; {len(result.runs)} runs, seeds {seeds}, {_length(result.runs)}.",
        f"Published: {inert(result.finding)}" if result.finding else "",
        "## Best scores",
        table(BEST, [_best(row, result) for row in result.best]),
        HOW,
        _together(result),
        *_section("## Do they differ?", list(map(_difference, result.differences)), DIFFERENCE),
        *(
            ["## Lines", "\n".join(f"- {_fit(fit, result.number or '')}" for fit in result.fits), FITTED]
            * bool(result.fits)
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def score_name(score: str) -> str:
    """As it stands in tables and on axes.

    >>> score_name("fid"), score_name("recall")
    ('FID', 'recall')
    """
    return NAMES.get(score, score)


def _length(runs: Sequence[ScoredRun]) -> str:
    lengths = sorted({run.images_seen / 1000 for run in runs})
    return (
        " to ".join(f"{length:g}" for length in dict.fromkeys((lengths[0], lengths[-1]))) + " kimg" if lengths else ""
    )


def _best(row: BestRow, result: Scores) -> list[str]:
    mine = [run for run in result.runs if run.variant == row.variant]
    patches = sorted({run.patches for run in mine})
    return [
        row.variant,
        str(mine[0].parents),
        " to ".join(map(str, dict.fromkeys((patches[0], patches[-1])))),
        score_name(row.score),
        _with_interval(row.mean),
        ", ".join(_told(value) for value in row.seeds),
        ", ".join(_told(value) for value in row.ends),
        ", ".join(f"{run.final_p:.2f}" for run in mine),
    ]


def _difference(row: Difference) -> list[str]:
    p = "" if row.p is None else f"{row.p:.2g}"
    when = {"best": "best", "end": "at the end"}[row.when]
    return [score_name(row.score), when, f"{row.variant} against {row.before}", _with_interval(row.change), p]


def _section(title: str, rows: Sequence[Sequence[str]], explained: str) -> list[str]:
    header = ["score", "when", "variants", "ratio or difference", "p"]
    return [title, table(header, rows), explained] if rows else []


def _lines(result: Scores) -> list[str]:
    told = [f"- {_fit(fit, result.number or '')}" for fit in result.fits]
    return ["## Lines", "\n".join(told), FITTED] if told else []


def _fit(fit: Fit, number: str) -> str:
    lack = "" if fit.lack_of_fit is None else f", lack of fit p = {fit.lack_of_fit:.2g}"
    return (
        f"{score_name(fit.score)} = {_with_interval(fit.intercept)} + {_with_interval(fit.slope)} × "
        f"{FORMS[fit.form]}({number}); R² = {fit.r2:.2f}{lack}"
    )


def _together(result: Scores) -> str:
    scores = list(dict.fromkeys(row.score for row in result.best))
    variants = {row.variant for row in result.best}
    if len(scores) < 2 or len(variants) < 2:
        return ""
    told = ", ".join(map(inert, result.together))
    return f"Best by {' and '.join(map(score_name, scores))} together, none of these beaten in all at once: {told}."


def _with_interval(of: Number) -> str:
    ends = "" if of.low is None or of.high is None else f" ({_told(of.low)} to {_told(of.high)})"
    return _told(of.value) + ends


def _told(value: float) -> str:
    """Three digits.

    >>> _told(41.268), _told(0.0371), _told(-2.5)
    ('41.3', '0.0371', '−2.5')
    """
    return f"{value:.3g}".replace("-", "−")

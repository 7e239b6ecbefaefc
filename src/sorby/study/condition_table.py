"""The results of a study as Markdown."""

from collections.abc import Iterator

from sorby.metrics.record import Number
from sorby.report.markdown import inert, table
from sorby.report.reading import percent, share_of, with_interval
from sorby.study.condition_results import RIGHT, DeviationRow, RightRow, StudyResult

HOW = """Absolute deviation of the mean at each condition from the real one, as a share of it, averaged over the
conditions. In brackets 95 % intervals over the conditions. Nearest condition: the real micrographs of the nearest one
seen, in standardised conditions. Interpolation: a spline through the real micrographs of all conditions seen. Better
by: their deviation less that of the generator, in percentage points; above 0 the generator is better."""

READ = """Read by a ridge regression on features of {network} and descriptors, which learned from real micrographs.
Ceiling: what it reads from real micrographs that it had not learned from. In brackets 95 % intervals over seeds."""


def markdown(result: StudyResult) -> str:
    """Both tables, with what they mean."""
    variants = list(dict.fromkeys(run.variant for run in result.runs))
    several = len(variants) > 1
    networks = ", ".join(sorted({f.network for run in result.runs for f in run.fidelity}))
    seeds = ", ".join(map(str, sorted({run.seed for run in result.runs})))
    parts = [
        f"# {inert(result.title) or 'Study'}",
        f"{inert(result.dataset)}; {len(result.runs)} runs, seeds {seeds}.",
        *_section("The condition asked for", _right(result, several=several), READ.format(network=networks)),
        *_section("The conditions held out", _deviations(result, several=several, held_out=True), HOW),
        *_section(
            "The conditions seen", _deviations(result, several=several, held_out=False), "" if _any(result) else HOW
        ),
        "\n".join(f"- {inert(note)}" for note in dict.fromkeys(note for run in result.runs for note in run.notes)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _any(result: StudyResult) -> bool:
    return any(row.nearest for row in result.deviations)


def _section(title: str, body: str, explained: str) -> list[str]:
    return [f"## {title}", body, explained] if body else []


def _right(result: StudyResult, *, several: bool) -> str:
    header = [*(["variant"] if several else []), "conditions", "read", "generated", "each seed", "ceiling", "chance"]
    rows = list(_right_rows(result, several=several))
    return table([*header, *(["more than the first"] if several else [])], rows) if rows else ""


def _right_rows(result: StudyResult, *, several: bool) -> Iterator[list[str]]:
    for row in result.right:
        form, interval = (_share, share_of) if row.what == RIGHT else (_plain, with_interval)
        cells = [row.where, row.what, interval(row.generated), ", ".join(map(form, row.seeds))]
        gain = [_gain(row)] if several else []
        yield [*([row.variant] if several else []), *cells, form(row.real), form(row.chance), *gain]


def _gain(row: RightRow) -> str:
    if row.gain is None:
        return ""
    return points(row.gain) if row.what == RIGHT else with_interval(row.gain)


def _deviations(result: StudyResult, *, several: bool, held_out: bool) -> str:
    baselines = ["nearest condition", "interpolation", "better than nearest by", "better than interpolation by"]
    header = ["measure", "conditions", "generated", *(baselines if held_out else []), "real from real"]
    rows = [_deviation(row, several=several) for row in result.deviations if bool(row.nearest) == held_out]
    return table([*(["variant"] if several else []), *header], rows) if rows else ""


def _deviation(row: DeviationRow, *, several: bool) -> list[str]:
    beyond = ", beyond the range" if "beyond" in row.where else ""
    shares = [row.generated, row.nearest, row.interpolated]
    gains = [row.gain_on_nearest, row.gain_on_interpolated]
    return [
        *([row.variant] if several else []),
        row.title,
        f"{row.num_conditions}{beyond}",
        *(share_of(share, 1) for share in shares if share),
        *(points(gain) for gain in gains if gain),
        "" if row.between_real is None else percent(row.between_real, 1),
    ]


def points(of: Number) -> str:
    """A difference of shares in percentage points.

    >>> points(Number(value=0.0123, low=-0.01, high=0.03))
    '+1.2 (−1.0 to +3.0)'
    """
    ends = "" if of.low is None or of.high is None else f" ({_signed(of.low)} to {_signed(of.high)})"
    return _signed(of.value) + ends


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _share(value: float) -> str:
    return percent(value)


def _plain(value: float) -> str:
    return with_interval(Number(value=value))

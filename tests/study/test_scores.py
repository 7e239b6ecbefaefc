"""Statistics of runs whose truth is known."""

import numpy as np
import pytest
import scipy.stats

from sorby.evaluation.lines import mean_number
from sorby.study.file import Study
from sorby.study.score_figures import curves, figures_of
from sorby.study.score_table import markdown
from sorby.study.scores import BestRow, ScoredRun, fit_of, front, lack_of_fit, together, welch


def run_of(variant, seed, fid, recall, **changes):
    values = {
        "name": f"{variant}-seed-{seed}",
        "variant": variant,
        "seed": seed,
        "identity": "",
        "images_seen": 3000,
        "parents": 8,
        "patches": 120,
        "kimg": (1.0, 2.0, 3.0),
        "scores": {"fid": fid, "recall": recall},
        "final_p": 0.25,
    }
    return ScoredRun(**values | changes)


def study_of(**keys):
    return Study(dataset="steel.zip", **keys)


def rows(score, values):
    """A variant for each number, with the best scores of its seeds."""
    return [
        BestRow(
            variant=str(x),
            value=x,
            score=score,
            seeds=seeds,
            mean=mean_number(np.array(seeds)),
            minimum=min(seeds),
            median=float(np.median(seeds)),
            maximum=max(seeds),
            ends=seeds,
        )
        for x, seeds in values.items()
    ]


def test_the_best_of_a_run_is_the_lowest_distance_and_the_highest_share():
    run = run_of("a", 0, (9.0, 4.0, 7.0), (0.1, 0.3, 0.2))
    assert (run.best("fid"), run.best("recall")) == (4, 0.3)
    result = together(study_of(variants={"a": {}}), [run, run_of("a", 1, (9.0, 6.0, 5.0), (0.1, 0.1, 0.4))])
    fid, recall = result.best
    assert (fid.seeds, fid.minimum, fid.median, fid.maximum, fid.ends) == ((4, 5), 4, 4.5, 5, (7, 5))
    assert recall.seeds == (0.3, 0.4)


def test_twice_the_distance_in_every_seed_is_a_ratio_of_two():
    runs = [run_of("a", seed, (fid,) * 3, (0.3,) * 3) for seed, fid in enumerate((10.0, 11.0, 12.0))]
    runs += [run_of("b", seed, (2 * fid,) * 3, (0.2,) * 3) for seed, fid in enumerate((10.0, 11.0, 12.0))]
    result = together(study_of(variants={"a": {}, "b": {}}), runs)
    fid, at_end, recall, _ = result.differences
    assert (at_end.when, at_end.change) == ("end", fid.change)
    assert (fid.before, fid.variant) == ("a", "b")
    assert fid.change.value == pytest.approx(2)
    assert fid.change.low < 2 < fid.change.high
    assert fid.p < 0.01
    assert recall.change.value == pytest.approx(-0.1)
    assert recall.p is None  # no seed differs from another, so that chance cannot be told


def test_with_a_reference_all_are_held_against_it():
    fids = {"a": 9.0, "b": 5.0, "c": 7.0}
    runs = [run_of(v, seed, (fid + seed,) * 3, (0.3,) * 3) for v, fid in fids.items() for seed in (0, 1)]
    study = study_of(variants={"a": {}, "b": {}, "c": {}}, scores=("fid",), reference="b")
    assert [(d.before, d.variant) for d in together(study, runs).differences] == [("b", "a"), ("b", "c")] * 2
    with pytest.raises(ValueError, match="reference 'd' is none of a, b, c"):
        study_of(variants={"a": {}, "b": {}, "c": {}}, reference="d")


def test_chance_alone_is_called_a_difference_as_often_as_it_says():
    """One in twenty studies of four equal variants at most, though there are three comparisons."""
    rng = np.random.default_rng(0)
    study = study_of(variants={name: {} for name in "abcd"}, scores=("fid",))
    alarms = 0
    for _ in range(300):
        runs = [run_of(v, seed, (float(rng.lognormal(3, 0.2)),) * 3, (0.3,) * 3) for v in "abcd" for seed in range(3)]
        alarms += any(d.p < 0.05 for d in together(study, runs).differences if d.when == "best")
    assert scipy.stats.binomtest(alarms, 300, 0.05, alternative="greater").pvalue > 0.01


def test_welch_is_the_published_example():
    """Two samples of Welch's kind, worked by hand: t = (3 - 6) / sqrt(1/3 + 4/3), 2.9 degrees of freedom."""
    difference, p = welch(np.array([2.0, 3.0, 4.0]), np.array([4.0, 6.0, 8.0]))
    freedom = (1 / 3 + 4 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2)
    assert difference.value == -3
    assert p == pytest.approx(2 * scipy.stats.t.sf(3 / np.sqrt(5 / 3), freedom))


@pytest.mark.parametrize(("form", "of"), [("log", np.log10), ("root", np.sqrt)])
def test_a_line_is_found_with_its_errors(form, of):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        values = {x: tuple(3 + 2 * of(x) + rng.normal(0, 0.1, 3)) for x in (10, 50, 100, 500)}
        found.append(fit_of(rows("recall", values), "recall", form))
    assert np.mean([fit.slope.value for fit in found]) == pytest.approx(2, abs=0.01)
    assert np.mean([fit.slope.low <= 2 <= fit.slope.high for fit in found]) == pytest.approx(0.95, abs=0.04)
    assert np.mean([fit.lack_of_fit < 0.05 for fit in found]) == pytest.approx(0.05, abs=0.04)


def test_a_bend_is_no_line():
    values = {x: tuple((np.log10(x) - 2) ** 2 + noise for noise in (-0.05, 0, 0.05)) for x in (1, 10, 100, 1000, 10000)}
    assert fit_of(rows("fid", values), "fid", "log").lack_of_fit < 1e-6


def test_two_sizes_have_no_line_and_one_seed_no_test_of_it():
    assert fit_of(rows("fid", {1: (1.0,), 10: (2.0,)}), "fid", "log") is None
    x = np.array([1.0, 2.0, 3.0])
    assert lack_of_fit(x, x, x) is None


def test_none_of_the_front_is_beaten_in_all_scores():
    fid, recall = {1: (10.0,), 2: (12.0,), 3: (11.0,)}, {1: (0.2,), 2: (0.4,), 3: (0.1,)}
    assert front({"fid": rows("fid", fid), "recall": rows("recall", recall)}) == ["1", "2"]


def test_bands_are_drawn_where_all_seeds_were_scored():
    short = run_of("a", 1, (8.0, 6.0), (0.1, 0.2), kimg=(1.0, 2.0))
    kimg, values = curves([run_of("a", 0, (9.0, 4.0, 7.0), (0.1, 0.3, 0.2)), short], "fid")
    assert kimg.tolist() == [1, 2]
    assert values.tolist() == [[9, 4], [8, 6]]


def test_table_and_figures_tell_it_all():
    sizes = (4, 16, 64)
    study = study_of(
        title="How <b>many</b>", finding="more | better", grid={"subset": sizes}, fits={"fid": "log", "recall": "root"}
    )
    runs = [
        run_of(f"subset={n}", seed, (90 - 10 * np.log2(n) + seed,) * 3, (0.1 * np.log2(n) + seed / 100,) * 3, parents=n)
        for n in sizes
        for seed in range(3)
    ]
    result = together(study, runs)
    text = markdown(result)
    assert "How &lt;b>many" in text
    assert "Published: more \\| better" in text
    lines = [line for line in text.splitlines() if line.startswith("| subset=4 |")]
    assert lines[0] == "| subset=4 | 4 | 120 | FID | 71 (68.5 to 73.5) | 70, 71, 72 | 70, 71, 72 | 0.25, 0.25, 0.25 |"
    assert "× log10(subset); R² = 1.00" in text
    figures = figures_of(result)
    assert set(figures) == {"results.svg", "lines.svg"}
    assert all(svg.startswith(b"<?xml") for svg in figures.values())

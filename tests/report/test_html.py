import re
from html.parser import HTMLParser

import numpy as np
import pytest

from sorby.metrics.record import (
    ByCondition,
    Check,
    ConditionMean,
    CopyAudit,
    CopyPair,
    Descriptor,
    Fidelity,
    Following,
    Leak,
    Likeness,
    Line,
    Number,
    Pair,
    Reading,
    Report,
)
from sorby.metrics.score import Floor, Score
from sorby.microstructure.describe import QUANTITIES
from sorby.microstructure.fraction import Estimate
from sorby.report.html import AtCondition, Pictures, render
from sorby.report.reading import about_conditions, by_verdict, evidence, findings, headline, told_apart

HOSTILE = "<script>alert('steel')</script>&\"<img src=http://evil.example/x.png>.tif"


def score(name, value, *, low, high, floor, k=None):
    return Score(
        name=name,
        value=value,
        low=low,
        high=high,
        against="held-out",
        floor=Floor(value=floor, num_real=50, num_other=60, between="training against held-out micrographs"),
        interval_method="value ± t s",
        network="efficientnet-lite0",
        network_sha256="57" * 32,
        filter="bicubic, antialiased",
        num_real=50,
        num_generated=60,
        num_parents=10,
        seed=0,
        k=k,
        notes=(HOSTILE,),
    )


def descriptor(quantity, *, verdict="agrees", generated=1.1):
    return Descriptor(
        name=quantity.name,
        title=quantity.title,
        unit="µm",
        real_mean=1.0,
        generated_mean=generated,
        shift=(2 * (generated - 1), -0.1, 0.4),
        spread=(0.8, 0.7, 0.9),
        verdict=verdict,
        between_real=0.05,
        num_real=50,
        num_generated=60,
        num_parents=10,
    )


def at_condition(name, real, generated, *, sd, half=0.05, seen=True):
    return ConditionMean(
        condition=name,
        seen=seen,
        real_mean=real,
        real_interval=(real - half, real + half),
        generated_mean=generated,
        generated_interval=(generated - half, generated + half),
        shift=(generated - real) / sd,
        num_real=20,
        num_generated=20,
        num_parents=5,
    )


def line(slope=0.9, r2=0.8):
    return Line(
        slope=Number(value=slope, low=0.7, high=1.1), r2=Number(value=r2, low=-50.0, high=0.95), num_conditions=3
    )


def following(*, seen=True, deviation=0.04):
    return Following(
        seen=seen,
        num_conditions=3,
        deviation=Number(value=deviation, low=0.01, high=0.07),
        deviation_between_real=0.015,
        line=line(),
        line_between_real=line(0.97, 0.99),
    )


def by_condition(*generated, sd=0.1, unseen=()):
    """Real means of 1, 2, ... at as many conditions, with intervals of 0.05; `sd` is among the images of each."""
    means = [at_condition(f"{HOSTILE} {i}", i + 1.0, value, sd=sd) for i, value in enumerate(generated)]
    more = [at_condition(f"{HOSTILE} u{i}", i + 1.0, value, sd=sd, seen=False) for i, value in enumerate(unseen)]
    over = [following()] + ([following(seen=False, deviation=0.25)] if unseen else [])
    return (
        ByCondition(name="area_fraction", title="area fraction", unit="", means=(*means, *more), following=tuple(over)),
    )


def fidelity(right, *, seen=True, by_micrograph=True):
    return Fidelity(
        seen=seen,
        right=Number(value=right, low=right - 0.05, high=right + 0.05),
        right_real=Number(value=0.8, low=0.75, high=0.85),
        chance=0.125,
        readings=(Reading(condition=HOSTILE, unit="°C", line=line(), real=line(0.99, 0.98)),),
        network="efficientnet-lite0",
        num_real=200,
        num_generated=160,
        num_parents=16,
        num_conditions=8,
        by_micrograph=by_micrograph,
    )


def conditions_shown(images, numbers):
    return [AtCondition(HOSTILE, seen, images[:5], images[5:10], numbers, numbers + 0.1) for seen in (True, False)]


LEAKS = (
    Leak(move="cut-out", leaked=True, reason=f"seen in {HOSTILE}", p_value=0.001),
    Leak(move="shift", leaked=False, reason="no sign", p_value=0.5),
    Leak(move="rotation", leaked=None, reason="isotropic", p_value=None),
)


def audit(*, rate=0.2, low=0.15, high=0.25, p_value=0.5):
    pair = CopyPair(picture=HOSTILE, train=HOSTILE, similarity=0.9, move="mirrored", shift_px=(2.0, 0.0))
    return CopyAudit(
        pairs=(pair,),
        by_chance=(pair,),
        threshold=0.73,
        rate=rate,
        interval=(low, high),
        p_value=p_value,
        num_generated=60,
        num_train=50,
        num_held_out=40,
    )


def report(
    *, kid=0.3, precision=0.5, verdicts=("agrees", "open", "differs"), copies=None, leaks=(), conditions=(), read=()
):
    scores = (
        score("KID", kid, low=kid - 0.05, high=kid + 0.05, floor=0.1),
        score("precision", precision, low=precision - 0.1, high=precision + 0.1, floor=0.9, k=3),
    )
    return Report(
        generated=HOSTILE,
        real=HOSTILE,
        seed=0,
        truncation=1.0,
        pixel_size_um=0.05,
        real_pixel_size_um=None,
        size_px=(16, 16),
        num={"generated": 60, "held-out": 50},
        num_parents={"held-out": 10},
        scores=scores,
        checks=(
            Check(
                name="grey values",
                unit="grey levels",
                value=9,
                floor=1,
                against="held-out",
                num_real=5,
                num_generated=6,
            ),
        ),
        descriptors=tuple(descriptor(q, verdict=v) for q, v in zip(QUANTITIES, verdicts, strict=False)),
        by_condition=conditions,
        fidelity=read,
        likeness=Likeness(
            network="efficientnet-lite0",
            against="held-out",
            pairs=(Pair(generated=HOSTILE, real=HOSTILE, distance=3.0),),
            usual_distance=4.0,
            closer_share=0.2,
        ),
        copies=copies,
        leaks=leaks,
        notes=(HOSTILE,),
        hashes={"generated": "ab" * 32},
        command=HOSTILE,
        versions={"sorby": "0.1.0"},
    )


@pytest.fixture(scope="module")
def page():
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), dtype=np.uint8)
    numbers = np.random.default_rng(1).random((12, len(QUANTITIES)))
    numbers[0] = np.nan
    pairs = [(images[0], images[1])]
    s2 = [Estimate(value, value - 0.01, value + 0.01, 5, 0.1) for value in (0.4, 0.3, 0.2, 0.16)]
    pictures = Pictures(images, images[:8], pairs, pairs, numbers, numbers + 0.1, s2, s2)
    found = report(copies=audit(), leaks=LEAKS, conditions=by_condition(1.0, 2.0, 3.0))
    return render(found, pictures, log=[{"kimg": 1.0, "fid": 9.0}, {"kimg": 2.0, "fid": 8.0}])


@pytest.fixture(scope="module")
def page_of_conditions():
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), dtype=np.uint8)
    numbers = np.random.default_rng(1).random((12, len(QUANTITIES)))
    pairs = [(images[0], images[1])]
    pictures = Pictures(images, images, pairs, pairs, numbers, numbers, [], [], conditions_shown(images, numbers))
    found = report(
        conditions=by_condition(1.0, 2.0, 3.0, unseen=(1.0, 2.0)),
        read=(fidelity(0.78), fidelity(0.2, seen=False)),
    )
    return render(found, pictures, log=[])


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def elements(page):
    parser = Elements()
    parser.feed(page)
    return parser.found


def test_names_of_files_are_text_and_never_elements(page, elements):
    assert "script" not in {tag for tag, _ in elements}
    assert page.count("&lt;script&gt;") >= 6


def test_the_page_asks_for_no_other_file(page, elements):
    links = [value for _, attrs in elements for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links
    assert all(link.startswith("data:image/") for link in links)
    assert "url(" not in page
    assert "@import" not in page
    assert any(tag == "meta" and "default-src 'none'" in (attrs.get("content") or "") for tag, attrs in elements)


@pytest.mark.parametrize(
    "part", ["0.25 to 0.35", "60 against 50 images", "bicubic, antialiased", "k = 3<", "value ± t s"]
)
def test_each_score_stands_beside_interval_floor_and_filter(page, part):
    assert part in page


@pytest.mark.parametrize("of", ["page", "page_of_conditions"])
def test_every_element_is_closed(of, request):
    page = request.getfixturevalue(of)
    for tag in ("section", "table", "tr", "td", "figure", "ul", "li", "dl", "div", "p"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


@pytest.mark.parametrize(
    ("kid", "mood", "words"), [(0.3, "bad", "can be told from"), (0.12, "good", "cannot be told from")]
)
def test_whether_images_can_be_told_apart_follows_the_interval_and_the_floor(kid, mood, words):
    verdict = told_apart(report(kid=kid))
    assert verdict.mood == mood
    assert words in verdict.text


def test_generated_images_too_close_to_real_ones_are_bad_news():
    (copies,) = (f for f in findings(report()) if f.text.startswith("Copies"))
    assert copies.mood == "bad"
    assert "20.0\u00a0%" in copies.text


@pytest.mark.parametrize(
    ("verdicts", "mood", "words"),
    [
        (["agrees"] * 7 + ["differs"], "bad", "Do not rely on it"),
        (["agrees"] * 6 + ["open"] * 2, "good", "6 of 8 measures within their margins"),
        (["agrees"] * 5 + ["open"] * 3, "open", "5 of 8 measures agree"),
        (["agrees"] * 5, "open", "5 of 11 measures could be compared"),
        ([], "open", "0 of 11"),
    ],
)
def test_one_measure_that_differs_spoils_the_verdict_and_three_quarters_must_agree(verdicts, mood, words):
    verdict = headline(report(verdicts=verdicts))
    assert verdict.mood == mood
    assert words in verdict.text


def test_what_generated_images_lack_spoils_the_verdict_though_nothing_of_it_can_be_compared():
    agrees = report(verdicts=["agrees"] * 10)
    verdict = headline(agrees.model_copy(update={"lacking": ("mean diameter",)}))
    assert (headline(agrees).mood, verdict.mood) == ("good", "bad")
    assert "what hardly any generated one has: mean diameter." in verdict.text


def test_the_verdict_names_what_differs_with_both_means():
    differs = report(verdicts=["differs"])
    moved = differs.descriptors[0].model_copy(update={"shift": (0.9, 0.7, 1.1)})
    assert "area fraction 1.1 µm against 1 µm" in headline(differs.model_copy(update={"descriptors": (moved,)})).text
    assert "area fraction spreads 0.8 times as much" in headline(differs).text


def test_every_measure_has_a_row_with_its_interval(page):
    assert page.count("<small>−0.1 to 0.4</small>") == 3
    assert "differs</td>" in page


@pytest.mark.parametrize(("low", "mood"), [(0.15, "open"), (0.005, "good")])
def test_a_few_held_out_images_do_not_raise_the_alarm_of_copies(low, mood):
    (copies,) = (f for f in findings(report(copies=audit(low=low))) if f.text.startswith("Copies"))
    assert copies.mood == mood
    assert "20.0\u00a0%" in copies.text


def test_a_few_held_out_images_raise_it_where_chance_hardly_ever_does_so():
    (copies,) = (f for f in findings(report(copies=audit(p_value=0.001))) if f.text.startswith("Copies"))
    assert copies.mood == "bad"


def test_a_few_exact_copies_are_bad_news_though_their_share_is_small():
    few = audit(rate=0.034, low=0.02, high=0.054, p_value=1.3e-4)
    (copies,) = (f for f in findings(report(copies=few)) if f.text.startswith("Copies"))
    assert copies.mood == "bad"
    assert "p = 0.0001" in copies.text


def test_the_verdict_says_how_many_measures_it_is_not_of():
    assert f"{len(QUANTITIES) - 8} could not be compared" in headline(report(verdicts=("agrees",) * 8)).text
    assert "could not be" not in headline(report(verdicts=("agrees",) * len(QUANTITIES))).text


def test_copies_are_bad_news_where_many_held_out_images_say_what_chance_gives():
    many = audit().model_copy(update={"num_held_out": 500})
    (copies,) = (f for f in findings(report(copies=many)) if f.text.startswith("Copies"))
    assert copies.mood == "bad"


def test_a_leak_is_named_and_what_cannot_be_seen_is_not_denied():
    (leaked,) = (f for f in findings(report(leaks=LEAKS)) if "leaked" in f.text)
    (denied,) = (f for f in findings(report(leaks=LEAKS[1:])) if "No leak" in f.text)
    assert leaked.mood == "bad"
    assert leaked.text.endswith(": cut-out.")
    assert denied.text.endswith("seen: shift.")


def test_the_verdict_stands_before_all_measures_and_these_in_the_order_of_their_verdicts(page):
    places = [
        page.index(text) for text in ("Do not rely on it", "Differs (1)", "Not decided (1)", "Agrees (1)", "By KID")
    ]
    assert places == sorted(places)
    assert "Not compared: correlation length, axis ratio" in page


def test_the_measures_of_a_verdict_begin_with_the_furthest_off():
    found = report(verdicts=("agrees", "agrees", "differs", "agrees"))
    shifts = (0.1, -0.3, 0.9, 0.2)
    moved = [d.model_copy(update={"shift": (s, s, s)}) for d, s in zip(found.descriptors, shifts, strict=True)]
    groups = by_verdict(found.model_copy(update={"descriptors": tuple(moved)}))
    assert [(v, [d.shift[0] for d in ds]) for v, ds in groups] == [("differs", [0.9]), ("agrees", [-0.3, 0.2, 0.1])]


@pytest.mark.parametrize(
    ("verdict", "shift", "told"),
    [
        ("agrees", (-0.1, -0.2, 0.0), "shift −0.10 (−0.20 to 0.00)"),
        ("open", (0.4, 0.2, 0.6), "shift 0.40 (0.20 to 0.60)"),
        ("open", (0.1, 0.0, 0.2), "ratio of spreads 0.40 (0.30 to 0.60)"),
        ("differs", (0.9, 0.7, 1.1), "shift 0.90 (0.70 to 1.10)"),
        ("differs", (0.4, 0.2, 0.6), "ratio of spreads 0.40 (0.30 to 0.60)"),
    ],
)
def test_a_measure_is_told_by_the_interval_that_decided(verdict, shift, told):
    found = descriptor(QUANTITIES[0], verdict=verdict)
    assert evidence(found.model_copy(update={"shift": shift, "spread": (0.4, 0.3, 0.6)})) == told


def test_a_generator_that_misses_its_conditions_does_not_get_a_good_verdict():
    """Points at 1, 2, 3 with intervals of 0.05: those that reach 0.11 off lie apart."""
    for generated, apart, mood in (((1.0, 2.09, 2.95), 0, "good"), ((1.0, 2.11, 3.0), 1, "open")):
        found = report(verdicts=["agrees"] * 11, conditions=by_condition(*generated))
        assert headline(found).mood == mood
        (told,) = (f for f in findings(found) if f.text.startswith("Condition"))
        assert f"at {apart} of 3 points" in told.text
        assert told.mood == ("bad" if apart else "open")


def test_a_difference_within_the_margin_is_no_miss_however_narrow_the_intervals():
    found = report(verdicts=["agrees"] * 11, conditions=by_condition(1.0, 2.11, 3.0, sd=0.3))
    assert headline(found).mood == "good"
    assert any("at 0 of 3 points" in f.text for f in findings(found))


def test_the_figure_of_the_conditions_is_there_only_where_there_are_conditions(page, elements):
    assert "Condition by condition</h2>" in page
    alts = {attrs.get("alt", "") for tag, attrs in elements if tag == "img"}
    assert any("a point for each condition" in alt for alt in alts)
    assert any("Two-point probability" in alt for alt in alts)


def test_a_side_of_unknown_pixel_size_has_no_scale_bar_and_says_so(page):
    assert page.count("no scale bar") == 1  # the real side


def test_the_page_of_conditions_has_names_as_text_and_each_number_with_interval_ceiling_and_chance(page_of_conditions):
    parser = Elements()
    parser.feed(page_of_conditions)
    assert "script" not in {tag for tag, _ in parser.found}
    assert sum(attrs.get("alt") == "Generated images" for _, attrs in parser.found) == 2
    for part in (
        "78\u00a0% (73 to 83)",
        "80\u00a0% (75 to 85)",
        "12\u00a0%",
        "160, 200 of 16 micrographs",
        "0.8 (&lt; −10 to 0.95)",
        "8 conditions held out of training",
        "25.0\u00a0% (1.0 to 7.0)",
        "held out of training</small>",
    ):
        assert part in page_of_conditions, part


def test_without_asking_the_page_names_the_way_to_ask(page, page_of_conditions):
    assert "sorby evaluate --by-condition" in page
    assert "Pictures at each condition" not in page
    assert "sorby evaluate --by-condition" not in page_of_conditions


def test_a_ceiling_that_is_too_high_says_so():
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), dtype=np.uint8)
    numbers = np.random.default_rng(1).random((12, len(QUANTITIES)))
    pictures = Pictures(images, images, [], [], numbers, numbers, [], [], conditions_shown(images, numbers))
    found = report(conditions=by_condition(1.0), read=(fidelity(0.8, by_micrograph=False),))
    assert "the ceiling is too high" in render(found, pictures, log=[])


@pytest.mark.parametrize(
    ("right", "wrong", "mood"), [(0.13, True, "bad"), (0.3, True, "bad"), (0.6, None, "open"), (0.78, False, "good")]
)
def test_pictures_that_do_not_show_their_condition_are_bad_news(right, wrong, mood):
    """Half way from chance, 12.5 %, to real pictures, 80 %, is 46 %; an interval that reaches 75 % is as good."""
    found = report(verdicts=["agrees"] * 11, conditions=by_condition(1.0, 2.0, 3.0), read=(fidelity(right),))
    assert found.fidelity[0].wrong is wrong
    assert about_conditions(found)[0].mood == mood
    assert headline(found).mood == {"bad": "bad", "open": "good", "good": "good"}[mood]


def test_conditions_held_out_are_told_of_apart_from_those_seen():
    found = report(conditions=by_condition(1.0, 2.0, 3.0, unseen=(1.5, 2.0)))
    seen, held_out = about_conditions(found)
    assert seen.text.startswith("Condition by condition: ")
    assert "at 0 of 3 points" in seen.text
    assert held_out.text.startswith("At conditions held out of training: ")
    assert "at 1 of 2 points" in held_out.text
    assert "25.0" in held_out.text

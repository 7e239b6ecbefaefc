"""Tab Judge, as scripts call it and as a person uses it."""

import csv
import io
import json
import re

import httpx
import numpy as np
import pytest
from PIL import Image

from sorby.app import trials as module
from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.app.trials import Trial, Trials
from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import ConfigError
from sorby.evaluation.blind import Item
from sorby.metrics.blind import Judged, result_of
from sorby.micrograph import read_micrograph
from tests.app.conftest import a_page, finished, serving
from tests.data.made import texture
from tests.latent.tiny import tiny

ASKED = {"generator": "steel", "dataset": "data.zip", "num": 12}


def begun(client, **asked):
    job = finished(client, client.post("/api/judge", json=ASKED | asked).json()["key"])
    assert job["state"] == "finished", job
    return f"/api/judge/{job['result']['token']}"


def say(client, test, number, answer, **more):
    return client.post(f"{test}/answers", json={"number": number, "answer": answer, "seconds": 1.5} | more)


def judged(client, **asked):
    """A test whose judge calls all real."""
    test = begun(client, **asked)
    for number in range((ASKED | asked)["num"]):
        assert say(client, test, number, "real", confidence=2).status_code == 200
    return test


@pytest.fixture(scope="module")
def over(client):
    return judged(client, judge="=HCS")


def test_half_of_the_pictures_are_of_the_held_out_side_and_half_are_those_of_their_seeds(
    client, over, opened, tmp_path
):
    result = client.get(f"{over}/result").json()
    data, generator = opened.dataset("data.zip"), opened.generator("steel")
    files = [patch.file for patch in data.patches]
    assert [one["truth"] for one in result["pictures"]].count("real") == 6
    for number, one in enumerate(result["pictures"]):
        (tmp_path / "a.png").write_bytes(client.get(f"{over}/pictures/{number}.png").content)
        found = read_micrograph(tmp_path / "a.png")
        if one["truth"] == "real":
            place = files.index(one["file"])
            assert data.patches[place].split == "held-out"
            np.testing.assert_array_equal(found.grey, data.images([place])[0, 0])
        else:
            asked = {"phase": "pearlite", "temperature": "1000"}  # as the held-out pictures are
            assert one["condition"] == "phase pearlite, temperature 1000"
            np.testing.assert_array_equal(found.grey, generator.images([one["seed"]], condition=asked)[0, 0])
            assert (found.notes["synthetic"], found.notes["seed"]) == ("true", str(one["seed"]))


def test_while_a_test_runs_files_and_answers_tell_nothing(client):
    test = begun(client)
    replies = [client.get(f"{test}/pictures/{number}.png") for number in range(12)]
    assert len({len(reply.content) for reply in replies}) == 1
    assert len({tuple(sorted((k, v) for k, v in r.headers.items() if k != "date")) for r in replies}) == 1
    for reply in replies:
        picture = Image.open(io.BytesIO(reply.content))
        assert (picture.info, picture.mode, picture.size) == ({}, "L", (32, 32))
        chunks = re.findall(rb"(?:IHDR|pHYs|tEXt|iTXt|zTXt|tIME|IDAT|IEND)", reply.content[:60] + reply.content[-12:])
        assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    assert say(client, test, 0, "real").json() == {"judged": 1, "is_over": False}
    assert set(client.get(test).json()) == {"num", "notes", "scale_bar", "judge", "judged", "is_over"}
    for path in ("result", "result.csv", "result.json"):
        answer = client.get(f"{test}/{path}")
        assert answer.json() == {"error": "1 of 12 are judged: judge the others first."}


def test_the_job_that_draws_a_test_tells_its_token_and_nothing_else(client):
    job = finished(client, client.post("/api/judge", json=ASKED).json()["key"])
    assert set(job["result"]) == {"token"}
    assert job["files"] == []


def test_a_judge_who_calls_all_real_is_right_half_of_the_time(client, over):
    result = client.get(f"{over}/result").json()
    answers = [Judged(answer="real", truth=one["truth"], seconds=1.5) for one in result["pictures"]]
    expected = json.loads(result_of(answers).model_dump_json())
    assert {name: result[name] for name in expected} == expected
    assert (result["accuracy"]["value"], result["p_value"]) == (0.5, 1.0)
    assert (result["generated_found"]["right"], result["real_found"]["right"]) == (0, 6)
    assert (result["judge"], result["generator"], result["side"], result["asked"]) == ("=HCS", "steel", "held-out", 12)


def test_the_record_can_be_saved_as_a_table_without_formulas_and_as_json(client, over):
    answer = client.get(f"{over}/result.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["judge"] for row in rows] == ["'=HCS"] * 12
    assert {(row["answer"], row["confidence"], row["seconds"]) for row in rows} == {("real", "2", "1.5")}
    assert client.get(f"{over}/result.json").json() == client.get(f"{over}/result").json()


def test_a_test_ended_early_is_of_what_was_judged(client):
    test = begun(client)
    answer = client.post(f"{test}/end")
    assert answer.json() == {"error": "No picture was judged yet: judge at least one, or begin another test."}
    say(client, test, 0, "generated")
    assert client.post(f"{test}/end").json() == {"judged": 1, "is_over": True}
    result = client.get(f"{test}/result").json()
    assert (result["accuracy"]["of"], result["asked"], len(result["pictures"])) == (1, 12, 1)
    assert say(client, test, 1, "real").json() == {"error": "This test is over: see its result, or begin another."}


def test_pictures_are_judged_once_and_in_order(client):
    test = begun(client)
    say(client, test, 0, "real")
    for number in (0, 2):
        answer = say(client, test, number, "generated")
        assert answer.status_code == 422
        assert answer.json() == {"error": f"Picture {number + 1} came, expected picture 2: load the page."}


def test_real_pictures_that_were_learnt_from_are_noted_and_taken_where_none_is_held_out(places, tmp_path):
    patches = [Patch(file=f"{i}.png", parent=f"m{i}", pixel_size_um=0.5) for i in range(8)]
    items = [(patch, texture(i, (32, 32))) for i, patch in enumerate(patches)]
    write_dataset(tmp_path / "all.zip", items, space=ConditionSpace(), recipe={})
    app = application(open_all([places / "plain", tmp_path / "all.zip"]))
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        state = client.get(begun(client, generator="plain", dataset="all.zip")).json()
    assert state["notes"] == [
        "The real pictures are training pictures of all.zip, which the generator may have learnt.",
        "Magnification may tell the pictures apart: the pixel sizes differ, 0.25 and 0.5 µm.",
    ]
    assert state["scale_bar"] is None


def test_the_scale_is_shown_where_it_is_that_of_both_sides(client):
    assert client.get(begun(client)).json()["scale_bar"] == {"share": 0.25, "label": "2 µm"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"num": 7}, "num: expected a multiple of 2"),
        ({"num": 1000}, "num: expected at most 200"),
        ({"side": "test"}, "Side of data.zip 'test' is not known"),
        ({"generator": "../plain"}, "No generator '../plain' is open"),
        ({"judge": "a\nb"}, "judge: String should match pattern"),
        ({"judge": "a" * 81}, "judge: String should have at most 80 characters"),
    ],
)
def test_a_test_that_cannot_be_made_is_told_in_one_line(client, asked, said):
    answer = client.post("/api/judge", json=ASKED | asked)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_too_many_pictures_are_told_when_it_is_drawn(client):
    job = finished(client, client.post("/api/judge", json=ASKED | {"num": 20}).json()["key"])
    assert (job["state"], job["error"]) == ("failed", "data.zip has 6 such real pictures: ask for at most 12 in all.")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"answer": "maybe"}, "answer: expected 'real' or 'generated'"),
        ({"seconds": -1}, "seconds: expected at least 0"),
        ({"confidence": 4}, "confidence: expected at most 3"),
    ],
)
def test_an_answer_that_is_none_is_refused(client, body, said):
    test = begun(client)
    answer = client.post(f"{test}/answers", json={"number": 0, "answer": "real", "seconds": 1} | body)
    assert answer.json()["error"].startswith(said)


@pytest.mark.parametrize("path", ["", "/pictures/0.png", "/result", "/result.csv"])
def test_a_token_that_nobody_was_given_opens_nothing(client, path):
    answer = client.get(f"/api/judge/abc{path}")
    assert answer.json() == {
        "error": "This test is not known: it was forgotten, or the explorer was started anew; begin another."
    }


def trial(side=32, *, is_over=True):
    made = Trial(tiny(), (Item(np.zeros((1, side, side), np.uint8), "real"),), "", {}, {})
    made.is_ended = is_over
    return made


def test_a_test_that_goes_on_is_not_forgotten_for_another(monkeypatch):
    monkeypatch.setattr(module, "MOST_TRIALS", 2)
    trials, (first, second, third) = Trials(), (trial(is_over=False) for _ in range(3))
    trials.add(first)
    trials.add(second)
    with pytest.raises(ConfigError, match="no room for another test: wait until one of those under way is over"):
        trials.add(third)
    second.is_ended = True
    trials.add(third)
    assert trials.get(first.token) is first
    first.looked_at -= module.ABANDONED_S + 1
    trials.add(second)
    with pytest.raises(ConfigError, match="forgotten"):
        trials.get(first.token)


def test_the_test_that_was_not_looked_at_for_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST_TRIALS", 3)
    trials, made = Trials(), [trial() for _ in range(4)]
    for one in made[:3]:
        trials.add(one)
    trials.get(made[0].token)
    trials.add(made[3])
    assert len(trials) == 3
    assert trials.get(made[0].token) is made[0]
    with pytest.raises(ConfigError, match="forgotten"):
        trials.get(made[1].token)


def test_pictures_of_all_tests_take_bounded_memory_and_the_newest_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3000)
    trials = Trials()
    for _ in range(5):
        trials.add(trial())
    assert len(trials) == 2  # of 1024 bytes each
    large = trial(side=100)
    trials.add(large)
    assert len(trials) == 1
    assert trials.get(large.token) is large


def start(page, site, *, name=""):
    page.goto(f"{site}/#judge")
    panel = page.locator("#judge")
    panel.get_by_label("Generator").select_option("steel")
    panel.get_by_label("Real pictures").select_option("train")
    panel.get_by_label("Pictures, half of them real").select_option("20")
    panel.get_by_label("Name or initials").fill(name)
    panel.get_by_role("button", name="Begin the test").click()
    return panel


def ready(panel, number):
    panel.get_by_role("img", name=f"Picture {number} of 20").wait_for()
    panel.locator(".answer:enabled").first.wait_for()


def test_an_expert_judges_by_keys_reloads_the_page_and_saves_the_record(page, site, tmp_path):
    panel = start(page, site, name="rf")
    for number in range(1, 21):
        ready(panel, number)
        page.keyboard.press("3")
        assert panel.get_by_label("3 certain").is_checked()
        page.keyboard.press("r" if number % 2 else "F")
        if number == 7:
            ready(panel, 8)
            page.reload()
    panel.get_by_role("heading", name=re.compile(r"^\d+ of 20 right: \d+ %$")).wait_for()
    assert panel.get_by_role("img", name=re.compile("^Generated micrograph, seed")).count() == 10
    assert panel.get_by_role("img", name=re.compile("^Real micrograph, p")).count() == 10
    with page.expect_download() as download:
        panel.get_by_role("link", name="Record as CSV").click()
    download.value.save_as(tmp_path / "a.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8-sig"))))
    assert [row["answer"] for row in rows] == ["real", "generated"] * 10
    assert {(row["judge"], row["confidence"]) for row in rows} == {("rf", "3")}
    assert all(0 < float(row["seconds"]) < 60 for row in rows)
    panel.get_by_role("button", name="Another test").click()
    panel.get_by_role("button", name="Begin the test").wait_for()


def test_an_expert_judges_by_buttons_and_ends_early(page, site):
    panel = start(page, site)
    ready(panel, 1)
    shown = panel.inner_text()
    assert "seed" not in shown
    assert "micrograph" not in shown
    panel.get_by_role("button", name="Fake (F)").focus()
    page.keyboard.press("Enter")
    ready(panel, 2)
    page.wait_for_function("document.activeElement.textContent === 'Fake (F)'")
    panel.get_by_role("button", name="Real (R)").click()
    ready(panel, 3)
    page.keyboard.press("Control+f")
    page.keyboard.press("x")
    assert panel.get_by_text("Picture 3 of 20").is_visible()
    panel.get_by_role("button", name="End here and see the result").click()
    panel.get_by_text("Ended after 2 of 20 pictures.").wait_for()


def test_letters_typed_into_a_name_judge_nothing_and_a_lost_test_is_told(page, site):
    page.goto(f"{site}/#judge")
    page.get_by_role("button", name="Begin the test").wait_for()
    page.evaluate("sessionStorage.setItem('sorby-judge', 'gone')")
    page.reload()
    page.get_by_text("This test is not known").wait_for()
    page.get_by_label("Name or initials").press_sequentially("rf")
    assert page.get_by_label("Name or initials").input_value() == "rf"


def refuse(route):
    route.fulfill(status=422, json={"error": "The explorer is busy."})


def test_a_test_outlives_requests_that_fail(page, site):
    panel = start(page, site)
    ready(panel, 1)
    page.route(
        "**/api/judge/**", lambda route: route.continue_() if route.request.url.endswith(".png") else refuse(route)
    )
    page.keyboard.press("r")
    page.get_by_text("The explorer is busy.").wait_for()
    assert panel.get_by_text("Picture 1 of 20").is_visible()
    page.unroute_all()
    page.keyboard.press("f")
    ready(panel, 2)
    page.route("**/api/judge/*", refuse)
    page.reload()
    page.get_by_text("The explorer is busy.").wait_for()
    page.unroute_all()
    panel.get_by_role("button", name="Go on with the test").click()
    ready(panel, 2)
    panel.get_by_role("button", name="Give up").click()
    panel.get_by_role("button", name="Begin the test").wait_for()
    assert page.evaluate("sessionStorage.getItem('sorby-judge')") is None


def test_too_few_real_pictures_are_told_and_another_number_is_taken(page, site):
    page.goto(f"{site}/#judge")
    panel = page.locator("#judge")
    panel.get_by_label("Generator").select_option("steel")
    panel.get_by_role("option", name=re.compile("^held out: 6 of 1 micrograph")).wait_for(state="attached")
    panel.get_by_role("button", name="Begin the test").click()
    page.get_by_text("data.zip has 6 such real pictures: ask for at most 12 in all.").wait_for()
    panel.get_by_label("Real pictures").select_option("train")
    panel.get_by_role("button", name="Begin the test").click()
    panel.get_by_role("img", name="Picture 1 of 40").wait_for()


def test_two_experts_at_once_have_tests_of_their_own(page, browser, site):
    with a_page(browser, site) as other:
        one, another = start(page, site), start(other, site)
        ready(one, 1)
        ready(another, 1)
        page.keyboard.press("r")
        ready(one, 2)
        assert another.get_by_text("Picture 1 of 20").is_visible()
        other.keyboard.press("f")
        ready(another, 2)

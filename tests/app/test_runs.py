"""Tab Runs: trainings while they are written, studies and reports, as scripts and persons see them."""

import json
import os
import time

import httpx
import numpy as np
import pytest

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.config import resolve, to_toml
from sorby.inspect import summarise
from sorby.micrograph import write_micrograph
from sorby.study.status import planned, status_of
from sorby.study.work import write_study
from sorby.training.tick import read_log
from tests.app.conftest import a_page, serving
from tests.evaluation.made import fields
from tests.latent.tiny import tiny
from tests.study.test_status import TEXT

KIMG = 10
TICK = 2
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30"/></svg>'
RESULTS = (
    "# Size\n\nFive runs.\n\n## Best scores\n\n| variant | FID |\n| --- | --- |\n| a\\|b | 12 (9 to 15) |\n\n- a line\n"
)


def until(is_so):
    end = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def line(kimg, **scores):
    """One tick: 1 ms an image."""
    more = {"p": 0.1, "r_t": 0.5, "loss_G": 1.0, "loss_D": 0.5, "img_s": 1000.0, "seconds": float(kimg)}
    return {"kimg": kimg, "images_seen": 1000 * kimg, **more, **scores}


def write_log(run, *kimgs, last=""):
    (run / "log.jsonl").write_text("".join(json.dumps(line(kimg, fid=100 / kimg)) + "\n" for kimg in kimgs) + last)


def write_sample(run, kimg):
    (run / "samples").mkdir(exist_ok=True)
    name = "real" if kimg is None else f"{1000 * kimg:010d}"
    write_micrograph(run / "samples" / f"{name}.png", np.full((8, 16), 5, np.uint8), pixel_size_um=None, description={})


@pytest.fixture
def run(tmp_path):
    """Three of five ticks, a minute and a half ago."""
    run = tmp_path / "steel-run"
    run.mkdir()
    config = resolve("demo", {"kimg": KIMG, "tick_kimg": TICK, "network": {"size": 32}})
    (run / "config.toml").write_text(to_toml(config))
    write_log(run, 2, 4, 6)
    for kimg in (None, 2, 4, 6):
        write_sample(run, kimg)
    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("data") / "real.zip", seed=0, size=32)


@pytest.fixture
def study(data, tmp_path):
    from sorby.study.file import read_study

    folder = tmp_path / "sizes"
    (tmp_path / "sizes.toml").write_text(TEXT.format(data=data).replace("seeds = [0, 1, 2, 3, 4]", "seeds = [0, 1]"))
    folder.mkdir()
    write_study(folder, read_study(tmp_path / "sizes.toml"))
    (folder / "seed-0").mkdir()
    (folder / "seed-0" / "config.toml").write_text(to_toml(resolve("demo", {"network": {"size": 32}})))
    write_log(folder / "seed-0", 2, 4)
    write_sample(folder / "seed-0", 4)
    (folder / "work").mkdir()
    (folder / "logs").mkdir()
    (folder / "logs" / "seed-0.log").write_text("begun\n" * 5000 + "kimg 4\n")
    (folder / "results.md").write_text(RESULTS)
    (folder / "results.svg").write_text(SVG)
    return folder


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "report.html").write_text("<!doctype html><html lang=en><title>R</title><h1>Much alike</h1></html>")
    return folder


@pytest.fixture
def place(run, study, report):
    with serving(application(open_all([run, study, report]))) as address:
        yield address


@pytest.fixture
def page(browser, place):
    with a_page(browser, place) as page:
        yield page


@pytest.fixture
def script(place):
    with httpx.Client(base_url=place, timeout=30) as client:
        yield client


def test_a_run_is_told_as_its_log_has_it(script, run):
    told = script.get("/api/runs/steel-run").json()
    assert told["lines"] == read_log(run)
    assert (told["kimg"], told["of_kimg"], told["finished"], told["whole"]) == (6, KIMG, False, True)
    assert told["seconds_left"] == pytest.approx(4.0)  # 4 kimg at 1 ms an image
    assert told["samples"] == ["0000002000.png", "0000004000.png", "0000006000.png"]
    assert told["real"]


def test_only_what_is_new_is_sent_and_a_sheet_that_came_after_its_line(script, run):
    assert script.get("/api/runs/steel-run", params={"since": 6}).json()["lines"] == []
    write_log(run, 2, 4, 6, 8)
    told = script.get("/api/runs/steel-run", params={"since": 6}).json()
    assert [one["kimg"] for one in told["lines"]] == [8]
    assert not told["whole"]
    write_sample(run, 8)
    assert script.get("/api/runs/steel-run", params={"since": 8}).json()["samples"] == ["0000008000.png"]


def test_a_run_that_was_begun_anew_is_sent_whole(script, run):
    write_log(run, 2)
    told = script.get("/api/runs/steel-run", params={"since": 6}).json()
    assert told["whole"]
    assert [one["kimg"] for one in told["lines"]] == [2]


def test_half_a_line_is_no_line_yet(script, run):
    write_log(run, 2, 4, 6, last='{"kimg": 8, "images_se')
    assert script.get("/api/runs/steel-run").json()["kimg"] == 6


def test_what_is_not_finite_is_told_as_nothing(script, run):
    (run / "log.jsonl").write_text(json.dumps(line(2, fid=float("nan"), recall=float("inf"))) + "\n")
    (told,) = script.get("/api/runs/steel-run").json()["lines"]
    assert (told["fid"], told["recall"], told["loss_G"]) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"kimg": 8,\n{}\n', "cannot be read now"), ("{}\n", "no log of a training")],
)
def test_a_damaged_log_is_told_in_one_line(script, run, text, said):
    (run / "log.jsonl").write_text(text)
    answer = script.get("/api/runs/steel-run")
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_run_without_a_tick_and_one_whose_folder_is_away_are_told_without_failing(script, run):
    (run / "log.jsonl").unlink()
    told = script.get("/api/runs/steel-run").json()
    assert (told["kimg"], told["seconds_left"], told["lines"]) == (0, None, [])
    run.rename(run.with_name("elsewhere"))
    for path in ("/api/runs/steel-run", "/api/runs/steel-run/settings", "/api/runs/steel-run/samples/real.png"):
        answer = script.get(path)
        assert answer.status_code == 422
        assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("age_s", "finished", "late"), [(50, False, False), (61, False, True), (4000, False, True), (4000, True, False)]
)
def test_a_run_is_late_after_three_ticks_and_a_minute_unless_it_is_finished(script, run, age_s, finished, late):
    write_log(run, *((2, 4, 6, 8, 10) if finished else (2, 4)))
    then = time.time() - age_s
    os.utime(run / "log.jsonl", (then, then))
    told = script.get("/api/runs/steel-run").json()
    assert (told["late"], told["finished"]) == (late, finished)


def test_settings_are_those_of_inspect_with_the_command_that_goes_on(script, run):
    told = script.get("/api/runs/steel-run/settings").json()
    assert told["facts"] == dict(summarise(run).facts)
    assert told["facts"]["go on with"].startswith(f"sorby train DATASET --out {run} --preset demo")
    assert told["settings"]["kimg"] == KIMG


def test_settings_are_told_while_the_best_generator_is_put_in_place(script, run):
    tiny().save(run / "best")
    (run / "best" / "model.safetensors").unlink()
    answer = script.get("/api/runs/steel-run/settings")
    assert answer.status_code in (200, 422)
    assert "\n" not in answer.json().get("error", "")


def test_a_sample_is_the_file_of_the_run(script, run):
    answer = script.get("/api/runs/steel-run/samples/0000002000.png")
    assert answer.content == (run / "samples" / "0000002000.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


def test_a_link_that_leads_out_of_the_run_is_not_followed_and_one_inside_is(script, run, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run / "samples" / "out.png").symlink_to(tmp_path / "secret.png")
    (run / "samples" / "in.png").symlink_to(run / "samples" / "real.png")
    (run / "samples" / "folder.png").mkdir()
    os.mkfifo(run / "samples" / "pipe.png")
    (run / "samples" / "note.txt").write_text("no picture")
    assert script.get("/api/runs/steel-run/samples/in.png").status_code == 200
    for name in ("out.png", "folder.png", "pipe.png", "note.txt"):
        assert script.get(f"/api/runs/steel-run/samples/{name}").status_code == 422, name


def test_a_study_stands_as_status_says(script, study):
    told = script.get("/api/studies/sizes").json()
    expected = status_of(study, planned(study / "study.toml", study))
    assert [(one["name"], one["state"]) for one in told["runs"]] == [(one.name, one.state) for one in expected.runs]
    assert told["counts"] == {"waiting": 2}
    assert (told["figures"], told["logs"]) == (["results.svg"], ["seed-0.log"])


def test_results_are_headings_texts_and_tables(script):
    blocks = script.get("/api/studies/sizes/results").json()["blocks"]
    assert [block["kind"] for block in blocks] == ["heading", "text", "heading", "table", "list"]
    assert blocks[3] == {"kind": "table", "heads": ["variant", "FID"], "rows": [["a|b", "12 (9 to 15)"]]}


def test_a_study_without_results_has_none(script, study):
    (study / "results.md").unlink()
    assert script.get("/api/studies/sizes/results").json() == {"blocks": []}


def test_a_figure_runs_no_script_and_a_log_is_told_from_its_end(script):
    answer = script.get("/api/studies/sizes/figures/results.svg")
    assert answer.text == SVG
    assert answer.headers["content-security-policy"].startswith("sandbox")
    text = script.get("/api/studies/sizes/logs/seed-0.log").json()["text"]
    assert text.endswith("begun\nkimg 4\n")
    assert len(text) == 20_000


def test_a_run_of_a_study_is_a_run(script, study):
    told = script.get("/api/runs/seed-0", params={"study": "sizes"}).json()
    assert told["lines"] == read_log(study / "seed-0")
    answer = script.get("/api/runs/seed-0/samples/0000004000.png", params={"study": "sizes"})
    assert answer.content == (study / "seed-0" / "samples" / "0000004000.png").read_bytes()
    for name in ("seed-7", "work", "study.toml"):
        assert script.get(f"/api/runs/{name}", params={"study": "sizes"}).status_code == 422, name


def test_a_report_is_the_page_as_it_was_written_and_may_do_nothing(script, report):
    answer = script.get("/reports/scores")
    assert answer.content == (report / "report.html").read_bytes()
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "path", ["/api/runs/x", "/api/runs/steel-run?study=x", "/api/studies/x", "/api/studies/x/results", "/reports/x"]
)
def test_what_is_not_open_is_told_with_what_is(script, path):
    answer = script.get(path)
    assert answer.status_code == 422
    assert "choose from" in answer.json()["error"]


def test_a_person_watches_a_run_grow(page, place, run):
    page.goto(place)
    page.get_by_role("img", name="FID over kimg: training patches from 50 at 2 to 16.7 at 6 kimg").wait_for()
    page.get_by_role("img", name="Sheet of generated samples at 6 kimg").wait_for()
    page.get_by_text("sorby train DATASET").wait_for()
    write_log(run, 2, 4, 6, 8, last='{"kimg": 10')
    write_sample(run, 8)
    page.get_by_role("img", name="FID over kimg: training patches from 50 at 2 to 12.5 at 8 kimg").wait_for()
    page.get_by_role("img", name="Sheet of generated samples at 8 kimg").wait_for()
    slider = page.get_by_role("slider", name="Sheet")
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_role("img", name="Sheet of generated samples at 2 kimg").wait_for()
    assert page.get_by_text("All ticks as numbers").is_visible()
    (run / "log.jsonl").write_text("no log\n")
    page.get_by_text("log.jsonl of steel-run cannot be read now").wait_for()
    write_log(run, 2, 4, 6, 8, 10)
    page.get_by_text("10 of 10 kimg; 1,000 images/s").wait_for()
    page.get_by_role("img", name="Sheet of generated samples at 2 kimg").wait_for()  # it stays where it was put
    page.locator("#runs .warning:empty").wait_for(state="attached")


def test_a_person_reads_a_study_its_log_a_run_of_it_and_a_report(page, place):
    page.goto(place)
    page.get_by_label("Show").select_option("study sizes")
    page.get_by_text("a|b").wait_for()
    until(lambda: page.locator(".drawn img").evaluate("image => image.naturalWidth") == 40)
    page.get_by_role("button", name="Log of seed-0").press("Enter")
    assert page.get_by_label("End of seed-0.log").evaluate("e => e === document.activeElement")
    page.get_by_role("button", name="seed-0", exact=True).click()
    page.get_by_role("heading", name="Run seed-0").wait_for()
    page.get_by_role("img", name="FID over kimg").wait_for()
    page.get_by_role("button", name="Back to study sizes").click()
    page.get_by_role("heading", name="Study sizes").wait_for()
    page.get_by_label("Show").select_option("report scores")
    page.frame_locator("iframe").get_by_role("heading", name="Much alike").wait_for()
    assert page.get_by_role("link", name="Open in full").get_attribute("href") == "reports/scores"

"""Tab Data, as scripts call it and as a person uses it: from a review in the browser to the next `sorby prepare`."""

import shutil
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.data.dataset import Dataset
from sorby.data.overrides import overrides_path, read_overrides, write_overrides
from sorby.data.prepare import prepare, review_path
from sorby.data.recipe import make_recipe
from tests.app.conftest import a_page, serving
from tests.data.made import save, texture, textures
from tests.data.test_overrides import run

STEEL = "/api/datasets/steel.zip"
REFUSED = "blurred.png"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three sound pictures, a blurred one, and one that is no picture."""
    folder = textures(tmp_path_factory.mktemp("raw") / "raw", 3, (64, 96))
    save(folder, blurred=texture(9, (64, 96), sigma=8))
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def steel(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "steel.zip"
    prepare([raw], out, recipe=make_recipe(size=32, seed=3), workers=1)
    return out


@pytest.fixture(scope="module")
def own_site(steel, places):
    with serving(application(open_all([steel, places / "data.zip"]))) as address:
        yield address


@pytest.fixture
def script(own_site, steel):
    with httpx.Client(base_url=own_site, timeout=60) as client:
        yield client
    overrides_path(steel).unlink(missing_ok=True)


@pytest.fixture
def reader(browser, own_site, steel):
    with a_page(browser, own_site) as page:
        page.goto(f"{own_site}#data")
        page.get_by_role("row", name=REFUSED).wait_for()
        yield page
    overrides_path(steel).unlink(missing_ok=True)


def names(answer):
    return [one["name"] for one in answer["micrographs"]]


def test_a_review_tells_what_prepare_decided_and_the_command_that_would_do_it_again(script):
    answer = script.get(f"{STEEL}/review").json()
    assert names(answer) == ["blurred.png", "text.png", "t0.png", "t1.png", "t2.png"]
    told = {one["name"]: one for one in answer["micrographs"]}
    assert (told["blurred.png"]["kept"], told["blurred.png"]["reason"]) == (False, "blurred")
    assert told["blurred.png"]["limit"] == "at least 0.27"
    assert told["t0.png"]["patches"] == 6
    assert told["text.png"]["remedy"]
    assert answer["command"] == (
        "sorby prepare SOURCE... --out steel.zip --size 32 --seed 3 --overrides steel.overrides.csv"
    )
    assert (answer["decisions"], answer["is_written"]) == ({}, False)


def test_a_preview_is_of_the_sheet_and_where_that_is_gone_a_patch(script, steel, tmp_path):
    answer = script.get(f"{STEEL}/preview", params={"file": REFUSED})
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(BytesIO(answer.content)), int)
    assert np.abs(shown - texture(9, (64, 96), sigma=8)).mean() < 5  # as a JPEG has it
    shutil.move(review_path(steel), tmp_path / "away.html")
    try:
        patch = script.get(f"{STEEL}/preview", params={"file": "t1.png"})
        lost = script.get(f"{STEEL}/preview", params={"file": REFUSED})
    finally:
        shutil.move(tmp_path / "away.html", review_path(steel))
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(patch.content))), texture(1, (64, 96))[:32, :32])
    assert lost.json()["error"] == "There is no preview of 'blurred.png': take the names of its review."


def test_decisions_of_two_people_add_up_and_can_be_taken_back(script, steel):
    for changes in ({REFUSED: "keep"}, {"t1.png": "reject", "t2.png": "reject"}, {"t2.png": ""}):
        answer = script.post(f"{STEEL}/overrides", json=changes).json()
    assert answer["decisions"] == {REFUSED: "keep", "t1.png": "reject"}
    assert read_overrides(overrides_path(steel)) == {REFUSED: "keep", "t1.png": "reject"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (STEEL, b'{"text.png": "keep"}', "text.png is unreadable, and no list keeps it: export them again"),
        (STEEL, b'{"../../etc/passwd": "keep"}', "No micrograph '../../etc/passwd' is in this dataset"),
        (STEEL, b'{"t1.png": "perhaps"}', "Expected decisions by name as JSON"),
        (STEEL, b"not JSON", "Expected decisions by name as JSON"),
        (STEEL, b" " * (4 * 2**20 + 1), "is larger than 4 MiB"),
        ("/api/datasets/data.zip", b'{"p1": "keep"}', "was not made by sorby prepare"),
        ("/api/datasets/other", b"{}", "No dataset 'other' is open"),
    ],
)
def test_what_cannot_be_decided_is_told_in_one_line_and_nothing_is_written(script, steel, places, path, body, said):
    answer = script.post(f"{path}/overrides", content=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert not overrides_path(steel).exists()
    assert not overrides_path(places / "data.zip").exists()


def test_a_file_of_someone_else_in_the_place_of_the_list_is_left_alone(script, steel):
    overrides_path(steel).write_text("my notes")
    answer = script.post(f"{STEEL}/overrides", json={"t1.png": "reject"})
    assert "expected the columns file and decision" in answer.json()["error"]
    assert overrides_path(steel).read_text() == "my notes"


def test_a_list_that_names_the_end_of_a_path_or_more_of_it_is_told_by_the_names_of_the_review(script, steel):
    write_overrides(overrides_path(steel), {"raw/t1.png": "reject", "elsewhere.png": "keep"})
    assert script.get(f"{STEEL}/review").json()["decisions"] == {"t1.png": "reject", "elsewhere.png": "keep"}
    script.post(f"{STEEL}/overrides", json={"t1.png": "keep"})
    assert read_overrides(overrides_path(steel)) == {"t1.png": "keep", "elsewhere.png": "keep"}


def test_a_page_of_another_site_may_not_write(script, steel):
    answer = script.post(f"{STEEL}/overrides", json={"t1.png": "reject"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert not overrides_path(steel).exists()


def test_a_reference_that_is_rejected_is_not_asked_for_again(raw, tmp_path):
    made = prepare([raw], tmp_path / "m.zip", recipe=make_recipe(size=32, match=True), workers=1)
    reference = made.recipe["reference"]
    with serving(application(open_all([tmp_path / "m.zip"]))) as address:
        review = httpx.get(f"{address}/api/datasets/m.zip/review").json()
        after = httpx.post(f"{address}/api/datasets/m.zip/overrides", json={reference: "reject"}).json()
    assert f"--match --reference {reference} " in review["command"]
    assert "--match" in after["command"]
    assert "--reference" not in after["command"]


def test_what_a_person_keeps_in_the_browser_is_kept_by_the_next_prepare(reader, steel, raw, tmp_path):
    row = reader.get_by_role("row", name=REFUSED)
    assert "rejected: blurred" in row.inner_text()
    row.get_by_label("keep").check()
    reader.get_by_text("will be kept, once written").wait_for()
    reader.get_by_role("button", name="Write").click()
    command = reader.get_by_label("Command").inner_text()
    again = tmp_path / "again.zip"
    words = command.replace("SOURCE...", str(raw)).replace("steel.overrides.csv", str(overrides_path(steel))).split()
    run(*(again if word == "steel.zip" else word for word in words[2:]))
    assert Dataset.open(again).parents == ("blurred.png", "t0.png", "t1.png", "t2.png")
    assert reader.get_by_role("button", name="Write").is_disabled()


def test_rows_are_decided_by_keys_alone(reader, steel):
    reader.get_by_role("row", name="t0.png").get_by_label("as measured").focus()
    for key in ("r", "k", "Tab"):  # each decision goes on to the next row
        reader.keyboard.press(key)
    reader.get_by_text("2 decided and not yet written.").wait_for()
    reader.get_by_label("Show").select_option("changed")
    assert reader.get_by_role("row").count() == 3  # with the head
    reader.get_by_role("button", name="Write").focus()
    reader.keyboard.press("Enter")
    reader.get_by_text("steel.overrides.csv is written").wait_for()
    assert read_overrides(overrides_path(steel)) == {"t0.png": "reject", "t1.png": "keep"}


def test_what_is_decided_while_the_list_is_written_stays(reader, steel):
    held = []
    reader.route("**/overrides", lambda route: held.append(route))
    reader.get_by_role("row", name="t0.png").get_by_label("reject").check()
    with reader.expect_request("**/overrides"):
        reader.get_by_role("button", name="Write").click()
    reader.get_by_role("row", name="t0.png").get_by_label("as measured").check()
    reader.get_by_role("row", name="t1.png").get_by_label("reject").check()
    held[0].continue_()
    reader.get_by_text("steel.overrides.csv is written").wait_for()
    reader.get_by_text("2 decided and not yet written.").wait_for()
    assert reader.get_by_role("row", name="t0.png").get_by_label("as measured").is_checked()
    assert reader.get_by_role("row", name="t1.png").get_by_label("reject").is_checked()
    assert read_overrides(overrides_path(steel)) == {"t0.png": "reject"}


def test_decisions_and_answers_stay_with_their_dataset(reader, steel):
    held = []
    reader.route("**/overrides", lambda route: held.append(route))
    reader.get_by_role("row", name="t0.png").get_by_label("reject").check()
    with reader.expect_request("**/overrides"):
        reader.get_by_role("button", name="Write").click()
    reader.get_by_role("row", name="t1.png").get_by_label("reject").check()
    reader.get_by_label("Dataset").select_option("data.zip")
    reader.get_by_role("row", name="p0").wait_for()
    with reader.expect_response("**/overrides"):
        held[0].continue_()
    assert reader.get_by_role("row", name="p0").is_visible()
    assert reader.get_by_role("row", name="t0.png").count() == 0
    reader.get_by_label("Dataset").select_option("steel.zip")
    reader.get_by_text("1 decided and not yet written.").wait_for()
    assert reader.get_by_role("row", name="t1.png").get_by_label("reject").is_checked()


def test_what_nothing_can_be_cut_from_cannot_be_kept(reader):
    row = reader.get_by_role("row", name="text.png")
    assert row.get_by_label("keep").is_disabled()
    row.get_by_label("as measured").focus()
    reader.keyboard.press("k")
    reader.get_by_role("status").get_by_text("no list keeps it").wait_for()


def test_rows_are_filtered_and_ordered(reader):
    reader.get_by_label("Show").select_option("rejected")
    assert reader.locator("tbody th").all_inner_texts() == ["blurred.png", "text.png"]
    reader.get_by_label("Show").select_option("all")
    reader.get_by_label("Order").select_option("sharpness")
    assert reader.locator("tbody th").first.inner_text() == "blurred.png"
    assert reader.locator("tbody th").last.inner_text() == "text.png"  # nothing was measured
    reader.get_by_label("Name contains").fill("T1")
    assert reader.locator("tbody th").all_inner_texts() == ["t1.png"]


def test_a_dataset_of_others_is_shown_and_nothing_can_be_written(page, site):
    page.goto(f"{site}#data")
    page.get_by_text("it can be looked at, and nothing overruled").wait_for()
    page.get_by_role("img", name="Micrograph p0").wait_for()
    assert page.get_by_role("button", name="Write").count() == 0


def test_what_was_decided_before_is_shown_as_such(browser, steel, own_site):
    write_overrides(overrides_path(steel), {"t2.png": "reject"})
    try:
        with a_page(browser, own_site) as page:
            page.goto(f"{own_site}#data")
            row = page.get_by_role("row", name="t2.png")
            assert row.get_by_label("reject").is_checked()
            row.get_by_text("will be rejected, when it is prepared again").wait_for()
    finally:
        overrides_path(steel).unlink()

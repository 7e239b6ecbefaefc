"""Tab Project, as scripts call it and as a person uses it."""

import asyncio
import base64
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.requests import Request

from sorby.app import projecting, upload
from sorby.app.upload import MIB, body_of
from sorby.errors import ConfigError
from sorby.latent.project import project
from sorby.latent.projection_files import correlation
from sorby.latent.target import target_of
from sorby.micrograph import encode_micrograph, read_micrograph
from tests.app.conftest import finished, in_a_loop, picture_shape
from tests.data.made import texture

PLAIN = "/api/generators/plain/projections"
STEPS = 6


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    """As a whole search, in less time."""
    usual = dict(projecting.EFFORTS)
    projecting.EFFORTS |= {"quick": STEPS, "thorough": 10_000}
    yield
    projecting.EFFORTS |= usual


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("micrograph") / "secret.tif"
    path.write_bytes(encode_micrograph(texture(5, (60, 80)), ".tif", pixel_size_um=0.25, description={}))
    return path


@pytest.fixture(scope="module")
def begun(client, micrograph):
    return client.post(PLAIN, params={"file": "secret.tif"}, content=micrograph.read_bytes()).json()


@pytest.fixture(scope="module")
def job(client, begun):
    return finished(client, begun["key"])


def pixels(src, tmp_path):
    (tmp_path / "a.png").write_bytes(base64.b64decode(src.partition(",")[2]))
    return read_micrograph(tmp_path / "a.png")


def test_a_projection_is_that_of_the_library(job, opened, micrograph, tmp_path):
    import torch

    generator = opened.generator("plain").with_dtype(torch.float32)
    target = target_of(read_micrograph(micrograph), generator.card)
    expected = project(generator, target.picture[None], steps=STEPS)
    assert job["state"] == "finished"
    found = job["result"]
    np.testing.assert_array_equal(pixels(found["target"], tmp_path).grey, target.picture[0])
    np.testing.assert_array_equal(pixels(found["projection"], tmp_path).grey, expected.images[0, 0])
    assert found["distance"] == pytest.approx(float(expected.distances[0]))
    assert found["correlation"] == pytest.approx(correlation(target.picture, expected.images[0]))
    assert found["notes"] == list(target.notes)
    assert (job["done"], job["total"]) == (STEPS, STEPS)


def test_the_projection_is_called_synthetic_and_the_image_what_it_says_itself(job, tmp_path):
    said = {name: pixels(job["result"][name], tmp_path).notes.get("synthetic") for name in ("target", "projection")}
    assert said == {"target": None, "projection": "true"}


def test_the_difference_is_white_where_there_is_none_and_black_where_it_is_largest(job, tmp_path):
    found = job["result"]
    target, drawn, shown = (
        pixels(found[name], tmp_path).grey.astype(int) for name in ("target", "projection", "difference")
    )
    apart, most = np.abs(target - drawn), found["largest_difference"]
    assert most == apart.max()
    assert found["mean_difference"] == pytest.approx(apart.mean())
    np.testing.assert_array_equal(shown, 255 - np.rint(apart * 255 / most))


def test_no_edit_shows_the_projection_and_the_whole_way_to_a_seed_the_picture_of_the_seed(
    client, job, opened, tmp_path
):
    path = f"/api/projections/{job['key']}/edit"
    untouched, end = (
        client.get(path, params=query).json() for query in ({}, {"share": 1, "seed": 4, "truncation": 0.8})
    )
    drawn = pixels(job["result"]["projection"], tmp_path).grey.astype(int)
    assert untouched["told"] == "none"
    # Edits are drawn in the precision of the explorer, half a grey value off.
    assert np.abs(pixels(untouched["png"], tmp_path).grey - drawn).mean() < 1
    seed = opened.generator("plain").images([4], truncation=0.8)[0, 0].astype(int)
    assert np.abs(pixels(end["png"], tmp_path).grey - seed).max() <= 4
    assert end["told"] == "truncation 0.8, 1 of the way to seed 4"


def test_a_move_there_and_its_file_say_so(client, job, tmp_path):
    query = {"move": ["pca-1=2", "pca-2=0"], "noise_seed": 3}
    shown = client.get(f"/api/projections/{job['key']}/edit", params=query).json()
    saved = client.get(f"/api/projections/{job['key']}/edit.tif", params=query)
    (tmp_path / "a.tif").write_bytes(saved.content)
    read = read_micrograph(tmp_path / "a.tif")
    np.testing.assert_array_equal(read.grey, pixels(shown["png"], tmp_path).grey)
    assert read.pixel_size_um == pytest.approx(0.25)
    assert (read.notes["synthetic"], read.notes["edits"]) == ("true", "pca-1 +2 sd, noise of seed 3")
    assert 'filename="projection.tif"' in saved.headers["content-disposition"]


def test_a_condition_is_the_one_asked_for(client, micrograph):
    query = {"condition": ["phase=pearlite", "temperature=1200"], "fit_noise": False, "space": "w+"}
    key = client.post("/api/generators/steel/projections", params=query, content=micrograph.read_bytes()).json()["key"]
    found = finished(client, key)["result"]
    assert found["told"] == "phase pearlite, temperature 1200 °C"
    assert found["warnings"] == ["temperature=1200 is outside the data, which hold temperature from 800 to 1000 °C."]


def bomb(side):
    """A PNG that declares `side` x `side` pixels and holds none."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("query", "content", "said"),
    [
        ({"file": "a.tif"}, b"", "a.tif is empty (0 bytes): expected a TIFF, PNG, JPEG or BMP image"),
        ({"file": "../../a b.tif"}, b"<html>", "a b.tif is text (starts with b'<html>'): expected a TIFF"),
        ({"file": "a\nb.tif"}, b"GIF89a\0\0", "ab.tif is no known image"),
        ({}, encode_micrograph(texture(0), ".png", pixel_size_um=None, description={})[:-999], "micrograph is damaged"),
        ({}, bomb(9000), "declares 9000 x 9000 pixels, expected at most 67108864 in all"),
        ({}, bomb(2**31 - 1), "declares 2147483647 x 2147483647 pixels"),
        ({}, encode_micrograph(texture(0, (20, 40)), ".png", pixel_size_um=None, description={}), "smaller than"),
        ({"effort": "heroic"}, b"", "Effort 'heroic' is not known: choose from quick, thorough."),
        ({"space": "z"}, b"", "Space 'z' is not known: choose from w, w+."),
        ({"condition": "phase=ferrite"}, b"", "phase"),
    ],
)
def test_what_cannot_be_projected_is_told_in_one_line(client, query, content, said):
    answer = client.post(PLAIN, params=query, content=content)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("length", [None, 2 * MIB])
def test_a_file_that_is_too_large_is_refused_whether_it_says_so_before_or_not(client, monkeypatch, length):
    monkeypatch.setattr(projecting, "MOST_BYTES", MIB)
    parts = (bytes(MIB // 8) for _ in range(16))
    headers = {} if length is None else {"Content-Length": str(length)}
    answer = client.post(PLAIN, params={"file": "a.tif"}, content=parts, headers=headers)
    assert answer.json()["error"] == "a.tif is larger than 1 MiB, the most that is taken: give a smaller one."


def test_no_more_of_a_file_is_read_than_is_allowed():
    read = []

    async def receive():
        read.append(MIB)
        return {"type": "http.request", "body": bytes(MIB), "more_body": True}

    state = SimpleNamespace(uploads=0)
    scope = {"type": "http", "method": "POST", "headers": [], "app": SimpleNamespace(state=state)}
    request = Request(scope, receive)
    with (
        pytest.raises(ConfigError, match="larger than 4 MiB"),
        ThreadPoolExecutor(1) as aside,  # the browser's tests have a loop in this thread
    ):
        aside.submit(lambda: asyncio.run(body_of(request, 4 * MIB, "a.tif"))).result()
    assert len(read) == 5
    assert state.uploads == 0


def test_more_files_than_there_is_memory_for_are_not_taken_at_once(monkeypatch):
    monkeypatch.setattr(upload, "MOST_UPLOADS", 2)
    state, go_on = SimpleNamespace(uploads=0), asyncio.Event()

    async def receive():
        await go_on.wait()
        return {"type": "http.request", "body": b"all", "more_body": False}

    def sent():
        scope = {"type": "http", "method": "POST", "headers": [], "app": SimpleNamespace(state=state)}
        return body_of(Request(scope, receive), MIB, "a.tif")

    async def three():
        first = [asyncio.ensure_future(sent()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ConfigError, match="2 files are being sent already: try again"):
            await sent()
        go_on.set()
        assert await asyncio.gather(*first) == [b"all", b"all"]
        assert await sent() == b"all"

    in_a_loop(three())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"truncation": 2}, "truncation"),
        ({"share": -1}, "share"),
        ({"move": "pca-1"}, "expected NAME=SD, each once, of at most 10 standard deviations, such as pca-1=1.5."),
        ({"move": "pca-1=nan"}, "expected NAME=SD"),
        ({"move": "pca-1=99"}, "expected NAME=SD"),
        ({"move": "pca-9=1"}, "Direction 'pca-9' is not known: choose from pca-1, pca-2, pca-3, pca-4."),
    ],
)
def test_an_edit_that_cannot_be_drawn_is_told_in_one_line(client, job, query, said):
    answer = client.get(f"/api/projections/{job['key']}/edit", params=query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_micrograph_is_forgotten_when_it_is_asked_and_its_search_ends(client, micrograph):
    query = {"effort": "thorough"}
    key = client.post(PLAIN, params=query, content=micrograph.read_bytes()).json()["key"]
    assert "no projection yet" in client.get(f"/api/projections/{key}/edit").json()["error"]
    client.delete(f"/api/projections/{key}")
    for path in (f"/api/jobs/{key}", f"/api/projections/{key}/edit"):
        assert "is not known" in client.get(path).json()["error"]
    # The one worker is free again, so the search has ended.
    after = client.post(PLAIN, content=micrograph.read_bytes()).json()["key"]
    assert finished(client, after)["state"] == "finished"


def test_nothing_of_a_micrograph_is_told_to_who_has_not_its_key(client, job):
    assert job["state"] == "finished"
    for path in ("/api/opened", "/api/jobs/", "/api/projections/", "/api/projections/x/edit", "/openapi.json"):
        assert "secret" not in client.get(path).text


@pytest.fixture
def tab(page, site):
    page.goto(f"{site}#project")
    page.get_by_label("Drop a micrograph here, or choose one").wait_for()
    return page


DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0)), held = new DataTransfer();
  held.items.add(new File([bytes], name));
  const drop = new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true });
  document.querySelector(".drop").dispatchEvent(drop);
}"""


def test_a_person_drops_a_micrograph_and_edits_it(tab, micrograph, tmp_path):
    tab.evaluate(DROP, ["steel.tif", base64.b64encode(micrograph.read_bytes()).decode()])
    drawn = tab.get_by_role("img", name="projection of steel.tif")
    drawn.wait_for()
    assert picture_shape(drawn.get_attribute("src")) == (32, 32)
    assert tab.get_by_text("Note: of steel.tif, 80 x 60 px, the middle 32 px are projected.").is_visible()
    tab.get_by_role("img", name="edits of the projection: none").wait_for()
    tab.get_by_role("slider", name="pca-1, sd").focus()
    tab.keyboard.press("ArrowRight")
    tab.get_by_role("img", name="edits of the projection: pca-1 +0.25 sd").wait_for()
    tab.get_by_role("spinbutton", name="Way to the seed").fill("1")
    tab.keyboard.press("Enter")
    tab.get_by_text("Generated: 1 of the way to seed 0, pca-1 +0.25 sd").wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="TIFF with scale").click()
    download.value.save_as(tmp_path / "a.tif")
    assert read_micrograph(tmp_path / "a.tif").notes["edits"] == "1 of the way to seed 0, pca-1 +0.25 sd"
    tab.get_by_role("button", name="Undo all edits").click()
    tab.get_by_role("img", name="edits of the projection: none").wait_for()
    tab.get_by_role("button", name="Forget this micrograph").click()
    tab.get_by_text("Forgotten.").wait_for()
    assert tab.get_by_role("img").count() == 0


def test_a_micrograph_is_forgotten_when_the_page_is_left(tab, site, client, micrograph):
    with tab.expect_request(lambda request: "/api/jobs/" in request.url) as followed:
        tab.get_by_label("Drop a micrograph here, or choose one").set_input_files(str(micrograph))
    key = followed.value.url.rpartition("/")[2]
    tab.get_by_role("img", name="edits of the projection: none").wait_for()
    assert client.get(f"/api/jobs/{key}").json()["state"] == "finished"
    tab.goto("about:blank")
    for _ in range(50):
        if "is not known" in client.get(f"/api/jobs/{key}").json().get("error", ""):
            return
        time.sleep(0.1)
    pytest.fail("the micrograph is still there")


def test_a_bad_file_is_told_in_one_line_and_the_next_one_works(tab, micrograph):
    chooser = tab.get_by_label("Drop a micrograph here, or choose one")
    chooser.set_input_files({"name": "a.tif", "mimeType": "image/tiff", "buffer": b"no picture"})
    tab.get_by_text("a.tif is text (starts with b'no picture')").wait_for()
    chooser.set_input_files(str(micrograph))
    tab.get_by_role("img", name="projection of secret.tif").wait_for()
    assert tab.locator("#status").inner_text() == ""


def test_a_search_is_stopped_by_its_button_and_begun_again(tab, micrograph):
    tab.get_by_label("Search", exact=True).select_option("thorough")
    tab.get_by_label("Drop a micrograph here, or choose one").set_input_files(str(micrograph))
    tab.get_by_text("of 10000").wait_for()
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text("Stopped.").wait_for()
    tab.get_by_label("Search", exact=True).select_option("quick")
    tab.get_by_role("button", name="Project", exact=True).click()
    tab.get_by_role("img", name="projection of secret.tif").wait_for()

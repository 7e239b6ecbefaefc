"""Tab Walk, directions: as scripts call them and as a person moves along them."""

import base64
import json
import time

import httpx
import numpy as np
import pytest

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.draw import Move, provenance
from sorby.latent.direction_files import save_directions, tell
from sorby.latent.directions import Spread, offset, pca, random
from sorby.latent.effects import Effect, effects
from sorby.micrograph import read_micrograph
from sorby.microstructure.describe import QUANTITIES, describe
from tests.app.conftest import a_page, serving

PLAIN = "/api/generators/plain"
COARSER = "area fraction +6.1 points (4.1 to 8.2)"
NOTHING = "nothing that chance does not"


@pytest.fixture(scope="module")
def found(opened):
    G = opened.generator("plain")
    return pca(Spread(G), range(8), num=2)


@pytest.fixture(scope="module")
def directed(places, opened, found, tmp_path_factory):
    """The explorer of two generators and folders of directions: one of each."""
    root = tmp_path_factory.mktemp("directions")
    area = next(quantity for quantity in QUANTITIES if quantity.name == "area_fraction")
    rows = [[Effect(area, 0.061, 0.041, 0.082, p)] for p in (0.001, 0.5)]
    for folder, name in (("ways", "plain"), ("ways-of-steel", "steel")):
        save_directions(root / folder, opened.generator(name), found, rows, seeds=range(8), condition=None, settings={})
    everything = open_all([places / "plain", places / "steel", *(root / each for each in ("ways", "ways-of-steel"))])
    with serving(application(everything)) as address:
        yield address


@pytest.fixture(scope="module")
def client(directed):
    with httpx.Client(base_url=directed, timeout=60) as client:
        yield client


@pytest.fixture
def page(browser, directed):
    with a_page(browser, directed) as page:
        page.goto(f"{directed}/#walk")
        yield page


def read(src, tmp_path):
    (tmp_path / "a.png").write_bytes(base64.b64decode(src.partition(",")[2]))
    return read_micrograph(tmp_path / "a.png")


def finished(client, key):
    while (job := client.get(f"/api/jobs/{key}").json())["state"] in ("waiting", "running"):
        time.sleep(0.05)
    return job


def test_a_generator_has_the_directions_that_were_found_for_it(client):
    told = {"name": "ways", "directions": [{"name": "pca-1", "told": COARSER}, {"name": "pca-2", "told": NOTHING}]}
    assert client.get(f"{PLAIN}/directions").json() == {"folders": [told], "warnings": []}
    (folder,) = client.get("/api/generators/steel/directions").json()["folders"]
    assert folder["name"] == "ways-of-steel"


def test_a_damaged_folder_is_told_of_and_hides_no_other(places, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "directions.json").write_text("{}")
    with serving(application(open_all([places / "plain", tmp_path / "bad"]))) as address:
        answer = httpx.get(address + f"{PLAIN}/directions").json()
    assert answer["folders"] == []
    assert "holds no directions" in answer["warnings"][0]


def test_a_moved_picture_is_that_of_generate_move_and_says_so(client, opened, found, tmp_path):
    G = opened.generator("plain")
    query = {"directions": "ways", "move": ["pca-1=1.5", "pca-2=-2"], "seed": 3, "truncation": 0.8}
    answer = client.get(f"{PLAIN}/moved", params=query).json()
    which = ", ".join(f"{d.name} {d.identity} of layers 0 to 7" for d in found)
    way = Move("pca-1=1.5, pca-2=-2", offset(G, found, [1.5, -2]), which)
    shown = read(answer["moved"], tmp_path)
    (moved,), (own,) = G.images([3], truncation=0.8, offset=way.offset), G.images([3], truncation=0.8)
    np.testing.assert_array_equal(shown.grey, moved[0])
    expected = provenance(G, G.hash, 3, truncation=0.8, condition=None, move=way)
    assert {key: shown.notes[key] for key in expected} == expected
    np.testing.assert_array_equal(read(answer["as_drawn"], tmp_path).grey, own[0])
    area = next(row["values"] for row in answer["measured"] if row["name"] == "area_fraction")
    assert area == pytest.approx([describe(picture[0]).values.area_fraction for picture in (own, moved)])


def test_not_moved_is_the_seed_itself(client):
    answer = client.get(f"{PLAIN}/moved", params={"directions": "ways"}).json()
    assert answer["moved"] == answer["as_drawn"]


def test_directions_that_a_job_found_are_those_of_the_library_and_are_moved_along(client, opened, found, tmp_path):
    G = opened.generator("plain")
    asked = {"method": "pca", "num": 2, "seeds": 8, "by_chance": 8}
    key = client.post(f"{PLAIN}/directions", json=asked).json()["key"]
    job = finished(client, key)
    chance = random(Spread(G), range(8), num=8, seed=0)
    expected = [tell(row) for row in effects(G, found, chance, seeds=range(8))]
    assert [each["told"] for each in job["result"]["directions"]] == expected
    answer = client.get(f"{PLAIN}/moved", params={"directions": key, "move": "pca-2=1"}).json()
    moved = G.images([0], offset=offset(G, found[1:], [1.0]))
    np.testing.assert_array_equal(read(answer["moved"], tmp_path).grey, moved[0, 0])
    refused = client.get("/api/generators/steel/moved", params={"directions": key}).json()
    assert refused == {"error": "This job holds no directions of this generator as it is now: find them again."}


def test_a_search_that_is_told_to_stop_stops(client):
    key = client.post(f"{PLAIN}/directions", json={"seeds": 200, "num": 20}).json()["key"]
    while not client.get(f"/api/jobs/{key}").json()["total"]:
        time.sleep(0.02)
    client.delete(f"/api/jobs/{key}")
    job = finished(client, key)
    assert (job["state"], job["result"]) == ("cancelled", {})
    assert job["done"] < job["total"] / 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"directions": "none"}, "This job is not known"),
        ({"directions": "../plain"}, "This job is not known"),
        ({"directions": "ways-of-steel"}, "holds directions of another generator"),
        ({"directions": "ways", "move": "pca-9=1"}, "Direction 'pca-9' is not known: choose from pca-1, pca-2."),
        ({"directions": "ways", "move": "pca-1=x"}, "Move 'pca-1=x': expected NAME=SD, each once, of at most 10"),
        ({"directions": "ways", "move": "pca-1=nan"}, "Move 'pca-1=nan': expected NAME=SD"),
        ({"directions": "ways", "move": "pca-1=11"}, "Move 'pca-1=11': expected NAME=SD"),
        ({"directions": "ways", "move": ["pca-1=1", "pca-1=2"]}, "Move 'pca-1=2': expected NAME=SD, each once"),
        ({"directions": "ways", "condition": "phase=x"}, "phase"),
        ({}, "directions: nothing came, expected a value"),
    ],
)
def test_what_cannot_be_moved_is_told_in_one_line(client, query, said):
    answer = client.get(f"{PLAIN}/moved", params=query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seeds": 7}, "seeds: expected at least 8"),
        ({"method": "ica"}, "method: expected 'pca', 'sefa' or 'both'"),
        ({"layers": "9-12"}, "Layers '9-12' are not a range within 0-7"),
    ],
)
def test_a_search_that_cannot_begin_is_told_in_one_line(client, asked, said):
    answer = client.post(f"{PLAIN}/directions", json=asked)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_slider_is_named_by_what_it_does_and_moves_the_picture(page):
    page.get_by_role("img", name="seed 0, not moved").wait_for()
    slider = page.get_by_role("slider", name="area fraction +6.1 points")
    page.get_by_text(f"pca-1, +1 sd: {COARSER}").wait_for()
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("img", name="Generated micrograph, seed 0, moved by pca-1=0.1 sd").wait_for()
    page.get_by_text("1 that do nothing that chance does not").click()
    page.get_by_role("spinbutton", name="pca-2").fill("-2")
    page.keyboard.press("Enter")
    page.get_by_role("img", name="moved by pca-1=0.1, pca-2=-2 sd").wait_for()
    page.get_by_role("button", name="All back to 0").click()
    page.get_by_role("img", name="seed 0, not moved").wait_for()


def with_few_by_chance(route):
    """So that the test need not wait for thirty."""
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps(asked | {"by_chance": 8}))


def test_directions_are_found_and_moved_along_in_the_page(page):
    page.get_by_role("img", name="seed 0, not moved").wait_for()
    page.route("**/directions", with_few_by_chance)
    page.get_by_text("Find directions", exact=True).first.click()
    page.get_by_label("Found by").select_option("pca")
    page.get_by_label("Directions of each method").select_option("2")
    page.get_by_label("Pictures each is measured on").select_option("8")
    page.get_by_role("button", name="Find directions").click()
    page.get_by_label("Directions", exact=True).get_by_text("found now, by pca, on 8 pictures").wait_for(
        state="attached"
    )
    page.get_by_role("img", name="seed 0, not moved").wait_for()
    page.get_by_role("slider", name="pca-1").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("img", name="seed 0, moved by pca-1=0.1 sd").wait_for()

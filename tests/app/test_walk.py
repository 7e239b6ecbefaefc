"""Tab Walk: from seed to seed, as scripts call it and as a person uses it."""

import base64
import time

import numpy as np
import pytest

from sorby.latent.film import pictures_of, write_walk
from sorby.latent.walk import Walk, stops
from sorby.micrograph import read_micrograph

PLAIN, STEEL = "/api/generators/plain", "/api/generators/steel"
COLD, HOT = {"phase": "ferrite", "temperature": 800}, {"phase": "pearlite", "temperature": 1000}


def walk_of(*seeds, **more):
    return {"stops": [{"seed": seed} for seed in seeds], **more}


def read(src, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(base64.b64decode(src.partition(",")[2]))
    return read_micrograph(path)


def finished(client, key):
    """The job when it is over."""
    while (job := client.get(f"/api/jobs/{key}").json())["state"] in ("waiting", "running"):
        time.sleep(0.05)
    return job


def test_a_walk_passes_the_pictures_of_its_seeds_and_says_what_it_is(client, opened, tmp_path):
    for t, seed in ((0, 3), (0.5, 7), (1, 5)):
        answer = client.post(f"{PLAIN}/walk/picture", params={"t": t}, json=walk_of(3, 7, 5)).json()
        shown = read(answer["png"], tmp_path)
        np.testing.assert_allclose(shown.grey, opened.generator("plain").images([seed])[0, 0], atol=1)
        assert shown.pixel_size_um == 0.25
        assert shown.notes["synthetic"] == "true"
        assert shown.notes["generator"] == opened.generator("plain").hash
        assert shown.notes["walk"] == "slerp from seed 3 to seed 7 to seed 5; noise follow" == answer["told"]
        assert shown.notes["at"] == f"{t:g} of the way"


def test_the_axes_of_the_map_are_those_of_w_over_the_conditions_of_the_data(client, opened):
    """Along principal axes w varies by one standard deviation, about a mean of zero, and not together."""
    answer = client.get(f"{STEEL}/map", params={"num": 1000}).json()
    assert len({point["told"] for point in answer["points"]}) > 1
    places = np.array([point["place"] for point in answer["points"]])
    np.testing.assert_allclose(np.cov(places.T), np.eye(2), atol=0.15)
    np.testing.assert_allclose(places.mean(0), 0, atol=0.1)


def test_between_stops_it_is_the_walk_of_the_library_with_the_condition_and_truncation_of_each(
    client, opened, tmp_path
):
    G = opened.generator("steel")
    walk = Walk(G, stops(G, [1, 2], conditions=[COLD, HOT], truncations=[0.5, 1.0]), way="linear", noise="hold")
    asked = {
        "stops": [{"seed": 1, "condition": COLD, "truncation": 0.5}, {"seed": 2, "condition": HOT}],
        "way": "linear",
        "noise": "hold",
    }
    answer = client.post(f"{STEEL}/walk/picture", params={"t": 0.3}, json=asked).json()
    np.testing.assert_array_equal(read(answer["png"], tmp_path).grey, pictures_of(G, [walk.at(0.3)])[0, 0])
    assert answer["warnings"] == []


def test_a_circle_ends_where_it_began(client, tmp_path):
    begin, end = (
        read(
            client.post(f"{PLAIN}/walk/picture", params={"t": t}, json=walk_of(1, 2, way="circle")).json()["png"],
            tmp_path,
        )
        for t in (0, 1)
    )
    np.testing.assert_allclose(begin.grey, end.grey, atol=1)


def test_a_stop_outside_the_data_is_drawn_with_a_warning(client):
    asked = {"stops": [{"seed": 1, "condition": COLD}, {"seed": 1, "condition": HOT | {"temperature": 1200}}]}
    answer = client.post(f"{STEEL}/walk/picture", json=asked).json()
    assert answer["warnings"] == ["temperature=1200.0 is outside the data, which hold temperature from 800 to 1000 °C."]


def test_the_line_on_the_map_leads_through_the_points_of_its_seeds(client):
    answer = client.get(f"{PLAIN}/map", params={"num": 30}).json()
    places = {point["seed"]: point["place"] for point in answer["points"]}
    drawn = client.post(f"{PLAIN}/walk/path", json=walk_of(4, 20, 9)).json()
    np.testing.assert_allclose(drawn["stops"], [places[4], places[20], places[9]], atol=1e-4)
    path = drawn["path"]
    np.testing.assert_allclose([path[0], path[len(path) // 2], path[-1]], drawn["stops"], atol=1e-4)
    assert 1 > answer["shares"][0] >= answer["shares"][1] > 0


def test_a_straight_walk_in_w_is_straight_on_the_map_and_even(client):
    path = np.array(client.post(f"{PLAIN}/walk/path", json=walk_of(4, 20, way="w")).json()["path"])
    np.testing.assert_allclose(path, np.linspace(path[0], path[-1], len(path)), atol=1e-4)


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_a_film_is_to_the_byte_what_interpolate_writes(client, opened, tmp_path, suffix):
    G = opened.generator("plain")
    out = tmp_path / f"a.{suffix}"
    write_walk(Walk(G, stops(G, [1, 2]), closed=True), out, frames=6, fps=10, traces=["area_fraction"])
    asked = walk_of(1, 2, closed=True, frames=6, fps=10, format=suffix, traces=["area_fraction"])
    key = client.post(f"{PLAIN}/walk/film", json=asked).json()["key"]
    job = finished(client, key)
    assert (job["done"], job["total"]) == (12, 12)  # twice for the curve
    assert job["result"]["seconds"] == 0.6
    assert job["files"] == [f"walk.{suffix}"]
    film = client.get(f"/api/jobs/{key}/walk.{suffix}")
    assert film.content == out.read_bytes()
    assert b'"synthetic": "true"' in film.content
    assert film.headers["content-type"] == {"gif": "image/gif", "mp4": "video/mp4"}[suffix]


def test_a_film_that_is_told_to_stop_stops_and_leaves_nothing(client):
    asked = walk_of(1, 2, frames=2000, traces=["area_fraction"])
    key = client.post(f"{PLAIN}/walk/film", json=asked).json()["key"]
    while not client.get(f"/api/jobs/{key}").json()["done"]:
        time.sleep(0.02)
    client.delete(f"/api/jobs/{key}")
    job = finished(client, key)
    assert (job["state"], job["files"]) == ("cancelled", [])
    assert job["done"] < 2000
    time.sleep(0.2)
    assert client.get(f"/api/jobs/{key}").json()["done"] == job["done"]


def test_an_unknown_curve_is_told_by_the_job(client):
    key = client.post(f"{PLAIN}/walk/film", json=walk_of(1, 2, frames=2, traces=["hardness"])).json()["key"]
    job = finished(client, key)
    assert job["state"] == "failed"
    assert job["error"].startswith("Trace 'hardness' is not known: choose from area_fraction")


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/api/generators/none/walk/picture", walk_of(1, 2), "No generator 'none' is open"),
        (f"{PLAIN}/walk/picture", walk_of(1), "1 stop came, a walk needs two"),
        (f"{PLAIN}/walk/film", walk_of(1, 2, 3, way="circle"), "3 stops came for a circle"),
        (f"{PLAIN}/walk/path", walk_of(1), "1 stop came, a walk needs two"),
        (f"{PLAIN}/walk/picture", walk_of(), "stops: List should have at least 1 item"),
        (f"{PLAIN}/walk/picture", walk_of(*range(17)), "stops: List should have at most 16 items"),
        (f"{PLAIN}/walk/picture", walk_of(-1, 2), "seed: expected at least 0"),
        (f"{PLAIN}/walk/picture", walk_of(1, 2, way="bus"), "way: expected 'slerp'"),
        (f"{PLAIN}/walk/picture?t=2", walk_of(1, 2), "t: expected at most 1"),
        (f"{PLAIN}/walk/film", walk_of(1, 2, frames=10**6), "frames: expected at most 2000"),
        (f"{PLAIN}/walk/film", walk_of(1, 2, format="exe"), "format: expected 'mp4' or 'gif'"),
        (f"{STEEL}/walk/picture", {"stops": [{"seed": 1, "condition": {"phase": "ferrite"}}] * 2}, "temperature"),
        (f"{STEEL}/walk/picture", {"stops": [{"seed": 1, "condition": COLD | {"phase": "bainite"}}] * 2}, "bainite"),
    ],
)
def test_what_is_no_walk_is_told_in_one_line(client, path, asked, said):
    answer = client.post(path, json=asked)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


RIGHTMOST = "dots => dots.reduce((a, b, i) => (b.cx.baseVal.value > dots[a].cx.baseVal.value ? i : a), 0)"


def until(page, script):
    """Wait for something to be true in the page, whose policy keeps Playwright from waiting there itself."""
    deadline = time.monotonic() + 15
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        page.wait_for_timeout(20)


def stops_of(page):
    return [int(box.input_value()) for box in page.locator(".stops input[type=number]").all()]


def test_stops_are_chosen_on_the_map_by_click_and_by_keys_and_typed(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="slerp from seed 0 to seed 1; noise follow, position 0").wait_for()
    page.get_by_role("option", name="seed 1", exact=True, selected=True).wait_for()
    # Outermost, so that no other point lies on it.
    dots = page.locator(".map .dot")
    dots.nth(dots.evaluate_all(RIGHTMOST)).click()
    until(page, "document.querySelectorAll('.stops li').length === 3")
    far = stops_of(page)[2]
    page.get_by_role("img", name=f"seed {far}, pointed at on the map").wait_for()
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    near = stops_of(page)[3]
    assert near not in (0, 1, far)
    page.keyboard.press("Enter")  # once more takes it away
    assert stops_of(page) == [0, 1, far]
    page.get_by_label("Seed to add").fill("4711")
    page.keyboard.press("Enter")
    page.get_by_role("img", name=f"slerp from seed 0 to seed 1 to seed {far} to seed 4711").wait_for()
    page.get_by_label("Seed of stop 2").fill("12")
    page.keyboard.press("Tab")
    page.get_by_role("img", name=f"slerp from seed 0 to seed 12 to seed {far} to seed 4711").wait_for()


def test_the_picture_follows_the_slider_and_the_walk_is_played_and_paused(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="position 0").wait_for()
    page.get_by_role("slider", name="Position").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("img", name="noise follow, position 0.005").wait_for()
    page.get_by_role("button", name="Play").click()
    until(page, "document.querySelectorAll('input[type=number][aria-label=Position]')[0].value > 0.1")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    box = page.get_by_role("spinbutton", name="Position")
    where = box.input_value()
    page.wait_for_timeout(200)
    assert box.input_value() == where


def test_bad_stops_are_told_and_the_page_goes_on(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="position 0").wait_for()
    page.locator(".mixtures img").first.wait_for()
    page.get_by_label("Seed to add").fill("1.5")
    page.locator("form", has_text="Add stop").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Add stop").click()
    page.get_by_text("A seed is a whole number from 0 on").wait_for()
    page.get_by_role("button", name="Remove stop 2").click()
    page.get_by_text("1 stop came, a walk needs two: give more seeds, conditions or truncations.").wait_for()
    page.get_by_label("Noise (fine detail)").select_option("loop")
    page.get_by_role("img", name="slerp from seed 0 to seed 0; noise loop").wait_for()
    assert page.locator("#status").inner_text() == ""


def test_each_stop_has_a_condition_of_its_own(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_label("Generator").select_option("steel")
    page.get_by_label("Conditions of the seeds, as in the data").uncheck()
    page.get_by_label("phase").nth(1).select_option("pearlite")
    page.get_by_role("spinbutton", name="temperature, °C").nth(1).fill("1200")
    page.keyboard.press("Enter")
    said = "from seed 0, phase ferrite, temperature 900 °C to seed 1, phase pearlite, temperature 1200 °C"
    page.get_by_role("img", name=said).wait_for()
    page.get_by_text("Warning: temperature=1200 is outside the data").wait_for()


def test_a_film_is_recorded_shown_and_saved(page, site, tmp_path):
    page.goto(f"{site}/#walk")
    page.get_by_text("Record a film").click()
    page.get_by_role("spinbutton", name="Frames", exact=True).fill("5")
    page.get_by_label("Format").select_option("gif")
    page.get_by_label("area fraction").check()
    page.locator("details").get_by_label("Mark what is saved as SYNTHETIC").check()
    page.get_by_role("button", name="Record film").click()
    page.get_by_role("img", name="Film of generated micrographs, 5 frames, 0.208 s").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save walk.gif").click()
    download.value.save_as(tmp_path / "a.gif")
    assert b'"synthetic": "true"' in (tmp_path / "a.gif").read_bytes()
    assert b"SYNTHETIC is drawn into" in (tmp_path / "a.gif").read_bytes()
    page.get_by_label("Format").select_option("mp4")
    page.get_by_role("button", name="Record film").click()
    until(page, "document.querySelector('video')?.readyState >= 1")
    assert page.evaluate("document.querySelector('video').videoWidth") == 384


def test_a_recording_is_stopped_by_keys_alone(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_text("Record a film").click()
    page.get_by_role("spinbutton", name="Frames", exact=True).fill("2000")
    page.get_by_label("area fraction").check()
    page.get_by_role("button", name="Record film").focus()
    page.keyboard.press("Enter")
    until(page, "document.activeElement.textContent === 'Stop'")
    page.keyboard.press("Enter")
    page.get_by_text("Stopped.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Record film"


def test_work_for_a_page_that_is_left_stops(page, site, client):
    page.goto(f"{site}/#walk")
    page.get_by_text("Record a film").click()
    page.get_by_role("spinbutton", name="Frames", exact=True).fill("2000")
    page.get_by_label("area fraction").check()
    with page.expect_response("**/walk/film") as answer:
        page.get_by_role("button", name="Record film").click()
    key = answer.value.json()["key"]
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    page.reload()
    assert finished(client, key)["state"] == "cancelled"


# A request for PART waits until it is let go.
HELD = """part => {
  const real = fetch;
  window.fetch = async (...given) => {
    if (String(given[0]).includes(part)) {
      window.held = (window.held ?? 0) + 1;
      await new Promise(go => { window.letGo = go; });
    }
    return real(...given);
  };
}"""
# Two requests for a job are lost.
LOST = """() => {
  const real = fetch;
  let left = 2;
  window.fetch = async (...given) => {
    if (String(given[0]).includes("api/jobs/") && left-- > 0) throw new TypeError("lost");
    return real(...given);
  };
}"""


def record(page, site, frames):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="position 0").wait_for()
    page.get_by_text("Record a film").click()
    page.get_by_role("spinbutton", name="Frames", exact=True).fill(str(frames))
    page.get_by_label("Format").select_option("gif")
    page.get_by_label("area fraction").check()


def test_two_clicks_record_one_film_which_stops_when_its_generator_goes_while_it_begins(page, site, client):
    record(page, site, 2000)
    page.evaluate(HELD, "walk/film")
    page.get_by_role("button", name="Record film").dblclick()
    assert page.evaluate("held") == 1
    page.locator("#walk").get_by_label("Generator").select_option("steel")
    with page.expect_response("**/walk/film") as answer:
        page.evaluate("letGo()")
    assert finished(client, answer.value.json()["key"])["state"] == "cancelled"


def test_a_recording_goes_on_where_the_network_fails_for_a_moment(page, site):
    record(page, site, 5)
    page.evaluate(LOST)
    page.get_by_role("button", name="Record film").click()
    page.get_by_role("img", name="Film of generated micrographs, 5 frames").wait_for()


def test_a_walk_plays_on_after_pause_and_play_within_one_picture_and_when_another_slider_moves(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="position 0").wait_for()
    play = "document.querySelector('.playing button')"
    page.evaluate(f"() => {{ for (let i = 0; i < 3; i++) {play}.click(); }}")
    box = page.get_by_role("spinbutton", name="Position")
    for _ in range(2):
        where = box.input_value()
        until(page, f"document.querySelector('input[aria-label=Position]').value !== '{where}'")
        page.wait_for_timeout(200)
        assert page.evaluate(f"{play}.textContent") == "Pause"
        page.get_by_role("slider", name="Truncation").first.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(200)
    page.get_by_role("button", name="Pause").click()


def test_an_error_goes_with_the_generator_that_it_was_of(page, site):
    page.goto(f"{site}/#walk")
    page.locator(".mixtures img").first.wait_for()
    page.get_by_label("Seeds of the rows").fill("one")
    page.keyboard.press("Tab")
    page.get_by_text("Seeds 'one': expected numbers").wait_for()
    page.locator("#walk").get_by_label("Generator").select_option("steel")
    page.get_by_role("img", name="with layers").first.wait_for()
    assert page.locator("#status").inner_text() == ""

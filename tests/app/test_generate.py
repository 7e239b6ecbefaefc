"""Tab Generate, as scripts call it and as a person uses it."""

import base64

import numpy as np
import pytest

from sorby.draw import draw
from sorby.micrograph import read_micrograph
from sorby.microstructure.describe import describe
from tests.app.conftest import picture_shape

STEEL = "/api/generators/steel"


def test_pictures_are_those_of_the_generator_and_say_what_they_are(client, opened, tmp_path):
    answer = client.get("/api/generators/plain/pictures", params={"seeds": "3,5"}).json()
    expected = opened.generator("plain").images([3, 5])
    for shown, picture in zip(answer["pictures"], expected, strict=True):
        path = tmp_path / "a.png"
        path.write_bytes(base64.b64decode(shown["png"].partition(",")[2]))
        read = read_micrograph(path)
        np.testing.assert_array_equal(read.grey, picture[0])
        assert read.pixel_size_um == 0.25
        assert (read.notes["synthetic"], read.notes["seed"]) == ("true", str(shown["seed"]))


def test_descriptors_are_those_of_the_picture_in_micrometres(client, opened):
    answer = client.get("/api/generators/plain/pictures", params={"seeds": "3"}).json()
    values = describe(opened.generator("plain").images([3])[0, 0]).values
    told = {row["name"]: (row["values"][0], row["unit"]) for row in answer["measured"]}
    assert told["mean_chord"] == (pytest.approx(0.25 * values.mean_chord), "µm")
    assert told["area_fraction"] == (pytest.approx(values.area_fraction), "")


def test_the_scale_bar_is_as_long_as_it_says(client):
    bar = client.get("/api/generators/plain/pictures").json()["scale_bar"]
    assert bar == {"share": 0.25, "label": "2 µm"}  # 2 µm are 8 of 32 px of 0.25 µm


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_downloaded_picture_is_to_the_byte_what_generate_writes(client, opened, tmp_path, suffix):
    asked = {"phase": "pearlite", "temperature": "900"}
    (path,) = draw(opened.generator("steel"), [7], tmp_path, truncation=0.5, condition=asked, suffix=f".{suffix}")
    query = {"seed": 7, "truncation": 0.5, "condition": [f"{name}={value}" for name, value in asked.items()]}
    answer = client.get(f"{STEEL}/picture.{suffix}", params=query)
    assert answer.content == path.read_bytes()
    assert f'filename="{path.name}"' in answer.headers["content-disposition"]


def test_a_picture_is_marked_where_it_is_asked_for_and_as_generate_does(client, opened, tmp_path):
    (path,) = draw(opened.generator("plain"), [7], tmp_path, suffix=".png", mark=True)
    answer = client.get("/api/generators/plain/picture.png", params={"seed": 7, "mark": "true"})
    assert answer.content == path.read_bytes()
    assert answer.content != client.get("/api/generators/plain/picture.png", params={"seed": 7}).content


def test_noise_of_another_seed_changes_the_picture_and_is_told_in_it(client, opened, tmp_path):
    answer = client.get("/api/generators/plain/picture.png", params={"seed": 1, "noise_seed": 2})
    (tmp_path / "a.png").write_bytes(answer.content)
    read = read_micrograph(tmp_path / "a.png")
    assert read.notes["noise seed"] == "2"
    own, other = opened.generator("plain").images([1])[0, 0], read.grey
    assert (own != other).any()


def test_a_condition_outside_the_data_is_drawn_with_a_warning(client):
    query = {"condition": ["phase=ferrite", "temperature=1200"]}
    answer = client.get(f"{STEEL}/pictures", params=query).json()
    assert answer["warnings"] == ["temperature=1200 is outside the data, which hold temperature from 800 to 1000 °C."]
    assert answer["pictures"][0]["told"] == "phase ferrite, temperature 1200 °C"


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/api/generators/none/pictures", {}, "No generator 'none' is open: choose from plain, steel."),
        (f"{STEEL}/pictures", {"seeds": "x"}, "Seeds 'x': expected numbers from 0 on, such as 0-15 or 3,7."),
        (f"{STEEL}/pictures", {"seeds": "0-99"}, "Seeds 0-99: at most 64 pictures are drawn at once."),
        (f"{STEEL}/pictures", {"seeds": "0-9999999999999999999"}, "expected numbers from 0 on"),
        (f"{STEEL}/pictures", {"seeds": "0-40,0-40"}, "82 seeds came: at most 64 pictures are drawn at once."),
        (f"{STEEL}/pictures", {"truncation": "2"}, "truncation: expected at most 1"),
        (f"{STEEL}/pictures", {"truncation": "nan"}, "truncation"),
        (f"{STEEL}/pictures", {"condition": "phase=bainite"}, "expected phase, temperature"),
        (f"{STEEL}/pictures", {"condition": ["phase=bainite", "temperature=900"]}, "phase=bainite is not a class"),
        (f"{STEEL}/pictures", {"condition": "phase"}, "expected NAME=VALUE"),
        (f"{STEEL}/picture.exe", {}, "Format 'exe' is not known: choose from png, tif."),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(client, path, query, said):
    answer = client.get(path, params=query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_person_draws_a_picture_and_a_grid_and_saves_one(page, site, tmp_path):
    page.goto(site)
    page.get_by_role("img", name="Generated micrograph, seed 0").wait_for()
    page.get_by_label("Generator").select_option("steel")
    page.get_by_label("Pictures").select_option("16")
    page.get_by_text("seed 15, phase ferrite, temperature 900 °C").wait_for()
    assert page.locator("figure img").count() == 16
    assert picture_shape(page.locator("figure img").first.get_attribute("src")) == (32, 32)
    with page.expect_download() as download:
        page.get_by_label("Mark what is saved as SYNTHETIC").check()
        page.get_by_role("link", name="First as TIFF").click()
    download.value.save_as(tmp_path / "a.tif")
    saved = read_micrograph(tmp_path / "a.tif")
    assert saved.pixel_size_um == pytest.approx(0.25)
    assert "SYNTHETIC" in saved.notes["mark"]


def test_a_number_outside_the_data_is_warned_of_beside_the_slider_and_above_the_picture(page, site):
    page.goto(site)
    page.get_by_label("Generator").select_option("steel")
    page.get_by_role("spinbutton", name="temperature, °C").fill("1200")
    page.keyboard.press("Enter")
    page.get_by_text("Warning: temperature=1200 is outside the data").wait_for()
    assert page.get_by_text("outside the data", exact=True).is_visible()


def test_the_seed_is_moved_by_keys_alone(page, site):
    page.goto(site)
    page.get_by_role("img", name="seed 0").wait_for()
    page.get_by_role("slider", name="Seed").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("img", name="Generated micrograph, seed 1").wait_for()


def test_an_emptied_number_is_that_before_it_was_emptied(page, site):
    page.goto(site)
    page.get_by_role("img", name="Generated micrograph, seed 0").wait_for()
    seed = page.get_by_role("spinbutton", name="Seed", exact=True)
    seed.fill("1200")  # beyond the bar
    page.keyboard.press("Enter")
    page.get_by_role("img", name="Generated micrograph, seed 1200").wait_for()
    seed.fill("")
    with page.expect_request("**/pictures?*") as asked:
        page.get_by_label("Noise of another seed").evaluate("box => box.click()")  # the focus stays in the empty box
    assert "seeds=1200-1200" in asked.value.url
    page.keyboard.press("Tab")
    assert seed.input_value() == "1200"


def test_how_phases_were_told_apart_is_said_under_what_is_measured(page, site):
    page.goto(site)
    page.locator("#generate .card").get_by_text("The brighter of two phases, by Otsu's threshold.").wait_for()

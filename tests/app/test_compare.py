"""Tab Compare, as scripts call it and as a person uses it."""

import base64
import re

import httpx
import numpy as np
import pytest
from scipy.stats import gaussian_kde

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.evaluation.beside import beside
from sorby.measurement.measured import descriptor_table
from sorby.metrics.copies import find_copies
from sorby.micrograph import read_micrograph
from tests.app.conftest import CONDITIONS, finished, picture_shape, serving
from tests.data.made import texture

BESIDE = "/api/generators/steel/beside"
FERRITE = ["phase=ferrite", "temperature=800"]
TRAIN = {"dataset": "data.zip", "side": "train"}


def read(src, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(base64.b64decode(src.partition(",")[2]))
    return read_micrograph(path)


def measured(client, generator, **asked):
    job = finished(client, client.post(f"/api/generators/{generator}/beside", json=asked).json()["key"])
    assert job["state"] == "finished", job
    return job["result"]


@pytest.fixture(scope="module")
def data(opened):
    return opened.dataset("data.zip")


def test_sides_are_told_held_out_first_each_with_its_conditions(client):
    held_out, train = client.get("/api/datasets/data.zip/sides").json()
    assert (held_out["name"], held_out["pictures"], held_out["micrographs"]) == ("held-out", 6, 1)
    assert (train["name"], train["pictures"], train["micrographs"]) == ("train", 42, 7)
    assert [one["told"] for one in held_out["conditions"]] == ["phase pearlite, temperature 1000 °C"]
    assert train["conditions"][0]["condition"] == ["phase=ferrite", "temperature=800.0"]


def test_real_pictures_are_those_of_the_dataset_and_generated_ones_say_that_they_are(client, opened, data, tmp_path):
    asked = TRAIN | {"num": 5, "seed": 3, "condition": FERRITE}
    answer = client.get(BESIDE, params=asked).json()
    assert answer["notes"] == []
    files = [patch.file for patch in data.patches]
    for one in answer["real"]:
        place = files.index(one["file"])
        found = read(one["png"], tmp_path)
        np.testing.assert_array_equal(found.grey, data.images([place])[0, 0])
        assert data.patches[place].conditions == CONDITIONS[0]
        assert "synthetic" not in found.notes
    expected = opened.generator("steel").images(range(3, 8), condition=CONDITIONS[0])
    for seed, (one, picture) in enumerate(zip(answer["generated"], expected, strict=True), start=3):
        found = read(one["png"], tmp_path)
        np.testing.assert_array_equal(found.grey, picture[0])
        assert (found.notes["synthetic"], found.notes["seed"]) == ("true", str(seed))
        assert one["scale_bar"] == {"share": 0.25, "label": "2 µm"}


def test_without_a_condition_both_sides_have_the_same_ones(client):
    answer = client.get(BESIDE, params=TRAIN | {"num": 8}).json()
    assert [one["told"] for one in answer["real"]] == [one["told"] for one in answer["generated"]]


def test_what_keeps_both_sides_from_being_compared_is_noted(client):
    answer = client.get("/api/generators/plain/beside", params=TRAIN | {"num": 50}).json()
    assert answer["notes"] == [
        "The two sides do not have the same conditions: each is shown as its own data are.",
        "There are only 42 such real pictures: so many of each side.",
    ]


def test_descriptors_and_verdicts_are_those_of_the_library(client, opened, data):
    result = measured(client, "plain", **TRAIN, num=42, seed=2)
    train = data.split("train")
    generated = opened.generator("plain").images(range(2, 44))
    tables = [descriptor_table([pictures]) for pictures in (train.images(), generated)]
    expected = beside(tables[0], train.parent_of, tables[1], pixel_size_um=0.25, lengths=True)
    assert (result["num"], result["micrographs"]) == (42, 7)
    assert {one["verdict"] for one in result["descriptors"]} != {None}
    for one, row in zip(result["descriptors"], expected, strict=True):
        assert (one["name"], one["unit"], one["verdict"]) == (row.quantity.name, row.unit, row.verdict)
        assert one["real"]["mean"] == pytest.approx(row.real.mean())
        assert one["generated"]["sd"] == pytest.approx(row.generated.std(ddof=1))


def test_densities_are_kernel_estimates_on_one_grid(client, opened):
    result = measured(client, "plain", **TRAIN, num=42)
    contrast = result["descriptors"][-1]
    values = descriptor_table([opened.generator("plain").images(range(42))])[:, -1]
    np.testing.assert_allclose(contrast["generated"]["density"], gaussian_kde(values)(contrast["grid"]))


def test_one_micrograph_gives_means_and_no_verdict(client):
    result = measured(client, "plain", dataset="data.zip", num=6)
    assert (result["micrographs"], result["verdict"], result["least_micrographs"]) == (1, None, 6)
    assert {one["verdict"] for one in result["descriptors"]} == {None}


@pytest.fixture(scope="module")
def odd(places, tmp_path_factory):
    """An explorer whose data know no pixel size, and one picture of which was drawn by the generator."""
    root = tmp_path_factory.mktemp("odd")
    opened = open_all([places / "plain"])
    copied = np.rot90(opened.generator("plain").images([4])[0, 0])
    patches = [Patch(file=f"{i}.png", parent=f"m{i}", split="held-out" if i % 2 else "train") for i in range(40)]
    pictures = [copied if i == 8 else texture(i, (32, 32)) for i in range(40)]
    write_dataset(root / "odd.zip", zip(patches, pictures, strict=True), space=ConditionSpace(), recipe={})
    write_dataset(
        root / "large.zip",
        [(Patch(file="0.png", parent="m"), texture(0, (64, 64)))],
        space=ConditionSpace(),
        recipe={},
    )
    app = application(open_all([places / "plain", root / "odd.zip", root / "large.zip"]))
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_lengths_are_not_compared_where_a_pixel_size_is_not_known(odd):
    result = measured(odd, "plain", dataset="odd.zip", num=10)
    assert [one["name"] for one in result["descriptors"]] == [
        "area_fraction",
        "axis_ratio",
        "mean_aspect_ratio",
        "mean_circularity",
        "contrast",
    ]
    assert result["notes"][0] == "Lengths are not compared: the pixel size of one side is unknown or mixed."


def test_other_sizes_are_shown_with_a_note(odd):
    answer = odd.get("/api/generators/plain/beside", params={"dataset": "large.zip", "num": 1}).json()
    assert answer["notes"] == ["Lengths are not compared: the pictures are of different sizes, 32 and 64 px."]
    assert picture_shape(answer["real"][0]["png"]) == (64, 64)


def index(client, dataset):
    return finished(client, client.post(f"/api/datasets/{dataset}/index").json()["key"])


def test_a_training_picture_that_the_generator_draws_is_found_turned_as_it_is(odd, tmp_path):
    job = index(odd, "odd.zip")
    assert job["result"] == {"train": 20, "held_out": 20}
    found = odd.get("/api/generators/plain/nearest", params={"dataset": "odd.zip", "seed": 4}).json()
    assert (found["file"], found["micrograph"], found["moved"]) == ("8.png", "m8", "turned 270")
    assert found["similarity"] == pytest.approx(1, abs=1e-5)
    assert found["is_beyond_chance"]
    np.testing.assert_array_equal(read(found["aligned"], tmp_path).grey, read(found["png"], tmp_path).grey)


def test_the_nearest_picture_and_its_yardstick_are_those_of_the_audit(client, opened, data):
    index(client, "data.zip")
    found = client.get("/api/generators/plain/nearest", params={"dataset": "data.zip", "seed": 1}).json()
    train, held_out = data.split("train").images(), data.split("held-out").images()
    (expected,) = find_copies(opened.generator("plain").images([1]), train)
    by_chance = np.array([copy.similarity for copy in find_copies(held_out, train)])
    assert found["similarity"] == pytest.approx(expected.similarity)
    assert found["file"] == data.split("train").patches[expected.nearest].file
    assert found["usual"] == pytest.approx(np.median(by_chance))
    assert (found["num_held_out"], found["num_as_like"]) == (6, (by_chance >= expected.similarity).sum())
    assert found["chance"] == pytest.approx((found["num_as_like"] + 1) / 7)  # of seven, each may be the most like
    assert not found["is_beyond_chance"]  # whatever it is: six are too few
    assert not found["learnt"]


def test_without_held_out_pictures_there_is_no_yardstick_and_other_sizes_are_refused(odd):
    assert index(odd, "large.zip")["result"] == {"train": 1, "held_out": 0}
    answer = odd.get("/api/generators/plain/nearest", params={"dataset": "large.zip"})
    assert answer.status_code == 422
    assert "plain draws 32 px and large.zip holds 64 px" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("none/beside", TRAIN, "No generator 'none' is open"),
        ("steel/beside", {"dataset": "/etc/passwd"}, "No dataset '/etc/passwd' is open: choose from data.zip."),
        (
            "steel/beside",
            TRAIN | {"side": "test"},
            "Side of data.zip 'test' is not known: choose from held-out, train.",
        ),
        ("steel/beside", TRAIN | {"num": 1000}, "num: expected at most 64"),
        ("steel/beside", TRAIN | {"condition": ["phase=x", "temperature=1"]}, "phase=x is not a class"),
        ("steel/beside", TRAIN | {"condition": ["phase=ferrite", "temperature=801"]}, "no picture of phase ferrite"),
        ("plain/beside", TRAIN | {"condition": FERRITE}, "Conditions given: phase, temperature; expected none"),
        ("steel/nearest", TRAIN | {"seed": -1}, "seed: expected at least 0"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(client, path, query, said):
    answer = client.get(f"/api/generators/{path}", params=query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_the_nearest_picture_is_not_looked_for_before_the_training_pictures_were_read(places):
    app = application(open_all([places / "plain", places / "data.zip"]))
    with serving(app) as address:
        answer = httpx.get(f"{address}/api/generators/plain/nearest", params={"dataset": "data.zip"})
    assert answer.json() == {"error": "The training pictures of data.zip were not read yet: ask for its index first."}


@pytest.fixture
def tab(page, site):
    page.goto(f"{site}/#compare")
    panel = page.locator("#compare")
    panel.get_by_role("img", name="Generated micrograph, seed 0").wait_for()
    return panel


def test_a_person_compares_one_condition_and_looks_for_a_copy(tab):
    tab.get_by_label("Generator").select_option("steel")
    tab.get_by_label("Real pictures").select_option("train")
    tab.get_by_label("Condition").select_option(label="phase ferrite, temperature 800 °C")
    tab.get_by_label("Pictures of each", exact=True).select_option("6")
    tab.get_by_role("heading", name="Real: train of data.zip").wait_for()
    tab.locator(".versus figure").nth(11).wait_for()
    tab.page.wait_for_function("document.querySelectorAll('#compare .versus figure').length === 12")
    assert tab.get_by_role("img", name="Real micrograph").count() == 6
    assert tab.locator(".versus .bar").count() == 12
    button = tab.get_by_role("button", name="Nearest training picture of generated seed 2")
    button.focus()
    tab.page.keyboard.press("Enter")
    tab.get_by_role("heading", name="Nearest training picture of seed 2").wait_for()
    assert tab.get_by_role("img", name=re.compile("^Training picture")).count() == 2
    assert tab.get_by_text("This generator was not trained with this dataset").is_visible()


def test_a_person_measures_both_sides_and_reads_means_in_words(tab):
    tab.get_by_label("Real pictures").select_option("train")
    tab.get_by_role("heading", name="Real: train of data.zip").wait_for()
    tab.get_by_label("Pictures of each to measure").select_option("100")
    tab.get_by_role("button", name="Measure both sides").click()
    tab.get_by_role("img", name=re.compile("^Distribution of area fraction: real mean .*; generated mean")).wait_for()
    assert tab.locator(".chart").count() == 11
    assert tab.get_by_text("42 pictures of each side, the real ones of 7 micrographs.").is_visible()
    assert tab.get_by_role("row", name=re.compile("^contrast, grey levels")).count() == 1


def test_what_is_refused_is_told_and_the_next_choice_goes_on(tab):
    tab.get_by_role("spinbutton", name="First seed").fill("-5")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("seed: expected at least 0").wait_for()
    tab.get_by_role("spinbutton", name="First seed").fill("7")
    tab.page.keyboard.press("Enter")
    tab.get_by_role("img", name="Generated micrograph, seed 7").wait_for()
    assert tab.page.locator("#status").inner_text() == ""

"""Tab Walk, style mixing: as scripts call it and as a person uses it."""

import base64

import numpy as np
import pytest

from sorby.latent.mix import mix, write_mixture
from sorby.micrograph import read_micrograph

PLAIN = "/api/generators/plain"


def read(src, tmp_path):
    (tmp_path / "a.png").write_bytes(base64.b64decode(src.partition(",")[2]))
    return read_micrograph(tmp_path / "a.png")


def test_mixtures_are_those_of_the_library_and_say_what_was_mixed(client, opened, tmp_path):
    G = opened.generator("plain")
    query = {"rows": "0,1", "columns": "2,3,4", "layers": "0-3", "truncation": 0.7}
    answer = client.get(f"{PLAIN}/mixtures", params=query).json()
    expected = mix(G, [0, 1], [2, 3, 4], range(4), truncation=0.7)
    assert [len(row) for row in answer["mixed"]] == [3, 3]
    shown = read(answer["mixed"][1][2], tmp_path)
    np.testing.assert_array_equal(shown.grey, expected[1, 2, 0])
    assert shown.notes["synthetic"] == "true"
    assert (shown.notes["seed"], shown.notes["mixed"]) == ("1", "layers 0 to 3 (4 to 16 px) of seed 4")
    own = read(answer["columns"][1]["png"], tmp_path)
    np.testing.assert_allclose(own.grey, G.images([3], truncation=0.7)[0, 0], atol=1)
    assert "mixed" not in own.notes


def test_a_seed_mixed_with_itself_is_itself(client, tmp_path):
    answer = client.get(f"{PLAIN}/mixtures", params={"rows": "5", "columns": "5", "layers": "2-6"}).json()
    mixed, own = (read(src, tmp_path).grey for src in (answer["mixed"][0][0], answer["rows"][0]["png"]))
    np.testing.assert_allclose(mixed, own, atol=1)


def test_the_sheet_is_to_the_byte_what_mix_writes(client, opened, tmp_path):
    condition = {"phase": "ferrite", "temperature": "900"}
    write_mixture(opened.generator("steel"), tmp_path / "a.png", [0, 1], [2], range(4, 8), condition=condition)
    query = {"rows": "0-1", "columns": "2", "layers": "4-7", "condition": ["phase=ferrite", "temperature=900"]}
    answer = client.get("/api/generators/steel/mixture.png", params=query)
    assert answer.content == (tmp_path / "a.png").read_bytes()
    marked = client.get("/api/generators/steel/mixture.png", params={**query, "mark": "true"})
    assert b"SYNTHETIC is drawn into" in marked.content


@pytest.mark.parametrize("path", [f"{PLAIN}/mixtures", f"{PLAIN}/mixture.png"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"rows": "x"}, "Seeds 'x': expected numbers from 0 on"),
        ({"rows": "0-6"}, "7 seeds came for the rows: give at most 6."),
        ({"columns": "0-6"}, "7 seeds came for the columns: give at most 6."),
        ({"layers": "5-2"}, "Layers '5-2' are not a range within 0-7"),
    ],
)
def test_what_cannot_be_mixed_is_told_in_one_line(client, path, query, said):
    answer = client.get(path, params=query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_person_mixes_coarse_layers_and_saves_the_sheet(page, site, tmp_path):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="Generated micrograph, seed 2 with layers 4 to 7 (16 to 32 px) of seed 5").wait_for()
    page.get_by_label("First layer from the columns").select_option("0")
    page.get_by_label("Last layer from the columns").select_option("2")
    page.get_by_label("Seeds of the rows").fill("7")
    page.keyboard.press("Enter")
    page.get_by_role("img", name="Generated micrograph, seed 7 with layers 0 to 2 (4 to 8 px) of seed 3").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Sheet as PNG").click()
    download.value.save_as(tmp_path / "a.png")
    assert read_micrograph(tmp_path / "a.png").notes["rows"] == "7"


def test_seeds_and_layers_that_are_none_are_told(page, site):
    page.goto(f"{site}/#walk")
    page.get_by_role("img", name="of seed 5").first.wait_for()
    page.get_by_label("Seeds of the rows").fill("one")
    page.keyboard.press("Tab")
    page.get_by_text("Seeds 'one': expected numbers from 0 on, such as 0-15 or 3,7.").wait_for()
    page.get_by_label("Seeds of the rows").fill("1")
    page.keyboard.press("Tab")
    page.get_by_role("img", name="seed 1 with layers").first.wait_for()
    page.get_by_label("First layer from the columns").select_option("7")
    page.get_by_label("Last layer from the columns").select_option("2")
    page.get_by_text("Layers '7-2' are not a range within 0-7").wait_for()

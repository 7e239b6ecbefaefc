import json
import re

import huggingface_hub
import pytest

from sorby.data.dataset import Dataset
from sorby.data.pack import pack
from sorby.data.prepare import prepare
from sorby.data.recipe import make_recipe
from sorby.simulation.dataset import simulate

from .made import save, texture, textures


@pytest.mark.parametrize("name", ["a.zip", "a", "a.shards"])
def test_every_dataset_has_a_card_with_what_is_in_it_and_what_was_left_out(tmp_path, name):
    raw = textures(tmp_path / "raw", 4)
    save(raw, blank=texture(0, std=0.1))
    made = prepare([raw], tmp_path / "b.zip", recipe=make_recipe(size=32, pixel_size_um=0.25), licence="CC BY 4.0")
    data = pack(made, tmp_path / name)
    card = huggingface_hub.DatasetCard(data.archive.read("README.md").decode())
    assert card.data.license_name == "cc-by-4.0"
    held_out = sum(patch.split == "held-out" for patch in data.patches)
    for line in (
        "- Patches: 120 of 32 x 32 px, grey, 8 bit",
        "- Pixel size: 0.25 µm",
        f"- Split, held-out: {held_out} patches",
        "- Micrographs: 4; no one is on two sides of the split",
        "- Micrographs left out: 1; rejected.csv says why",
        "- Licence: CC BY 4.0",
    ):
        assert line in card.text.splitlines()
    assert "left out" in re.search("- Users, operators.*", card.text)[0]
    assert "Not all of it is real" not in card.text


def test_a_simulated_dataset_says_in_its_card_that_it_is_and_what_it_ranges_over(tmp_path):
    data = simulate(
        "random-field", tmp_path / "a.zip", sample=4, images_per_condition=4, size=32, held_out_conditions=0
    )
    card = data.archive.read("README.md").decode()
    assert "Not all of it is real: all pictures are simulated." in card
    for condition in data.space.conditions:
        assert f"- Condition, {condition.describe()}" in card


def test_a_card_does_not_stand_in_the_way_of_preparing_again_nor_is_missed_in_older_datasets(tmp_path):
    raw, out = textures(tmp_path / "raw", 2), tmp_path / "a"
    for _ in range(2):
        prepare([raw], out, recipe=make_recipe(size=32))
    (out / "README.md").unlink()
    assert len(Dataset.open(out)) == 60
    assert json.loads(Dataset.open(out).archive.read("dataset.json")) == {"labels": None}

"""What was opened is as it is on the disk now."""

import shutil

import numpy as np
import pytest

from sorby.app.opened import open_all
from sorby.app.sides import Sides
from sorby.conditions import ConditionSpace
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.errors import ConfigError
from tests.data.made import texture
from tests.latent.tiny import tiny


def write(path, num):
    patches = [Patch(file=f"00000/{i}.png", parent=f"p{i}", split="train", pixel_size_um=None) for i in range(num)]
    write_dataset(
        path, ((patch, texture(i, (32, 32))) for i, patch in enumerate(patches)), space=ConditionSpace(), recipe={}
    )


def test_a_dataset_that_is_prepared_again_is_read_again_with_its_sides(tmp_path):
    write(tmp_path / "a.zip", 3)
    opened = open_all([tmp_path / "a.zip"])
    sides = Sides(opened)
    first = sides.view("a.zip", "train")
    assert sides.view("a.zip", "train") is first
    write(tmp_path / "a.zip", 5)
    assert len(opened.dataset("a.zip")) == len(sides.view("a.zip", "train")) == 5


def test_a_generator_that_is_written_anew_is_the_new_one(tmp_path):
    tiny().save(tmp_path / "g")
    opened = open_all([tmp_path / "g"])
    before = opened.generator("g")
    assert opened.generator("g") is before
    other = tiny(conditional=True)
    other.save(tmp_path / "g")
    assert opened.generator("g").hash == other.hash != before.hash


@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_what_cannot_be_read_now_stays_as_it_was(tmp_path, damage):
    tiny().save(tmp_path / "g")
    opened = open_all([tmp_path / "g"])
    before = opened.generator("g").images([1])
    if damage == "gone":
        shutil.rmtree(tmp_path / "g")
    else:
        (tmp_path / "g/model.safetensors").write_bytes(b"")
    np.testing.assert_array_equal(opened.generator("g").images([1]), before)


def test_whether_a_generator_learnt_from_a_dataset_is_told_without_reading_one_of_another_number(tmp_path, monkeypatch):
    write(tmp_path / "a.zip", 3)
    G = tiny()
    data = Dataset.open(tmp_path / "a.zip")
    opened = open_all([tmp_path / "a.zip"])
    G.card = G.card.model_copy(update={"data": {"hash": data.hash, "patches": 3}})
    assert Sides(opened).learnt(G, "a.zip")
    G.card = G.card.model_copy(update={"data": {"hash": data.hash, "patches": 4}})
    monkeypatch.setattr(Dataset, "hash", property(lambda _: pytest.fail("was hashed")))
    assert not Sides(opened).learnt(G, "a.zip")


def test_a_report_that_a_run_gets_later_is_listed_from_then_on(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_text("")
    opened = open_all([run])
    assert opened.written_reports() == []
    with pytest.raises(ConfigError, match="No report 'run' is open"):
        opened.report("run")
    (run / "report.html").write_text("<p>")
    assert opened.written_reports() == ["run"]
    assert opened.report("run") == run

import json
import zipfile

import numpy as np
import pytest

from sorby.card import GeneratorCard
from sorby.conditions import ConditionSpace
from sorby.config import resolve, to_toml
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import DataError
from sorby.generator import Generator
from sorby.inspect import resume_command, summarise
from sorby.micrograph import write_micrograph
from sorby.models.stylegan2 import GeneratorNetwork

TINY = {"network": {"size": 32, "z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8}}


def write_patches(path, *, recipe):
    rows = [{"temperature": str(value)} for value in (800, 800, 1100)]
    patches = [
        Patch(
            file=f"{i}.png",
            parent=f"parent{max(i, 1)}",
            specimen="A",
            pixel_size_um=0.25,
            split="train" if i < 2 else "held-out",
            conditions=row,
        )
        for i, row in enumerate(rows)
    ]
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    space = ConditionSpace.from_rows(rows, ["temperature:°C"])
    return write_dataset(path, zip(patches, images, strict=True), space=space, recipe=recipe)


def save_generator(path, **card):
    config = resolve("demo", TINY)
    generator = Generator(GeneratorNetwork(config.network), GeneratorCard(network=config.network, **card))
    generator.save(path)
    return generator


def test_a_micrograph_is_shown_with_its_size_scale_and_field_of_view(tmp_path):
    grey = np.zeros((30, 40), np.uint16)
    write_micrograph(tmp_path / "a.tif", grey, pixel_size_um=0.5, description={"alloy": "DP600"})
    summary = summarise(tmp_path / "a.tif")
    assert summary.title.startswith("Image")  # nothing says that a microscope took it
    assert summary.facts["size"] == "40 x 30 px, 16 bit"
    assert summary.facts["pixel size"] == "0.5 µm"
    assert summary.facts["field of view"] == "20 x 15 µm"
    assert summary.facts["alloy"] == "DP600"


def test_without_a_pixel_size_no_length_is_made_up(tmp_path):
    write_micrograph(tmp_path / "a.png", np.zeros((8, 8), np.uint8), pixel_size_um=None, description={})
    facts = summarise(tmp_path / "a.png").facts
    assert facts["pixel size"].startswith("none: ")  # and why
    assert facts["field of view"] == "not known"


def test_a_generated_picture_says_so_and_names_its_generator_and_seed(tmp_path):
    about = {"synthetic": "true", "generator": "abc123", "seed": "7"}
    write_micrograph(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), pixel_size_um=None, description=about)
    summary = summarise(tmp_path / "a.tif")
    assert summary.title.startswith("Generated picture")
    assert (summary.facts["generator"], summary.facts["seed"]) == ("abc123", "7")


@pytest.mark.parametrize("name", ["steel.zip", "steel"])
def test_a_dataset_is_shown_with_its_split_by_micrograph_conditions_and_recipe(tmp_path, name):
    data = write_patches(tmp_path / name, recipe={"size": 32, "grey": {"median_px": 3}})
    facts = summarise(tmp_path / name).facts
    assert facts["patches"] == "3 of 32 x 32 px, grey"
    assert facts["split"] == "train 2 of 1 micrographs, held-out 1 of 1 micrographs"
    assert facts["conditions"] == "temperature from 800 to 1100 °C"
    assert facts["recipe"] == "size 32; grey (median_px 3)"
    assert facts["specimens"] == "1"
    assert facts["hash"] == data.hash


def test_a_zip_of_another_tool_is_shown_also_without_labels(tmp_path):
    with zipfile.ZipFile(tmp_path / "steel.zip", "w") as archive:
        for i in range(2):
            write_micrograph(tmp_path / "a.png", np.full((32, 32), i, np.uint8), pixel_size_um=None, description={})
            archive.write(tmp_path / "a.png", f"{i}.png")
    facts = summarise(tmp_path / "steel.zip").facts
    assert facts["patches"] == "2 of 32 x 32 px, grey"
    assert facts["recipe"] == "not known: made by another tool"


def test_a_generator_is_shown_with_its_scale_data_and_number_of_weights(tmp_path):
    generator = save_generator(tmp_path / "g", pixel_size_um=0.25, images_seen=2500, data={"name": "steel.zip"})
    facts = summarise(tmp_path / "g").facts
    assert facts["draws"] == "32 x 32 px, grey"
    assert facts["trained for"] == "2.5 kimg"
    assert facts["data"] == "name steel.zip"
    assert facts["weights"].replace(",", "") == str(sum(w.numel() for w in generator.network.parameters()))


def test_a_run_is_shown_with_its_progress_best_score_and_last_log_lines(tmp_path):
    run = tmp_path / "run"
    save_generator(run / "best", images_seen=1000, scores={"fid": 12.5}, data={"name": "steel.zip"})
    (run / "config.toml").write_text(to_toml(resolve("demo", {**TINY, "kimg": 8})))
    lines = [
        {"kimg": k, "images_seen": 1000 * k, "r_t": None, "p": 0.0, "img_s": 50, "seconds": 60 * k} for k in range(9)
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:5]))
    summary = summarise(run)
    assert summary.facts["progress"] == "4 of 8 kimg (50%)"
    assert summary.facts["best generator"] == "at 1 kimg: fid 12.5"
    assert [row["kimg"] for row in summary.table] == ["0", "1", "2", "3", "4"]
    assert summary.facts["go on with"].startswith(f"sorby train steel.zip --out {run} --preset demo --kimg 8")


def test_a_run_without_a_first_tick_can_be_inspected(tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(resolve("laptop-64")))
    summary = summarise(tmp_path)
    assert summary.facts["progress"] == "0 of 100 kimg (0%)"
    assert summary.facts["go on with"] == f"sorby train DATASET --out {tmp_path} --preset laptop-64"


def test_the_command_to_go_on_gives_the_same_settings_again(tmp_path):
    from sorby.cli.train import assignments

    lists = {"augment": (), "augment_without": ("rotate",), "descriptors": ("area_fraction", "mean_chord")}
    config = resolve("laptop-64", {"p": 0.25, **lists, "network": {"z_dim": 32}})
    words = resume_command(tmp_path, config, "steel.zip").split()
    sets = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert resolve("laptop-64", assignments(sets)) == config


@pytest.mark.parametrize("name", ["nothing", "notes.txt", "raw"])
def test_anything_else_is_refused_with_what_can_be_inspected(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "raw").mkdir()
    write_micrograph(tmp_path / "raw" / "a.png", np.zeros((8, 8), np.uint8), pixel_size_um=None, description={})
    with pytest.raises(
        DataError, match=f"{name} is nothing that can be inspected: expected a micrograph, a film, a dataset"
    ):
        summarise(tmp_path / name)

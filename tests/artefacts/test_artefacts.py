"""What earlier versions wrote opens, and says and draws what it did (README.md beside this file)."""

import csv
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.config import check
from sorby.data.dataset import Dataset
from sorby.errors import WeightsError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.latent.direction_files import load_directions
from sorby.latent.projection_files import load_projection
from sorby.metrics.record import Report
from sorby.study.file import read_study
from sorby.study.plan import plan_of
from sorby.study.status import planned, status_of
from sorby.study.work import finished
from sorby.training.run import train
from sorby.training.tick import read_config, read_log

HERE = Path(__file__).parent
FIRST = "2026-11-22-ce45b27"
VERSIONS = sorted(path.name for path in HERE.glob("20*"))
BEFORE = {"match_greys": False}
"""What preset demo, of which the runs and studies are, has otherwise since: a study names it and finds its runs."""
LARGEST, MEAN = 8, 1.5
"""Grey values by which pictures may differ that were drawn in bfloat16, or on another processor."""


def all_with(artefact, *, but=()):
    """Each version that wrote such an artefact."""
    found = [version for version in VERSIONS if (HERE / version / artefact).exists() and version not in but]
    assert found
    return pytest.mark.parametrize("there", [HERE / version for version in found], ids=found)


def pictures_in(path):
    """The PNGs of a dataset by name, read without Sorby."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as file:
            data = {name: file.read(name) for name in file.namelist() if name.endswith(".png")}
    else:
        with tarfile.open(path / "shard-00000.tar") as file:
            data = {name: file.extractfile(name).read() for name in file.getnames() if name.endswith(".png")}
    return {name: np.asarray(Image.open(io.BytesIO(png))) for name, png in data.items()}


@pytest.mark.parametrize("name", ["plain.zip", "patches.zip", "patches.shards", "simulated.zip"])
@pytest.mark.parametrize("version", VERSIONS)
def test_datasets_hold_the_pictures_that_were_written(version, name):
    path = HERE / version / name
    if not path.exists():
        assert (version, name) == (FIRST, "simulated.zip")
        return
    if path.is_dir() and not (path / "index.npy").exists():  # a folder of this name, before there were shards
        pictures = {
            str(p.relative_to(path)): np.asarray(Image.open(io.BytesIO(p.read_bytes()))) for p in path.rglob("*.png")
        }
    else:
        pictures = pictures_in(path)
    data = Dataset.open(path)
    assert len(data) == len(pictures) > 0
    for patch, image in zip(data.patches, data.images(), strict=True):
        assert np.array_equal(image[0], pictures[patch.file])


@all_with("patches.zip")
def test_conditions_and_scale_are_those_that_were_written(there):
    data = Dataset.open(there / "patches.zip")
    assert data.space.names == ("temperature",)
    assert data.space.conditions[0].describe() == "temperature from 850 to 910 C"
    assert data.pixel_size_um == 0.25


@pytest.mark.parametrize(("generator", "pictures"), [("run", "pictures"), ("conditional", "at-900")])
@pytest.mark.parametrize("version", VERSIONS)
def test_generators_draw_what_they_drew(version, generator, pictures):
    there = HERE / version
    if (version, generator) == (FIRST, "conditional"):
        with pytest.raises(WeightsError, match="conditions enter in another way than they do now: train it again"):
            Generator.load(there / generator)
        return
    files = sorted((there / pictures).glob("*.png"))
    opened = Generator.load(there / generator, dtype=torch.float32)
    condition = {"temperature": 900} if generator == "conditional" else None
    drawn = opened.images(range(len(files)), condition=condition)
    for picture, file in zip(drawn[:, 0], files, strict=True):
        with Image.open(file) as recorded:
            off = np.abs(picture.astype(int) - np.asarray(recorded))
            assert recorded.info["generator"] == opened.hash
        assert (off.max() <= LARGEST, off.mean() <= MEAN) == (True, True), (off.max(), off.mean())


@all_with("run")
def test_runs_go_on_from_their_checkpoint(there, tmp_path):
    run = shutil.copytree(there / "run", tmp_path / "run")
    before = read_log(run)
    assert before[-1]["images_seen"] == 64
    settings = read_config(run).model_dump() | {"kimg": 0.096}
    train(Dataset.open(there / "plain.zip"), run, check(settings), tensorboard=False, warn=pytest.fail)
    after = read_log(run)
    assert after[: len(before)] == before
    assert after[-1]["images_seen"] == 96
    assert all(np.isfinite(after[-1][name]) for name in ("loss_G", "loss_D"))


@all_with("run")
def test_runs_generators_and_pictures_say_what_they_are(there):
    titles = [summarise(there / name).title for name in ("run", "run/last", "plain.zip", "pictures/seed0000.png")]
    assert [title.split()[0] for title in titles] == ["Run", "Generator", "Dataset", "Generated"]


@all_with("directions")
def test_directions_belong_to_their_generator(there):
    found = load_directions(there / "directions", Generator.load(there / "run"))
    assert [direction.name for direction in found] == [
        entry["name"] for entry in json.loads((there / "directions" / "directions.json").read_text())["directions"]
    ]


@all_with("projection")
def test_projections_belong_to_their_generator(there):
    generator = Generator.load(there / "run")
    place = load_projection(there / "projection", generator)
    assert generator.draw(place.ws[None], [layer[None] for layer in place.noise]).shape == (1, 1, 32, 32)


@all_with("report/scores.json", but=(FIRST,))
def test_reports_open(there):
    assert Report.model_validate_json((there / "report" / "scores.json").read_text()).scores


def test_the_first_report_is_json_whose_scores_have_the_names_of_today():
    first, last = (json.loads((HERE / v / "report" / "scores.json").read_text()) for v in (FIRST, VERSIONS[-1]))
    assert {score["name"] for score in first["scores"]} <= {score["name"] for score in last["scores"]}


@all_with("measured.csv")
def test_tables_have_the_columns_of_today(there):
    first, last = (
        next(csv.reader((folder / "measured.csv").read_text().splitlines())) for folder in (there, HERE / VERSIONS[-1])
    )
    assert set(first) <= set(last)


@all_with("study")
def test_studies_say_how_they_stand_and_find_their_runs_finished(there, tmp_path):
    folder = shutil.copytree(there / "study", tmp_path / "study")
    status = status_of(folder, planned(there / "study.toml", folder))
    assert {run.name: run.state for run in status.runs} == {"none-seed-0": "finished", "blit-seed-0": "finished"}
    study = read_study(folder / "study.toml")
    study = study.model_copy(update={"dataset": there / "patches.zip", "settings": study.settings | BEFORE})
    for run in plan_of(study).runs:
        assert finished(folder, run, study) is not None

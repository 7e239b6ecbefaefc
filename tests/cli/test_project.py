"""Project as a user types it."""

import json

import numpy as np
import pytest
from PIL import Image

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.latent.projection_files import FILES
from sorby.micrograph import read_micrograph, write_micrograph
from tests.cli.test_main import sorby
from tests.latent.tiny import tiny
from tests.training.conftest import disc_images

QUICK = ("--steps", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def steel(tmp_path_factory):
    path = tmp_path_factory.mktemp("generators") / "steel"
    tiny().save(path)
    return path


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "a.tif"
    write_micrograph(path, disc_images(1, size=40)[0], pixel_size_um=0.25, description={})
    return path


@pytest.fixture(scope="module")
def projected(steel, micrograph, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    out = tmp_path_factory.mktemp("projections") / "a"
    assert sorby(patch, "project", steel, micrograph, "--out", out, *QUICK) == 0
    patch.undo()
    return out


def test_a_projection_has_its_files(projected):
    assert {path.name for path in projected.iterdir()} == set(FILES)
    assert json.loads((projected / "projection.json").read_text())["steps"] == 2


def test_it_says_what_it_took_and_how_near_it_came(steel, micrograph, tmp_path, monkeypatch, capsys):
    assert sorby(monkeypatch, "project", steel, micrograph, "--out", tmp_path / "p", "--space", "w+", *QUICK) == 0
    told = capsys.readouterr()
    assert "the middle 32 px" in told.err
    assert "a.tif projected to a perceptual distance of" in told.out


def test_a_film_of_the_search_shows_both(steel, micrograph, tmp_path, monkeypatch):
    film = tmp_path / "search.gif"
    assert sorby(monkeypatch, "project", steel, micrograph, "--out", tmp_path / "p", "--film", film, *QUICK) == 0
    with Image.open(film) as frames:
        assert frames.n_frames == 2
        assert frames.size == (2 * 256, 256)


def test_a_walk_leads_from_a_projection_to_a_seed(steel, projected, tmp_path, monkeypatch, capsys):
    out = tmp_path / "frames"
    arguments = ("--seeds", f"{projected},3", "--frames", 3, "--out", out, "--device", "cpu")
    assert sorby(monkeypatch, "interpolate", steel, *arguments) == 0
    assert "w from projection of a.tif to seed 3" in capsys.readouterr().out
    first, last = (read_micrograph(out / f"frame{i}.tif").grey.astype(int) for i in (0, 2))
    # Frames are drawn in bfloat16 on some processors.
    assert abs(first - read_micrograph(projected / "projected.tif").grey).mean() < 3
    assert abs(last - tiny().images([3])[0, 0]).mean() < 3
    assert abs(first - last).mean() > 10


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--way", "slerp"), "walk with way w"),
        (("--truncation", "0,1"), "a place of its own"),
        (("--seeds", "3,nowhere"), "folders of `sorby project`"),
    ],
)
def test_a_projection_goes_no_other_way(steel, projected, tmp_path, monkeypatch, capsys, options, expected):
    arguments = ("--seeds", f"3,{projected}", "--out", tmp_path / "w", *options, "--device", "cpu")
    assert sorby(monkeypatch, "interpolate", steel, *arguments) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    patches = [
        Patch(file=f"{i}.png", parent=f"p{i % 8}", split="held-out" if i % 8 < 3 else "train", pixel_size_um=0.25)
        for i in range(16)
    ]
    path = tmp_path_factory.mktemp("data") / "discs.zip"
    return write_dataset(path, zip(patches, disc_images(16), strict=True), space=ConditionSpace(), recipe={}).path


def test_a_dataset_gives_the_test_of_memory(steel, dataset, tmp_path, monkeypatch, capsys):
    out = tmp_path / "memory"
    assert sorby(monkeypatch, "project", steel, dataset, "--out", out, "--num", 4, *QUICK) == 0
    assert "than held-out ones (median distance" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"projections.csv", "memorisation.json", "memorisation.svg"}
    about = json.loads((out / "memorisation.json").read_text())
    assert (about["patches"], about["micrographs"]) == ([4, 4], [4, 3])
    assert len((out / "projections.csv").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--space", "z"), "choose w, w+"),
        (("--film", "a.avi"), ".mp4 or .gif"),
        (("--condition", "temperature=900"), "expected none"),
    ],
)
def test_what_cannot_be_done_is_one_line(steel, micrograph, tmp_path, monkeypatch, capsys, options, expected):
    assert sorby(monkeypatch, "project", steel, micrograph, "--out", tmp_path / "p", *QUICK, *options) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert not (tmp_path / "p").exists()


def test_a_small_picture_and_a_film_of_a_dataset_are_refused(steel, dataset, tmp_path, monkeypatch, capsys):
    small = tmp_path / "small.png"
    write_micrograph(small, np.zeros((16, 16), np.uint8), pixel_size_um=None, description={})
    assert sorby(monkeypatch, "project", steel, small, "--out", tmp_path / "p", *QUICK) == 2
    assert "at least 32 px" in capsys.readouterr().err
    assert sorby(monkeypatch, "project", steel, dataset, "--out", tmp_path / "p", "--film", "a.gif", *QUICK) == 2
    assert "one projection" in capsys.readouterr().err

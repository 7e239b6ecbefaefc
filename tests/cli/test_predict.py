"""Predict as a user types it."""

import csv

import numpy as np
import pytest

from sorby.micrograph import write_micrograph
from sorby.simulation.random_field import two_phase
from tests.cli.test_main import sorby

QUICK = ("--inputs", "descriptors", "--regressor", "ridge", "--device", "cpu")


@pytest.fixture(scope="module")
def steel(tmp_path_factory):
    path = tmp_path_factory.mktemp("steel")
    with (path.parent / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "hardness", "specimen"])
        for i, fraction in enumerate(np.random.default_rng(0).uniform(0.2, 0.8, 12)):
            mask = two_phase((48, 48), volume_fraction=fraction, correlation_length_px=3, rng=np.random.default_rng(i))
            grey = np.where(mask, 192, 64).astype(np.uint8)
            write_micrograph(path / f"{i}.png", grey, pixel_size_um=None, description={})
            table.writerow([f"{i}.png", 200 + 100 * fraction, f"s{i % 3}"])
    return path, path.parent / "labels.csv"


def test_it_says_what_follows_and_what_it_rests_on(steel, tmp_path, monkeypatch, capsys):
    path, labels = steel
    out = tmp_path / "p"
    arguments = ("--property", "hardness:HV", "--labels", labels, "--out", out, *QUICK)
    assert sorby(monkeypatch, "predict", path, *arguments) == 0
    told = capsys.readouterr()
    assert "hardness follows from the descriptors: R² 0.9" in told.out
    assert "HV" in told.out
    assert "Each micrograph is its own group" in told.err
    assert (out / "predict.svg").is_file()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--property", "strength"), "no column 'strength'"),
        (("--property", "hardness", "--group", "specimen"), "at least 5 groups"),
        (("--property", "hardness", "--regressor", "lasso"), "choose from random-forest"),
        (("--property", "hardness", "--inputs", "none"), "nothing to predict from"),
    ],
)
def test_what_cannot_be_done_is_one_line(steel, tmp_path, monkeypatch, capsys, options, expected):
    path, labels = steel
    assert sorby(monkeypatch, "predict", path, "--labels", labels, "--out", tmp_path / "p", *QUICK, *options) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "p").exists()

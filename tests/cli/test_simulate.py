import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sorby.cli import app
from sorby.cli.simulate import advice
from sorby.data.dataset import Dataset
from sorby.simulation.dataset import make_plan
from sorby.simulation.settings import Settings, make_settings
from sorby.simulation.simulators import RANDOM_FIELD, SPINODAL

from .test_main import sorby


def run(*arguments):
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_random_fields_have_the_volume_fraction_that_they_are_listed_under(tmp_path):
    out = tmp_path / "a.zip"
    output = run(
        "random-field", "--out", out, "--grid", "volume_fraction=0.2,0.5", "--grid", "correlation_length=0.2,0.3",
        "--set", "aspect_ratio=1", "--images-per-condition", 32, "--size", 32, "--held-out", 0,
    )  # fmt: skip
    assert "random-field: 4 conditions: volume_fraction 0.2, 0.5, correlation_length 0.2, 0.3 µm." in output
    assert "128 pictures of 32 px from 8 fields of 128 x 128 px: 128 to train on, 0 held out" in output
    assert f"sorby train {out}" in output
    data = Dataset.open(out)
    assert data.pixel_size_um == 0.05
    assert data.recipe["fixed"] == {"aspect_ratio": 1.0, "angle": 45.0, "nu": 2.0, "tiles": 1.0}
    bright, fractions = data.images() == 192, np.array([float(p.conditions["volume_fraction"]) for p in data.patches])
    for fraction in (0.2, 0.5):
        assert bright[fractions == fraction].mean() == pytest.approx(fraction, abs=1e-4)


def test_the_grey_of_a_spinodal_picture_is_its_composition(tmp_path):
    run(
        "spinodal", "--out", tmp_path / "a.zip", "--sample", 3, "--range", "composition=0.4..0.6", "--set", "time=30",
        "--set", "misfit=0", "--images-per-condition", 4, "--size", 16, "--field-size", 32, "--held-out", 0,
    )  # fmt: skip
    data = Dataset.open(tmp_path / "a.zip")
    assert data.space.names == ("composition", "temperature")
    means = data.images().reshape(3, -1).mean(1) / 255
    asked = [float(patch.conditions["composition"]) for patch in data.patches[::4]]
    np.testing.assert_allclose(means, asked, atol=2e-3)


def test_the_look_of_a_microscope_adds_its_noise(tmp_path):
    options = ("--sample", 2, "--images-per-condition", 1, "--size", 32, "--held-out", 0)
    for look in ("plain", "sem"):
        run("random-field", "--out", tmp_path / f"{look}.zip", *options, "--look", look)
    plain, sem = (Dataset.open(tmp_path / f"{look}.zip").images() for look in ("plain", "sem"))
    assert len(np.unique(plain)) == 2
    assert len(np.unique(sem)) > 50
    assert sem[plain == 192].mean() > sem[plain == 64].mean() + 40


def test_two_micrographs_are_superimposed(tmp_path):
    rng = np.random.default_rng(0)
    for name, radius in (("a", 3), ("b", 6)):
        y, x = np.mgrid[:120, :160]
        picture = 80 + 100 * ((y % 24 - 12) ** 2 + (x % 24 - 12) ** 2 < radius**2) + rng.normal(0, 3, (120, 160))
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / f"{name}.png")
    output = run(
        "superimpose", tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "c", "--grid", "share=0,1",
        "--images-per-condition", 6, "--size", 32,
    )  # fmt: skip
    assert "12 pictures of 32 px from 2 fields of 120 x 90 px: 12 to train on, 0 held out" in output
    data = Dataset.open(tmp_path / "c")
    is_bright = data.images() > 130
    assert is_bright[6:].mean() > 2 * is_bright[:6].mean()


@pytest.mark.parametrize(
    ("size", "look", "expected"),
    [(64, "plain", " --preset contragan-64"), (128, "plain", " --preset contragan-64 --set network.size=128"),
     (64, "sem", ""), (32, "plain", "")],
)  # fmt: skip
def test_smooth_pictures_are_sent_to_the_networks_that_learn_them(size, look, expected):
    settings = make_settings(sample=2, size=size, look=look)
    assert advice(make_plan(SPINODAL, settings)) == expected
    assert advice(make_plan(RANDOM_FIELD, settings)) == ""


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run("spinodal", "--out", "a.zip", "--held-out-conditions", 8, "--dry-run")
    assert "48 conditions" in output
    assert "2400 pictures of 64 px from 192 fields of 256 x 256 px" in output
    assert "400 of conditions held out" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spinodle"], "did you mean spinodal?"),
        (["spinodal", "--range", "temprature=300..400"], "did you mean temperature?"),
        (["spinodal", "--range", "temperature=300..9000"], "out of range"),
        (
            ["spinodal", "--range", "temperature=300-400"],
            "expected NAME=LOW..HIGH with numbers, such as time=900..1800",
        ),
        (["spinodal", "--set", "misfit"], "expected NAME=VALUE with numbers"),
        (["spinodal", "--set", "misfit=0", "--set", "misfit=1"], "given twice"),
        (["spinodal", "--grid", "temperature=300,x"], "expected NAME=VALUE,VALUE"),
        (["spinodal", "a.tif"], "spinodal takes no micrographs; 1 came"),
        (["superimpose", "a.tif"], "superimpose takes 2 micrographs; 1 came"),
        (["superimpose", "a.tif", "b.tif"], "a.tif"),
        (
            ["random-field", "--size", "16", "--set", "correlation_length=0.9"],
            "too long for a periodic field of 3.2 µm",
        ),
        (["random-field", "--set", "tiles=2"], "give --field-size 64"),
        (["random-field", "--set", "tiles=3", "--field-size", "64"], "divides fields of 64 px"),
        (["random-field", "--size", "4"], "size"),
        (["random-field", "--sample", "9", "--held-out-conditions", "8"], "simulate more conditions"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert sorby(monkeypatch, "simulate", *arguments, "--out", "x.zip") == 2
    error = capsys.readouterr().err
    assert error.startswith("sorby: ")
    assert len(error.splitlines()) == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_every_setting_has_an_option_and_every_condition_is_in_the_help():
    output = run("--help")
    others = {"ranges": "--range", "fixed": "--set"}
    for name in Settings.model_fields:
        assert others.get(name, "--" + name.replace("_", "-")) in output
    for simulator in (SPINODAL, RANDOM_FIELD):
        assert all(variable.name in output for variable in simulator.variables)


def test_the_defaults_of_the_command_are_those_of_the_settings(tmp_path, monkeypatch):
    given = []
    module = sys.modules["sorby.cli.simulate"]  # the verb has taken its name in the package
    monkeypatch.setattr(module, "make_settings", lambda **changes: given.append(changes) or Settings())
    run("spinodal", "--out", tmp_path / "a.zip", "--dry-run")
    assert given == [{}]

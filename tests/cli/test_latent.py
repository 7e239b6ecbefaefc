"""The verbs that walk a generator's space, as a user types them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from sorby.cli import app
from sorby.errors import ConfigError
from sorby.micrograph import read_micrograph
from tests.latent.tiny import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("generators")
    tiny().save(path / "plain")
    tiny(conditional=True).save(path / "conditional")
    return path


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, ConfigError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_walk_through_seeds_is_a_sheet_or_frames(folder, tmp_path):
    out = run("interpolate", folder / "plain", "--out", tmp_path / "a.png", "--seeds", "0,1,2", "--closed").output
    assert "6 frames; slerp from seed 0 to seed 1 to seed 2 to seed 0; noise follow" in out
    run("interpolate", folder / "plain", "--out", tmp_path / "f", "--frames", "3", "--way", "w", "--noise", "hold")
    assert len(list((tmp_path / "f").iterdir())) == 3


def test_a_walk_through_conditions_keeps_the_seed(folder, tmp_path):
    words = ["--seeds", "4", "--condition", "temperature=800,900", "phase=ferrite"]
    run("interpolate", folder / "conditional", "--out", tmp_path / "f", "--frames", "2", *words)
    first, last = (read_micrograph(tmp_path / "f" / f"frame{i}.tif") for i in (0, 1))
    assert "temperature 800 °C to seed 4, phase ferrite, temperature 900 °C" in first.notes["walk"]
    assert abs(first.grey.astype(int) - last.grey).max() > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--way", "round"], "--way 'round' is not known: choose slerp, linear, w, circle"),
        (["--noise", "none"], "--noise 'none' is not known: choose follow, hold, loop"),
        (["--seeds", "1,x"], "--seeds"),
        (["--truncation", "0,2"], "--truncation '0,2': expected numbers from 0 to 1"),
        (["--seeds", "1"], "1 stop came, a walk needs two"),
    ],
)
def test_what_is_no_walk_is_told_in_a_line(folder, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        run("interpolate", folder / "plain", "--out", tmp_path / "a.png", *words)
    assert not (tmp_path / "a.png").exists()


def test_mixtures_say_which_layers_they_took(folder, tmp_path):
    out = run("mix", folder / "plain", "--out", tmp_path / "m.png", "--rows", "0,1", "--columns", "2").output
    assert "layers 4 to 7 (16 to 32 px)" in out
    with pytest.raises(ConfigError, match=r"expected a name ending in \.png"):
        run("mix", folder / "plain", "--out", tmp_path / "m.gif")


def test_one_style_cannot_be_mixed(tmp_path):
    tiny(model="contragan").save(tmp_path / "g")
    with pytest.raises(ConfigError, match="one style for the whole picture"):
        run("mix", tmp_path / "g", "--out", tmp_path / "m.png")


def test_pictures_are_moved_along_directions_and_say_so(folder, tmp_path):
    G = folder / "plain"
    words = ["--num", "1", "--seeds", "8", "--by-chance", "8"]
    out = run("directions", G, "--out", tmp_path / "d", *words).output
    assert "pca-1, +1 sd:" in out
    assert "sefa-1, +1 sd:" in out
    moved = ["--directions", tmp_path / "d", "--move", "pca-1=2", "--num", "1"]
    run("generate", G, "--out", tmp_path / "moved", *moved)
    run("generate", G, "--out", tmp_path / "still", "--num", "1")
    a, b = (read_micrograph(tmp_path / name / "seed0000.tif") for name in ("moved", "still"))
    assert abs(a.grey.astype(int) - b.grey).max() > 0
    assert a.notes["move"] == "pca-1=2"
    assert "move" not in b.notes
    run("generate", G, "--out", tmp_path / "zero", *moved[:3], "pca-1=0", *moved[4:])
    np.testing.assert_array_equal(read_micrograph(tmp_path / "zero" / "seed0000.tif").grey, b.grey)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--move", "pca-1=2"], "--move and --directions go together"),
        (["--directions", "nowhere", "--move", "pca-1=2"], "nowhere holds no directions"),
    ],
)
def test_a_move_needs_its_directions(folder, tmp_path, words, message):
    with pytest.raises(Exception, match=message):
        run("generate", folder / "plain", "--out", tmp_path / "p", *words)


def test_a_design_says_yes_or_no_and_ends_accordingly(folder, tmp_path):
    words = ["--screened", "12", "--trials", "2", "--answers", "2", "--material", "70,0.33", "--material", "210,0.3"]
    found = run("design", folder / "plain", "--out", tmp_path / "d", "--maximise", "E", *words)
    assert (found.exit_code, "Found: maximise youngs_modulus_GPa: 2 answers" in found.output) == (0, True)
    assert (tmp_path / "d" / "1" / "phases.vti").is_file()
    for name in ("1/picture.tif", "1/phases.png", "sheet.png"):
        told = read_micrograph(tmp_path / "d" / name).notes
        assert (told["synthetic"], told["generator"]) == ("true", tiny().hash)
        assert "seed" in told
    denied = run("design", folder / "plain", "--out", tmp_path / "n", "--target", "E=209", *words)
    assert (denied.exit_code, "No: youngs_modulus_GPa = 209 was not reached" in denied.output) == (1, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Nothing to look for"),
        (["--target", "E=100"], "needs the moduli of the phases"),
        (["--maximise", "k", "--conductivities", "1,x"], "--conductivities '1,x': expected numbers"),
        (["--maximise", "beauty"], "'beauty' is not known: choose from"),
    ],
)
def test_a_design_that_cannot_be_is_told_in_a_line(folder, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        run("design", folder / "plain", "--out", tmp_path / "d", *words)


def test_a_random_field_needs_data(tmp_path):
    with pytest.raises(ConfigError, match="give --data"):
        run("design", "random-field", "--out", tmp_path / "d", "--maximise", "area_fraction")

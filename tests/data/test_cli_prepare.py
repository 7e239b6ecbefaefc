import pytest
import typer
from typer.testing import CliRunner

from sorby.cli.prepare import prepare
from sorby.data.dataset import Dataset
from sorby.data.recipe import Recipe
from sorby.errors import DataError

from .made import textures


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(prepare)
    return app


def run(app, *arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_makes_a_dataset_and_says_what_to_do_next(app, tmp_path):
    raw, out = textures(tmp_path / "raw", 4), tmp_path / "steel.zip"
    (tmp_path / "bad.txt").write_text("t1.png\n")
    output = run(
        app, raw, "--out", out, "--patches", "--size", 32, "--scale", 0.5, "--reject", tmp_path / "bad.txt",
        "--limit", "crack=0", "--match", "--licence", "CC0-1.0",
    )  # fmt: skip
    assert "18 patches of 32 px from 3 micrographs, 1 of them held out." in output
    assert "Rejected 1, on the reject list: t1.png" in output
    assert "sorby train" in output
    recipe = Recipe.model_validate(Dataset.open(out).recipe)
    assert (recipe.scale, recipe.limits.crack, recipe.reject, recipe.match) == (0.5, 0, ("t1.png",), True)
    assert b'licence = "CC0-1.0"' in Dataset.open(out).archive.read("dataset.toml")


def test_a_dry_run_decides_and_writes_nothing(app, tmp_path):
    raw = textures(tmp_path / "raw", 2)
    output = run(app, raw, "--out", tmp_path / "a.zip", "--crop", "centre", "--size", 64, "--dry-run")
    assert "2 patches of 64 px from 2 micrographs" in output
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_every_setting_has_an_option_and_its_default_is_the_recipes(app, tmp_path):
    output = run(app, "--help")
    others = {"cut": "--patches", "conditions": "--condition", "limits": "--limit"}
    for name in Recipe.model_fields:
        assert others.get(name, "--" + name.replace("_", "-")) in output
    run(app, textures(tmp_path / "raw", 1, (80, 80)), "--out", tmp_path / "a.zip")
    assert Recipe.model_validate(Dataset.open(tmp_path / "a.zip").recipe) == Recipe()


def test_fewer_than_one_worker_is_refused_by_the_command_line(app, tmp_path):
    arguments = [str(textures(tmp_path / "raw", 1)), "--out", str(tmp_path / "a.zip"), "--workers", "-1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--workers" in result.output


def test_the_folder_one_is_in_is_refused_before_any_work(app, tmp_path, monkeypatch):
    raw = textures(tmp_path / "raw", 1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="the folder you are in"):
        run(app, raw, "--out", ".")

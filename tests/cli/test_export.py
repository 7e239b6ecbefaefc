"""The verb that hands generators and datasets to other programs."""

import pytest
from typer.testing import CliRunner

from sorby import generator as generators
from sorby.cli import app
from sorby.data.dataset import Dataset
from sorby.errors import ConfigError, WeightsError
from sorby.interop import onnx as interop
from tests.interop.test_stylegan_zip import dataset
from tests.latent.tiny import tiny


@pytest.fixture
def steel(tmp_path):
    tiny(conditional=True).save(tmp_path / "steel")
    return tmp_path / "steel"


def run(*words):
    result = CliRunner().invoke(app, ["export", *(str(word) for word in words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_an_onnx_file_is_told_with_its_conditions_and_its_difference(steel, tmp_path, monkeypatch):
    def written(generator, out):
        out.write_bytes(bytes(2_100_000))
        return 3e-6

    monkeypatch.setattr(interop, "export_onnx", written)
    told = " ".join(run(steel, "--onnx", "--out", tmp_path / "steel.onnx").split())
    assert "2.1 MB, draws 32 px" in told
    assert "temperature from 800 to 1000 °C" in told
    assert "PyTorch by 3e-06 at most" in told


def test_a_dataset_becomes_a_zip_and_what_is_lost_is_told(tmp_path):
    dataset(tmp_path / "steel.zip")
    told = run(tmp_path / "steel.zip", "--stylegan", "--out", tmp_path / "sg.zip")
    assert "4 patches of 32 px. Lost: from which micrograph" in told
    assert len(Dataset.open(tmp_path / "sg.zip")) == 4


def test_a_push_gives_the_address_and_the_command_that_draws(steel, monkeypatch):
    asked = []

    def push(folder, name, *, private, token):
        asked.append((sorted(path.name for path in folder.iterdir()), name, private, token))
        return f"https://hub/{name}"

    monkeypatch.setattr(generators.hub, "push", push)
    assert "sorby generate hf:me/steel" in run(steel, "--hub", "me/steel", "--private")
    run(steel, "--hub", "me/steel")
    files = ["README.md", "config.json", "model.safetensors"]
    assert asked == [(files, "me/steel", True, None), (files, "me/steel", None, None)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of --onnx, --stylegan, --metadata and --hub"),
        (["--onnx", "--stylegan", "--out", "a.zip"], "one of --onnx"),
        (["--onnx"], r"Give --out NAME\.onnx"),
        (["--stylegan"], r"Give --out NAME\.zip"),
        (["--hub", "me/steel", "--out", "a"], "leave one of them out"),
        (["--stylegan", "--split", "test", "--out", "a.zip"], "choose train, held-out"),
    ],
)
def test_what_does_not_go_together_is_refused(steel, words, message):
    with pytest.raises(ConfigError, match=message):
        run(steel, *words)


def test_a_dataset_is_no_generator(tmp_path):
    dataset(tmp_path / "steel.zip")
    with pytest.raises(WeightsError, match="is no generator"):
        run(tmp_path / "steel.zip", "--onnx", "--out", tmp_path / "steel.onnx")

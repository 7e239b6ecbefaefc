"""The same command gives the same bits; those of `tests.trust.verbs` are compared by `python -m tests.trust.faults`."""

import sys

import pytest

from sorby.cli import main
from tests.data.made import textures
from tests.latent.tiny import tiny
from tests.trust.verbs import FIELD, files_of

COMMANDS = {
    "table.csv": "measure {home}/raw --out {out}",
    "walk.gif": "interpolate {home}/steel --frames 3 --out {out}",
    "walk.mp4": "interpolate {home}/steel --frames 3 --trace area_fraction --out {out}",
    "frames": "interpolate {home}/steel --frames 3 --way circle --noise loop --out {out}",
    "mixture.png": "mix {home}/steel --rows 0,1 --columns 2 --out {out}",
    "directions": "directions {home}/steel --num 1 --seeds 8 --by-chance 8 --out {out}",
    "projection": "project {home}/steel {home}/raw/t0.png --steps 4 --out {out}",
    "design": "design {home}/steel --maximise area_fraction --screened 8 --trials 4 --out {out}",
    "prediction": "predict {home}/field.zip --property volume_fraction --inputs descriptors --num 16 --out {out}",
    "field.shards": "pack {home}/field.zip --out {out}",
    "steel.onnx": "export {home}/steel --onnx --out {out}",
    "official.zip": "export {home}/field.zip --stylegan --out {out}",
    "steel.json": "export {home}/steel --metadata --out {out}",
}


def sorby(monkeypatch, command):
    monkeypatch.setattr(sys, "argv", ["sorby", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Micrographs, a generator and a dataset."""
    folder = tmp_path_factory.mktemp("home")
    textures(folder / "raw", 2, (64, 64))
    tiny().save(folder / "steel")
    with pytest.MonkeyPatch.context() as monkeypatch:
        sorby(monkeypatch, FIELD.format(out=folder / "field.zip").replace("--sample 4", "--sample 8"))
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_given_twice_gives_the_same_bits(name, home, tmp_path, monkeypatch):
    outs = [tmp_path / time / name for time in ("once", "twice")]
    for out in outs:
        out.parent.mkdir()
        sorby(monkeypatch, COMMANDS[name].format(home=home, out=out))
    once, twice = map(files_of, outs)
    assert once
    assert once == twice

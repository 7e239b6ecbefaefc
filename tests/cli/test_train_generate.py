"""Train and generate as a user types them."""

import pytest
import tifffile
from PIL import Image

from sorby.cli.generate import folder_of, pair
from sorby.cli.train import assignments, chosen_device, names
from sorby.errors import ConfigError
from sorby.micrograph import read_micrograph
from tests.cli.test_main import sorby
from tests.training.conftest import tiny_dataset  # noqa: F401

TINY = (
    "--preset", "demo", "--kimg", "0.032", "--batch", "4", "--set", "tick_kimg=0.016", "--set", "score_ticks=0",
    "--set", "network.channel_base=256", "--set", "network.channel_max=16", "--device", "cpu", "--precision", "float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tiny_dataset, tmp_path_factory):  # noqa: F811
    patch = pytest.MonkeyPatch()
    out = tmp_path_factory.mktemp("runs") / "discs"
    assert sorby(patch, "train", tiny_dataset.path, "--out", out, *TINY) == 0
    patch.undo()
    return out


def test_a_run_folder_holds_what_the_design_promises(run):
    names = {path.name for path in run.iterdir()}
    assert {"config.toml", "log.jsonl", "checkpoint", "samples", "last", "tensorboard"} <= names
    assert not [name for name in names if name.startswith(".")]
    with Image.open(run / "samples" / "0000000032.png") as sheet:
        assert sheet.size == (8 * 32, 4 * 32)


def test_training_prints_what_it_logs_and_goes_on_when_called_again(run, tiny_dataset, monkeypatch, capsys):  # noqa: F811
    longer = [*TINY]
    longer[longer.index("--kimg") + 1] = "0.048"
    assert sorby(monkeypatch, "train", tiny_dataset.path, "--out", run, *longer) == 0
    out = capsys.readouterr().out
    assert "img/s" in out
    assert "kimg 0.0" in out
    assert len((run / "log.jsonl").read_text().splitlines()) == 3


def test_a_dry_run_prints_the_settings_and_writes_nothing(tiny_dataset, tmp_path, monkeypatch, capsys):  # noqa: F811
    arguments = ("train", tiny_dataset.path, "--out", tmp_path / "run", "--preset", "auto", "--dry-run")
    assert sorby(monkeypatch, *arguments) == 0
    out = capsys.readouterr().out
    assert "r1_gamma" in out
    assert "size = 32" in out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_refuses_what_training_would_refuse(tiny_dataset, monkeypatch, capsys):  # noqa: F811
    wrong = ("--set", "augment_without=spin", "--dry-run")
    assert sorby(monkeypatch, "train", tiny_dataset.path, *TINY, *wrong) == 2
    assert "spin" in capsys.readouterr().err


def test_images_of_another_size_than_the_preset_are_one_line(tiny_dataset, tmp_path, monkeypatch, capsys):  # noqa: F811
    assert sorby(monkeypatch, "train", tiny_dataset.path, "--out", tmp_path / "run", "--preset", "paper-b") == 2
    error = capsys.readouterr().err
    assert "patches of 32 px and preset paper-b draws 128 px: prepare with --size 128" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_other_settings_for_the_same_run_are_one_line(run, tiny_dataset, monkeypatch, capsys):  # noqa: F811
    assert sorby(monkeypatch, "train", tiny_dataset.path, "--out", run, *TINY, "--gamma", "7") == 2
    error = capsys.readouterr().err
    assert "r1_gamma was 0.3, is 7.0" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(("name", "suffix"), [("tiff", ".tif"), ("png", ".png")])
def test_pictures_carry_their_scale_and_say_that_they_are_synthetic(run, tmp_path, monkeypatch, capsys, name, suffix):
    assert sorby(monkeypatch, "generate", run, "--out", tmp_path, "--num", 3, "--seed", 5, "--format", name) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"seed000{n}{suffix}" for n in (5, 6, 7)]
    picture = read_micrograph(tmp_path / f"seed0005{suffix}")
    assert picture.grey.shape == (32, 32)
    assert picture.pixel_size_um == pytest.approx(0.5)
    assert picture.notes["synthetic"] == "true"
    assert picture.notes["seed"] == "5"
    assert "0.5 µm" in capsys.readouterr().out


def test_a_generated_tiff_has_no_vendor_tags(run, tmp_path, monkeypatch):
    assert sorby(monkeypatch, "generate", run, "--out", tmp_path, "--num", 1) == 0
    with tifffile.TiffFile(tmp_path / "seed0000.tif") as tiff:
        assert not {34118, 34680, 34682} & {tag.code for tag in tiff.pages[0].tags}


def test_the_same_seed_gives_the_same_file(run, tmp_path, monkeypatch):
    for folder in ("a", "b"):
        assert sorby(monkeypatch, "generate", run, "--out", tmp_path / folder, "--num", 2) == 0
    assert (tmp_path / "a" / "seed0001.tif").read_bytes() == (tmp_path / "b" / "seed0001.tif").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--truncation", "2"), "0 to 1"),
        (("--condition", "temperature"), "NAME=VALUE"),
        (("--condition", "temperature=1100"), "temperature"),
        (("--condition", "T=1", "--condition", "T=2"), "twice"),
        (("--format", "gif"), "tiff or png"),
        (("--device", "cuda:99"), "cuda:99"),
    ],
)
def test_a_wrong_wish_is_one_line_and_writes_nothing(run, tmp_path, monkeypatch, capsys, arguments, message):
    assert sorby(monkeypatch, "generate", run, "--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A generator of a temperature, a strain rate and a way of cooling, that has learnt nothing."""
    import torch

    from sorby.card import GeneratorCard
    from sorby.conditions import ConditionSpace
    from sorby.config import NetworkConfig
    from sorby.generator import Generator
    from sorby.models.stylegan2 import GeneratorNetwork

    rows = [
        {"temperature": t, "strain_rate": r, "cooling": c}
        for t in ("800", "1100")
        for r in ("0.001", "0.1")
        for c in ("air", "water, salt")
    ]
    space = ConditionSpace.from_rows(rows, ["temperature:°C", "strain_rate:1/s:log", "cooling"])
    network = NetworkConfig(size=32, z_dim=8, w_dim=8, channel_base=128, channel_max=8, condition_dim=space.dim)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("generator") / "hea"
    Generator(GeneratorNetwork(network), GeneratorCard(network=network, space=space, pixel_size_um=0.1)).save(folder)
    return folder


def test_several_conditions_follow_one_flag_and_are_told_with_their_units(conditional, tmp_path, monkeypatch, capsys):
    asked = ("--condition", "temperature=1000", "strain_rate=1e-2", "cooling=water, salt")
    assert sorby(monkeypatch, "generate", conditional, *asked, "--out", tmp_path, "--num", 1) == 0
    captured = capsys.readouterr()
    assert "at temperature 1000 °C, strain_rate 0.01 1/s, cooling water, salt" in captured.out
    assert "warning" not in captured.err
    notes = read_micrograph(tmp_path / "seed0000.tif").notes
    assert (notes["condition temperature"], notes["condition cooling"]) == ("1000", "water, salt")


def test_outside_the_data_there_is_a_warning_with_the_range(conditional, tmp_path, monkeypatch, capsys):
    asked = ("--condition", "temperature=1200", "strain_rate=0.01", "cooling=air")
    assert sorby(monkeypatch, "generate", conditional, *asked, "--out", tmp_path, "--num", 1) == 0
    error = capsys.readouterr().err
    assert "warning: temperature=1200 is outside the data, which hold temperature from 800 to 1100 °C." in error


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--condition", "temperature=hot", "strain_rate=1", "cooling=air"), "temperature=hot is not a number"),
        (("--condition", "temperature=nan", "strain_rate=1", "cooling=air"), "from 800 to 1100 °C"),
        (("--condition", "temperature=900,", "strain_rate=1", "cooling=air"), "temperature= is not a number"),
        (("--condition", "temperature=900", "strain_rate=-1", "cooling=air"), "strain_rate=-1 is not a number above 0"),
        (("--condition", "temperature=900", "strain_rate=1", "cooling=oil"), "cooling=oil is not a class"),
        (("--condition", "temperature=900"), "expected temperature, strain_rate, cooling"),
        (("--condition", "temperature=900", "rate=1", "cooling=air"), "expected temperature, strain_rate, cooling"),
        (("--condition", "temperature=900", "temperature=900"), "twice"),
        (("temperature=900",), "conditions come after --condition"),
    ],
)
def test_nonsense_for_a_condition_is_one_line_and_writes_nothing(
    conditional, tmp_path, monkeypatch, capsys, asked, message
):
    assert sorby(monkeypatch, "generate", conditional, *asked, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_several_values_give_a_folder_each_and_a_sheet_of_the_same_seeds(conditional, tmp_path, monkeypatch, capsys):
    asked = ("--condition", "temperature=900,1000", "strain_rate=0.1,0.001", "cooling=air")
    assert sorby(monkeypatch, "generate", conditional, *asked, "--out", tmp_path, "--num", 3, "--seed", 4) == 0
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert {path.name for path in folders} == {
        f"temperature={t},strain_rate={r},cooling=air" for t in (900, 1000) for r in (0.1, 0.001)
    }
    assert all(sorted(path.name for path in folder.iterdir())[0] == "seed0004.tif" for folder in folders)
    sheet = read_micrograph(tmp_path / "conditions.png")
    first = read_micrograph(tmp_path / "temperature=900,strain_rate=0.1,cooling=air" / "seed0005.tif")
    assert sheet.notes["synthetic"] == "true"
    assert sheet.pixel_size_um == pytest.approx(0.1)
    bottom = next(y for y in range(32, 64) if (sheet.grey[y - 32 : y, 34:66] == first.grey).all())
    assert bottom < 64  # in the first row and the second column
    assert "3 pictures at each of 4 conditions" in capsys.readouterr().out


def test_a_folder_has_a_name_that_every_system_takes():
    assert folder_of({"rate": "1/s", "alloy": "a:b*"}) == "rate=1-s,alloy=a-b-"


def test_the_device_is_the_best_there_is_unless_named():
    assert chosen_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="Device"):
        chosen_device("cuda:99")


@pytest.mark.parametrize("text", ["r1_gamma", "r1_gamma:3"])
def test_a_setting_without_a_value_is_refused(text):
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        assignments([text])


def test_small_grammars():
    assert names("blit, geom") == ("blit", "geom")
    assert pair("a=b=c") == ("a", "b=c")

import base64
import json
import re

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from sorby.cli.evaluate import evaluate as command
from sorby.cli.evaluate import own_folder
from sorby.conditions import ConditionSpace
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.errors import ConfigError, DataError, WeightsError
from sorby.evaluation.metallography import correlation_of
from sorby.evaluation.run import evaluate
from sorby.metrics.record import Report
from sorby.micrograph import decode_micrograph, write_micrograph
from tests.evaluation.made import block_means

FAST = ["efficientnet-lite0"]


def grains(rng, *, size=24, coarse=3):
    """A blotchy picture."""
    blocks = rng.integers(40, 216, (size // coarse, size // coarse), dtype=np.uint8)
    return np.kron(blocks, np.ones((coarse, coarse), np.uint8))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    rng = np.random.default_rng(0)
    patches = [
        Patch(file=f"{n}.png", parent=f"<i>{n // 2}", split="held-out" if n % 6 < 2 else "train", pixel_size_um=0.1)
        for n in range(60)
    ]
    path = tmp_path_factory.mktemp("real") / "steel.zip"
    write_dataset(path, ((patch, grains(rng)) for patch in patches), space=ConditionSpace(), recipe={})
    return path


def dataset(path, splits, *, channels=1):
    """Micrographs with so many patches each: `splits` holds pairs of side and number."""
    rng, patches = np.random.default_rng(3), []
    for parent, (split, num) in enumerate(splits):
        patches += [Patch(file=f"{parent}_{n}.png", parent=str(parent), split=split) for n in range(num)]
    items = ((patch, np.repeat(grains(rng)[None], channels, axis=0)) for patch in patches)
    write_dataset(path, items, space=ConditionSpace(), recipe={})
    return path


def conditional(path, *, coarse, split):
    """64 micrographs of two temperatures, each with blocks of its own size in px."""
    rng, sizes = np.random.default_rng(4), {"900": coarse[0], "1000": coarse[1]}
    patches = [
        Patch(
            file=f"{n}.png",
            parent=str(n),
            split="held-out" if split and n % 4 < 2 else "train",
            pixel_size_um=0.1,
            conditions={"temperature": ("900", "1000")[n % 2]},
        )
        for n in range(64)
    ]
    space = ConditionSpace.from_rows([patch.conditions for patch in patches], ["temperature:°C"])
    items = ((patch, grains(rng, coarse=sizes[patch.conditions["temperature"]])) for patch in patches)
    write_dataset(path, items, space=space, recipe={})
    return path


def folder(path, pictures):
    path.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{i:03d}.png")
    return path


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(monkeypatch, cache_folder):
    """One cache for all tests: the real images go through the network once."""
    monkeypatch.setenv("SORBY_CACHE", str(cache_folder))


@pytest.fixture
def quick(monkeypatch, cache):
    """Features that cost nothing, where they do not matter."""
    monkeypatch.setattr("sorby.evaluation.scores.load_network", lambda *_, **__: block_means())


@pytest.fixture
def alike(tmp_path, cache):
    rng = np.random.default_rng(1)
    return folder(tmp_path / "alike", [grains(rng) for _ in range(24)])


@pytest.fixture
def unlike(tmp_path, cache):
    rng = np.random.default_rng(2)
    return folder(tmp_path / "unlike", [grains(rng, coarse=8) for _ in range(24)])


def test_images_of_the_same_kind_reach_the_floor_and_others_do_not(alike, unlike, real, tmp_path):
    good, bad = (evaluate(path, real, tmp_path / "out", networks=FAST) for path in (alike, unlike))
    assert good.score("KID").reached_floor
    assert not bad.score("KID").reached_floor
    assert good.score("recall").value > bad.score("recall").value
    assert good.against == ("held-out", "train")


def test_the_report_is_written_whole_and_reads_back(alike, real, tmp_path):
    report = evaluate(alike, real, tmp_path / "out", networks=FAST, command="sorby evaluate alike steel.zip")
    assert Report.model_validate_json((tmp_path / "out" / "scores.json").read_text()) == report
    assert "sorby evaluate alike steel.zip" in (tmp_path / "out" / "report.html").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "scores.json"]
    assert report.num == {"generated": 24, "held-out": 20, "train": 40}
    assert report.num_parents == {"held-out": 10, "train": 20}


def test_copies_of_training_images_are_found_and_shown(real, tmp_path, cache):
    from sorby.data.dataset import Dataset

    train = Dataset.open(real).split("train").images()[:, 0]
    report = evaluate(folder(tmp_path / "copies", train[:20]), real, tmp_path / "out", networks=FAST)
    assert report.likeness.closer_share == 1
    assert report.likeness.pairs[0].distance < 0.01 * report.likeness.usual_distance
    assert report.score("FID", against="train").value < report.score("FID", against="held-out").value


def test_a_folder_of_real_images_has_no_held_out_side_and_the_report_says_so(alike, unlike, tmp_path):
    report = evaluate(alike, unlike, tmp_path / "out", networks=FAST)
    assert report.against == ("real",)
    assert any("no held-out micrographs" in note for note in report.notes)
    assert report.score("KID").floor.num_real == 12


def test_the_same_seed_gives_the_same_report(alike, real, tmp_path):
    one, again = (evaluate(alike, real, tmp_path / "out", networks=FAST, num=15) for _ in range(2))
    assert one == again
    assert one != evaluate(alike, real, tmp_path / "out", networks=FAST, num=15, seed=1)


def test_pictures_of_another_size_are_refused(real, tmp_path, cache):
    small = folder(tmp_path / "small", [np.zeros((16, 16), np.uint8)] * 12)
    with pytest.raises(DataError, match=r"16 x 16 px and held-out micrographs of 24 x 24 px"):
        evaluate(small, real, tmp_path / "out", networks=FAST)
    assert not (tmp_path / "out").exists()


def test_three_images_are_too_few(real, tmp_path, cache):
    few = folder(tmp_path / "few", [np.zeros((24, 24), np.uint8)] * 3)
    with pytest.raises(DataError, match="few has 3 images, scores need at least 12"):
        evaluate(few, real, tmp_path / "out", networks=FAST)


@pytest.mark.parametrize(
    "splits",
    [[("train", 26)], [("train", 26), ("held-out", 5)]],
    ids=["one micrograph", "one of two held out with five patches"],
)
def test_one_micrograph_gives_a_floor_from_its_halves_and_the_report_says_so(alike, splits, tmp_path):
    report = evaluate(alike, dataset(tmp_path / "one.zip", splits), tmp_path / "out", networks=FAST)
    assert report.num_parents == {"real": 1}
    assert report.score("KID").floor.num_real == report.score("KID").floor.num_other == 13
    assert report.score("KID").floor.between == "the other half against one half of the one real micrograph"
    assert any("come from one micrograph" in note for note in report.notes)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "those of the other half of the one micrograph" in page
    assert "other micrographs" not in page


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([("train", 20)], r"real\.zip has 20 images, scores need at least 24"),
        ([("train", 40), ("train", 3)], r"real\.zip, .* half.*, has 3 images, scores need at least 12"),
        ([("train", 11), ("held-out", 11)], r"real\.zip has 11 images, scores need at least 24"),
    ],
    ids=["one micrograph", "a small half", "two small sides"],
)
def test_too_few_real_images_for_a_floor_are_refused(alike, splits, message, tmp_path):
    with pytest.raises(DataError, match=message):
        evaluate(alike, dataset(tmp_path / "real.zip", splits), tmp_path / "out", networks=FAST)


def test_a_single_real_image_is_refused(alike, tmp_path):
    single = folder(tmp_path / "single", [np.zeros((24, 24), np.uint8)])
    with pytest.raises(DataError, match="single has 1 images, scores need at least 24"):
        evaluate(alike, single, tmp_path / "out", networks=FAST)


def test_a_single_generated_image_is_refused_before_anything_is_computed(real, tmp_path, cache):
    single, said = folder(tmp_path / "single", [np.zeros((24, 24), np.uint8)]), []
    with pytest.raises(DataError, match="single has 1 images, scores need at least 12"):
        evaluate(single, real, tmp_path / "out", networks=FAST, say=said.append)
    assert said == []


def test_grey_against_colour_is_refused(alike, tmp_path):
    colour = dataset(tmp_path / "colour.zip", [("train", 24)], channels=3)
    with pytest.raises(DataError, match=r"alike has grey images and all of colour\.zip colour ones"):
        evaluate(alike, colour, tmp_path / "out", networks=FAST)


def test_a_network_is_asked_for_with_its_weights_in_a_file(alike, real, tmp_path):
    with pytest.raises(WeightsError, match=r"my\.pth is no file: expected the weights of vgg16"):
        evaluate(alike, real, tmp_path / "out", networks=[f"vgg16={tmp_path / 'my.pth'}"])


def test_a_network_asked_for_by_name_must_be_there(alike, real, tmp_path, monkeypatch):
    monkeypatch.delenv("SORBY_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="vgg16 are not on this machine"):
        evaluate(alike, real, tmp_path / "out", networks=["vgg16"])


@pytest.mark.parametrize("option", [("--num", "-1"), ("--seed", "-1"), ("--truncation", "1.5")])
def test_numbers_out_of_range_are_refused_by_the_command(option, tmp_path):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, ["a", "b", "--out", str(tmp_path), *option])
    assert result.exit_code == 2
    assert option[0] in result.output


def test_the_command_prints_scores_with_all_they_hang_on_and_where_the_report_is(alike, real, tmp_path):
    app = typer.Typer()
    app.command()(command)
    arguments = [str(alike), str(real), "--out", str(tmp_path / "out"), "--network", FAST[0], "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "KID" in result.stdout
    assert "real against real" in result.stdout
    assert str(tmp_path / "out" / "report.html") in result.stdout
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["seed"] == 0


def test_the_microstructure_of_equal_images_agrees_and_of_coarser_ones_differs(alike, unlike, real, tmp_path):
    """Blocks of 8 px in place of 3 px: longer chords, fewer particles."""
    good, bad = (evaluate(path, real, tmp_path / "out", networks=FAST) for path in (alike, unlike))
    verdicts = {d.name: d.verdict for d in bad.descriptors}
    assert "differs" not in {d.verdict for d in good.descriptors}
    assert verdicts["mean_chord"] == verdicts["correlation_length"] == "differs"
    (chord,) = (d for d in bad.descriptors if d.name == "mean_chord")
    assert chord.unit == "px"  # the folder has no pixel size
    assert chord.generated_mean > 1.8 * chord.real_mean


def test_images_of_one_grey_lack_what_the_real_ones_have_and_do_not_agree(real, tmp_path):
    (tmp_path / "blank").mkdir()
    for i in range(12):
        Image.fromarray(np.full((24, 24), 100 + i, np.uint8)).save(tmp_path / f"blank/{i}.png")
    report = evaluate(tmp_path / "blank", real, tmp_path / "out", networks=FAST)
    assert "mean chord in the phase" in report.lacking
    assert "what hardly any generated one has" in (tmp_path / "out/report.html").read_text()


def test_mirrored_copies_of_training_images_are_found_in_the_pixels(real, tmp_path, cache):
    train = Dataset.open(real).split("train").images()[:24, 0, :, ::-1]
    copier = folder(tmp_path / "copier", np.ascontiguousarray(train))
    report = evaluate(copier, real, tmp_path / "out", networks=FAST)
    assert report.copies.rate > 0.9
    assert report.copies.num_train == 40
    assert {"mirrored"} == {pair.move for pair in report.copies.pairs}
    assert all(pair.shift_px == (0, 0) and pair.similarity > 0.95 for pair in report.copies.pairs)


def test_pictures_taken_out_of_a_report_say_whether_they_are_generated(real, tmp_path, quick):
    rng = np.random.default_rng(6)
    about = {"synthetic": "true", "generator": "abc", "seed": "0"}
    for i in range(24):
        write_micrograph(tmp_path / "drawn" / f"{i}.png", grains(rng), pixel_size_um=0.1, description=about)
    evaluate(tmp_path / "drawn", real, tmp_path / "out", networks=FAST)
    page = (tmp_path / "out" / "report.html").read_text()
    taken = re.findall(r"data:image/png;base64,([^\"]+)", page)
    told = [decode_micrograph(base64.b64decode(data), name="taken.png").notes for data in taken]
    generated = [notes for notes in told if notes.get("synthetic") == "true"]
    assert {notes["generator"] for notes in generated} == {"abc"}
    assert 0 < len(generated) < len(told)
    assert all(notes["shown as"] == "real" for notes in told if notes not in generated)


def test_images_under_the_wrong_conditions_are_found_out_condition_by_condition(tmp_path, quick):
    """With the temperatures exchanged, all images together are as they should be."""
    real = conditional(tmp_path / "real.zip", coarse=(2, 4), split=True)
    right = conditional(tmp_path / "right.zip", coarse=(2, 4), split=False)
    wrong = conditional(tmp_path / "wrong.zip", coarse=(4, 2), split=False)
    good, bad = (evaluate(path, real, tmp_path / "out", networks=FAST) for path in (right, wrong))
    of_good, of_bad = (next(d for d in report.by_condition if d.name == "mean_chord") for report in (good, bad))
    assert "differs" not in {d.verdict for d in (*good.descriptors, *bad.descriptors)}
    assert [m.condition for m in of_bad.means] == ["temperature 900 °C", "temperature 1000 °C"]
    assert of_good.deviation < 0.05 < 0.4 < of_bad.deviation
    assert "Condition by condition" in (tmp_path / "out" / "report.html").read_text()
    assert Report.model_validate_json((tmp_path / "out" / "scores.json").read_text()) == bad


def test_asked_for_each_condition_the_report_shows_and_reads_them(tmp_path, quick):
    """With the temperatures exchanged, hardly a picture is read as what it was asked for."""
    real = conditional(tmp_path / "real.zip", coarse=(2, 6), split=True)
    wrong = conditional(tmp_path / "wrong.zip", coarse=(6, 2), split=False)
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "out"
    arguments = [str(wrong), str(real), "--out", str(out), "--network", FAST[0], "--device", "cpu", "--num", "48"]
    result = CliRunner().invoke(app, [*arguments, "--by-condition", "--markdown"])
    assert result.exit_code == 0, result.output
    assert "does not follow its conditions" in result.stdout
    report = Report.model_validate_json((out / "scores.json").read_text())
    (fidelity,) = report.fidelity
    assert fidelity.right.value < 0.2 < 0.8 < fidelity.right_real.value
    assert (fidelity.num_real, fidelity.num_generated) == (48, 48)
    page = (out / "report.html").read_text()
    assert "Pictures at each condition" in page
    assert "the right of 2 conditions" in (out / "report.md").read_text()


def test_without_conditions_nothing_is_said_of_them(alike, real, tmp_path):
    assert evaluate(alike, real, tmp_path / "out", networks=FAST).by_condition == ()
    assert "Condition by condition" not in (tmp_path / "out" / "report.html").read_text()


def test_the_correlation_of_a_set_is_that_of_its_phase_and_blank_pictures_have_none():
    stripes = np.tile(np.repeat(np.array([40, 200], np.uint8), 4), (32, 4))[None, None]
    blank = np.full((1, 1, 32, 32), 9, np.uint8)
    found = correlation_of(np.concatenate([stripes, blank, stripes]), np.array([0, 1, 2]))
    assert found[0].value == pytest.approx(0.5)  # half of the pixels are in stripes
    assert found[0].num == 2
    assert len(found) == 17
    assert correlation_of(blank, np.array([0])) == []


def test_a_run_keeps_its_report_and_anything_else_needs_a_folder(tmp_path):
    (tmp_path / "config.toml").write_text("")
    assert own_folder(tmp_path) == tmp_path
    with pytest.raises(ConfigError, match="--out"):
        own_folder(tmp_path / "dataset.zip")

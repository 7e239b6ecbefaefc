import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.design import property  # noqa: A004
from sorby.design.inputs import tiles
from sorby.design.labelled import labels_of
from sorby.design.predict import FILES, predict
from sorby.errors import ConfigError, DataError
from sorby.metrics.features import FEATURE_NETWORKS, FeatureNetwork
from sorby.micrograph import write_micrograph
from sorby.microstructure.describe import Segmentation
from sorby.simulation.random_field import two_phase

PLAIN = Segmentation(smooth_px=0, min_area_px2=1)
NUM = 24


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(property, "TREES", 20)


def fractions(num):
    return np.random.default_rng(7).uniform(0.2, 0.8, num)


def picture(fraction, seed):
    rng = np.random.default_rng(seed)
    mask = two_phase((64, 64), volume_fraction=fraction, correlation_length_px=rng.uniform(2, 4), rng=rng)
    return np.where(mask, 192, 64).astype(np.uint8)


def write_labels(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Micrographs whose hardness is a law of the fraction, in two files a specimen, and noise."""
    path = tmp_path_factory.mktemp("steel")
    rng = np.random.default_rng(3)
    rows = []
    for i, fraction in enumerate(fractions(NUM)):
        name = f"{i:02d}.tif"
        write_micrograph(path / name, picture(fraction, i), pixel_size_um=0.5, description={})
        rows.append(
            {
                "file": name,
                "hardness": 200 + 150 * fraction + rng.normal(),
                "rate": 10 ** (4 * fraction),
                "noise": rng.normal(),
                "specimen": f"s{i // 2}",
                "few": f"f{i // 8}",
                "alike": 3.0,
                "alloy": "A" if i % 2 else "B",
                "gaps": "" if i < 2 else fraction,
                "wrong": "hard" if i == 5 else fraction,
                "nan": "nan" if i == 5 else fraction,
            }
        )
    return path, write_labels(path.parent / "labels.csv", rows), rows


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two patches of each of 16 micrographs, two of these a specimen; the fraction is the condition."""
    values = fractions(16)
    patches, pictures = [], []
    for i in range(32):
        parent = i // 2
        patches.append(
            Patch(
                file=f"{i}.png",
                parent=f"p{parent}.tif",
                specimen=f"s{parent // 2}",
                pixel_size_um=0.5,
                conditions={"fraction": f"{values[parent]:.4f}", "name": "abc"[parent % 3]},
            )
        )
        pictures.append(picture(values[parent], 100 + i))
    space = ConditionSpace.from_rows([patch.conditions for patch in patches], ["fraction", "name"])
    path = tmp_path_factory.mktemp("data") / "steel.zip"
    return write_dataset(path, zip(patches, pictures, strict=True), space=space, recipe={}).path


def run(source, out, **options):
    options = {"inputs": ["descriptors"], "how": PLAIN, "regressors": ["ridge"]} | options
    return predict(source, out, **options)


def test_a_property_that_is_a_law_of_the_fraction_follows_from_the_descriptors(folder, tmp_path):
    path, labels, rows = folder
    found = run(path, tmp_path / "p", property="hardness:HV", labels=labels, regressors=property.REGRESSORS)
    best = max(found.results, key=lambda result: result.r2.value)
    assert best.r2.value > 0.95
    assert all(result.is_supported for result in found.results)
    assert best.importance[0].column == "area fraction"
    assert found.verdicts[0].startswith("hardness follows from the descriptors: R² 0.9")
    assert {file.name for file in (tmp_path / "p").iterdir()} == set(FILES)
    about = json.loads((tmp_path / "p" / "predict.json").read_text())
    assert (about["property"], about["unit"], about["num_groups"]) == ("hardness", "HV", NUM)
    assert about["verdicts"] == list(found.verdicts)
    with (tmp_path / "p" / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * NUM
    assert {line["name"] for line in lines} == {row["file"] for row in rows}
    assert all(float(line["low"]) < float(line["predicted"]) < float(line["high"]) for line in lines)
    assert float(lines[0]["measured"]) == pytest.approx(rows[0]["hardness"], rel=1e-5)
    assert "hardness, HV" in (tmp_path / "p" / "predict.svg").read_text()


def test_noise_is_not_supported_and_said_so(folder, tmp_path):
    path, labels, _ = folder
    found = run(path, tmp_path / "p", property="noise", labels=labels)
    assert found.verdicts[0].startswith("Not supported: that noise follows from the descriptors")
    assert not json.loads((tmp_path / "p" / "predict.json").read_text())["results"][0]["supported"]


def test_a_log_property_is_learned_as_its_logarithm_and_told_as_itself(folder, tmp_path):
    path, labels, rows = folder
    found = run(path, tmp_path / "p", property="rate:1/s:log", labels=labels)
    assert found.results[0].r2.value > 0.95  # linear over six decades it would not be
    with (tmp_path / "p" / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert float(lines[3]["measured"]) == pytest.approx(rows[3]["rate"], rel=1e-5)
    assert all(float(line["low"]) > 0 for line in lines)
    assert found.labels.unit == "log10"


def test_groups_are_those_named(folder, tmp_path):
    path, labels, _ = folder
    found = run(path, tmp_path / "p", property="hardness", labels=labels, group="specimen")
    assert found.results[0].num_groups == NUM // 2
    assert [row.group for row in found.rows[:3]] == ["s0", "s0", "s1"]


def test_rows_without_a_value_are_left_out_and_told(folder, tmp_path):
    path, labels, _ = folder
    found = run(path, tmp_path / "p", property="gaps", labels=labels)
    assert len(found.rows) == NUM - 2
    assert any("2 of 24 rows" in note for note in found.notes)


def test_patches_of_a_micrograph_are_one_row_and_specimens_are_held_out_whole(dataset, tmp_path):
    found = run(dataset, tmp_path / "p", property="fraction")
    assert len(found.rows) == 16
    assert {len(row.pictures) for row in found.rows} == {2}
    assert found.results[0].num_groups == 8
    assert found.results[0].r2.value > 0.9
    assert any("averaged to one row" in note for note in found.notes)
    assert any("at least 10 groups" in note for note in found.notes)


def test_a_table_may_name_the_micrographs_of_a_dataset_or_its_patches(dataset, tmp_path):
    parents = [{"file": f"p{i}.tif", "hardness": value} for i, value in enumerate(fractions(16))]
    by_parent = labels_of(
        dataset, property="hardness", labels=write_labels(tmp_path / "a.csv", parents), group="parent"
    )
    assert by_parent.known["7.png"].value == fractions(16)[3]
    assert by_parent.known["7.png"].group == "p3.tif"
    patches = [{"file": f"{i}.png", "modulus": i} for i in range(32)]
    by_patch = labels_of(dataset, property="modulus", labels=write_labels(tmp_path / "b.csv", patches), group=None)
    assert by_patch.known["7.png"].value == 7
    assert by_patch.known["7.png"].group == "specimen s1"


def test_values_shared_by_groups_are_told(dataset, tmp_path):
    rows = [{"file": f"p{i}.tif", "temperature": 900 + 100 * (i % 4)} for i in range(16)]
    labels = labels_of(dataset, property="temperature", labels=write_labels(tmp_path / "a.csv", rows), group="parent")
    assert any("16 groups share 4 distinct values" in note for note in labels.notes)


def test_latents_stand_beside_descriptors_and_may_come_by_name(folder, tmp_path):
    path, labels, rows = folder
    values = np.array([row["hardness"] for row in rows])
    latents = np.stack([np.random.default_rng(0).normal(size=NUM), values], axis=1)
    found = run(path, tmp_path / "p", property="hardness", labels=labels, latents=latents)
    assert [result.inputs for result in found.results] == ["latents", "descriptors"]
    assert found.results[0].r2.value > 0.99
    assert found.results[0].importance[0].column == "1"
    order = np.random.default_rng(1).permutation(NUM)
    np.savez(tmp_path / "l.npz", latents=latents[order], files=[rows[i]["file"] for i in order])
    again = run(path, tmp_path / "q", property="hardness", labels=labels, latents=tmp_path / "l.npz", inputs=[])
    np.testing.assert_allclose(again.results[0].predicted, found.results[0].predicted)


def test_features_of_a_network_are_averaged_over_a_micrograph(dataset, tmp_path, monkeypatch):
    # A network that sees the mean grey alone, which is the fraction.
    blueprint = replace(FEATURE_NETWORKS["efficientnet-lite0"], dim=3, size_px=32)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = FeatureNetwork("grey", 3, "none", "", blueprint, module, torch.device("cpu"))
    monkeypatch.setattr("sorby.design.predict.load_network", lambda *_, **__: network)
    found = run(dataset, tmp_path / "p", property="fraction", inputs=["features"], network="grey")
    assert found.results[0].inputs == "features (grey)"
    assert found.results[0].r2.value > 0.99
    assert found.results[0].importance == ()


def test_pictures_that_cannot_be_read_are_told_and_too_few_are_refused(folder, tmp_path):
    path, _, rows = folder
    bad = tmp_path / "bad"
    bad.mkdir()
    for row in rows[:6]:
        (bad / row["file"]).write_bytes((path / row["file"]).read_bytes() if row is not rows[2] else b"no image")
    told = []
    labels = write_labels(tmp_path / "labels.csv", rows[:6])
    found = run(bad, tmp_path / "p", property="hardness", labels=labels, say=told.append)
    assert len(found.rows) == 5
    assert any("02.tif" in text for text in told)
    (bad / rows[3]["file"]).write_bytes(b"no image")
    with pytest.raises(DataError, match="4 pictures of 4 groups"):
        run(bad, tmp_path / "q", property="hardness", labels=labels)


def test_features_are_of_squares_and_not_of_stretched_pictures():
    grey = np.arange(475 * 645, dtype=np.uint32).reshape(475, 645) % 251
    cut = tiles(grey.astype(np.uint8))
    assert cut.shape == (4, 1, 224, 224)
    np.testing.assert_array_equal(cut[1, 0], grey[13:237, 98 + 224 : 98 + 448])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"property": "strength"}, r"has no column 'strength': choose from file, hardness"),
        ({"property": "wrong"}, "wrong holds 'hard', which is no number"),
        ({"property": "nan"}, "nan holds 'nan', which is no number"),
        ({"property": "alike"}, "there is nothing to predict"),
        ({"property": "hardness", "group": "few"}, "24 pictures of 3 groups came"),
        ({"property": "hardness", "group": "heat"}, "no column 'heat'"),
        ({"property": "hardness", "latents": np.zeros((3, 2))}, "3 rows for 24 pictures"),
    ],
)
def test_labels_that_will_not_do_are_one_line_and_nothing_is_written(folder, tmp_path, options, expected):
    path, labels, _ = folder
    with pytest.raises(DataError, match=expected) as error:
        run(path, tmp_path / "p", labels=labels, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inputs": ["grain"]}, "'grain' is not among the inputs"),
        ({"regressors": ["lasso"]}, "'lasso' is not among the regressors"),
        ({"inputs": []}, "nothing to predict from"),
        ({"labels": None}, "give with --labels"),
        ({"property": "hardness:HV:class"}, "is a class"),
    ],
)
def test_settings_that_will_not_do_are_one_line(folder, tmp_path, options, expected):
    path, labels, _ = folder
    with pytest.raises(ConfigError, match=expected):
        run(path, tmp_path / "p", **{"property": "hardness", "labels": labels} | options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"property": "hardness"}, r"no condition 'hardness' \(it has fraction, name\)"),
        ({"property": "name"}, "name holds 'a', which is no number"),
        ({"property": "fraction", "group": "heat"}, "no 'heat' to group by"),
    ],
)
def test_conditions_that_will_not_do_are_one_line(dataset, tmp_path, options, expected):
    with pytest.raises(DataError, match=expected):
        run(dataset, tmp_path / "p", **options)


def test_damaged_latents_are_one_line(folder, tmp_path):
    path, labels, _ = folder
    bad = tmp_path / "l.npz"
    bad.write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read as latents"):
        run(path, tmp_path / "p", property="hardness", labels=labels, latents=bad)
    np.savez(bad, latents=np.zeros((2, 3)), files=["00.tif", "nothing.tif"])
    with pytest.raises(DataError, match=r"nothing\.tif fits 0 pictures"):
        run(path, tmp_path / "p", property="hardness", labels=labels, latents=bad)
    np.savez(bad, latents=np.zeros((1, 3)), files=["00.tif"])
    with pytest.raises(DataError, match=r"01\.tif has no row of latents"):
        run(path, tmp_path / "p", property="hardness", labels=labels, latents=bad)

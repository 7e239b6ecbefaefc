"""What is known of things, in the words of NXem and the EM Glossary."""

import json

import numpy as np
import pytest

from sorby.cli.export import export
from sorby.data.prepare import prepare
from sorby.data.recipe import make_recipe
from sorby.errors import ConfigError
from sorby.interop.nexus import export_metadata
from sorby.micrograph import write_micrograph
from sorby.simulation.dataset import simulate
from tests.data.made import texture, textures
from tests.data.test_honesty import SECRETS, zeiss
from tests.latent.tiny import tiny

EVENT = "/ENTRY/measurement/eventID"


def concepts(path, tmp_path):
    export_metadata(path, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert not [secret for secret in SECRETS if secret in text]
    return json.loads(text)["concepts"]


def in_order(tmp_path, *, kv):
    """A micrograph of 30 x 20 px as SmartSEM writes it."""
    zeiss(
        tmp_path / f"{kv}.tif",
        texture(kv, (200, 300)),
        more=("AP_ACTUALKV", f"EHT = {kv}.00 kV", "AP_WD", "WD = 6.2 mm"),
    )
    return tmp_path / f"{kv}.tif"


def test_a_micrograph_is_real_and_has_the_terms_that_nexus_names_for_it(tmp_path):
    found = concepts(in_order(tmp_path, kv=15), tmp_path)
    assert found["/ENTRY/definition"] == {"value": "NXem"}
    assert found["/ENTRY/sampleID/is_simulation"] == {"value": False}
    assert found[f"{EVENT}/instrument/ebeam_column/electron_source/voltage"] == {
        "value": 15.0,
        "units": "kV",
        "term": "https://purls.helmholtz-metadaten.de/emg/EMG_00000004",
    }
    assert found[f"{EVENT}/instrument/optics/working_distance"] == {
        "value": 6.2,
        "units": "mm",
        "term": "https://purls.helmholtz-metadaten.de/emg/EMG_00000050",
    }
    assert found["/ENTRY/measurement/instrument/fabrication/model"] == {"value": "Sigma 300"}
    i, j = (found[f"{EVENT}/imageID/image_2d/axis_{axis}"] for axis in "ij")
    assert i == {"value": {"start": 0, "step": pytest.approx(0.1), "count": 300}, "units": "um"}
    assert j["value"]["count"] == 200


def test_an_image_that_says_nothing_is_called_neither_real_nor_simulated(tmp_path):
    write_micrograph(tmp_path / "a.png", np.zeros((8, 8), np.uint8), pixel_size_um=None, description={})
    found = concepts(tmp_path / "a.png", tmp_path)
    assert "/ENTRY/sampleID/is_simulation" not in found
    assert found[f"{EVENT}/imageID/image_2d/axis_i"] == {"value": {"count": 8}}  # no length without a pixel size


def test_what_a_generator_drew_is_a_simulation_with_its_seed_and_nothing_measured(tmp_path):
    about = {"synthetic": "true", "generator": "abc", "seed": "7", "condition temperature": "900"}
    write_micrograph(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), pixel_size_um=0.25, description=about)
    found = concepts(tmp_path / "a.tif", tmp_path)
    assert found["/ENTRY/sampleID/is_simulation"] == {"value": True}
    assert found["/ENTRY/simulation/programID/program"] == {"value": "Sorby"}
    assert found["/ENTRY/simulation/config/seed"] == {"value": "7"}
    assert found["/ENTRY/simulation/config/condition_temperature"] == {"value": "900"}
    assert found["/ENTRY/simulation/results/IMAGE/image_2d/axis_i"]["value"]["step"] == 0.25
    assert not [path for path in found if path.startswith("/ENTRY/measurement")]


def test_a_generator_is_a_simulation_with_what_it_learnt_from(tmp_path):
    generator = tiny(conditional=True)
    generator.save(tmp_path / "g")
    found = concepts(tmp_path / "g", tmp_path)
    assert found["/ENTRY/sampleID/is_simulation"] == {"value": True}
    assert found["/ENTRY/simulation/config/generator"] == {"value": generator.hash}
    assert found["/ENTRY/simulation/config/condition_temperature"] == {"value": "temperature from 800 to 1000 °C"}


def test_a_dataset_tells_the_settings_that_all_its_micrographs_share(tmp_path):
    (tmp_path / "raw").mkdir()
    for kv in (10, 15):
        in_order(tmp_path / "raw", kv=kv)
    prepare([tmp_path / "raw"], tmp_path / "a.zip", recipe=make_recipe(size=64), licence="CC0-1.0", workers=1)
    found = concepts(tmp_path / "a.zip", tmp_path)
    assert found["/ENTRY/measurement/instrument/fabrication/vendor"] == {"value": "Zeiss"}
    assert found[f"{EVENT}/instrument/optics/working_distance"]["value"] == 6.2
    assert f"{EVENT}/instrument/ebeam_column/electron_source/voltage" not in found
    assert "2 parents; licence: CC0-1.0" in found["/ENTRY/experiment_description"]["value"]
    textures(tmp_path / "plain", 2)
    prepare([tmp_path / "plain"], tmp_path / "b.zip", recipe=make_recipe(size=64), workers=1)
    assert "/ENTRY/measurement/instrument/fabrication/vendor" not in concepts(tmp_path / "b.zip", tmp_path)


def test_a_simulated_dataset_is_marked_as_simulated(tmp_path):
    simulate("random-field", tmp_path / "a.zip", sample=4, images_per_condition=4, size=32, held_out_conditions=0)
    found = concepts(tmp_path / "a.zip", tmp_path)
    assert found["/ENTRY/sampleID/is_simulation"] == {"value": True}
    assert found["/ENTRY/simulation/config/simulator"] == {"value": "random-field"}


@pytest.mark.parametrize("real", [0, 1])
def test_a_dataset_is_a_simulation_where_all_of_its_micrographs_are_generated(tmp_path, real):
    (tmp_path / "raw").mkdir()
    for seed in range(2):
        about = {"synthetic": "true", "generator": "abc", "seed": str(seed)} if seed >= real else {}
        grey = texture(seed, (64, 64))
        write_micrograph(tmp_path / f"raw/{seed}.tif", grey, pixel_size_um=0.25, description=about)
    prepare([tmp_path / "raw"], tmp_path / "a.zip", recipe=make_recipe(size=32, synthetic=True), workers=1)
    found = concepts(tmp_path / "a.zip", tmp_path)
    assert f"{2 - real} of 2 images are generated" in found["/ENTRY/experiment_description"]["value"]
    assert ("/ENTRY/sampleID/is_simulation" in found) == (real == 0)
    assert (found.get("/ENTRY/simulation/config/generator") == {"value": "abc"}) == (real == 0)


def test_another_suffix_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ConfigError, match=r"does not end in \.json"):
        export(tmp_path / "raw", out=tmp_path / "a.txt", metadata=True)
    assert not list(tmp_path.iterdir())

import json

import numpy as np
import pytest
import torch

from sorby.card import GeneratorCard
from sorby.conditions import Condition, ConditionSpace
from sorby.config import NetworkConfig
from sorby.errors import ConfigError, DataError, WeightsError
from sorby.generator import Generator
from sorby.interop import onnx as interop
from sorby.interop.onnx import Graph, export_onnx, inputs_of
from sorby.models.build import generator_network
from tests.latent.tiny import CLASSES, TEMPERATURE, tiny

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

RATE = Condition(name="strain rate", unit="1/s", kind="log", low=1e-3, high=10, mean=-1, std=1.5)
SPACE = ConditionSpace(conditions=(CLASSES, TEMPERATURE, RATE))
ASKED = {"phase": "pearlite", "temperature": 870.0, "strain rate": 0.02}


def contragan():
    torch.manual_seed(0)
    sizes = {"size": 32, "z_dim": 16, "channel_base": 256, "channel_max": 16, "condition_dim": SPACE.dim}
    config = NetworkConfig(model="contragan", condition_by="features", **sizes)
    seen = ({"phase": "ferrite", "temperature": 800.0, "strain rate": 0.1}, ASKED)
    card = GeneratorCard(network=config, pixel_size_um=0.25, space=SPACE, seen_conditions=seen, seen_counts=(1, 1))
    return Generator(generator_network(config), card)


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def images_of_torch(generator, seeds, *, truncation, condition=None):
    exact = generator.with_dtype(torch.float32)
    z, noise = exact.latents(seeds)
    ws = exact.styles(z, exact.encoded(seeds, condition), truncation)
    with torch.inference_mode():
        return exact.network.synthesis(ws, noise).numpy()


def check_pictures(generator, path, condition=None):
    """The generator takes the mean of w over many z; the file by what it knows of the mapping."""
    run = session(path)
    for num, truncation in ((1, 1.0), (3, 0.6)):
        inputs = inputs_of(generator, range(num), truncation=truncation, condition=condition)
        (images,) = run.run(None, inputs)
        expected = images_of_torch(generator, range(num), truncation=truncation, condition=condition)
        np.testing.assert_allclose(images, expected, atol=1e-4)
        assert expected.std() > 0.01
    return run


def test_a_shipped_generator_draws_the_same_from_its_file(tmp_path):
    generator, path = Generator.load("uhcs-64"), tmp_path / "steel.onnx"
    assert export_onnx(generator, path) < 1e-4
    run = check_pictures(generator, path)
    assert [value.name for value in run.get_inputs()] == ["z", "truncation", "noise"]
    told = run.get_modelmeta().custom_metadata_map
    assert told["generator"] == generator.hash
    assert told["licence"] == "CC BY 3.0 US"
    assert told["pixel_size_um"] == ""
    assert path.stat().st_size < 10_000_000
    assert str(interop.__file__).encode().rpartition(b"/interop")[0] not in path.read_bytes()  # whose disk it was


def test_what_only_imported_networks_have_is_exported_as_well(tmp_path):
    generator = tiny(conditional=True, condition_in="z", clamp=2.0, upsampling="bilinear")
    generator.network.w_mean += 0.1
    export_onnx(generator, tmp_path / "imported.onnx")
    check_pictures(generator, tmp_path / "imported.onnx", {"phase": "pearlite", "temperature": 870.0})


def test_conditions_go_in_as_people_write_them_and_the_file_tells_their_units(tmp_path):
    generator, path = contragan(), tmp_path / "steel.onnx"
    export_onnx(generator, path)
    run = check_pictures(generator, path, ASKED)
    told = run.get_modelmeta().custom_metadata_map
    columns = json.loads(told["conditions"])
    assert [(one["name"], one["unit"], one["kind"]) for one in columns] == [
        ("phase", None, "class"),
        ("temperature", "°C", "linear"),
        ("strain rate", "1/s", "log"),
    ]
    assert columns[0]["classes"] == ["ferrite", "pearlite"]
    assert (columns[1]["low"], columns[1]["high"]) == (800, 1000)
    assert (told["synthetic"], told["pixel_size_um"]) == ("true", "0.25")
    assert GeneratorCard.model_validate_json(told["card"]) == generator.card
    documents = {value.name: value.doc_string for value in onnx.load(path).graph.input}
    assert "temperature from 800 to 1000 °C" in documents["condition"]

    inputs = inputs_of(generator, [7], condition=ASKED)
    np.testing.assert_array_equal(inputs["condition"], np.float32([[1, 870, 0.02]]))
    inputs["condition"][0, 0] = 2
    with pytest.raises(Exception, match="out of data bounds"):  # there is no third class
        run.run(None, inputs)


@pytest.mark.parametrize("network", [{}, {"model": "contragan"}, {"model": "contragan", "condition_by": "features"}])
def test_the_mean_of_w_at_a_condition_is_that_of_many_latents_one_by_one(network):
    generator = tiny(conditional=True, **network)
    encoded = generator.encoded(range(8))
    mean = Graph(generator).network.mapping.mean(Graph(generator).samples, encoded)
    assert encoded.unique(dim=0).shape[0] == 2
    torch.testing.assert_close(mean, generator.mean_w(encoded), atol=1e-5, rtol=1e-5)


def test_a_condition_that_the_generator_does_not_know_is_refused():
    with pytest.raises(ConfigError, match="austenite"):
        inputs_of(contragan(), [0], condition={**ASKED, "phase": "austenite"})


def test_another_suffix_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"steel\.pb does not end in \.onnx"):
        export_onnx(contragan(), tmp_path / "steel.pb")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"needs onnxscript: pip install 'sorby\[onnx\]'"):
        export_onnx(contragan(), tmp_path / "steel.onnx")


def test_a_file_that_would_draw_other_pictures_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(interop, "traced", lambda *_: onnx.ModelProto())
    monkeypatch.setattr(interop, "_difference", lambda *_, **__: 2e-4)
    with pytest.raises(WeightsError, match=r"differ by 0\.0002"):
        export_onnx(contragan(), tmp_path / "steel.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_in_one_line_and_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(interop, "traced", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        export_onnx(contragan(), tmp_path / "file" / "steel.onnx")

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sorby import hub as rooms_hub
from sorby.card import model_card
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.inspect import summarise
from tests.hub_server import as_the_hub
from tests.latent.tiny import tiny

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")

NAME = "sorby-tests/steel"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with as_the_hub(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def published(hub):
    tiny().push_to_hub(NAME, token="good")
    hub.asked.clear()
    return hub


def test_what_is_pushed_comes_back_the_same(hub):
    G = tiny(conditional=True)
    address = G.push_to_hub(NAME, private=True, token="good")
    assert address == f"{hub.address}/{NAME}"
    assert hub.created[0]["visibility" if "visibility" in hub.created[0] else "private"] in (True, "private")
    assert sorted(hub.repos[NAME]) == sorted(rooms_hub.FILES)
    fetched = Generator.from_pretrained(NAME, dtype=torch.float32)
    assert (fetched.hash, fetched.card) == (G.hash, G.card)
    np.testing.assert_array_equal(fetched.images(range(2)), G.images(range(2)))


def test_only_the_files_of_a_generator_are_fetched(published):
    published.repos[NAME] |= {"pytorch_model.bin": b"a pickle", "setup.py": b"raise SystemExit"}
    Generator.from_pretrained(NAME)
    fetched = {request.rpartition("/")[2] for request in published.asked if request.startswith("GET /sorby-tests")}
    assert fetched == set(rooms_hub.FILES)


def test_the_prefix_names_one_of_a_hub_wherever_a_generator_is_wanted(published):
    assert Generator.load(f"hf:{NAME}").hash == tiny().hash
    assert summarise(Path(f"hf:{NAME}")).title == f"Generator hf:{NAME}"


def test_nothing_is_asked_of_a_hub_unless_by_name(published, tmp_path):
    tiny().save_pretrained(tmp_path / "steel")
    assert Generator.from_pretrained(tmp_path / "steel").hash == tiny().hash
    Generator.from_pretrained("uhcs-64")
    with pytest.raises(WeightsError, match="no generator"):
        Generator.load(NAME)
    assert published.asked == []


def test_a_file_that_is_too_large_is_refused_before_it_is_fetched(published):
    published.sizes["model.safetensors"] = 3 * 2**30
    with pytest.raises(WeightsError, match=r"model\.safetensors of hf:sorby-tests/steel has 3\.0 GiB.*at most 1"):
        Generator.from_pretrained(NAME)
    assert not any("resolve" in request for request in published.asked)


def test_a_repository_of_something_else_is_told_so(published):
    del published.repos[NAME]["config.json"]
    with pytest.raises(WeightsError, match=r"no generator of Sorby: it has no config\.json"):
        Generator.from_pretrained(NAME)


@pytest.mark.parametrize("name", ["sorby-tests/stele", "sorby-tests/steel/best"])
def test_a_name_that_is_not_there_is_one_line(published, name):
    with pytest.raises((WeightsError, ConfigError), match=name) as error:
        Generator.from_pretrained(name)
    assert "\n" not in str(error.value)


def test_a_push_without_the_right_token_is_one_line(hub):
    with pytest.raises(WeightsError, match=r"cannot be pushed.*hf auth login") as error:
        tiny().push_to_hub(NAME, token="bad")
    assert "\n" not in str(error.value)
    assert hub.repos == {}


def test_without_a_hub_the_generator_that_was_fetched_before_still_opens_offline(published, monkeypatch):
    Generator.from_pretrained(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    published.asked.clear()
    assert Generator.load(f"hf:{NAME}").hash == tiny().hash
    assert published.asked == []
    with pytest.raises(WeightsError, match="no hub is reachable"):
        Generator.load("hf:sorby-tests/another")


def test_where_no_hub_is_reachable_that_is_one_line(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for ask in (lambda: Generator.load(f"hf:{NAME}"), lambda: tiny().push_to_hub(NAME, token="good")):
        with pytest.raises(WeightsError, match=r"no hub is reachable at http://127\.0\.0\.1:9") as error:
            ask()
        assert "\n" not in str(error.value)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"pip install 'sorby\[hub\]'"):
        Generator.load(f"hf:{NAME}")


def test_the_card_has_the_header_that_the_hub_files_it_by():
    generator = Generator.load("uhcs-classes-64")
    card = huggingface_hub.ModelCard(model_card(generator.card))
    assert card.data.library_name == "sorby"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert (card.data.license, card.data.license_name) == ("other", "cc-by-3.0-us")
    assert "microstructure" in card.data.tags
    assert "synthetic" in card.text
    assert "license" not in huggingface_hub.ModelCard(model_card(tiny().card)).data.to_dict()

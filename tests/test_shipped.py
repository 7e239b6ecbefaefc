from pathlib import Path

import numpy as np
import pytest

from sorby import shipped
from sorby.errors import WeightsError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.metrics.sets import is_generator

MOST_BYTES = 10_000_000


@pytest.fixture(params=shipped.names())
def name(request):
    return request.param


def test_some_come_with_sorby():
    assert "uhcs-64" in shipped.names()


def test_each_draws_different_pictures_by_its_name_alone(name):
    generator = Generator.load(name)
    pictures = generator.images(range(4))
    assert pictures.shape == (4, 1, generator.card.size, generator.card.size)
    assert len(np.unique(pictures.reshape(4, -1), axis=0)) == 4
    assert (pictures.reshape(4, -1).std(axis=1) > 10).all()


def test_each_is_small_and_says_whose_data_it_learnt_from(name):
    folder = shipped.FOLDER / name
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    data = Generator.load(name).card.data
    assert data["licence"] == "CC BY 3.0 US"
    assert "10.1007/s40192-017-0097-0" in data["cite"]
    assert data["cite"] in (folder / "README.md").read_text()


def test_each_is_a_generator_to_all_verbs(name):
    assert is_generator(Path(name))
    assert summarise(Path(name)).title.startswith("Generator")


def test_what_is_there_goes_before_what_is_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uhcs-64").mkdir()
    assert shipped.located(Path("uhcs-64")) == Path("uhcs-64")
    with pytest.raises(WeightsError, match="no generator"):
        Generator.load("uhcs-64")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(WeightsError, match="uhcs-64"):
        Generator.load("uhcs-46")

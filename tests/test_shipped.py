from pathlib import Path

import numpy as np
import pytest

from sorby import shipped
from sorby.errors import WeightsError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.measurement.measured import descriptor_table
from sorby.metrics.sets import is_generator
from sorby.microstructure.describe import QUANTITIES

MOST_BYTES = 10_000_000


@pytest.fixture(params=shipped.names())
def name(request):
    return request.param


def test_those_of_the_readme_come_with_sorby():
    assert shipped.names() == ["uhcs-128", "uhcs-64", "uhcs-classes-64"]


def means_of(pictures):
    names = [quantity.name for quantity in QUANTITIES]
    return dict(zip(names, np.nanmean(descriptor_table([pictures]), axis=0), strict=True))


@pytest.mark.parametrize("name", ["uhcs-64", "uhcs-128"])
def test_each_draws_what_the_steel_looks_like_by_its_name_alone(name):
    # Grey values and carbides of docs/results-spheroidite.md; a network that learnt nothing draws neither.
    generator = Generator.load(name)
    pictures = generator.images(range(64))
    assert pictures.shape == (64, 1, generator.card.size, generator.card.size)
    means = means_of(pictures)
    assert means["area_fraction"] == pytest.approx(0.3, abs=0.05)
    assert means["mean_diameter"] == pytest.approx(6, abs=1)


def test_the_one_of_classes_draws_each_class_and_not_the_mean_of_them():
    # What sets real ones apart, docs/results-conditions.md: lamellae run one way, a network is the coarsest.
    generator = Generator.load("uhcs-classes-64")
    classes = generator.card.space.conditions[0].classes
    network, pearlite, spheroidite = (
        means_of(generator.images(range(64), condition={"microconstituent": name})) for name in classes
    )
    for other in (network, spheroidite):
        assert pearlite["axis_ratio"] < other["axis_ratio"] - 0.05
        assert pearlite["mean_aspect_ratio"] > other["mean_aspect_ratio"] + 0.1
    assert network["mean_chord"] > 1.1 * max(pearlite["mean_chord"], spheroidite["mean_chord"])


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
    shipped_hash = Generator.load("uhcs-64").hash
    (tmp_path / "uhcs-64").mkdir()
    assert not is_generator(Path("uhcs-64"))  # a folder of pictures, to be measured as such
    assert Generator.load("uhcs-64").hash == shipped_hash  # which cannot be drawn from
    Generator.load("uhcs-128").save(tmp_path / "own")
    (tmp_path / "own").rename(tmp_path / "uhcs-64" / "best")
    assert Generator.load("uhcs-64").hash == Generator.load("uhcs-128").hash != shipped_hash


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(WeightsError, match="uhcs-64"):
        Generator.load("uhcs-46")

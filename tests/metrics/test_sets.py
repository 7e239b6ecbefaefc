import io
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sorby.conditions import Condition, ConditionSpace
from sorby.config import FAMILIES
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import DataError
from sorby.generator import Generator
from sorby.metrics import sets
from sorby.metrics.sets import conditions_of, is_generator, open_real, open_set
from sorby.micrograph import write_micrograph


def picture(i, size=8):
    return np.full((size, size), i, dtype=np.uint8)


@pytest.fixture
def dataset(tmp_path):
    """Ten micrographs of three patches, two of them held out; temperature 900 twice as often as 1000."""
    patches = [
        Patch(
            file=f"{parent}_{i}.png",
            parent=str(parent),
            split="held-out" if parent < 2 else "train",
            pixel_size_um=0.5,
            conditions={"temperature": "1000" if i == 0 else "900"},
        )
        for parent in range(10)
        for i in range(3)
    ]
    space = ConditionSpace.from_rows([p.conditions for p in patches], ["temperature:°C:linear"])
    items = ((patch, picture(3 * int(patch.parent) + i % 3)) for i, patch in enumerate(patches))
    write_dataset(tmp_path / "steel.zip", items, space=space, recipe={})
    return tmp_path / "steel.zip"


def small(path, rows, columns=("temperature:°C:linear",)):
    """One patch a micrograph, of a side of the split and at a temperature each."""
    patches = [
        Patch(file=f"{i}.png", parent=str(i), split=split, conditions={"temperature": celsius} if columns else {})
        for i, (split, celsius) in enumerate(rows)
    ]
    space = ConditionSpace.from_rows([p.conditions for p in patches], columns)
    write_dataset(path, ((patch, picture(i)) for i, patch in enumerate(patches)), space=space, recipe={})
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drawn").mkdir()
    for i in range(6):
        Image.fromarray(picture(i)).save(tmp_path / "drawn" / f"{i}.png")
    return tmp_path / "drawn"


def test_a_dataset_gives_its_two_sides_without_a_common_micrograph(dataset):
    sides = open_real(dataset, num=100, seed=0)
    greys = {split: set(images.first(100).max(axis=(1, 2, 3)) // 3) for split, images in sides.items()}
    assert greys == {"held-out": {0, 1}, "train": set(range(2, 10))}
    assert sides["train"].pixel_size_um == 0.5
    assert {side: images.name for side, images in sides.items()} == {
        "held-out": "held-out micrographs",
        "train": "training micrographs",
    }


@pytest.mark.parametrize(
    ("splits", "places"),
    [
        (("train", "held-out-condition", "train"), {0, 2}),
        (("held-out-condition", "held-out", "held-out"), {1, 2}),
        (("held-out-condition", "held-out-condition"), {0, 1}),
    ],
)
def test_a_dataset_without_one_of_the_sides_gives_the_other_or_all_where_there_is_neither(splits, places, tmp_path):
    path = small(tmp_path / "steel.zip", [(split, "900") for split in splits])
    ((side, images),) = open_real(path, num=100, seed=0).items()
    assert (side, images.name) == (None, "all of steel.zip")
    assert set(images.first(100)[:, 0, 0, 0]) == places


def test_whatever_is_opened_gives_no_more_than_asked_for_and_the_seed_draws_it(dataset, folder, tmp_path):
    one_side = small(tmp_path / "side.zip", [("train", "900")] * 8)
    opened = [
        lambda seed: open_set(dataset, num=5, seed=seed),
        lambda seed: open_set(folder, num=5, seed=seed),
        lambda seed: open_real(folder, num=5, seed=seed)[None],
        lambda seed: open_real(one_side, num=5, seed=seed)[None],
    ]
    for of_seed in opened:
        one, same, other = (of_seed(seed) for seed in (3, 3, 4))
        assert len(one) == 5
        assert one.hash == same.hash != other.hash
        assert len(set(one.names)) == 5
    assert open_real(folder, num=5, seed=3)[None].hash == open_set(folder, num=5, seed=3).hash
    assert open_set(dataset, num=5, seed=0).name == "steel.zip"
    assert open_set(folder, num=5, seed=0).name == "drawn"


def test_no_more_images_are_taken_than_asked_for_and_the_seed_draws_them(dataset):
    one, same, other = (open_real(dataset, num=9, seed=seed)["train"] for seed in (0, 0, 1))
    assert len(one) == 9
    assert one.hash == same.hash != other.hash
    np.testing.assert_array_equal(one.first(9), same.first(9))


def test_a_subset_keeps_pictures_names_and_parents_together(dataset):
    images = open_real(dataset, num=20, seed=0)["train"]
    assert [f"{parent}" for parent in images.first(20)[:, 0, 0, 0] // 3] == [n.split("_")[0] for n in images.names]
    same_parent = images.parents[:, None] == images.parents
    same_grey = images.first(20)[:, None, 0, 0, 0] // 3 == images.first(20)[:, 0, 0, 0] // 3
    np.testing.assert_array_equal(same_parent, same_grey)


def test_halves_share_no_micrograph_and_hold_all_images(dataset):
    images = open_real(dataset, num=100, seed=0)["train"]
    one, other = images.halves(seed=0)
    assert not set(one.parents) & set(other.parents)
    assert sorted(one.names + other.names) == sorted(images.names)
    assert (one.num_parents, other.num_parents) == (4, 4)
    assert (one.name, other.name) == ("one half of the real micrographs", "the other half")
    assert images.halves(seed=0)[0].hash == one.hash != images.halves(seed=1)[0].hash


def test_halves_of_two_micrographs_are_one_of_them_each(dataset):
    images = open_real(dataset, num=100, seed=0)["held-out"]
    assert {tuple(np.unique(half.parents)) for half in images.halves(seed=0)} == {(0,), (1,)}


def test_halves_of_one_micrograph_are_halves_of_its_images(dataset):
    three = open_real(dataset, num=100, seed=0)["train"]
    single = three.subset(np.flatnonzero(three.parents == three.parents[0]), name="one")
    one, other = single.halves(seed=0)
    assert sorted(one.names + other.names) == sorted(single.names)
    assert (len(one), len(other)) == (1, 2)
    assert one.name == "one half of the one real micrograph"


def test_a_zip_of_another_tool_is_a_dataset_also_without_labels(tmp_path):
    with zipfile.ZipFile(tmp_path / "colour.zip", "w") as archive:
        for i in range(3):
            buffer = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), (i, 20, 30), np.uint8)).save(buffer, "PNG")
            archive.writestr(f"{i}.png", buffer.getvalue())
    assert open_set(tmp_path / "colour.zip", num=3, seed=0).first(3).shape == (3, 3, 8, 8)
    (images,) = open_real(tmp_path / "colour.zip", num=3, seed=0).values()
    assert images.first(1).shape == (1, 3, 8, 8)


def test_kept_images_are_the_same_and_drawn_once(folder):
    images = open_set(folder, num=6, seed=0)
    calls = []
    counted = sets.replace(images, load=lambda indices: calls.append(len(indices)) or images.load(indices))
    kept = counted.kept()
    for _ in range(3):
        np.testing.assert_array_equal(kept.first(4), images.first(4))
    assert calls == [1, 6]  # one to learn the size


def test_pictures_that_take_too_much_memory_are_not_kept(folder, monkeypatch):
    images = open_set(folder, num=6, seed=0)
    monkeypatch.setattr(sets, "MAX_KEPT_BYTES", 6 * 8 * 8 - 1)
    assert images.kept() is images
    monkeypatch.setattr(sets, "MAX_KEPT_BYTES", 6 * 8 * 8 + 1)
    assert images.kept() is not images


def test_the_hash_of_a_folder_follows_its_pictures(folder):
    before = open_set(folder, num=6, seed=0).hash
    assert open_set(folder, num=6, seed=0).hash == before
    Image.fromarray(picture(77)).save(folder / "3.png")
    assert open_set(folder, num=6, seed=0).hash != before


def test_pictures_of_two_sizes_are_refused_by_name(tmp_path):
    for name, shape in (("0.png", (6, 9)), ("odd.png", (7, 5))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
    with pytest.raises(DataError, match=r"odd\.png is 5 x 7 px, expected 9 x 6"):
        open_set(tmp_path, num=10, seed=0).first(10)


def test_a_folder_of_one_picture_is_a_set(tmp_path):
    Image.fromarray(picture(5)).save(tmp_path / "only.png")
    images = open_set(tmp_path, num=10, seed=0)
    assert images.names == ("only.png",)
    np.testing.assert_array_equal(images.first(10)[0, 0], picture(5))


def test_sixteen_bits_are_refused_and_not_clipped(folder):
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has 16 bits.*sorby prepare"):
        open_set(folder, num=10, seed=0).first(10)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        open_set(tmp_path / "nowhere", num=10, seed=0)


class FakeGenerator(Generator):
    """Draws the temperature asked for as grey value / 10, and remembers the seeds."""

    precision = "float32"
    hash = "f" * 64

    def __init__(self):
        size = SimpleNamespace(channels=1)
        space = ConditionSpace(conditions=(Condition(name="temperature"),))
        self.card = SimpleNamespace(size=8, network=size, pixel_size_um=0.5, space=space, training={})
        self.seeds, self.loaded, self.truncations = [], [], set()

    def condition_of(self, seed):
        return {"temperature": "700" if seed % 2 else "800"}

    def images(self, seeds, *, condition, truncation):
        self.seeds += seeds
        self.truncations.add(truncation)
        greys = [int((condition or self.condition_of(seed))["temperature"]) // 10 for seed in seeds]
        return np.broadcast_to(np.uint8(greys)[:, None, None, None], (len(seeds), 1, 8, 8))


@pytest.fixture
def generator(monkeypatch, tmp_path):
    fake = FakeGenerator()
    monkeypatch.setattr(sets.Generator, "load", lambda *args, **kwargs: fake.loaded.append((*args, kwargs)) or fake)
    (tmp_path / "gen").mkdir()
    (tmp_path / "gen" / "config.json").touch()
    return fake, tmp_path / "gen"


def test_a_conditional_generator_is_asked_for_the_conditions_of_the_data_in_proportion(dataset, generator):
    _, path = generator
    images = open_set(path, num=600, seed=0, conditions=conditions_of(dataset)).first(600)
    counts = Counter(images[:, 0, 0, 0].tolist())
    assert set(counts) == {90, 100}
    assert counts[90] / 600 == pytest.approx(2 / 3, abs=0.06)


def test_the_conditions_of_drawn_pictures_are_those_they_were_drawn_under(dataset, generator):
    _, path = generator
    images = open_set(path, num=20, seed=0, conditions=conditions_of(dataset)).at_most(12, seed=1)
    asked = [int(values["temperature"]) // 10 for values in images.conditions]
    assert asked == images.first(12)[:, 0, 0, 0].tolist()
    assert len(set(asked)) == 2


def test_the_conditions_of_a_subset_are_those_of_its_pictures(dataset):
    images = open_real(dataset, num=20, seed=0)["train"]
    expected = ["1000" if name.endswith("_0.png") else "900" for name in images.names]
    assert [values["temperature"] for values in images.conditions] == expected
    assert images.space.names == ("temperature",)


def test_each_seed_is_drawn_once_and_other_evaluations_draw_others(dataset, generator):
    fake, path = generator
    for seed in (0, 1):
        open_set(path, num=50, seed=seed, conditions=conditions_of(dataset)).first(50)
    assert len(set(fake.seeds)) == len(fake.seeds) == 100


@pytest.mark.parametrize(("sizes", "common"), [((0.1, 0.1), 0.1), ((0.1, 5.0), None), ((0.1, None), None)])
def test_a_folder_has_a_pixel_size_where_all_its_files_have_it(sizes, common, tmp_path):
    for number, size in enumerate(sizes):
        write_micrograph(tmp_path / f"{number}.tif", np.eye(8, dtype=np.uint8), pixel_size_um=size, description={})
    assert open_set(tmp_path, num=9, seed=0).pixel_size_um == common


def test_a_folder_of_generated_pictures_and_a_generator_say_that_they_are_synthetic(tmp_path):
    about = {"synthetic": "true", "generator": "abc"}
    for i, description in enumerate([about, about, {}]):
        write_micrograph(tmp_path / "mixed" / f"{i}.png", picture(i), pixel_size_um=None, description=description)
        write_micrograph(tmp_path / "plain" / f"{i}.png", picture(i), pixel_size_um=None, description={})
    assert open_set(tmp_path / "mixed", num=2, seed=0).about == about
    assert open_set(tmp_path / "plain", num=2, seed=0).about == {}
    drawn = open_set(Path("uhcs-64"), num=3, seed=0)
    assert drawn.about["synthetic"] == "true"
    assert drawn.about["seeds"] == f"{sets.FIRST_SEED} to {sets.FIRST_SEED + 2}"


def test_a_generator_is_loaded_onto_the_device_and_drawn_with_the_truncation_asked_for(generator):
    fake, path = generator
    images = open_set(path, num=3, seed=0, truncation=0.7, device="meta")
    assert images.first(3).dtype == np.uint8
    assert (fake.loaded, fake.truncations) == ([(path, {"device": "meta"})], {0.7})
    open_real(path, num=3, seed=0, device="meta")
    assert fake.loaded[1] == (path, {"device": "meta"})
    open_set(path, num=3, seed=0).first(3)
    open_real(path, num=3, seed=0)[None].first(3)
    assert (fake.loaded[2:], fake.truncations) == ([(path, {"device": "cpu"})] * 2, {0.7, 1.0})


@pytest.mark.parametrize("conditions", [(), [{"pressure": "1"}], [{"temperature": "900", "pressure": "1"}]])
def test_a_generator_that_is_not_asked_for_its_conditions_draws_them_by_the_seed(conditions, generator):
    images = open_set(generator[1], num=4, seed=0, conditions=conditions)
    assert [values["temperature"] for values in images.conditions] == ["800", "700", "800", "700"]
    assert images.first(4)[:, 0, 0, 0].tolist() == [80, 70, 80, 70]
    assert images.first(1)[:, 0, 0, 0].tolist() == [80]


def test_a_single_condition_is_asked_for_throughout(generator):
    images = open_set(generator[1], num=4, seed=0, conditions=[{"temperature": "900"}])
    assert [values["temperature"] for values in images.conditions] == ["900"] * 4


def test_the_set_of_a_generator_says_what_is_known_of_it(generator):
    fake, path = generator
    plain = open_set(path, num=2, seed=0)
    assert (plain.name, plain.pixel_size_um, plain.space) == ("gen", 0.5, fake.card.space)
    assert (plain.symmetry, plain.augmentation) == ("none", FAMILIES)
    fake.card.training = {"symmetry": "square", "augmentation": "blit, geom"}
    trained = open_set(path, num=2, seed=0)
    assert (trained.symmetry, trained.augmentation) == ("square", ("blit", "geom"))


def test_the_hash_of_drawn_pictures_follows_all_that_decides_them(generator):
    fake, path = generator
    asked = [{"temperature": celsius} for celsius in ("800", "900")]
    ways = [{}, {"num": 4}, {"seed": 1}, {"truncation": 0.5}, {"conditions": asked[:1]}, {"conditions": asked}]
    once, again = ([open_set(path, **({"num": 3, "seed": 0} | way)).hash for way in ways] for _ in range(2))
    assert once == again
    assert len(set(once)) == len(ways)
    fake.precision = "bfloat16, OpenVINO 2026.4.1"
    assert open_set(path, num=3, seed=0).hash not in once


def test_the_conditions_of_a_dataset_are_those_of_its_training_patches_or_of_all(tmp_path):
    split = small(tmp_path / "split.zip", [("train", "900"), ("held-out", "1000"), ("train", "800")])
    assert [values["temperature"] for values in conditions_of(split)] == ["900", "800"]
    held_out = small(tmp_path / "held-out.zip", [("held-out", "900"), ("held-out", "1000")])
    assert [values["temperature"] for values in conditions_of(held_out)] == ["900", "1000"]
    assert conditions_of(small(tmp_path / "plain.zip", [("train", "900")], columns=())) == []
    (tmp_path / "plain").mkdir()
    Image.fromarray(picture(0)).save(tmp_path / "plain" / "0.tif")
    assert conditions_of(tmp_path / "plain") == []


@pytest.mark.parametrize("name", ["config.json", "config.toml"])
def test_a_generator_and_a_run_have_no_conditions_of_a_dataset(name, tmp_path):
    (tmp_path / name).touch()
    assert is_generator(tmp_path)
    assert conditions_of(tmp_path) == []


def test_sets_without_conditions_name_none(tmp_path):
    plain = small(tmp_path / "plain.zip", [("train", "900")], columns=())
    for images in (open_set(plain, num=1, seed=0), open_set(Path("uhcs-64"), num=1, seed=0)):
        assert images.conditions == ()
        assert images.space.names == ()

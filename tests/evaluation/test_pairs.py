from dataclasses import replace

import numpy as np
import pytest

from sorby.conditions import Condition, ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import ConfigError
from sorby.evaluation.beside import beside
from sorby.evaluation.blind import blind_test
from sorby.evaluation.pairs import other_scale, pairs_of, spread_over
from sorby.measurement.measured import descriptor_table
from sorby.microstructure.compare import agreement
from sorby.microstructure.describe import QUANTITIES
from tests.data.made import texture
from tests.latent.tiny import SPACE, TEMPERATURE, tiny

MORE = Condition(name="phase", kind="class", classes=("bainite", "ferrite", "pearlite"))


def rng(seed=0):
    return np.random.default_rng(seed)


def made(path, phases, *, size=32, channels=1, um=0.25):
    """A dataset of textures, one a phase of the list, two of each micrograph."""
    space = ConditionSpace(conditions=(MORE, TEMPERATURE)) if phases else ConditionSpace()
    patches = [
        Patch(
            file=f"{i}.png",
            parent=f"m{i // 2}",
            pixel_size_um=um,
            conditions={"phase": phase, "temperature": "900"} if phase else {},
        )
        for i, phase in enumerate(phases or [""] * 24)
    ]
    pictures = [np.repeat(texture(i, (size, size))[None], channels, axis=0) for i in range(len(patches))]
    return write_dataset(path, zip(patches, pictures, strict=True), space=space, recipe={})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made(tmp_path_factory.mktemp("pairs") / "d.zip", ["ferrite", "pearlite", "bainite", "ferrite"] * 6)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return made(tmp_path_factory.mktemp("pairs") / "d.zip", [])


def test_places_go_through_all_micrographs_before_one_comes_again():
    parents = np.array([0] * 50 + [1] * 3 + [2])
    order = spread_over(parents, rng())
    assert sorted(order) == list(range(54))
    assert [set(parents[part]) for part in (order[:3], order[3:5], order[5:7], order[7:])] == [
        {0, 1, 2},
        {0, 1},
        {0, 1},
        {0},
    ]


def test_any_place_may_come_first():
    parents = np.repeat([0, 1], [3, 2])
    assert {int(spread_over(parents, rng(seed))[0]) for seed in range(50)} == set(range(5))


def test_both_sides_are_of_the_condition_asked_for(data):
    generator, asked = tiny(conditional=True), {"phase": "pearlite", "temperature": "900"}
    pairs = pairs_of(generator, data, range(5, 9), rng=rng(), condition=asked, truncation=0.5)
    assert {values["phase"] for values in pairs.real.conditions} == {"pearlite"}
    np.testing.assert_array_equal(pairs.real.load(range(4)), data.images(pairs.places))
    np.testing.assert_array_equal(
        pairs.generated.load(range(4)), generator.images(range(5, 9), condition=asked, truncation=0.5)
    )


def test_without_a_condition_each_generated_picture_is_of_that_of_the_real_one(data):
    pairs = pairs_of(tiny(conditional=True), data, range(12), rng=rng())
    assert list(pairs.generated.conditions) == list(pairs.real.conditions)
    assert {values["phase"] for values in pairs.real.conditions} == {"ferrite", "pearlite"}
    assert pairs.notes == ("6 real pictures are of classes that generator cannot draw: left out.",)


def test_different_conditions_are_noted_and_none_can_be_asked_for(data):
    pairs = pairs_of(tiny(), data, range(3), rng=rng())
    assert pairs.notes == ("The two sides do not have the same conditions: each is shown as its own data are.",)
    with pytest.raises(ConfigError, match="leave the condition out"):
        pairs_of(tiny(), data, range(3), rng=rng(), condition={"phase": "ferrite", "temperature": 900})


def test_fewer_real_pictures_than_asked_for_make_as_many_generated_ones(plain):
    pairs = pairs_of(tiny(), plain, range(30), rng=rng())
    assert len(pairs.real) == len(pairs.generated) == 24
    assert pairs.notes == ("There are only 24 such real pictures: so many of each side.",)


def test_a_condition_that_no_real_picture_has_is_refused(data):
    asked = {"phase": "ferrite", "temperature": 950}
    with pytest.raises(ConfigError, match="no picture of phase ferrite, temperature 950 °C on this side"):
        pairs_of(tiny(conditional=True), data, range(3), rng=rng(), condition=asked)


@pytest.mark.parametrize(
    ("size", "um", "learnt", "why"),
    [
        (32, 0.2502, False, ""),
        (32, 0.5, False, "the pixel sizes differ, 0.25 and 0.5 µm"),
        (32, None, False, "the pixel size of one side is unknown or mixed"),
        (32, None, True, ""),
        (64, 0.25, False, "the pictures are of different sizes, 32 and 64 px"),
    ],
)
def test_lengths_are_compared_only_where_a_pixel_is_the_same(tmp_path, size, um, learnt, why):
    data = made(tmp_path / "d.zip", [], size=size, um=um)
    assert other_scale(tiny().card, data, learnt_from=learnt) == why


@pytest.fixture(scope="module")
def tables(plain):
    return descriptor_table([plain.images()]), descriptor_table([plain.images()[::-1] // 2])


def test_each_descriptor_is_judged_as_the_library_judges_it(plain, tables):
    real, generated = tables
    rows = {
        row.quantity.name: row for row in beside(real, plain.parent_of, generated, pixel_size_um=0.25, lengths=True)
    }
    assert list(rows) == [quantity.name for quantity in QUANTITIES]
    last = len(QUANTITIES) - 1  # contrast, which is halved
    expected = agreement(real[:, last], plain.parent_of, generated[:, last], np.arange(24))
    assert rows["contrast"].agreement == expected
    assert rows["contrast"].verdict == "differs"
    chord = rows["mean_chord"]
    assert chord.unit == "µm"
    np.testing.assert_allclose(chord.real, 0.25 * real[:, 1])


def test_without_lengths_only_what_has_no_unit_of_length_is_left(plain, tables):
    rows = beside(tables[0], plain.parent_of, tables[1], pixel_size_um=0.25, lengths=False)
    assert [row.quantity.name for row in rows] == [quantity.name for quantity in QUANTITIES if quantity.power == 0]


def test_too_few_micrographs_give_means_and_no_verdict(plain, tables):
    rows = beside(tables[0], plain.parent_of // 3, tables[1], pixel_size_um=None, lengths=True)
    assert {row.verdict for row in rows} == {None}
    assert rows[0].real.mean() == pytest.approx(np.nanmean(tables[0][:, 0]))


def test_a_test_is_half_real_and_tells_the_truth_of_each_picture(data):
    generator = tiny(conditional=True)
    items = blind_test(generator, data, num=16, rng=rng()).items
    assert sum(item.truth == "real" for item in items) == 8
    files = [patch.file for patch in data.patches]
    for item in items:
        if item.truth == "real":
            expected = data.images([files.index(item.file)])[0]
        else:
            expected = generator.images([item.seed], condition=item.condition)[0]
        np.testing.assert_array_equal(item.picture, expected)


def test_the_order_tells_nothing(plain):
    generator = tiny()
    first = [[item.truth for item in blind_test(generator, plain, num=4, rng=rng(s)).items] for s in range(150)]
    share = np.mean([[truth == "real" for truth in order] for order in first], axis=0)
    assert np.all(np.abs(share - 0.5) < 0.17)  # four standard errors


def test_colour_does_not_tell(tmp_path):
    data = made(tmp_path / "d.zip", [], channels=3)
    assert {item.picture.shape for item in blind_test(tiny(), data, num=8, rng=rng()).items} == {(1, 32, 32)}


@pytest.mark.parametrize(
    ("num", "size", "said"),
    [(3, 32, "expected an even number"), (60, 32, "ask for at most 48"), (4, 64, "draws 32 px and data holds 64 px")],
)
def test_a_test_that_would_be_no_test_is_refused(tmp_path, num, size, said):
    with pytest.raises(ConfigError, match=said):
        blind_test(tiny(), made(tmp_path / "d.zip", [], size=size), num=num, rng=rng())


def test_classes_that_cannot_be_drawn_at_all_are_refused(data):
    only = replace(data, patches=data.patches.where(np.arange(24) % 4 == 2))
    assert SPACE.names == only.space.names
    with pytest.raises(ConfigError, match="can draw none of the conditions"):
        pairs_of(tiny(conditional=True), only, range(2), rng=rng())

from collections import Counter, defaultdict

import numpy as np
import pytest

from sorby.data.dataset import Dataset
from sorby.errors import ConfigError, DataError
from sorby.metrics.sets import open_real
from sorby.simulation.dataset import LICENCE, held_out_conditions, make_plan, simulate
from sorby.simulation.settings import Simulator, Variable, make_settings

SIZE = 8


def draw(shape, values, rng):
    """The level of the condition, with noise."""
    return np.full(shape, values["level"]) + rng.uniform(-0.1, 0.1, shape)


def grey(field):
    return np.rint(255 * field.clip(0, 1)).astype(np.uint8)


SIMULATOR = Simulator(
    name="noise",
    about="noise at a level",
    variables=(
        Variable("level", "", "linear", 0.2, 0.8, 0, 1),
        Variable("time", "s", "log", 10, 1000, 1, 1e6),
        Variable("misfit", "", "linear", 0, 0, 0, 1),
    ),
    pixel_size_um=0.25,
    draw=draw,
    plain=grey,
    plain_rule="0 is black, 1 is white",
)


def settings(**changes):
    return {"sample": 12, "images_per_condition": 20, "size": SIZE, "seed": 3} | changes


def planned(simulator, **changes):
    return make_plan(simulator, make_settings(**settings(**changes)))


def keys(data):
    return {tuple(patch.conditions.values()) for patch in data.patches}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "noise.zip"
    return simulate(SIMULATOR, out, **settings(held_out_conditions=3))


def test_each_condition_has_the_images_asked_for(data):
    assert Counter(tuple(patch.conditions.values()) for patch in data.patches) == dict.fromkeys(keys(data), 20)
    assert len(keys(data)) == 12
    assert data.images().shape == (240, 1, SIZE, SIZE)


def test_a_picture_shows_the_condition_that_it_is_listed_under(data):
    means = data.images().mean((1, 2, 3)) / 255
    levels = [float(patch.conditions["level"]) for patch in data.patches]
    np.testing.assert_allclose(means, levels, atol=0.03)


def test_pictures_of_a_field_are_the_parts_of_it_that_their_boxes_say(data):
    plan = planned(SIMULATOR, held_out_conditions=3)
    field = plan.fields[-1]
    whole = grey(draw((32, 32), field.values, np.random.default_rng((3, field.condition, field.number))))
    found = [index for index, patch in enumerate(data.patches) if patch.parent == field.name]
    assert len(found) == field.num_patches
    for picture, patch in zip(data.images(found), (data.patches[index] for index in found), strict=True):
        x, y = int(patch.x_px), int(patch.y_px)
        np.testing.assert_array_equal(picture[0], whole[y : y + SIZE, x : x + SIZE])


def test_pictures_of_one_field_do_not_overlap(data):
    boxes = defaultdict(list)
    for patch in data.patches:
        boxes[patch.parent].append((patch.x_px, patch.y_px))
    assert all(len(set(corners)) == len(corners) for corners in boxes.values())
    assert all(x % SIZE == y % SIZE == 0 for corners in boxes.values() for x, y in corners)


def test_a_held_out_condition_is_on_no_other_side_and_lies_within_the_range_of_the_others(data):
    sides = {name: keys(data.split(name)) for name in ("train", "held-out", "held-out-condition")}
    assert len(sides["held-out-condition"]) == 3
    assert not sides["held-out-condition"] & (sides["train"] | sides["held-out"])
    trained, unseen = (np.array(sorted(sides[name]), dtype=float) for name in ("train", "held-out-condition"))
    assert (unseen.min(0) > trained.min(0)).all()
    assert (unseen.max(0) < trained.max(0)).all()


def test_the_fields_held_out_are_whole_and_their_conditions_are_trained_on(data):
    train, held_out = data.split("train"), data.split("held-out")
    assert not set(train.parents) & set(held_out.parents)
    assert keys(held_out) <= keys(train)


@pytest.mark.parametrize(
    ("share", "images", "of_each", "total"),
    [(0.25, 64, {1}, 20), (0.5, 20, {1}, 20), (0.9, 20, {1}, 20), (0.1, 96, {0, 1}, 12)],
)
def test_the_share_held_out_is_spread_evenly_and_some_of_each_condition_is_trained_on(share, images, of_each, total):
    plan = planned(SIMULATOR, sample=20, images_per_condition=images, held_out=share)
    held_out = Counter(field.condition for field in plan.fields if field.split == "held-out")
    assert {held_out[condition] for condition in range(20)} == of_each
    assert sum(held_out.values()) == total


def test_the_conditions_are_scaled_by_those_trained_on(data):
    rows = [patch.conditions for patch in data.split("train").patches]
    level, time = data.space.conditions
    assert (level.name, level.unit, level.kind) == ("level", None, "linear")
    assert (time.name, time.unit, time.kind) == ("time", "s", "log")
    assert (level.low, level.high) == (min(float(r["level"]) for r in rows), max(float(r["level"]) for r in rows))


def test_the_dataset_says_how_it_was_made_and_that_it_is_synthetic(data):
    assert data.pixel_size_um == 0.25
    assert data.licence == LICENCE
    assert dict(data.recipe) == {
        "synthetic": True, "simulator": "noise", "about": "noise at a level", "sample": 12,
        "ranges": {"level": [0.2, 0.8], "time": [10, 1000]}, "grid": {}, "fixed": {"misfit": 0.0},
        "images_per_condition": 20, "size": SIZE, "seed": 3, "held_out": 0.25, "held_out_conditions": 3,
        "field_px": [32, 32], "look": "plain", "grey": "0 is black, 1 is white",
    }  # fmt: skip


def test_the_bytes_follow_from_the_seed_and_not_from_the_number_of_workers(data, tmp_path):
    again, other = tmp_path / "again.zip", tmp_path / "other.zip"
    simulate(SIMULATOR, again, **settings(held_out_conditions=3), workers=3)
    simulate(SIMULATOR, other, **settings(held_out_conditions=3, seed=4), workers=1)
    assert again.read_bytes() == data.path.read_bytes()
    assert Dataset.open(other).hash != data.hash


def test_scores_of_a_generator_know_no_held_out_conditions(data):
    sides = open_real(data.path, num=10_000, seed=0)
    assert set(sides) == {"train", "held-out"}
    assert sum(len(side) for side in sides.values()) == 9 * 20


def test_without_held_out_fields_scores_are_against_what_was_trained_on(tmp_path):
    simulate(SIMULATOR, tmp_path / "a.zip", **settings(held_out=0, held_out_conditions=2))
    sides = open_real(tmp_path / "a.zip", num=10_000, seed=0)
    assert {side: len(images) for side, images in sides.items()} == {None: 10 * 20}


def test_a_simulation_that_fails_leaves_nothing(tmp_path):
    def fail(shape, values, rng):
        if values["level"] > 0.5:
            raise DataError("the oven broke")
        return draw(shape, values, rng)

    broken = Simulator(**{**vars(SIMULATOR), "draw": fail})
    with pytest.raises(DataError, match="the oven broke"):
        simulate(broken, tmp_path / "a.zip", **settings())
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_dataset_is_not_overwritten(tmp_path):
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(DataError, match=r"a\.zip is there"):
        simulate(SIMULATOR, tmp_path / "a.zip", **settings())


def test_all_pictures_of_one_place_are_one_group_and_none_is_held_out(tmp_path):
    one_place = Simulator(**{**vars(SIMULATOR), "is_one_place": True, "shape": (20, 36)})
    data = simulate(one_place, tmp_path / "a.zip", **settings(images_per_condition=10))
    assert {(patch.split, patch.group) for patch in data.patches} == {("train", "noise")}
    assert max(patch.x_px for patch in data.patches) == 24
    with pytest.raises(ConfigError, match="no condition can be held out"):
        planned(one_place, held_out_conditions=1)


def test_conditions_are_held_out_until_the_rest_would_not_span_the_ranges():
    square = [(x, y) for x in (0, 1) for y in (0, 1)]
    assert len(held_out_conditions(square, num=2, seed=0)) == 2
    with pytest.raises(ConfigError, match="at most 2"):
        held_out_conditions(square, num=3, seed=0)
    assert held_out_conditions([(0,), (1,), (2,)], num=1, seed=5) == {1}


def test_fields_smaller_than_their_pictures_are_refused():
    small = Simulator(**{**vars(SIMULATOR), "shape": (6, 30)})
    with pytest.raises(ConfigError, match="30 x 6 px are smaller"):
        planned(small)


def test_a_look_that_a_simulator_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="no other look"):
        planned(SIMULATOR, look="sem")

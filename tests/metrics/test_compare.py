from dataclasses import replace

import numpy as np
import pytest

from sorby.errors import DataError
from sorby.metrics.compare import Side, check_number, compare
from tests.evaluation.made import block_means

NAMES = ("FID", "KID", "precision", "recall", "density", "coverage")


def known(name="inception", dim=1):
    """A network by its name alone: `compare` is given its features."""
    return replace(block_means(), name=name, dim=dim, filter="bicubic", sha256="7f" * 32)


def side(name, num=30, *, dim=4, value=0.0, parents=None, seed=None):
    features = np.random.default_rng(len(name) if seed is None else seed).random((num, dim)).astype(np.float32)
    return Side(name, features + np.float32(value), np.arange(num) if parents is None else parents)


def whole(name, first, last, *, parents=None):
    """One feature an image: the whole numbers from `first` to `last`."""
    features = np.arange(first, last + 1, dtype=np.float32)[:, None]
    return Side(name, features, np.arange(len(features)) if parents is None else parents)


def scores(generated, real, *, floor=None, network=None, seed=0):
    floor = floor or (real, real)
    found = compare(generated, real, against="held-out", floor=floor, network=network or known(), seed=seed)
    return {score.name: score for score in found}


def frechet(real, generated):
    """Of whole numbers in a row, whose variance is n (n + 1) / 12."""
    sigmas = [np.sqrt(len(x) * (len(x) + 1) / 12) for x in (real, generated)]
    return (real.features.mean() - generated.features.mean()) ** 2 + (sigmas[0] - sigmas[1]) ** 2


def kernel(real, generated):
    def mean(x, y, *, but=0):
        k = (np.outer(x.features.astype(float), y.features) + 1) ** 3
        return (k.sum() - but * np.trace(k)) / (k.size - but * len(k))

    return mean(real, real, but=1) + mean(generated, generated, but=1) - 2 * mean(real, generated)


def test_scores_of_whole_numbers_are_those_counted_by_hand():
    """The third nearest is 2 away and at an end 3; the fifth is 3 away, at an end 5, and 4 next to it."""
    real, generated, other = whole("real", 0, 29), whole("drawn", 20, 59), whole("other", 10, 33)
    found = scores(generated, real, floor=(real, other))
    values = {
        "FID": frechet(real, generated),
        "KID": kernel(real, generated),
        "precision": 13 / 40,  # 20 to 32, which the ball about 29 reaches
        "recall": 13 / 30,  # 17 to 29
        # The ball about 29 holds 11, about 28 there are 9, about 27 to 23 there are 7, then one less each down to 17.
        "density": (11 + 9 + 5 * 7 + 6 + 5 + 4 + 3 + 2 + 1) / (5 * 40),
        "coverage": 13 / 30,
    }
    floors = {
        "FID": frechet(real, other),
        "KID": kernel(real, other),
        "precision": 23 / 24,  # all but 33
        "recall": 23 / 30,  # 7 to 29
        "density": (10 + 9 + 15 * 7 + 6 + 5 + 4 + 3 + 2 + 1) / (5 * 24),  # about 29, about 28, about 27 to 13 ...
        "coverage": 23 / 30,
    }
    assert tuple(found) == NAMES
    assert {name: score.value for name, score in found.items()} == pytest.approx(values)
    assert {name: score.floor.value for name, score in found.items()} == pytest.approx(floors)


def test_a_score_says_what_it_hangs_on():
    real, generated = whole("real", 0, 29, parents=np.arange(30) // 3), whole("drawn", 20, 59)
    found = scores(generated, real, floor=(whole("one", 0, 19), whole("other", 10, 33)), seed=7)
    for score in found.values():
        assert (score.against, score.network, score.network_sha256) == ("held-out", "inception", "7f" * 32)
        assert (score.filter, score.seed) == ("bicubic", 7)
        assert (score.num_real, score.num_generated, score.num_parents) == (30, 40, 10)
        assert (score.floor.num_real, score.floor.num_other) == (20, 24)
        assert score.floor.between == "other against one"
    assert [found[name].k for name in NAMES] == [None, None, 3, 3, 5, 5]


def test_the_floor_takes_as_many_images_as_are_generated_and_the_seed_draws_them():
    real, other = whole("real", 0, 29), whole("other", 0, 999)
    one, same, another = (scores(whole("drawn", 5, 24), real, floor=(real, other), seed=s)["FID"] for s in (0, 0, 1))
    assert one.floor.num_other == 20
    assert one == same
    assert one.floor.value != another.floor.value


def test_intervals_lie_about_the_value_and_within_what_the_score_can_be():
    real, generated = side("real", 12, dim=1, seed=4), side("drawn", 12, dim=1, seed=8)
    found = scores(generated, real)
    for score in found.values():
        assert score.low < score.value <= score.high
        assert "24 random halves" in score.interval_method
    kid = found["KID"]
    assert kid.high - kid.value == pytest.approx(kid.value - kid.low)
    assert (found["FID"].low, found["KID"].low < 0, found["density"].high > 1) == (0, True, True)
    assert found["FID"].high > 0
    assert [found[name].high for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert found["density"].low >= 0


@pytest.mark.parametrize(
    ("parents", "has_interval"),
    [
        (np.arange(12), True),  # halves of six images, each with five others
        (np.repeat(np.arange(6), [1, 2, 2, 2, 2, 3]), False),  # a half of three micrographs may have five
        (np.arange(30) // 6, False),  # five micrographs
        (np.arange(30) // 5, True),
    ],
)
@pytest.mark.parametrize("generated_are_few", [True, False])
def test_there_is_an_interval_where_every_half_of_the_micrographs_has_neighbours(
    parents, has_interval, generated_are_few
):
    few, many = side("few", len(parents), parents=parents), side("many")
    found = scores(few, many) if generated_are_few else scores(many, few)
    for score in found.values():
        assert (score.low is not None) == (score.high is not None) == has_interval
        assert ("too few micrographs" in score.interval_method) != has_interval


def test_vgg_gives_precision_and_recall_alone_as_in_paper_a():
    real, generated = whole("real", 0, 29), whole("drawn", 20, 59)
    found = scores(generated, real, floor=(real, generated), network=known("vgg16"))
    assert {name: score.value for name, score in found.items()} == {"precision": 13 / 40, "recall": 13 / 30}
    assert {score.notes for score in found.values()} == {()}


@pytest.mark.parametrize(("num", "noted"), [(24, True), (25, False)])
@pytest.mark.parametrize("generated_are_few", [True, False])
def test_fid_of_no_more_images_than_features_is_noted(num, noted, generated_are_few):
    few, many = side("few", num), side("many", 40)
    generated, real = (few, many) if generated_are_few else (many, few)
    found = scores(generated, real, floor=(real, generated), network=known(dim=24))
    assert ["biased upwards" in note for note in found["FID"].notes] == [True] * noted
    assert found["KID"].notes == ()


def test_a_floor_of_other_numbers_is_noted_with_all_scores_but_kid():
    real, generated = side("real", 40), side("drawn", 30)
    for floor, noted in (((real, side("other", 29)), True), ((real, side("other", 50)), False)):
        found = scores(generated, real, floor=floor)
        for name, score in found.items():
            assert any("40 and 29" in note for note in score.notes) == (noted and name != "KID")
    assert any("other numbers" in note for note in scores(generated, real, floor=(generated, real))["FID"].notes)


def test_recall_in_other_features_than_those_of_paper_a_is_noted():
    real = side("real")
    for name, score in scores(real, real, network=known("inception")).items():
        assert score.notes == (
            ("Recall in inception features, not in VGG16's as in paper A.",) if name == "recall" else ()
        )


def test_eleven_images_are_too_few_and_twelve_are_not():
    check_number(12, "drawn")
    with pytest.raises(DataError, match="drawn has 11 images, scores need at least 12"):
        check_number(11, "drawn")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (side("wrong", 11), "wrong has 11 images"),
        (side("wrong", dim=5), "wrong has 5 features an image and real 4"),
        (side("wrong", value=np.nan), "wrong has features that are not finite"),
    ],
)
@pytest.mark.parametrize("place", ["generated", "floor", "other side of the floor"])
def test_too_few_images_and_features_of_another_network_or_not_finite_are_refused_in_one_line(wrong, said, place):
    real = side("real")
    generated = wrong if place == "generated" else real
    floor = (wrong if place == "floor" else real, wrong if place == "other side of the floor" else real)
    with pytest.raises(DataError, match=said) as error:
        scores(generated, real, floor=floor)
    assert "\n" not in str(error.value)

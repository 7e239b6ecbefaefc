import numpy as np
import pytest
import scipy.stats
import torch

from sorby.augment import Augment
from sorby.errors import DataError
from sorby.metrics.leak import independent, leaks
from sorby.metrics.multiple import holm
from sorby.metrics.traces import traces_of
from sorby.simulation.random_field import gaussian_field

SIZE = 32
MOVES = {
    "quarter turns": Augment(families=("blit",), without=("flip", "shift")),
    "rotation": Augment(families=("geom",), without=("scale", "stretch", "slide")),
    "cut-out": Augment(families=("cutout",)),
    "shift": Augment(families=("blit",), without=("flip", "rotate90")),
    "brightness": Augment(families=("colour",), without=("contrast", "hue", "saturation")),
    "contrast": Augment(families=("colour",), without=("brightness", "hue", "saturation")),
}


def patches(num_parents, *, seed, aspect_ratio=3.0, each=10, spread=0.0):
    """Patches of simulated micrographs with a direction of 30 degrees, and the number of the micrograph of each.

    The mean grey of the micrographs differs by a standard deviation of `spread`.
    """
    rng = np.random.default_rng(seed)
    pictures, size = [], 64 if each == 1 else 128
    for _ in range(num_parents):
        field = gaussian_field(
            (size, size), correlation_length_px=2.5, nu=2.5, aspect_ratio=aspect_ratio, angle_deg=30, rng=rng
        )
        grey = 115 + spread * rng.standard_normal() + 35 * field + rng.normal(0, 4, field.shape)
        pictures += [grey[y : y + SIZE, x : x + SIZE] for y, x in rng.integers(0, size - SIZE, (each, 2))]
    return np.stack(pictures)[:, None].clip(0, 255).astype(np.uint8), np.repeat(np.arange(num_parents), each)


def half_moved(pictures, augment):
    images = torch.from_numpy(pictures[::2]).float() / 127.5 - 1
    moved = pictures.copy()
    moved[::2] = ((augment(images, p=1.0, rng=torch.Generator().manual_seed(0)) + 1) * 127.5).clamp(0, 255).byte()
    return moved


def verdicts(generated, real, *, seed=0, **parents):
    return {test.move: test.leaked for test in leaks(generated, real, rng=np.random.default_rng(seed), **parents)}


@pytest.fixture(scope="module")
def real():
    return patches(30, seed=1)


@pytest.mark.parametrize("move", MOVES)
def test_a_move_done_to_half_of_the_pictures_raises_its_alarm(real, move):
    generated = half_moved(patches(200, seed=2, each=1)[0], MOVES[move])
    (test,) = (t for t in leaks(generated, real[0], parents=real[1], rng=np.random.default_rng(0)) if t.move == move)
    assert test.leaked
    assert test.p_value < 0.01
    # Half of the generated pictures are moved, the others are as the real ones.
    assert test.generated_share == pytest.approx((test.moved_share + test.real_share) / 2, abs=0.1)
    assert f"look moved (p = {test.p_value:.2g})" in test.reason
    num_moved = test.moved_share * len(real[0])
    assert num_moved == pytest.approx(round(num_moved))  # each real picture is moved once


def test_each_kind_of_move_is_looked_for_with_that_move_alone(real):
    assert {trace.move: trace.augment for trace in traces_of(real[0])} == MOVES


def flat(greys):
    """Pictures of one grey value each."""
    return np.full((len(greys), 1, SIZE, SIZE), np.uint8(greys)[:, None, None, None])


def brightness_of(generated, real, **parents):
    """Of pictures that are micrographs each; flat ones have no contrast that could be tested beside it."""
    rng = np.random.default_rng(0)
    brightness, contrast = leaks(
        generated, real, parents=np.arange(len(real)), families=("colour",), rng=rng, **parents
    )
    assert contrast.p_value is None
    return brightness


def test_the_p_value_is_fishers_of_the_pictures_beyond_the_range_of_ninety_nine_in_a_hundred():
    """Of the grey values 78 to 177 only the two at the ends are beyond the range of the others."""
    test = brightness_of(flat([78, 177] * 5 + [120] * 40), flat(range(78, 178)))
    assert (test.real_share, test.generated_share) == pytest.approx((0.02, 0.2))
    # A hundred pictures of a hundred micrographs tell as much as 99 do, and fifty as 49: 1.98 and 9.8 are beyond.
    assert test.p_value == pytest.approx(scipy.stats.hypergeom.sf(9 - 1, 99 + 49, 2 + 9, 49))
    assert test.leaked


def test_fewer_generated_pictures_beyond_than_real_ones_are_no_alarm():
    test = brightness_of(flat([128] * 300), flat(range(118, 138)))
    assert (test.real_share, test.generated_share, test.p_value) == (pytest.approx(0.1), 0, 1)
    assert test.leaked is not True


def test_patches_of_one_generated_picture_count_as_one():
    real, generated = flat(range(103, 153)), np.repeat(flat([103, 120, 120, 120, 120] * 6), 10, axis=0)
    alone, together = (brightness_of(generated, real, generated_parents=p) for p in (None, np.arange(300) // 10))
    assert alone.p_value < 0.005 < 0.04 < together.p_value
    assert alone.generated_share == together.generated_share == 0.2


def test_a_move_past_black_or_white_ends_there():
    """Dark and bright pictures at the ends of the range, which every second move takes them out of."""
    test = brightness_of(flat([5, 250] * 10), flat([5, 250] * 50))
    assert test.moved_share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("families", "moves"),
    [
        (("blit",), {"quarter turns", "shift"}),
        (("colour", "cutout", "noise"), {"brightness", "contrast", "cut-out"}),
        (("noise",), set()),
    ],
)
def test_only_moves_of_the_families_that_training_used_are_looked_for(families, moves, real):
    tests = leaks(real[0][:20], real[0], parents=real[1], families=families, rng=np.random.default_rng(0))
    assert {test.move for test in tests} == moves


def test_pictures_that_nobody_moved_raise_no_alarm_and_leaks_are_denied(real):
    assert verdicts(patches(200, seed=3, each=1)[0], real[0], parents=real[1]) == dict.fromkeys(MOVES, False)


def test_twenty_faithful_generators_raise_at_most_two_alarms():
    # 5 % over all moves is one alarm in twenty; three or more have a probability of 8 % at the most.
    alarms = []
    for seed in range(20):
        pictures, parents = patches(20, seed=100 + seed)
        alarms += [True in verdicts(patches(150, seed=200 + seed, each=1)[0], pictures, parents=parents).values()]
    assert sum(alarms) <= 2


def test_micrographs_that_differ_raise_no_alarm_once_the_parents_are_known():
    known, taken_as_independent = [], []
    for seed in range(12):
        (pictures, parents), (others, their_parents) = (
            patches(12, seed=s, each=30, spread=20) for s in (300 + seed, 400 + seed)
        )
        each = np.arange(len(pictures))
        known += [verdicts(others, pictures, parents=parents, generated_parents=their_parents)["brightness"]]
        taken_as_independent += [verdicts(others, pictures, parents=each)["brightness"]]
    assert known.count(True) <= 1
    assert taken_as_independent.count(True) >= 4  # a third of the times, in place of a twentieth


def test_a_micrograph_brighter_than_all_others_is_beyond_their_range(real):
    pictures, parents = real
    pictures = np.where(parents[:, None, None, None] < 3, pictures // 2 + 120, pictures // 2).astype(np.uint8)
    pictures[parents == 0] += 7  # three bright micrographs of thirty, one of them the brightest
    tests = leaks(pictures[:50], pictures, parents=parents, rng=np.random.default_rng(0))
    (share,) = (test.real_share for test in tests if test.move == "brightness")
    assert share > 0.03  # all patches of the brightest; against the range of all 300 patches it would be 0.01


def test_turns_cannot_be_seen_in_an_isotropic_structure():
    pictures, parents = patches(30, seed=4, aspect_ratio=1)
    results = leaks(
        patches(200, seed=5, aspect_ratio=1, each=1)[0], pictures, parents=parents, rng=np.random.default_rng(0)
    )
    seen = {test.move: test.leaked for test in results}
    assert seen == {move: None if move in ("quarter turns", "rotation") else False for move in MOVES}
    assert results[0].p_value is None
    assert results[0].reason == (
        "Cannot be seen: the structure has no direction that all micrographs share, or the pictures are too few."
    )


def test_brightness_cannot_be_seen_where_the_real_micrographs_differ_more():
    pictures, parents = patches(30, seed=6, spread=40)
    brighter = half_moved(pictures, MOVES["brightness"])
    assert verdicts(brighter, pictures, parents=parents)["brightness"] is None


def test_three_micrographs_are_too_few_to_deny_a_leak():
    pictures, parents = patches(3, seed=7)
    assert False not in verdicts(patches(100, seed=8, each=1)[0], pictures, parents=parents).values()


def test_patches_of_one_micrograph_are_taken_as_independent(real):
    generated = patches(200, seed=3, each=1)[0]
    of_one, independent_ones = np.zeros(300, dtype=int), np.arange(300)
    assert verdicts(generated, real[0], parents=of_one) == verdicts(generated, real[0], parents=independent_ones)


def test_holms_correction_is_that_of_the_textbook_example():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not fall below its predecessor.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    assert holm([0.9, 0.6]) == [1, 1]


def test_ten_equal_patches_of_each_micrograph_tell_no_more_than_one():
    beyond = np.arange(50) % 5 == 0
    assert independent(np.repeat(beyond, 10), np.repeat(np.arange(50), 10))[1] == pytest.approx(49, rel=0.05)
    assert independent(beyond, np.arange(50)) == pytest.approx((9.8, 49))


def test_independent_patches_of_many_micrographs_count_almost_in_full():
    beyond = np.random.default_rng(0).random(4000) < 0.2
    assert independent(beyond, np.repeat(np.arange(400), 10))[1] > 3400


def test_the_same_random_state_gives_the_same_results(real):
    generated = patches(50, seed=3, each=1)[0]
    first, again = (leaks(generated, real[0], parents=real[1], rng=np.random.default_rng(1)) for _ in range(2))
    assert first == again


def test_empty_sets_and_other_sizes_are_refused(real):
    pictures, parents = real
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="There are 1 generated pictures: expected at least two"):
        leaks(pictures[:1], pictures, parents=parents, rng=rng)
    with pytest.raises(DataError, match="The real pictures have 32 x 32 px: expected squares of one size"):
        leaks(np.repeat(np.repeat(pictures, 2, 2), 2, 3), pictures, parents=parents, rng=rng)
    with pytest.raises(DataError, match="of at least 16 px"):
        leaks(pictures[:, :, :15, :15], pictures[:, :, :15, :15], parents=parents, rng=rng)
    assert len(leaks(pictures[:2, :, :16, :16], pictures[-2:, :, :16, :16], parents=parents[-2:], rng=rng)) == len(
        MOVES
    )

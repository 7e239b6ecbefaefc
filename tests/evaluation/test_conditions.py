import numpy as np
import pytest
from scipy import stats

from sorby.conditions import ConditionSpace
from sorby.evaluation.conditions import Described, by_condition, deviations, half_of
from sorby.microstructure.describe import QUANTITIES

NAMES = [quantity.name for quantity in QUANTITIES]


def described(conditions, parents=None, *, columns=("temperature:°C",), um=0.1, **values):
    """Images of conditions, with the descriptors that are given; those not given no image has."""
    num = len(conditions)
    space = ConditionSpace.from_rows(conditions, columns) if conditions and conditions[0] else ConditionSpace()
    table = np.full((num, len(NAMES)), np.nan)
    for name, column in values.items():
        table[:, NAMES.index(name)] = column
    return Described(space, conditions, np.arange(num) if parents is None else np.array(parents), table, um)


def compared(real, generated, *, notes=None, **kwargs):
    notes = [] if notes is None else notes
    return by_condition(real, generated, pixel_size_um=real.pixel_size_um, seed=0, notes=notes, **kwargs)


@pytest.fixture
def known():
    """15 images of two micrographs at 900 °C, 12 of one at 1000 °C."""
    real = described(
        [{"temperature": "900"}] * 15 + [{"temperature": "1000.0"}] * 12,
        [0] * 5 + [1] * 10 + [2] * 12,
        area_fraction=[0.2] * 5 + [0.4] * 10 + [0.5] * 12,
        mean_chord=[1.0] * 5 + [4.0] * 10 + [4.0] * 12,
    )
    generated = described(
        [{"temperature": "900.0"}, {"temperature": "1000"}] * 10,
        area_fraction=[0.33, 0.35] * 10,
        mean_chord=[3.0, 4.0] * 10,
    )
    return real, generated


def test_the_means_of_each_condition_are_those_by_hand(known):
    """A micrograph is one value: (0.2 + 0.4) / 2. Lengths by their logarithms: sqrt(1 * 4)."""
    fraction, chord = compared(*known)
    assert [m.condition for m in fraction.means] == ["temperature 900 °C", "temperature 1000 °C"]
    assert [m.real_mean for m in fraction.means] == [pytest.approx(0.3), pytest.approx(0.5)]
    assert [m.generated_mean for m in fraction.means] == [pytest.approx(0.33), pytest.approx(0.35)]
    assert [(m.num_real, m.num_generated, m.num_parents) for m in fraction.means] == [(15, 10, 2), (12, 10, 1)]
    assert [m.real_mean for m in chord.means] == [pytest.approx(2.0), pytest.approx(4.0)]
    assert chord.unit == "µm"


def test_the_mean_absolute_deviation_is_that_by_hand(known):
    fraction, chord = compared(*known)
    assert fraction.deviation == pytest.approx((0.1 + 0.3) / 2)
    assert chord.deviation == pytest.approx((0.5 + 0.0) / 2)
    half = stats.t.ppf(0.975, 1) * np.std([0.1, 0.3], ddof=1) / np.sqrt(2)
    assert fraction.over(seen=True).deviation.high == pytest.approx(0.2 + half)
    assert fraction.over(seen=True).deviation.low == 0


def test_half_of_the_micrographs_is_compared_with_the_other_half(known):
    """At 900 °C one micrograph of 0.2 and one of 0.4: 50 or 100 % off. At 1000 °C all images are alike."""
    fraction, _ = compared(*known)
    between = fraction.over(seen=True).deviation_between_real
    assert between in (pytest.approx((0.5 + 0) / 2), pytest.approx((1.0 + 0) / 2))


def test_conditions_that_training_did_not_see_are_told_apart(known):
    fraction, chord = compared(*known, unseen={(900.0,)})
    assert [m.seen for m in fraction.means] == [False, True]
    assert fraction.over(seen=True).deviation.value == pytest.approx(0.3)
    assert fraction.over(seen=False).deviation.value == pytest.approx(0.1)
    assert fraction.deviation == pytest.approx(0.3)
    assert [f.num_conditions for f in chord.following] == [1, 1]
    (only,) = compared(*known, unseen={(900.0,), (1000.0,)})[0].following
    assert not only.seen


@pytest.mark.parametrize(("share", "slope"), [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0), (-1.0, -1.0)])
def test_the_slope_over_the_conditions_is_the_share_that_is_followed(share, slope):
    """Generated means go that share of the way that the real ones go."""
    temperatures = np.repeat([800, 900, 1000, 1100], 10)
    fractions = temperatures / 2000
    rows = [{"temperature": str(t)} for t in temperatures]
    (found,) = compared(
        described(rows, area_fraction=fractions),
        described(rows, area_fraction=0.475 + share * (fractions - 0.475)),
    )
    line = found.over(seen=True).line
    assert line.slope.value == pytest.approx(slope)
    assert line.r2.value == pytest.approx(1 - (1 - share) ** 2, abs=1e-9)
    assert found.over(seen=True).line_between_real.slope.value == pytest.approx(1)


def test_half_of_a_condition_is_half_of_its_micrographs_or_of_the_images_of_its_only_one():
    parents = np.array([0, 0, 0, 1, 2, 3, 9, 9, 9, 9])
    group = np.arange(10) < 6
    half = half_of(parents, group, seed=1)
    assert len(np.unique(parents[half])) == 2
    assert not np.intersect1d(parents[half], parents[group & ~half]).size
    assert half_of(parents, ~group, seed=1).sum() == 2


def test_the_intervals_are_those_of_student_over_micrographs_and_none_of_a_single_one(known):
    """Two micrographs at 0.2 and 0.4: the standard error is 0.1, and 1 degree of freedom gives 12.7 of them."""
    at_900, at_1000 = compared(*known)[0].means
    half = stats.t.ppf(0.975, 1) * 0.1
    assert at_900.real_interval == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert at_1000.real_interval is None
    assert at_1000.generated_interval == (pytest.approx(0.35), pytest.approx(0.35))


def test_conditions_and_measures_of_fewer_than_ten_images_are_left_out_and_named():
    real = described(
        [{"temperature": t} for t in ["800"] * 20 + ["900"] * 9 + ["1000"] * 20], area_fraction=0.3, mean_chord=2.0
    )
    fakes = described(
        [{"temperature": t} for t in ["800"] * 10 + ["900"] * 20 + ["700"] * 20],
        area_fraction=0.3,
        mean_chord=[2.0] * 9 + [np.nan] * 41,  # nine at 800 °C
    )
    notes = []
    found = compared(real, fakes, notes=notes)
    assert [(d.name, [m.condition for m in d.means]) for d in found] == [("area_fraction", ["temperature 800 °C"])]
    assert notes == [
        "Not compared by condition, with fewer than 10 images on a side: temperature 700 °C; temperature 900 °C; "
        "temperature 1000 °C."
    ]


def test_several_conditions_are_in_the_order_of_their_numbers_and_classes():
    columns = ("cooling::class", "rate:1/s:log")
    rows = [{"cooling": c, "rate": r} for c in ("10", "9") for r in ("0.1", "0.001")]
    real, fakes = (described(some * 10, columns=columns, area_fraction=0.3) for some in (rows, rows[::-1]))
    (fraction,) = compared(real, fakes)
    assert [m.condition for m in fraction.means] == [
        "cooling 9, rate 0.001 1/s",
        "cooling 9, rate 0.1 1/s",
        "cooling 10, rate 0.001 1/s",
        "cooling 10, rate 0.1 1/s",
    ]


def test_other_conditions_are_not_compared_and_a_note_says_so_but_none_where_there_are_none():
    hot = described([{"temperature": "900"}] * 12, area_fraction=0.3)
    cool = described([{"cooling": "air"}] * 12, columns=("cooling",), area_fraction=0.3)
    plain = described([{}] * 12, area_fraction=0.3)
    for fakes, told in ((cool, 1), (plain, 0)):
        notes = []
        assert compared(hot, fakes, notes=notes) == []
        assert len(notes) == told
        assert all("temperature" in note and "cooling" in note for note in notes)


def test_lengths_are_left_out_where_the_pixel_sizes_differ(known):
    real, generated = known
    fakes = Described(generated.space, generated.conditions, generated.parents, generated.table, 0.2)
    assert [d.name for d in compared(real, fakes)] == ["area_fraction"]


def test_a_real_mean_of_nothing_has_no_deviation():
    np.testing.assert_allclose(deviations(np.array([0.0, 2.0]), np.array([1.0, 2.5])), [0.25])
    rows = [{"temperature": "900"}] * 12
    (found,) = compared(described(rows, hole_density=0.0), described(rows, hole_density=1.0))
    assert found.deviation is None

import numpy as np
import pytest
from scipy import stats

from sorby.conditions import ConditionSpace
from sorby.evaluation.conditions import by_condition, deviation
from sorby.evaluation.metallography import Tables
from sorby.evaluation.sides import Comparison
from sorby.metrics.sets import ImageSet
from sorby.microstructure.describe import QUANTITIES

NAMES = [quantity.name for quantity in QUANTITIES]


def images(conditions, parents=None, *, columns=("temperature:°C",), um=0.1):
    """A set of pictures that nobody looks at."""
    num = len(conditions)
    space = ConditionSpace.from_rows(conditions, columns) if conditions and conditions[0] else ConditionSpace()
    return ImageSet(
        "set",
        tuple(map(str, range(num))),
        np.arange(num) if parents is None else np.array(parents),
        lambda places: np.zeros((len(places), 1, 8, 8), np.uint8),
        "hash",
        um,
        space=space,
        conditions=tuple(conditions) if space.dim else (),
    )


def table(num, **columns):
    """Descriptors; those not given are what no image has."""
    found = np.full((num, len(NAMES)), np.nan)
    for name, values in columns.items():
        found[:, NAMES.index(name)] = values
    return found


def compared(generated, fakes, one, one_images, other=None, other_images=None, *, notes=None, um=0.1):
    comparison = Comparison("held-out", one_images, (one_images, other_images or images([])))
    tables = Tables(generated, one, table(0) if other is None else other)
    return by_condition(tables, fakes, comparison, pixel_size_um=um, notes=[] if notes is None else notes)


@pytest.fixture
def known():
    """Held out: 15 images of two micrographs at 900 °C. Training: 12 of one at 1000 °C, its number 0 as well."""
    one = images([{"temperature": "900"}] * 15, [0] * 5 + [1] * 10)
    other = images([{"temperature": "1000.0"}] * 12, [0] * 12)
    fakes = images([{"temperature": "900.0"}, {"temperature": "1000"}] * 10)
    generated = table(20, area_fraction=[0.33, 0.35] * 10, mean_chord=[3.0, 4.0] * 10)
    real_one = table(15, area_fraction=[0.2] * 5 + [0.4] * 10, mean_chord=[1.0] * 5 + [4.0] * 10)
    real_other = table(12, area_fraction=0.5, mean_chord=4.0)
    return generated, fakes, real_one, one, real_other, other


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


def test_the_intervals_are_those_of_student_over_micrographs_and_none_of_a_single_one(known):
    """Two micrographs at 0.2 and 0.4: the standard error is 0.1, and 1 degree of freedom gives 12.7 of them."""
    at_900, at_1000 = compared(*known)[0].means
    half = stats.t.ppf(0.975, 1) * 0.1
    assert at_900.real_interval == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert at_1000.real_interval is None
    assert at_1000.generated_interval == (pytest.approx(0.35), pytest.approx(0.35))


def test_conditions_and_measures_of_fewer_than_ten_images_are_left_out_and_named():
    real = images([{"temperature": t} for t in ["800"] * 20 + ["900"] * 9 + ["1000"] * 20])
    fakes = images([{"temperature": t} for t in ["800"] * 10 + ["900"] * 20 + ["700"] * 20])
    generated = table(50, area_fraction=0.3, mean_chord=[2.0] * 9 + [np.nan] * 41)  # nine at 800 °C
    notes = []
    found = compared(generated, fakes, table(49, area_fraction=0.3, mean_chord=2.0), real, notes=notes)
    assert [(d.name, [m.condition for m in d.means]) for d in found] == [("area_fraction", ["temperature 800 °C"])]
    assert notes == [
        "Not compared by condition, with fewer than 10 images on a side: temperature 700 °C; temperature 900 °C; "
        "temperature 1000 °C."
    ]


def test_several_conditions_are_in_the_order_of_their_numbers_and_classes():
    columns = ("cooling::class", "rate:1/s:log")
    rows = [{"cooling": c, "rate": r} for c in ("10", "9") for r in ("0.1", "0.001")]
    real, fakes = images(rows * 10, columns=columns), images(rows[::-1] * 10, columns=columns)
    values = table(40, area_fraction=0.3)
    (fraction,) = compared(values, fakes, values, real)
    assert [m.condition for m in fraction.means] == [
        "cooling 9, rate 0.001 1/s",
        "cooling 9, rate 0.1 1/s",
        "cooling 10, rate 0.001 1/s",
        "cooling 10, rate 0.1 1/s",
    ]


def test_other_conditions_are_not_compared_and_a_note_says_so_but_none_where_there_are_none():
    hot, cool = images([{"temperature": "900"}] * 12), images([{"cooling": "air"}] * 12, columns=("cooling",))
    plain, values = images([{}] * 12), table(12, area_fraction=0.3)
    for fakes, told in ((cool, 1), (plain, 0)):
        notes = []
        assert compared(values, fakes, values, hot, notes=notes) == []
        assert len(notes) == told
        assert all("temperature" in note and "cooling" in note for note in notes)


def test_lengths_are_left_out_where_the_pixel_sizes_differ(known):
    generated, _, *real = known
    fakes = images([{"temperature": "900.0"}, {"temperature": "1000"}] * 10, um=0.2)
    assert [d.name for d in compared(generated, fakes, *real)] == ["area_fraction"]


def test_a_real_mean_of_nothing_has_no_deviation(known):
    mean, _ = compared(*known)[0].means
    nothing = mean.model_copy(update={"real_mean": 0.0})
    assert deviation([nothing]) is None
    assert deviation([nothing, mean]) == pytest.approx(0.1)

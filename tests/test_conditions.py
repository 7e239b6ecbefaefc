import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sorby.conditions import Condition, ConditionSpace, parse_column
from sorby.errors import ConfigError, DataError

ROWS = [
    {"file": "a", "temperature": "800", "rate": "0.001", "phase": "pearlite"},
    {"file": "b", "temperature": "1000", "rate": "0.1", "phase": "spheroidite"},
    {"file": "c", "temperature": "1200", "rate": "10", "phase": "pearlite"},
]
SPACE = ConditionSpace.from_rows(ROWS, ["temperature:C", "rate:1/s:log", "phase"])


def test_numbers_become_linear_and_words_classes():
    assert [condition.kind for condition in SPACE.conditions] == ["linear", "log", "class"]
    assert SPACE.conditions[2].classes == ("pearlite", "spheroidite")


def test_dim_is_one_for_each_number_and_one_for_each_class():
    assert SPACE.dim == 1 + 1 + 2
    assert ConditionSpace().dim == 0


def test_continuous_values_of_the_data_are_standardised():
    encoded = np.array([SPACE.encode({name: row[name] for name in SPACE.names}) for row in ROWS])
    np.testing.assert_allclose(encoded[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded[:, :2].std(axis=0), 1, rtol=1e-6)


def test_equal_ratios_are_equal_steps_on_a_log_scale():
    rate = SPACE.conditions[1]
    low, middle, high = (rate.encode(value)[0] for value in (0.002, 0.2, 20.0))
    assert high - middle == pytest.approx(middle - low, rel=1e-5)


def test_a_class_is_one_hot():
    np.testing.assert_array_equal(SPACE.conditions[2].encode("spheroidite"), [0, 1])


@settings(deadline=None, max_examples=50)
@given(st.floats(-500, 5000), st.floats(1e-6, 1e6), st.sampled_from(["pearlite", "spheroidite"]))
def test_decoding_gives_back_what_was_encoded(temperature, rate, phase):
    decoded = SPACE.decode(SPACE.encode({"temperature": temperature, "rate": rate, "phase": phase}))
    assert decoded["temperature"] == pytest.approx(temperature, rel=1e-4, abs=1e-2)
    assert math.log10(decoded["rate"]) == pytest.approx(math.log10(rate), abs=1e-4)
    assert decoded["phase"] == phase


def test_json_gives_back_the_space():
    assert ConditionSpace.model_validate_json(SPACE.model_dump_json()) == SPACE


def test_a_value_outside_the_data_is_warned_of_and_one_inside_is_not():
    inside = {"temperature": 800, "rate": 10, "phase": "pearlite"}
    assert SPACE.out_of_range(inside) == []
    assert SPACE.out_of_range({**inside, "temperature": 1201}) == [
        "temperature=1201 is outside the data, which hold temperature from 800 to 1200 C."
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": "hot"}, "temperature=hot is not a number: give temperature from 800 to 1200 C"),
        ({"temperature": "1e300"}, "temperature=1e300 is too far from the data: give temperature from 800 to 1200 C"),
        ({"rate": 0}, "rate=0 is not a number above 0: give rate from 0.001 to 10 1/s"),
        ({"phase": "bainite"}, "phase=bainite is not a class of this data: give phase one of pearlite, spheroidite"),
    ],
)
def test_a_value_that_cannot_be_encoded_is_an_error_and_no_warning(values, message):
    with pytest.raises(ConfigError, match=f"^{message}.$"):
        SPACE.out_of_range(values)


def test_a_numbered_class_may_be_given_as_a_number():
    space = ConditionSpace.from_rows([{"label": "2"}, {"label": "9"}], ["label::class"])
    assert space.out_of_range({"label": 9}) == []


def test_a_condition_without_known_range_still_says_what_it_expects():
    with pytest.raises(ConfigError, match="t=hot is not a number: give t, a number in C"):
        Condition(name="t", unit="C").encode("hot")


@pytest.mark.parametrize(
    ("limits", "covered"),
    [({}, (5, 15, 25)), ({"low": 10}, (15, 25)), ({"high": 20}, (5, 15)), ({"low": 10, "high": 20}, (15,))],
)
def test_a_limit_that_is_not_known_limits_nothing(limits, covered):
    condition = Condition(name="t", **limits)
    assert tuple(value for value in (5, 15, 25) if condition.covers(value)) == covered


@pytest.mark.parametrize(
    ("fields", "described"),
    [
        ({"low": 800, "high": 1100, "unit": "°C"}, "t from 800 to 1100 °C"),
        ({"low": 0.1, "high": 0.9}, "t from 0.1 to 0.9"),
        ({"low": 800, "unit": "°C"}, "t, a number in °C"),
        ({}, "t, a number"),
        ({"kind": "class", "classes": ("a", "b"), "unit": "°C"}, "t one of a, b"),
    ],
)
def test_a_condition_is_described_by_what_is_known_of_it(fields, described):
    assert Condition(name="t", **fields).describe() == described


def test_a_condition_given_twice_is_refused():
    with pytest.raises(ConfigError, match="'rate' is given 3 times"):
        ConditionSpace.from_rows(ROWS, ["rate", "temperature", "phase", "temperature", "rate", "rate:1/s:log"])


def test_a_single_value_encodes_to_zero_and_another_by_its_difference():
    space = ConditionSpace.from_rows(ROWS[:1], ["temperature"])
    np.testing.assert_array_equal(space.encode({"temperature": 800}), [0])
    np.testing.assert_array_equal(space.encode({"temperature": 803}), [3])


def test_classes_are_in_the_order_of_their_numbers_and_then_of_the_alphabet():
    rows = [{"label": label} for label in ("10", "oil", "9", "0.5", "0", "-1", "10", "air")]
    classes = ConditionSpace.from_rows(rows, ["label::class"]).conditions[0].classes
    assert classes == ("-1", "0", "0.5", "9", "10", "air", "oil")


@pytest.mark.parametrize("value", ["bainite", "800"])
def test_an_unknown_class_is_named_with_the_known_ones(value):
    with pytest.raises(ConfigError, match=f"phase={value}.*pearlite, spheroidite"):
        SPACE.conditions[2].encode(value)


@pytest.mark.parametrize("value", ["hot", "nan", float("inf")])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(ConfigError, match="is not a number"):
        SPACE.conditions[0].encode(value)


def test_missing_and_unknown_conditions_are_refused():
    with pytest.raises(ConfigError, match="given: rate, size; expected temperature, rate, phase: give"):
        SPACE.encode({"rate": 1, "size": 3})
    with pytest.raises(ConfigError, match="given: none; expected temperature, rate, phase"):
        SPACE.encode({})
    with pytest.raises(ConfigError, match="given: temperature; expected none"):
        ConditionSpace().encode({"temperature": 900})


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (ROWS, "pressure", "no column 'pressure'; they have file, temperature"),
        ([{"t": ""}], "t", "empty"),
        ([{"t": "5"}, {"t": "x"}], "t:C:linear", "holds 'x', expected numbers for"),
        ([{"t": "0"}], "t:C:log", "holds '0', expected numbers above 0 for"),
        ([], "t::linear", "holds no value, expected"),
    ],
)
def test_a_column_that_does_not_fit_is_a_data_error(rows, column, message):
    with pytest.raises(DataError, match=message):
        ConditionSpace.from_rows(rows, [column])


@pytest.mark.parametrize("column", ["", ":C", "t:C:cubic", "t:C:log:more"])
def test_a_column_written_otherwise_is_a_config_error(column):
    with pytest.raises(ConfigError, match="expected NAME"):
        parse_column(column)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Condition(name="t").name = "u"


def test_a_condition_is_told_with_its_unit_however_it_was_written():
    space = ConditionSpace.from_rows(
        [
            {"temperature": "900", "rate": "0.001", "cooling": "air", "grade": "1.0"},
            {"temperature": "1000", "rate": "0.1", "cooling": "9", "grade": "1.50"},
        ],
        ["temperature:°C", "rate:1/s:log", "cooling", "grade:% C:class"],
    )
    told = "temperature 900 °C, rate 0.001 1/s, cooling air, grade 1.50 % C"
    assert space.tell({"temperature": "900.0", "rate": 1e-3, "cooling": "air", "grade": "1.50"}) == told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"std": 0.0}, "std"),
        ({"std": float("nan")}, "std"),
        ({"low": float("inf")}, "low"),
        ({"name": ""}, "name"),
        ({"name": "a\x1b[2J"}, "control characters"),
        ({"classes": ("a",)}, "linear and has the classes a"),
        ({"kind": "class"}, "class and has the classes none"),
        ({"kind": "class", "classes": ("a", "a")}, "classes a, a"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        Condition.model_validate({"name": "t", **wrong})


def test_two_conditions_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two conditions have one name"):
        ConditionSpace(conditions=(Condition(name="t"), Condition(name="t")))


@pytest.mark.parametrize("values", [("1e308", "-1e308"), ("1e308", "-1e308") * 8, ("a\nb", "c")])
def test_labels_of_which_no_condition_can_be_made_are_one_line(values):
    with pytest.raises(DataError, match="labels give no condition"):
        ConditionSpace.from_rows([{"t": value} for value in values], ["t"])

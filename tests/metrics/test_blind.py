import csv
import io

import numpy as np
import pytest
import scipy.stats

from sorby.errors import DataError
from sorby.metrics.blind import Judged, as_csv, rate_of, result_of
from sorby.untrusted import cell


def answers(*, generated_found, generated_missed=0, real_found, real_missed=0):
    def some(num, answer, truth):
        return [Judged(answer=answer, truth=truth, seconds=1.0)] * num

    return [
        *some(generated_found, "generated", "generated"),
        *some(generated_missed, "real", "generated"),
        *some(real_found, "real", "real"),
        *some(real_missed, "generated", "real"),
    ]


def right(num, of):
    return answers(generated_found=num, real_found=0, real_missed=of - num)


@pytest.mark.parametrize(
    ("num", "of", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_intervals_are_those_published_for_clopper_and_pearson(num, of, low, high):
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 5
    rate = rate_of(right(num, of))
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


@pytest.mark.parametrize("num", [1, 5, 40])
def test_a_judge_who_is_always_right_has_a_closed_form(num):
    result = result_of(right(num, num))
    assert result.p_value == pytest.approx(min(1, 2 ** (1 - num)))
    assert result.accuracy.low == pytest.approx(0.025 ** (1 / num))
    assert result.accuracy.high == 1


@pytest.mark.parametrize("num", [1, 6, 20, 41])
def test_guessing_is_excluded_exactly_where_the_interval_leaves_out_one_half(num):
    for k in range(num + 1):
        result = result_of(right(k, num))
        assert (result.p_value < 0.05) == (not result.accuracy.low <= 0.5 <= result.accuracy.high)


def test_at_least_ninety_five_in_a_hundred_intervals_hold_the_true_rate():
    rates = [rate_of(right(k, 20)) for k in range(21)]
    for truth in np.linspace(0.02, 0.98, 49):
        held = [rate.low <= truth <= rate.high for rate in rates]
        assert scipy.stats.binom.pmf(np.arange(21), 20, truth)[held].sum() >= 0.95


def test_the_two_rates_are_of_their_own_kind_of_picture():
    result = result_of(answers(generated_found=3, generated_missed=1, real_found=1, real_missed=5))
    assert (result.generated_found.right, result.generated_found.of, result.generated_found.value) == (3, 4, 0.75)
    assert (result.real_found.right, result.real_found.of) == (1, 6)
    assert (result.accuracy.right, result.accuracy.of, result.accuracy.value) == (4, 10, 0.4)


def test_a_rate_of_pictures_that_were_not_judged_is_none():
    assert result_of(answers(generated_found=1, real_found=0)).real_found is None


@pytest.mark.parametrize(
    ("num", "told"),
    [(10, "was not shown to tell"), (15, "tells generated from real pictures"), (5, "takes one for the other")],
)
def test_words_say_what_the_numbers_do(num, told):
    assert told in result_of(right(num, 20)).told


def test_without_an_answer_there_is_no_result():
    with pytest.raises(DataError, match="answer at least one"):
        result_of([])


def test_the_record_has_a_row_a_picture_and_no_formula_in_any_cell():
    judged = [
        Judged(answer="real", truth="generated", seconds=1.5, confidence=3, seed=7, condition="phase ferrite"),
        Judged(answer="real", truth="real", seconds=2, file="=cmd|' /C calc'!A0.png", micrograph='@a,\n"b"'),
    ]
    first, second = csv.DictReader(io.StringIO(as_csv(judged, judge="=HYPERLINK(1)")))
    assert first == {
        "judge": "'=HYPERLINK(1)",
        "number": "1",
        "answer": "real",
        "truth": "generated",
        "right": "0",
        "confidence": "3",
        "seconds": "1.5",
        "seed": "7",
        "file": "",
        "micrograph": "",
        "condition": "phase ferrite",
    }
    assert (second["file"], second["micrograph"]) == ("'=cmd|' /C calc'!A0.png", '\'@a,\n"b"')
    assert second["right"] == "1"


@pytest.mark.parametrize("start", "=+-@\t\r")
def test_no_start_of_a_formula_is_left(start):
    assert cell(f"{start}A1") == f"'{start}A1"

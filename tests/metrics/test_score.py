import pytest

from sorby.metrics.score import Floor, Score


def score(name="KID", **changes):
    floor = Floor(value=0.2, num_real=30, num_other=40, between="training against held-out micrographs")
    fields = {
        "name": name,
        "value": 0.3,
        "low": 0.25,
        "high": 0.35,
        "against": "held-out",
        "floor": floor,
        "network": "inception",
        "network_sha256": "7f" * 32,
        "filter": "bicubic, antialiased",
        "num_real": 30,
        "num_generated": 40,
        "num_parents": 10,
        "seed": 3,
    }
    return Score.model_validate(fields | changes)


def test_a_score_survives_json():
    before = score(k=3, notes=("N is small",))
    assert Score.model_validate_json(before.model_dump_json()) == before


@pytest.mark.parametrize(
    "part", ["KID 0.3", "0.25 to 0.35", "0.2", "inception", "bicubic", "40 gen", "30 real", "seed 3"]
)
def test_a_written_score_names_all_that_it_hangs_on(part):
    assert part in str(score())


def test_a_written_score_says_where_interval_floor_and_neighbours_are_missing():
    assert str(score("recall", k=3)) == (
        "recall 0.3 (95 % 0.25 to 0.35; real against real 0.2) against held-out, inception, bicubic, antialiased, "
        "40 generated, 30 real, k = 3, seed 3"
    )
    assert str(score(low=None, high=None, floor=None)) == (
        "KID 0.3 (no interval; no floor) against held-out, inception, bicubic, antialiased, "
        "40 generated, 30 real, seed 3"
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "reached"),
    [("KID", 0.21, 0.3, False), ("KID", 0.1, 0.3, True), ("recall", 0.1, 0.19, False), ("recall", 0.1, 0.21, True)],
)
def test_a_score_reaches_its_floor_where_its_better_end_does(name, low, high, reached):
    assert score(name, low=low, high=high).reached_floor is reached


def test_a_score_that_hangs_on_numbers_of_images_is_not_judged_by_a_floor_of_other_numbers():
    assert score("FID", num_generated=400).reached_floor is None
    assert score("KID", num_generated=400).reached_floor is False

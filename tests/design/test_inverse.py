import csv
import json

import numpy as np
import pytest

from sorby.design.goals import Goal, Limit, limit, target
from sorby.design.inverse import Candidate, Task, best, diverse, front, search
from sorby.design.meter import Measured, Meter, materials, phase_map
from sorby.design.reference import Reference
from sorby.design.run import design
from sorby.design.sources import Choice, GeneratorSource, Number, RandomFieldSource
from sorby.errors import ConfigError, DataError
from sorby.micrograph import read_micrograph
from sorby.microstructure.describe import QUANTITIES, Segmentation
from tests.latent.tiny import tiny

PLAIN = Segmentation(smooth_px=0, min_area_px2=1)
STEEL = materials(["70,0.33", "210,0.3"])


class Discs:
    """Bright discs on dark ground: chosen are the radius, and whether there is a second one."""

    name = "discs"
    pixel_size_um = 0.5
    variables = (Number("radius", 4.0, 24.0), Choice("second", ("no", "yes")))

    def draw(self, seed, chosen):
        values = self.usual(seed) | dict(chosen)
        y, x = np.mgrid[:64, :64]
        shift = seed % 5 - 2
        mask = (x - 32 - shift) ** 2 + (y - 32) ** 2 < float(values["radius"]) ** 2
        if values["second"] == "yes":
            mask |= (x - 4) ** 2 + (y - 4) ** 2 < 16
        return np.where(mask, 200, 50).astype(np.uint8)

    def usual(self, seed):
        rng = np.random.default_rng(seed)
        return {"radius": float(rng.uniform(6, 16)), "second": str(rng.choice(["no", "yes"]))}

    def provenance(self, seed, chosen):
        return {"synthetic": "true", "seed": str(seed)}


def reference(source, how=PLAIN, *, num=60):
    return Reference((source.draw(seed, {})[None, None] for seed in range(1000, 1000 + num)), how, name="discs")


@pytest.fixture(scope="module")
def task():
    meter = Meter(how=PLAIN, pixel_size_um=0.5)
    return Task((target("area_fraction=0.11"),), (), meter, reference(Discs()))


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def candidate(losses, *, excess=(-1.0,), place=0.0, fraction=0.5):
    measured = Measured({"area_fraction": fraction}, np.full(len(QUANTITIES), place), np.zeros((2, 2), int))
    return Candidate(0, {}, np.zeros((2, 2), np.uint8), measured, tuple(losses), tuple(excess), "search")


def test_goals_and_limits_are_read_as_they_are_written():
    assert target("E=150") == Goal("youngs_modulus_GPa", "target", 150.0)
    assert target("E=150").loss({"youngs_modulus_GPa": 165.0}) == pytest.approx(0.1)
    assert limit("volume_fraction<0.4") == Limit("area_fraction", "<", 0.4)
    assert limit("mean_chord_um >= 2").excess({"mean_chord_um": 1.5}) == pytest.approx(0.5)
    assert Goal("x", "maximise").loss({"x": 3.0}) < Goal("x", "maximise").loss({"x": 2.0})
    assert Goal("x", "minimise").loss({"x": 3.0}) > Goal("x", "minimise").loss({"x": 2.0})


@pytest.mark.parametrize("text", ["E", "E=", "E=strong", "E=0", "=3", "E=nan"])
def test_what_is_no_target_is_refused(text):
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        target(text)


@pytest.mark.parametrize("text", ["E", "E<", "E<x", "<3", "E=3", "a b<3"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(ConfigError, match="expected NAME<VALUE or NAME>VALUE"):
        limit(text)


def test_a_laminate_is_measured_by_the_laws_of_mixtures():
    grey = np.full((64, 64), 60, np.uint8)
    grey[:, ::4] = 180  # a quarter conducts ten times as well
    meter = Meter(STEEL, (1.0, 10.0), PLAIN, pixel_size_um=0.1)
    numbers = meter(grey, tolerance=1e-8).numbers
    along, across = 0.75 * 1 + 0.25 * 10, 1 / (0.75 / 1 + 0.25 / 10)
    assert numbers["conductivity"] == pytest.approx((along + across) / 2, rel=1e-6)
    assert numbers["area_fraction"] == 0.25
    assert numbers["mean_chord_um"] == pytest.approx(0.1 * numbers["mean_chord_px"])
    assert 70 < numbers["youngs_modulus_GPa"] < 210
    assert Meter((), (1.0, 10.0), PLAIN)(grey, tolerance=1e-8).numbers["conductivity"] == numbers["conductivity"]


def test_phases_are_numbered_from_the_darkest():
    grey = np.repeat(np.array([[20, 120, 220]], np.uint8), 30, 0).repeat(10, 1)
    np.testing.assert_array_equal(phase_map(grey, Segmentation(phases=3, smooth_px=0))[0, ::10], [0, 1, 2])
    two = np.where(grey > 200, 200, 50).astype(np.uint8)
    for phase in (0, -1):
        np.testing.assert_array_equal(phase_map(two, Segmentation(phase=phase, smooth_px=0)), (two > 100).astype(int))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("youngs_modulus_GPa", "needs the moduli of the phases: --material"),
        ("conductivity", "needs the conductivities of the phases"),
        ("mean_chord_um", "needs a pixel size"),
        ("hardness", "'hardness' is not known: choose from area_fraction"),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_is_drawn(name, message):
    with pytest.raises(ConfigError, match=message):
        Meter(how=PLAIN).check(name)


def test_each_phase_needs_a_material():
    with pytest.raises(ConfigError, match="2 materials came for 3 phases"):
        Meter(STEEL, how=Segmentation(phases=3))
    with pytest.raises(ConfigError, match="expected E,nu"):
        materials(["210"])


def test_most_known_pictures_are_inside_and_a_strange_one_is_not(task):
    source = Discs()
    fresh = [task.meter(source.draw(seed, {})).descriptors for seed in range(40)]
    inside = [task.reference.distance(row) <= task.reference.limit for row in fresh]
    assert np.mean(inside) > 0.85
    huge = task.meter(source.draw(0, {"radius": 24.0})).descriptors
    assert task.reference.distance(huge) > task.reference.limit


def test_the_distance_is_mahalanobis_where_the_covariance_is_known():
    rng = np.random.default_rng(0)

    def pictures():
        for _ in range(400):  # only the grey of bands of a fixed plan varies: the contrast alone
            grey = np.full((32, 32), 40, np.uint8)
            grey[:, 8:24] = 140 + 40 * rng.random()
            yield grey[None, None]

    known = Reference(pictures(), PLAIN, name="bands")
    contrast = [q.name for q in QUANTITIES].index("contrast")
    centre = known._centre[known._counts.nonzero()[0].tolist().index(contrast)]
    scale = known._scale[known._counts.nonzero()[0].tolist().index(contrast)]
    row = np.full(len(QUANTITIES), np.nan)  # what is not there does not count
    row[contrast] = centre + 2 * scale
    assert known.distance(row) == pytest.approx(2, rel=0.2)


def test_too_few_known_pictures_are_refused():
    with pytest.raises(DataError, match="10 pictures of discs came: at least 50"):
        reference(Discs(), num=10)


def test_the_search_finds_what_screening_does_not(task):
    far = Task((target("area_fraction=0.3"),), (), task.meter, _everything(task.reference))
    found = search(far, Discs(), screened=12, trials=16, seed=3)
    assert [c.found_by for c in found] == ["screening"] * 12 + ["search"] * 16
    losses = {by: min(c.losses[0] for c in found if c.found_by == by) for by in ("screening", "search")}
    assert losses["search"] < 0.05 < losses["screening"]  # pi r^2 is 0.3 of 64^2 px at r = 19.8; 16 is drawn


class _Everything(Reference):
    def __init__(self, known):
        self.__dict__.update(known.__dict__)
        self.limit = 1e6


def _everything(known):
    return _Everything(known)


def test_the_same_seed_finds_the_same(task):
    one, other = (search(task, Discs(), screened=10, trials=12, seed=1) for _ in range(2))
    assert [c.losses for c in one] == [c.losses for c in other]


def test_limits_come_before_goals(task):
    good_outside, worse_inside = candidate([0.0], excess=(1.0,)), candidate([0.5])
    assert best([good_outside, worse_inside], num=1) == [worse_inside]


def test_the_front_holds_what_nothing_betters():
    losses = [(1, 4), (2, 3), (2, 5), (3, 3), (4, 1), (0, 9)]
    found = [candidate(pair) for pair in losses]
    assert [c.losses for c in front(found)] == [(0, 9), (1, 4), (2, 3), (4, 1)]
    assert front([candidate((0, 0), excess=(0.1,))]) == []


def test_diverse_answers_begin_with_the_best_and_go_far_apart(task):
    found = [candidate([i], place=place) for i, place in enumerate([0.0, 0.1, 5.0, 2.4])]
    assert [c.losses[0] for c in diverse(found, task.reference, num=3)] == [0, 2, 3]
    same = [candidate([i]) for i in range(3)]
    assert len(diverse(same, task.reference, num=3)) == 1


def test_a_target_beyond_every_arrangement_is_impossible(task):
    meter = Meter(STEEL, how=PLAIN)
    with pytest.raises(ConfigError, match=r"youngs_modulus_GPa = 300 is impossible: .* between 70 and 210"):
        Task((target("E=300"),), (), meter, task.reference)
    with pytest.raises(ConfigError, match="Nothing to look for"):
        Task((), (), meter, task.reference)


def test_answers_lie_in_their_folder_and_hold_what_they_promise(task, tmp_path):
    both = Task(task.goals, (limit("mean_chord_um>1"),), Meter(STEEL, how=PLAIN, pixel_size_um=0.5), task.reference)
    found = design(both, Discs(), tmp_path / "out", screened=20, trials=8, answers=2, seed=0)
    assert found.is_met
    assert found.verdict.startswith("Found: area_fraction = 0.11 with mean_chord_um > 1: ")
    rows = table(tmp_path / "out" / "answers.csv")
    assert len(rows) == len(found.answers) <= 2
    for number, row in enumerate(rows, 1):
        picture = read_micrograph(tmp_path / "out" / str(number) / "picture.tif")
        share = float((picture.grey > 100).mean())
        assert share == pytest.approx(0.11, rel=0.05)
        assert float(row["area_fraction"]) == pytest.approx(share, rel=1e-4)
        assert (picture.pixel_size_um, picture.notes["synthetic"]) == (0.5, "true")
        files = {path.name for path in (tmp_path / "out" / str(number)).iterdir()}
        assert files == {"picture.tif", "phases.png", "phases.vti", "phases.inp"}
        phases = read_micrograph(tmp_path / "out" / str(number) / "phases.png").grey
        np.testing.assert_array_equal(phases, picture.grey > 100)
    about = json.loads((tmp_path / "out" / "design.json").read_text())
    assert about["phases"] == ["phase 0, E 70 GPa, nu 0.33", "phase 1, E 210 GPa, nu 0.3"]
    assert len(table(tmp_path / "out" / "trials.csv")) == about["tried"]
    design(both, Discs(), tmp_path / "out", screened=20, trials=0, answers=1, seed=0)  # in place of the earlier one
    assert not (tmp_path / "out" / "2").exists()


def test_what_cannot_be_reached_is_denied_with_what_can(task, tmp_path):
    far = Task((target("area_fraction=0.9"),), (), task.meter, task.reference)
    found = design(far, Discs(), tmp_path / "out", screened=10, trials=4, seed=0)
    assert not found.is_met
    assert found.verdict.startswith("No: area_fraction = 0.9 was not reached. Of ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "answers.csv", "trials.csv", "trials.svg", "design.json",
    }  # fmt: skip
    strict = Task(task.goals, (limit("mean_chord_um>1000"),), task.meter, task.reference)
    assert (
        "none of 10 pictures keeps all limits"
        in design(strict, Discs(), tmp_path / "none", screened=10, trials=0, seed=0).verdict
    )


def test_of_two_goals_the_front_is_given(task, tmp_path):
    two = Task((Goal("area_fraction", "maximise"), Goal("mean_chord_um", "minimise")), (), task.meter, task.reference)
    found = design(two, Discs(), tmp_path / "out", screened=15, trials=6, answers=5, seed=0)
    fractions = [c.measured.numbers["area_fraction"] for c in found.answers]
    chords = [c.measured.numbers["mean_chord_um"] for c in found.answers]
    assert fractions == sorted(fractions, reverse=True)
    assert chords == sorted(chords, reverse=True)


def test_pictures_without_the_number_are_passed_over(task):
    class Blank(Discs):
        def draw(self, seed, chosen):
            return np.full((64, 64), 9, np.uint8)

    with pytest.raises(DataError, match="none of 3 pictures has all the numbers asked for"):
        search(task, Blank(), screened=3, trials=0, seed=0)


def test_a_generator_is_moved_along_its_axes_and_conditions():
    G = tiny(conditional=True)
    source = GeneratorSource(G, axes=2)
    assert [v.name for v in source.variables] == ["phase", "temperature", "pca-1", "pca-2"]
    assert source.variables[0].options == ("ferrite", "pearlite")
    np.testing.assert_array_equal(source.draw(3, {}), G.images([3])[0, 0])
    usual = source.usual(3)
    np.testing.assert_array_equal(source.draw(3, usual), G.images([3])[0, 0])
    moved = source.draw(3, usual | {"pca-1": 2.0})
    assert abs(moved.astype(int) - source.draw(3, {})).max() > 0
    hot = source.draw(3, {"phase": "pearlite", "temperature": 900.0})
    np.testing.assert_array_equal(hot, G.images([3], condition={"phase": "pearlite", "temperature": 900.0})[0, 0])
    about = source.provenance(3, usual | {"pca-1": 1.5})
    assert about["move"] == "pca-1=1.5, pca-2=0"
    assert about["generator"] == G.hash


def test_a_random_field_has_the_fraction_asked_for():
    source = RandomFieldSource(size=64, pixel_size_um=None)
    picture = source.draw(0, {"volume_fraction": 0.3})
    assert (picture == 192).mean() == pytest.approx(0.3, abs=1e-3)
    np.testing.assert_array_equal(picture, source.draw(0, {"volume_fraction": 0.3}))
    for seed in range(20):
        usual = source.usual(seed)
        assert all(v.low <= usual[v.name] <= v.high for v in source.variables)

from pathlib import Path

import numpy as np
import pytest

from sorby.conditions import ConditionSpace
from sorby.config import resolve
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.errors import ConfigError, DataError
from sorby.study.file import read_study
from sorby.study.plan import config_of, plan_of, without
from tests.evaluation.made import fields

STUDIES = Path(__file__).parents[2] / "studies"
LEAST = 'dataset = "{data}"\npreset = "demo"\nmeasure = "conditions"\n'


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fields(tmp_path_factory.mktemp("data") / "real.zip", seed=0, size=32, held_out=(0.4,))


@pytest.fixture
def study(tmp_path, data):
    def write(text):
        path = tmp_path / "study.toml"
        path.write_text(LEAST.format(data=data) + text)
        return read_study(path)

    return write


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_studies_that_come_with_sorby_are_read(path):
    assert read_study(path).title


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_every_run_of_the_studies_that_come_with_sorby_has_settings_that_fit(path, scale):
    study = read_study(path, scale=scale)
    size = study.settings.get("network", {}).get("size") or resolve(study.preset).network.size
    variants = {"first": study.search.first} if study.search else study.all_variants()
    for changes in variants.values():
        assert config_of(study, changes, seed=0, size=size).preset == study.preset


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = [1]", "'seed', which nothing is called: did you mean 'seeds'"),
        ('descriptors = ["area_fractoin"]', "'area_fractoin' in descriptors.*'area_fraction'"),
        ("[settings]\nkimgs = 3", "'kimgs' in settings.*'kimg'"),
        ("[settings.network]\nz_dims = 3", r"'z_dims' in settings\.network.*'z_dim'"),
        ("[variants.with]\ncontrastiv = 3", r"'contrastiv' in variants\.with.*'contrastive'"),
        ('[variants."a/b"]\nkimg = 3', "variant 'a/b'"),
        ("[grid]\nr_tt = [0.1]", "'r_tt' in grid.*'r_t'"),
        ('[grid]\n"network.layuot" = ["random"]', r"'layuot' in grid\.network.*'layout'"),
        ("[grid]\nr_t = [0.1]\n[variants.a]", "variants and grid are given"),
        ('scores = ["fld"]', "'fld' in scores.*'fid'"),
        ('fits = { fid = "log" }', "fits need a grid of one setting whose values are numbers"),
        ("[search]\ntrails = 3", "'trails' in search.*'trials'"),
        ("[search.space.learning_rat]\nlow = 1", r"'learning_rat' in search\.space.*'learning_rate'"),
        ('[search]\nscore = "deviation"\n[search.space.r_t]\nlow = 2\nhigh = 1', "low below high, came 2 and 1"),
        ("num = 3", "key num: .*10"),
        ("seeds = []", "key seeds: "),
        ('hold_out = "all"', "key hold_out"),
        ("seeds = [", "is not TOML"),
    ],
)
def test_a_mistake_in_a_study_file_is_one_line_with_the_key_and_the_nearest(study, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        study(text)
    assert "\n" not in str(error.value)
    assert "study.toml" in str(error.value)


def test_scores_are_not_asked_of_conditions_held_out(tmp_path):
    (tmp_path / "study.toml").write_text('dataset = "d.zip"\nhold_out = "each"')
    with pytest.raises(ConfigError, match='hold_out needs measure = "conditions"'):
        read_study(tmp_path / "study.toml")


def test_a_study_needs_a_dataset_and_a_file(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ConfigError, match="key dataset: nothing came, expected a value"):
        read_study(tmp_path / "empty.toml")
    with pytest.raises(DataError, match=r"no\.toml cannot be read"):
        read_study(tmp_path / "no.toml")


def test_each_variant_is_trained_with_each_seed(study):
    text = "seeds = [0, 7]\n[settings]\nkimg = 2\nr_t = 0.4\n[variants.a]\nkimg = 3\n[variants.b.network]\nz_dim = 16"
    plan = plan_of(study(text))
    assert [run.name for run in plan.runs] == ["a-seed-0", "a-seed-7", "b-seed-0", "b-seed-7"]
    assert [run.config.kimg for run in plan.runs] == [3, 3, 2, 2]
    assert [run.config.seed for run in plan.runs] == [0, 7, 0, 7]
    assert [run.config.network.z_dim for run in plan.runs] == [64, 64, 16, 16]  # 64 is that of the preset
    assert {run.config.r_t for run in plan.runs} == {0.4}


def test_a_grid_is_all_combinations_of_its_values(study):
    plan = plan_of(study('[grid]\nr_t = [0.3, 0.5]\naugment = [[], ["blit", "geom"]]'))
    assert [run.variant for run in plan.runs] == [
        "r_t=0.3-augment=none",
        "r_t=0.3-augment=blit+geom",
        "r_t=0.5-augment=none",
        "r_t=0.5-augment=blit+geom",
    ]
    assert [run.config.r_t for run in plan.runs] == [0.3, 0.3, 0.5, 0.5]
    assert [run.config.augment for run in plan.runs] == [(), ("blit", "geom")] * 2


def test_the_word_none_is_nothing_where_a_setting_may_be_nothing(study):
    run, other = plan_of(study('[grid]\nsubset = [3, "none"]')).runs
    assert (run.config.subset, other.config.subset) == (3, None)


SCALES = """
[settings]
kimg = 3
[scales.laptop]
seeds = [0, 1]
settings = { r_t = 0.4 }
[scales.paper]
settings = { kimg = 25000 }
"""


def test_a_scale_changes_keys_of_the_study_and_the_first_is_taken_unasked(study, tmp_path):
    laptop = study(SCALES)
    paper = read_study(tmp_path / "study.toml", scale="paper")
    assert (laptop.scale, laptop.seeds, laptop.settings) == ("laptop", (0, 1), {"kimg": 3, "r_t": 0.4})
    assert (paper.scale, paper.seeds, paper.settings) == ("paper", (0,), {"kimg": 25000})
    with pytest.raises(ConfigError, match="no scale 'cluster': choose from laptop, paper"):
        read_study(tmp_path / "study.toml", scale="cluster")


def test_what_a_setting_may_be_is_known_before_anything_runs(study):
    with pytest.raises(ConfigError, match="kimg"):
        plan_of(study("[settings]\nkimg = -3"))
    with pytest.raises(ConfigError, match="32 px and the runs draw 64 px"):
        plan_of(study("[settings.network]\nsize = 64"))


def test_each_condition_is_left_out_in_turn_and_those_marked_always(study):
    plan = plan_of(study('hold_out = "each"'))
    assert [run.name for run in plan.runs] == [f"without-{n}-seed-0" for n in (1, 2, 3, 4)]
    assert [run.unseen for run in plan.runs] == [{(40.0,), (other,)} for other in (20.0, 30.0, 50.0, 60.0)]
    for run in plan.runs:
        trained_on = {float(patch.conditions["fraction"]) for patch in run.data.split("train").patches}
        assert trained_on == {20, 30, 40, 50, 60} - {key[0] for key in run.unseen}


def test_conditions_marked_by_the_dataset_are_enough(study, tmp_path):
    (run,) = plan_of(study('hold_out = "marked"')).runs
    assert run.unseen == {(40.0,)}
    unmarked = study('hold_out = "marked"').model_copy(
        update={"dataset": fields(tmp_path / "all.zip", seed=0, size=32)}
    )
    with pytest.raises(ConfigError, match="marks no condition as held out"):
        plan_of(unmarked)


def test_a_list_of_conditions_is_left_out_at_once(study):
    (run,) = plan_of(study("hold_out = [{ fraction = 30 }, { fraction = 50.0 }]")).runs
    assert run.unseen == {(30.0,), (40.0,), (50.0,)}
    with pytest.raises(ConfigError, match="no condition with fraction = 35"):
        plan_of(study("hold_out = [{ fraction = 35 }]"))
    with pytest.raises(ConfigError, match=r"'fractoin' in hold_out.*'fraction'"):
        plan_of(study("hold_out = [{ fractoin = 30 }]"))


def test_the_scale_of_a_condition_is_that_of_what_is_left(data):
    view = without(Dataset.open(data), {(60.0,)})
    (condition,) = view.space.conditions
    assert (condition.low, condition.high, condition.unit) == (20, 50, "%")
    assert condition.mean == pytest.approx((20 + 30 + 50) / 3)  # 40 is marked as held out
    assert view.hash == Dataset.open(data).hash


def test_not_everything_can_be_held_out(data):
    with pytest.raises(ConfigError, match="nothing left to train on"):
        without(Dataset.open(data), {(20.0,), (30.0,), (50.0,), (60.0,)})


def test_a_class_cannot_be_held_out_altogether(tmp_path):
    rows = [{"cooling": c, "time": t} for c in ("air", "oil") for t in ("1", "2")]
    items = [
        (Patch(file=f"{n}.png", parent=str(n), conditions=rows[n % 4]), np.zeros((8, 8), np.uint8)) for n in range(8)
    ]
    data = write_dataset(
        tmp_path / "d.zip", items, space=ConditionSpace.from_rows(rows, ["cooling", "time:s"]), recipe={}
    )
    assert len(without(data, {("air", 1.0)}).split("train")) == 6
    with pytest.raises(ConfigError, match="cooling air would be held out altogether"):
        without(data, {("air", 1.0), ("air", 2.0)})


def test_the_identity_of_a_run_follows_all_that_its_result_depends_on(study):
    def identity(text):
        settings = study(text)
        return plan_of(settings).runs[0].identity(settings)

    texts = (
        "",
        "num = 20",
        "seeds = [1]",
        "[settings]\nkimg = 3",
        "hold_out = [{ fraction = 30 }]",
        'network = "inception"',
    )
    assert len({identity(text) for text in texts}) == len(texts)
    assert identity('title = "other words"') == identity("")


def test_too_few_pictures_of_each_condition_are_told_before_anything_is_trained(tmp_path):
    rng = np.random.default_rng(0)
    patches = [
        Patch(file=f"{i}.png", parent=f"p{i}", conditions={"temperature": str(900 + 100 * (i % 3))}) for i in range(27)
    ]
    space = ConditionSpace.from_rows([patch.conditions for patch in patches], ["temperature:°C"])
    pictures = rng.integers(0, 255, (27, 32, 32), np.uint8)
    write_dataset(tmp_path / "few.zip", zip(patches, pictures, strict=True), space=space, recipe={})
    path = tmp_path / "study.toml"
    path.write_text(LEAST.format(data=tmp_path / "few.zip"))
    with pytest.raises(DataError, match=r"at most 9 pictures of a condition.*expected 10 or more"):
        plan_of(read_study(path))

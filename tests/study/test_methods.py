import pytest

from sorby.study.file import read_study
from sorby.study.methods import methods
from sorby.study.plan import plan_of
from sorby.study.work import Work
from tests.evaluation.made import fields


@pytest.fixture
def plan(tmp_path):
    data = fields(tmp_path / "steel.zip", seed=0, size=32)
    (tmp_path / "study.toml").write_text(
        f'dataset = "{data}"\npreset = "demo"\nseeds = [0, 1]\n[settings]\nbatch_size = 8\n[grid]\nr_t = [0.3, 0.5]'
    )
    return plan_of(read_study(tmp_path / "study.toml"))


def test_the_paragraph_tells_data_variants_seeds_and_every_shared_setting(plan):
    text = methods(plan, [])
    assert f"on {len(plan.data.split('train'))} patches of 32 px" in text
    assert plan.data.hash[:16] in text
    assert "Variants: r_t=0.3: r_t = 0.3; r_t=0.5: r_t = 0.5." in text
    assert "with seeds 0, 1 for 16 kimg" in text
    assert "batch_size = 8" in text
    assert "learning_rate = 0.0025" in text
    assert "network.channel_base = 1024" in text
    settings = text.partition("All other settings")[2]
    assert "r_t =" not in settings
    assert "took" not in text


def test_the_cost_is_that_of_all_runs_and_energy_is_told_only_where_all_was_measured(plan):
    work = Work(
        identity="", state="finished", worker="node1:5", seconds=1800, cpu_seconds=900, kwh=0.5, energy_by="RAPL"
    )
    other = work.model_copy(update={"worker": "node2:7"})
    assert "The 2 finished runs took 1.0 hours on cpu of 2 machines, 0.5 processor hours, 1 kWh (RAPL)." in methods(
        plan, [work, other]
    )
    assert "energy not measured (RAPL)" in methods(plan, [work, other.model_copy(update={"kwh": None})])

"""N processes with B images each do what one does with N * B, and so do parts of a batch one after another.

Both networks learn by plain gradients here: Adam divides by their size, and would make a step of the rounding in those
that are about 0.
"""

import json
import os
import re
import signal
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sorby.augment import Augment
from sorby.augment.pipeline import FAMILIES
from sorby.config import check
from sorby.errors import ConfigError, TrainingError
from sorby.seeds import Rows, rng_for
from sorby.team import LostError, Team
from sorby.training import checkpoint, run, share, stylegan2
from sorby.training import state as states
from sorby.training.batches import Batches
from sorby.training.loop import Averages, step
from sorby.training.norm import share_norms
from sorby.training.run import augmentation
from sorby.training.share import check_shares, dealt
from sorby.training.state import new_state, tensors_of
from tests.processes import in_processes
from tests.training.conftest import TINY, TINY_CONTRAGAN, disc_images, tiny_config, tiny_contragan

TOLERANCE = 1e-5
"""Of weights of about 1, which move by 0.003 times their gradient; ten times that for moments, which are gradients."""
STEPS = 2
OFTEN = {"batch_size": 12, "path_length_interval": 2, "r1_interval": 2, "ada_interval": 2, "symmetry": "square"}
CLASSES = {**TINY["network"], "condition_dim": 2}
CONTRAGAN = {**TINY_CONTRAGAN["network"], "condition_dim": 2}
PENALISED = {"weight_clip": None, "gradient_penalty": 10}
CASES = {
    "alternating": {**TINY, **OFTEN},
    "alternating, contrasted": {**TINY, **OFTEN, "network": CLASSES, "contrastive": "class", "p": 0.5},
    "simultaneous": {**TINY, **OFTEN, "updates": "simultaneous"},
    "projected": {**TINY, **OFTEN, "updates": "simultaneous", "discriminator": "projected", "r1_gamma": 0},
    "contragan": {**TINY_CONTRAGAN, **OFTEN, "network": CONTRAGAN, "n_critic": 2},
    "contragan, penalised": {
        **TINY_CONTRAGAN,
        **PENALISED,
        "network": {**CONTRAGAN, "normalisation": "layer"},
        "batch_size": 12,
        "contrastive": "continuous",
        "augment": ("blit", "geom", "colour", "filter", "noise", "cutout"),
        "p": 0.5,
    },
}
for _case in CASES.values():
    for _name in [name for name in ("path_length_interval", "r1_interval") if "model" in _case["network"]]:
        _case.pop(_name, None)


def plain(network, config, **_):
    return torch.optim.SGD(network.parameters(), lr=0.003, momentum=0.5)


@pytest.fixture(autouse=True, scope="module")
def _plain_gradients():
    with patch.object(states, "_optimiser", plain):
        yield


def trained(name, team, accumulate=1):
    """All tensors after some steps, p, and the averages of the log."""
    config = check(CASES[name])
    rng = np.random.default_rng(0)
    conditions = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 24)][:, : config.network.condition_dim]
    images = torch.from_numpy(disc_images(24))[:, None]
    batches = Batches(
        images, torch.from_numpy(conditions), batch_size=config.batch_size, seed=0, symmetry=config.symmetry
    )
    state, augment, averages = new_state(config), augmentation(config), Averages()
    share_norms(state.G, team)
    share_norms(state.D, team)
    # Edges of the frozen network turn rounding into other gradients: one step shows what is to be seen.
    for _ in range(1 if name == "projected" else STEPS):
        averages.add(step(state, batches, config, augment, team=team, accumulate=accumulate))
    return tensors_of(state), state.ada.numbers(), averages.take(team)


def alone(G, w, share):
    """A mean of w that is not taken over all processes."""
    G.w_mean.lerp_(w / share.rows.share, 1 - stylegan2.W_MEAN_DECAY)


def first_rows(rows, drawn):
    """The random numbers that the first process has."""
    return drawn.unflatten(0, (-1, rows.of))[:, : rows.num].flatten(0, 1)


def own_mean(self, tensor):
    """Where a step needs a sum over all processes, such as the mean of path lengths: that of the own, for all."""
    return tensor / self.rows.share


FAULTS = {
    "a mean of w of the own pictures": ("alternating", patch.object(stylegan2, "move_w_mean", alone)),
    "other random numbers": ("alternating", patch.object(Rows, "take", first_rows)),
    "own means of w and of path lengths": ("alternating", patch.object(share.Share, "sum", own_mean)),
    "own batch normalisation": ("contragan", patch(f"{__name__}.share_norms")),
}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """What two processes and three have learnt, in each case; and with each fault, two."""
    folder = tmp_path_factory.mktemp("several")

    def work(team):
        results = {name: trained(name, team) for name in CASES}
        if team.size == 2:
            for fault, (name, broken) in FAULTS.items():
                with broken:
                    results[fault] = trained(name, team)
        torch.save(results, folder / f"{team.size}-{team.rank}.pt")

    for num in (2, 3):
        assert in_processes(num, work) == [0] * num
    return {num: [torch.load(folder / f"{num}-{rank}.pt") for rank in range(num)] for num in (2, 3)}


@pytest.fixture(scope="module")
def one():
    return {name: trained(name, Team()) for name in CASES}


def furthest(result, expected):
    """The largest difference of any weight, moment or buffer."""
    assert result[0].keys() == expected[0].keys()
    return max(float((result[0][name] - expected[0][name]).abs().max()) for name in expected[0])


def assert_close(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        atol = TOLERANCE * (10 if name.startswith("opt") else 1)
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-4, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def assert_equal(result, expected):
    assert_close(result[0], expected[0])
    assert result[1] == expected[1]
    assert result[2] == pytest.approx(expected[2], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("num", [2, 3])
@pytest.mark.parametrize("name", CASES)
def test_several_processes_do_what_one_does_with_the_same_batch(name, num, several, one):
    """Gradients, both regularisers, r_t and p, the means of w and of path lengths, averages, the numbers of the log."""
    results = several[num]
    assert_equal(results[0][name], one[name])
    for other in results[1:]:  # and all have the same to the bit
        assert all(torch.equal(other[name][0][key], value) for key, value in results[0][name][0].items())


def test_the_cases_adjust_p(one):
    assert one["alternating"][1]["p"] > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_shared_would_be_seen(fault, several, one):
    assert furthest(several[2][0][fault], one[FAULTS[fault][0]]) > 10 * TOLERANCE


@pytest.mark.parametrize("accumulate", [2, 3])
@pytest.mark.parametrize("name", ["alternating", "projected", "contragan, penalised"])
def test_parts_one_after_another_do_what_the_whole_batch_does(name, accumulate, one):
    case = {**CASES[name], "contrastive": "none"}
    with patch.dict(CASES, {name: case}):
        expected = trained(name, Team()) if name.startswith("contragan") else one[name]
        assert_equal(trained(name, Team(), accumulate), expected)


def test_rows_of_a_batch_are_augmented_as_in_it():
    images = torch.rand(12, 1, 32, 32, generator=rng_for(0, "images")) * 2 - 1
    augment, rows = Augment(families=FAMILIES), Rows(4, 8, of=12)
    whole = augment(images, p=0.7, rng=rng_for(0, "chance"))
    torch.testing.assert_close(augment(images[4:8], p=0.7, rng=rng_for(0, "chance"), rows=rows), whole[4:8])


def test_a_part_of_a_batch_is_that_part():
    images = torch.from_numpy(disc_images(10))[:, None]
    batches = Batches(images, torch.arange(10.0)[:, None], batch_size=6, seed=0, symmetry="square")
    (whole, y), (part, part_y) = batches.at(6), batches.at(6, part=Rows(2, 5, of=6))
    assert torch.equal(part, whole[2:5])
    assert torch.equal(part_y, y[2:5])


@pytest.mark.parametrize(("num", "group", "among"), [(12, 4, 2), (12, 4, 3), (32, 4, 5), (7, 1, 3)])
def test_a_batch_is_dealt_out_whole_in_whole_groups_and_evenly(num, group, among):
    shares = [dealt(num, group=group, among=among, to=process) for process in range(among)]
    assert [row for rows in shares for row in range(rows.start, rows.stop)] == list(range(num))
    assert all(rows.num % group == 0 for rows in shares)
    assert max(rows.num for rows in shares) - min(rows.num for rows in shares) <= group


@pytest.mark.parametrize(
    ("config", "size", "accumulate", "message"),
    [
        (tiny_config(batch_size=12), 4, 1, "12 in groups of 4 can be shared out into 3 parts at most, but 4 processes"),
        (tiny_config(batch_size=12), 2, 2, "--accumulate 2 need 4"),
        (tiny_contragan(), 1, 2, "contrastive loss compares all images"),
        (tiny_contragan(contrastive="none"), 1, 2, "batch normalisation is over all images"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(config, size, accumulate, message):
    team = Team()
    team.size = size
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_shares(config, team, accumulate)


SHORT = {"batch_size": 12, "tick_kimg": 0.012, "score_ticks": 0, "path_length_interval": 2, "r1_interval": 2}


def train(dataset, out, team=None, **changes):
    keywords = {name: changes.pop(name) for name in ("on_step",) if name in changes}
    config = tiny_config(**{**SHORT, "match_greys": True, **changes})
    return run.train(dataset, out, config, team=team, tensorboard=False, warn=lambda _: None, **keywords)


def newest(out):
    return checkpoint.checkpoints(out / "checkpoint")[0]


def test_a_run_goes_on_with_any_number_of_processes(tiny_dataset, tmp_path):
    """Two of which one is killed, then three whose losses stop being finite, then one."""
    out = tmp_path / "run"

    def die(team):
        def kill(state):
            if team.rank == 1 and state.images_seen == 24:
                os.kill(os.getpid(), signal.SIGKILL)

        with pytest.raises(LostError, match="same command again"):
            train(tiny_dataset, out, team, kimg=0.048, on_step=kill)

    assert in_processes(2, die) == [0, -signal.SIGKILL]
    assert newest(out).stem == "0000000024"

    def diverge(team):
        def poison(state):
            state.G.synthesis.const.data.fill_(float("nan"))

        error, message = (TrainingError, "not finite") if team.is_first else (LostError, "first process has failed")
        with pytest.raises(error, match=message):
            train(tiny_dataset, out, team, kimg=0.048, on_step=poison)

    assert in_processes(3, diverge) == [0, 0, 0]
    assert newest(out).stem == "0000000036"
    train(tiny_dataset, out, kimg=0.048)
    train(tiny_dataset, tmp_path / "whole", kimg=0.048)
    assert_close(load_file(newest(out)), load_file(newest(tmp_path / "whole")))
    assert [line["images_seen"] for line in log_of(out)] == [12, 24, 36, 48]


def log_of(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_torchrun_trains_and_the_first_process_alone_speaks(tiny_dataset, tmp_path):
    """With Adam, which this command has: the numbers of the first ticks agree to three digits."""
    out = tmp_path / "run"
    sets = [f"--set={name}={value}" for name, value in SHORT.items() if name != "batch_size"]
    network = [f"--set=network.{name}={value}" for name, value in TINY["network"].items()]
    options = ["--preset=auto", "--batch=12", "--kimg=0.024", "--device=cpu", "--set=network.minibatch_std_group=4"]
    command = ["train", str(tiny_dataset.path), f"--out={out}", *options, *sets, *network]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "sorby"]
    done = subprocess.run(
        ["nice", "-n", "5", sys.executable, "-m", *torchrun, *command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Finished") == 1
    assert done.stdout.count("img/s") == 2
    with patch.object(states, "_optimiser", ADAM):
        expected = run.train(tiny_dataset, tmp_path / "alone", check(read_config(out)), tensorboard=False)
    for line, other in zip(log_of(out), log_of(expected), strict=True):
        for name in ("loss_G", "loss_D", "score_real", "r_t", "p"):
            assert line[name] == pytest.approx(other[name], rel=1e-3, abs=1e-3)


ADAM = states._optimiser


def read_config(out):
    from sorby.config import from_toml

    return from_toml((out / "config.toml").read_text()).model_dump()

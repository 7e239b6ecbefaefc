import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sorby.card import GREYS
from sorby.conditions import Condition, ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import ConfigError, DataError, TrainingError, WeightsError
from sorby.generator import Generator
from sorby.models.build import generator_network
from sorby.training import checkpoint, run, state, stylegan2, tick
from sorby.training.greys import greys_of, matched
from sorby.training.run import quick_scorer
from sorby.training.state import new_state
from tests.training.conftest import TINY, disc_images, tiny_config


def fake_scorer(data, config, *, device):
    """Scores that need no feature network: distance of the mean grey."""
    mean = float(data.split("train").images().mean())
    return lambda generated: {"fid": abs(float(generated.mean()) - mean), "recall": 0.5}


@pytest.fixture(autouse=True)
def _no_feature_network(monkeypatch):
    monkeypatch.setattr(run, "quick_scorer", fake_scorer)


def train(dataset, out, **changes):
    keywords = {name: changes.pop(name) for name in ("on_tick", "on_step", "warn") if name in changes}
    return run.train(dataset, out, tiny_config(**changes), tensorboard=False, **{"warn": lambda _: None} | keywords)


def end(out):
    """All that matters at the end of a run."""
    tensors = load_file(checkpoint.checkpoints(out / "checkpoint")[0])
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    timeless = [{name: v for name, v in line.items() if name not in ("img_s", "seconds")} for line in lines]
    best = (out / "best" / "model.safetensors").read_bytes()
    samples = {path.name: path.read_bytes() for path in (out / "samples").iterdir()}
    return tensors, timeless, best, samples


def assert_same_end(one, other):
    (tensors, *rest), (other_tensors, *other_rest) = end(one), end(other)
    assert tensors.keys() == other_tensors.keys()
    different = [name for name in tensors if not torch.equal(tensors[name], other_tensors[name])]
    assert different == []
    assert rest == other_rest


@pytest.fixture(scope="module")
def whole_run(tiny_dataset, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "quick_scorer", fake_scorer)
    out = train(tiny_dataset, tmp_path_factory.mktemp("runs") / "whole")
    patch.undo()
    return out


class StopError(Exception):
    pass


def test_a_run_with_the_projected_discriminator_resumes_bit_for_bit(tiny_dataset, tmp_path):
    def crash(state):
        if state.images_seen == 24:
            raise StopError

    settings = {
        "discriminator": "projected",
        "updates": "simultaneous",
        "r1_gamma": 0,
        "match_greys": True,
        "kimg": 0.032,
    }
    with pytest.raises(StopError):
        train(tiny_dataset, tmp_path / "run", on_step=crash, **settings)
    train(tiny_dataset, tmp_path / "run", **settings)
    assert_same_end(train(tiny_dataset, tmp_path / "whole", **settings), tmp_path / "run")


@pytest.mark.parametrize("steps", [1, 6, 8, 15])
def test_resuming_after_a_crash_equals_never_stopping_bit_for_bit(tiny_dataset, whole_run, tmp_path, steps):
    def crash(state):
        if state.images_seen == 4 * steps:
            raise StopError

    with pytest.raises(StopError):
        train(tiny_dataset, tmp_path / "run", on_step=crash)
    train(tiny_dataset, tmp_path / "run")
    assert_same_end(whole_run, tmp_path / "run")


def test_ctrl_c_in_the_middle_of_a_step_loses_at_most_a_tick(tiny_dataset, whole_run, tmp_path, monkeypatch):
    calls = []
    discriminator_step = stylegan2.discriminator_step

    def interrupted(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return discriminator_step(*arguments, **keywords)

    monkeypatch.setattr(stylegan2, "discriminator_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, tmp_path / "run")
    assert checkpoint.checkpoints(tmp_path / "run" / "checkpoint")[0].stem == "0000000016"
    train(tiny_dataset, tmp_path / "run")
    assert_same_end(whole_run, tmp_path / "run")


def run_and_die(dataset, out, die):
    """Train in a process of its own, which `die` may kill; whether it was killed."""
    child = os.fork()
    if child == 0:
        die()
        train(dataset, out)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def killed_at_rename(number):
    """Die at the nth rename of a file or a folder, before it for even numbers, after it for odd ones."""
    count = iter(range(1000))

    def patched(rename):
        def around(path, target):
            here = next(count)
            if here * 2 == number:
                os.kill(os.getpid(), signal.SIGKILL)
            result = rename(path, target)
            if here * 2 + 1 == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return around

    def die():
        Path.replace, Path.rename = patched(Path.replace), patched(Path.rename)

    return die


@pytest.mark.parametrize("number", range(24))
def test_a_run_killed_at_a_rename_resumes(tiny_dataset, whole_run, tmp_path, number):
    """The first tick renames settings, samples, log, two generators and the checkpoint: each before and after."""
    assert run_and_die(tiny_dataset, tmp_path / "run", killed_at_rename(number))
    train(tiny_dataset, tmp_path / "run")
    assert_same_end(whole_run, tmp_path / "run")


def killed_after(seconds):
    """Die after some time, wherever the run is then."""

    def die():
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    return die


def test_a_run_killed_at_ten_random_moments_resumes(tiny_dataset, whole_run, tmp_path):
    rng = np.random.default_rng()
    longest, kills = end(whole_run)[1][-1]["images_seen"] / 16, 0  # seconds; shortened until the run is caught
    while kills < 10:
        if run_and_die(tiny_dataset, tmp_path / "run", killed_after(rng.uniform(0.001, longest))):
            kills += 1
        else:
            longest /= 2
            shutil.rmtree(tmp_path / "run")
    train(tiny_dataset, tmp_path / "run")
    assert_same_end(whole_run, tmp_path / "run")


def test_a_damaged_checkpoint_is_said_and_the_one_before_used(tiny_dataset, whole_run, tmp_path):
    train(tiny_dataset, tmp_path / "run", kimg=0.032)
    newest = checkpoint.checkpoints(tmp_path / "run" / "checkpoint")[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    said = []
    train(tiny_dataset, tmp_path / "run", warn=said.append)
    assert f"checkpoint {newest} cannot be used" in said[0]
    assert "trying the one before" in said[0]
    tensors = end(tmp_path / "run")[0]
    assert all(torch.equal(tensors[name], value) for name, value in end(whole_run)[0].items())


def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(tiny_dataset, tmp_path):
    train(tiny_dataset, tmp_path / "run", kimg=0.032)
    for path in checkpoint.checkpoints(tmp_path / "run" / "checkpoint"):
        path.write_bytes(b"")
    with pytest.raises(WeightsError, match="No checkpoint"):
        train(tiny_dataset, tmp_path / "run")


def test_checkpoints_of_another_shape_are_refused_and_the_first_misfit_named(tiny_dataset, tmp_path):
    train(tiny_dataset, tmp_path / "run", kimg=0.016)
    train(tiny_dataset, tmp_path / "wider", kimg=0.016, network=TINY["network"] | {"w_dim": 24})
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    shutil.copytree(tmp_path / "wider" / "checkpoint", tmp_path / "run" / "checkpoint")
    with pytest.raises(WeightsError, match=r"No checkpoint in .* \(.* in G has shape \[.*24.*\], expected \["):
        train(tiny_dataset, tmp_path / "run", kimg=0.032)


def test_a_run_can_be_lengthened(tiny_dataset, whole_run, tmp_path):
    train(tiny_dataset, tmp_path / "run", kimg=0.032)
    train(tiny_dataset, tmp_path / "run")
    tensors = end(tmp_path / "run")[0]
    assert all(torch.equal(tensors[name], value) for name, value in end(whole_run)[0].items())


def test_a_run_of_other_settings_is_refused_and_named(tiny_dataset, whole_run):
    with pytest.raises(ConfigError, match=r"r1_gamma was 1.0, is 3.0.*choose another --out"):
        train(tiny_dataset, whole_run, r1_gamma=3)


def test_a_run_takes_the_fastest_precision_of_its_device_and_keeps_it_on_another(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "fastest_dtype", lambda _: torch.bfloat16)
    out = train(tiny_dataset, tmp_path / "run", kimg=0.016, precision="fastest")
    assert tick.read_config(out).precision == "bfloat16"
    monkeypatch.setattr(run, "fastest_dtype", lambda _: torch.float32)
    train(tiny_dataset, out, kimg=0.032, precision="fastest")
    assert tick.read_config(out).precision == "bfloat16"
    named = train(tiny_dataset, tmp_path / "named", kimg=0.032, precision="bfloat16")
    kept, expected = end(out)[0], end(named)[0]
    assert all(torch.equal(kept[name], tensor) for name, tensor in expected.items())
    with pytest.raises(ConfigError, match="precision was bfloat16, is float32"):
        train(tiny_dataset, out, precision="float32")


def test_a_run_begins_with_the_greys_of_its_data(tiny_dataset, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(run, "loop", lambda state, *_, **__: begun.append(state))
    train(tiny_dataset, tmp_path / "run", match_greys=True)
    (state,) = begun
    rng, wanted = torch.Generator().manual_seed(1), greys_of(tiny_dataset.split("train").images())
    z, noise = torch.randn(500, state.G.z_dim, generator=rng), state.G.synthesis.draw_noise(500, rng=rng)
    with torch.inference_mode():
        one, other = (network(z, torch.zeros(500, 0), noise) for network in (state.G, state.G_ema))
    assert torch.equal(one, other)
    grey = 127.5 * (one + 1)
    assert grey.mean().item() == pytest.approx(wanted.mean, rel=0.1)
    assert grey.std((1, 2, 3)).mean().item() == pytest.approx(wanted.contrast, rel=0.1)


def test_saving_with_the_greys_of_the_data_leaves_what_is_learnt_as_it_is(
    tiny_dataset, whole_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(run, "_begin_with", lambda *_: None)
    out = train(tiny_dataset, tmp_path / "matched", match_greys=True)
    (learnt, *_), (as_before, *_) = end(out), end(whole_run)
    assert all(torch.equal(learnt[name], as_before[name]) for name in as_before)
    assert Generator.load(out).hash != Generator.load(whole_run).hash


def test_a_generator_is_saved_with_the_greys_of_its_data(tiny_dataset, tmp_path):
    out = train(tiny_dataset, tmp_path / "matched", match_greys=True)
    saved = Generator.load(out / "last", dtype=torch.float32)
    network = generator_network(saved.card.network)
    weights = {name.removeprefix("G_ema."): tensor for name, tensor in end(out)[0].items() if name.startswith("G_ema.")}
    network.load_state_dict(weights)
    learnt = Generator(network, saved.card, dtype=torch.float32)
    found = greys_of(learnt.images(range(tick.GREY_SEED, tick.GREY_SEED + tick.GREY_PICTURES)))
    expected = matched(network, found, greys_of(tiny_dataset.split("train").images())).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in saved.network.state_dict().items())
    assert any(not torch.equal(tensor, weights[name]) for name, tensor in expected.items())
    assert saved.card.training[GREYS] == "matched to the data"


def test_a_setting_that_does_not_fit_is_named_with_its_file(tiny_dataset, whole_run, tmp_path):
    damaged = shutil.copytree(whole_run, tmp_path / "damaged")
    text = (damaged / "config.toml").read_text()
    (damaged / "config.toml").write_text(text.replace('precision = "float32"', 'precision = "half"'))
    with pytest.raises(ConfigError, match=r"damaged/config\.toml: Setting precision: expected .* \(came: 'half'\)"):
        train(tiny_dataset, damaged, precision="fastest")


def test_a_run_with_other_labels_is_refused(tmp_path):
    runs = []
    for labels in (("a", "b"), ("b", "a")):
        patches = [Patch(file=f"00000/{i}.png", parent=f"p{i}", conditions={"phase": labels[i % 2]}) for i in range(8)]
        space = ConditionSpace(conditions=(Condition(name="phase", kind="class", classes=("a", "b")),))
        images = zip(patches, disc_images(8), strict=True)
        runs.append(write_dataset(tmp_path / f"{labels[0]}.zip", images, space=space, recipe={}))
    train(runs[0], tmp_path / "run", kimg=0.016)
    assert Generator.load(tmp_path / "run").card.seen_counts == (4, 4)
    with pytest.raises(ConfigError, match="other images"):
        train(runs[1], tmp_path / "run", kimg=0.016)


def test_a_move_that_does_not_exist_is_refused_before_anything_is_written(tiny_dataset, tmp_path):
    with pytest.raises(ConfigError, match="spin"):
        train(tiny_dataset, tmp_path / "run", augment_without=("spin",))
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_place_of_the_run_is_left_alone(tiny_dataset, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        train(tiny_dataset, tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_run_on_other_images_is_refused(tiny_dataset, whole_run):
    with pytest.raises(ConfigError, match="other images"):
        train(tiny_dataset.subset(3, seed=0), whole_run)


def test_a_folder_with_other_things_is_left_alone(tiny_dataset, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="no run"):
        train(tiny_dataset, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_images_of_another_size_say_which_command_helps(tiny_dataset, tmp_path):
    network = {"size": 64, "channel_base": 256}
    with pytest.raises(DataError, match=r"32 px.*64 px.*--size 64"):
        train(tiny_dataset, tmp_path / "run", network=network)


def test_a_subset_is_of_whole_parents(tiny_dataset, tmp_path):
    out = train(tiny_dataset, tmp_path / "run", subset=5, kimg=0.016)
    card = Generator.load(out / "last").card
    assert (card.data["parent micrographs"], card.data["patches"]) == (5, 20)
    assert card.pixel_size_um == 0.5


def test_losses_that_are_not_finite_stop_the_run_and_say_what_to_change(tiny_dataset, tmp_path):
    def poison(state):
        if state.images_seen == 20:
            state.G.synthesis.const.data.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"not finite.*learning_rate"):
        train(tiny_dataset, tmp_path / "run", on_step=poison)
    assert Generator.load(tmp_path / "run" / "last").card.images_seen == 16


def test_pictures_that_are_all_alike_raise_an_alarm(tiny_dataset, tmp_path):
    said = []

    def collapse(state):
        for network in (state.G, state.G_ema):
            network.synthesis.to_grey.zero_grad()
            for layer in network.synthesis.to_grey:
                layer.conv.weight.data.zero_()

    train(tiny_dataset, tmp_path / "run", kimg=0.032, on_step=collapse, warn=said.append)
    assert any("differ" in message and "r1_gamma" in message for message in said)


def test_three_images_are_trained_on_without_scores_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.undo()  # the genuine scorer, which wants at least five images
    patches = [Patch(file=f"00000/{i}.png", parent=f"p{i}") for i in range(3)]
    images = zip(patches, disc_images(3), strict=True)
    few = write_dataset(tmp_path / "few.zip", images, space=ConditionSpace(), recipe={})
    said = []
    out = train(few, tmp_path / "run", kimg=0.016, score_ticks=1, warn=said.append)
    assert "without scores" in said[0]
    assert Generator.load(out).card.data["patches"] == 3


def test_p_adapts_and_a_fixed_p_stays(tiny_dataset, whole_run, tmp_path):
    adaptive = [line["p"] for line in end(whole_run)[1]]
    train(tiny_dataset, tmp_path / "run", p=0.25)
    assert len(set(adaptive)) > 1
    assert {line["p"] for line in end(tmp_path / "run")[1]} == {0.25}


def test_the_best_generator_is_the_one_with_the_lowest_fid(whole_run):
    lines = [line for line in end(whole_run)[1] if "fid" in line]
    best = Generator.load(whole_run / "best").card
    assert len(lines) >= 2
    assert best.scores["fid"] == min(line["fid"] for line in lines)


def test_a_lower_fid_bought_with_half_the_recall_is_not_better():
    best = {"fid": 10.0, "recall": 0.4}
    assert tick.is_better({"fid": 9.0, "recall": 0.3}, best)
    assert not tick.is_better({"fid": 5.0, "recall": 0.1}, best)
    assert not tick.is_better({"fid": 11.0, "recall": 0.9}, best)


def test_a_lower_fid_bought_with_wrong_metallography_is_not_better():
    best = {"fid": 10.0, "recall": 0.4, "descriptor_error": 0.1}
    assert tick.is_better({"fid": 9.0, "recall": 0.4, "descriptor_error": 0.2}, best)
    assert not tick.is_better({"fid": 9.0, "recall": 0.4, "descriptor_error": 0.3}, best)


def test_a_run_on_a_subset_is_scored_against_all_training_patches(tiny_dataset, tmp_path, monkeypatch):
    scored = []

    def scorer(data, config, *, device):
        scored.append(len(data.split("train")))
        return fake_scorer(data, config, device=device)

    monkeypatch.setattr(run, "quick_scorer", scorer)
    train(tiny_dataset, tmp_path / "run", subset=3, kimg=0.016)
    assert scored == [len(tiny_dataset)]


def test_the_shift_of_each_descriptor_is_scored_and_the_error_is_that_of_those_chosen(tmp_path):
    """Real stripes of half the width, generated ones of a quarter and as bright: only the fraction is asked about."""
    rng = np.random.default_rng(0)
    widths = rng.integers(26, 39, 64)
    real, half = (
        np.stack([np.tile(np.where(np.arange(64) < w, 200, 50).astype(np.uint8), (1, 64, 1)) for w in sides])
        for sides in (widths, widths // 2)
    )
    config = tiny_config(descriptors=("area_fraction",), score_images=64)
    patches = [Patch(file=f"{n}.png", parent=str(n)) for n in range(64)]
    data = write_dataset(tmp_path / "d.zip", zip(patches, real, strict=True), space=ConditionSpace(), recipe={})
    scores = quick_scorer(data, config, device="cpu")(half)
    fractions = [np.array([(image > 100).mean() for image in images]) for images in (real, half)]
    shift = (fractions[1].mean() - fractions[0].mean()) / fractions[0].std()
    assert scores["shift_area_fraction"] == pytest.approx(shift, rel=0.02)
    assert scores["descriptor_error"] == abs(scores["shift_area_fraction"])
    assert "shift_contrast" in scores


def test_a_descriptor_that_does_not_exist_is_refused_before_anything_is_written(tiny_dataset, tmp_path):
    with pytest.raises(ConfigError, match="Unknown descriptor 'hardness': choose from area_fraction, "):
        train(tiny_dataset, tmp_path / "run", descriptors=("hardness",))
    assert not (tmp_path / "run").exists()


def test_without_the_pretrained_network_another_discriminator_is_named(tiny_dataset, tmp_path, monkeypatch):
    def no_weights(name):
        raise WeightsError(f"no {name}.")

    monkeypatch.setattr(state, "load_network", no_weights)
    with pytest.raises(WeightsError, match=r"no efficientnet-lite0\. Or train without: --set discriminator=stylegan2"):
        train(tiny_dataset, tmp_path / "run", discriminator="projected")


def test_the_start_of_a_run_follows_from_its_seed():
    one, same, other = (new_state(tiny_config(seed=seed)) for seed in (0, 0, 1))
    weights = [dict(state.G.named_parameters())["mapping.layers.0.weight"] for state in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_lazy_regularisers_slow_adam_by_the_published_ratio():
    """Karras et al. 2020a, appendix B: c = k / (k + 1); learning rate times c, betas to the power of c."""
    state = new_state(tiny_config(beta1=0.5, learning_rate=0.002, r1_interval=16, path_length_weight=0))
    plain, lazy = state.opt_G.param_groups[0], state.opt_D.param_groups[0]
    assert (plain["lr"], plain["betas"]) == (0.002, (0.5, 0.99))
    assert lazy["lr"] == pytest.approx(0.002 * 16 / 17)
    assert lazy["betas"] == pytest.approx((0.5 ** (16 / 17), 0.99 ** (16 / 17)))


def test_real_images_score_above_generated_ones_after_some_steps(tiny_dataset, tmp_path):
    said = {}
    train(tiny_dataset, tmp_path / "run", augment=(), on_tick=lambda _, line: said.update(line))
    assert said["score_real"] > said["score_fake"]


def test_cudnn_is_on_while_training_and_looks_for_its_fastest_kernels(tiny_dataset, tmp_path):
    seen = []
    cudnn = torch.backends.cudnn
    train(tiny_dataset, tmp_path / "run", kimg=0.016, on_step=lambda _: seen.append((cudnn.enabled, cudnn.benchmark)))
    assert set(seen) == {(True, True)}

import hashlib
import json
import resource

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from sorby.allocator import LARGEST_KEPT_BYTES
from sorby.card import GeneratorCard, describe
from sorby.conditions import Condition, ConditionSpace
from sorby.config import NetworkConfig, resolve
from sorby.errors import ConfigError, SorbyError, WeightsError
from sorby.generator import Generator, at_once, from_grey_values, to_grey_values
from sorby.models.place import fastest_dtype
from sorby.models.stylegan2 import GeneratorNetwork, channels_at

NETWORK = NetworkConfig(size=32, z_dim=16, w_dim=16, channel_base=256, channel_max=16)
CLASSES = ConditionSpace(conditions=(Condition(name="phase", kind="class", classes=("ferrite", "pearlite")),))


def generator(*, conditional=False, pixel_size_um=0.25):
    torch.manual_seed(0)
    space = CLASSES if conditional else ConditionSpace()
    config = NETWORK.model_copy(update={"condition_dim": space.dim})
    seen = ({"phase": "ferrite"}, {"phase": "pearlite"}) if conditional else ()
    counts = (90, 10) if conditional else ()
    card = GeneratorCard(
        network=config, pixel_size_um=pixel_size_um, space=space, seen_conditions=seen, seen_counts=counts
    )
    network = GeneratorNetwork(config)
    network.w_mean.copy_(torch.randn(16))
    return Generator(network, card)


@pytest.fixture
def saved(tmp_path):
    generator().save(tmp_path / "steel")
    return tmp_path / "steel"


def test_a_picture_depends_on_its_seed_alone_up_to_rounding():
    G = generator()
    together = G.images(range(5), batch_size=2).astype(int)
    alone = np.concatenate([G.images([seed]) for seed in range(5)]).astype(int)
    assert abs(together - alone).max() <= 1
    assert abs(together[0] - together[1]).max() > 10


def test_loading_gives_back_pictures_and_card(saved):
    G, loaded = generator(), Generator.load(saved, dtype=torch.float32)
    np.testing.assert_array_equal(G.images(range(4)), loaded.images(range(4)))
    assert loaded.card == G.card
    assert loaded.hash == G.hash


def test_pictures_in_bfloat16_are_those_in_float32_to_a_grey_value(saved):
    exact, rounded = (
        Generator.load(saved, dtype=dtype).images(range(8)).astype(int) for dtype in (torch.float32, torch.bfloat16)
    )
    assert 0 < abs(exact - rounded).mean() < 1


def test_a_loaded_generator_draws_in_the_fastest_precision_and_is_not_trained(saved):
    loaded = Generator.load(saved)
    assert loaded.dtype == fastest_dtype("cpu")
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


def test_a_run_folder_gives_its_best_generator_and_else_its_last(tmp_path):
    generator().save(tmp_path / "last")
    assert Generator.load(tmp_path).card.pixel_size_um == 0.25
    generator(pixel_size_um=0.5).save(tmp_path / "best")
    assert Generator.load(tmp_path).card.pixel_size_um == 0.5


def test_the_folder_holds_no_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert "synthetic" in (saved / "README.md").read_text()


def test_the_card_has_use_limits_data_scores_licence_and_citation_also_where_they_are_not_known():
    known = {"data": {"name": "steel", "licence": "CC0", "cite": "A. Nobody 2020"}, "scores": {"held_out_fid": 9.5}}
    card = generator().card
    told, bare = describe(card.model_copy(update=known)), describe(card)
    for heading in ("What it draws", "Use and limits", "Training data", "Training", "Scores", "Licence and citation"):
        assert f"\n## {heading}\n" in told
        assert f"\n## {heading}\n" in bare
    for line in ("- Data, name: steel", "- Licence of the data: CC0", "- Cite: A. Nobody 2020", "held_out_fid: 9.5"):
        assert line in told
    for line in ("- Data: not stated", "- Not scored", "- Licence of the data: not stated"):
        assert line in bare


def test_no_truncation_is_one_and_full_truncation_shows_the_mean_structure():
    G = generator()
    spread = [G.images(range(8), truncation=psi).astype(float).std(0).mean() for psi in (1.0, 0.5, 0.0)]
    np.testing.assert_array_equal(G.images(range(2), truncation=1.0), G.images(range(2)))
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] == pytest.approx(0, abs=0.01)  # noise is off in an untrained generator


def test_truncation_keeps_the_condition():
    """Pulled fully to the mean, each class is still its own: the mean is taken at the condition."""
    G = generator(conditional=True)
    ferrite, pearlite = (G.images([0], truncation=0, condition={"phase": name}) for name in ("ferrite", "pearlite"))
    assert abs(ferrite.astype(int) - pearlite).max() > 5


def test_without_a_condition_a_conditional_generator_draws_those_of_its_data():
    G = generator(conditional=True)
    drawn = [G.condition_of(seed)["phase"] for seed in range(400)]
    assert drawn.count("ferrite") == pytest.approx(360, abs=4 * 6)  # 90 of 100 in the data; 4 standard deviations
    np.testing.assert_array_equal(G.images([3]), G.images([3], condition=G.condition_of(3)))


def test_an_unknown_class_is_named_with_the_known_ones():
    with pytest.raises(SorbyError, match=r"austenite.*ferrite"):
        generator(conditional=True).images([0], condition={"phase": "austenite"})


@pytest.mark.parametrize("truncation", [-0.1, 1.5])
def test_truncation_outside_0_to_1_is_refused(truncation):
    with pytest.raises(ConfigError, match="0 to 1"):
        generator().images([0], truncation=truncation)


def test_no_seeds_give_no_pictures():
    assert generator().images([]).shape == (0, 1, 32, 32)


def test_grey_values_survive_the_way_to_floats_and_back():
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(to_grey_values(from_grey_values(grey)), grey.numpy())
    assert from_grey_values(grey).aminmax() == (-1, 1)


def test_values_outside_the_range_are_clipped():
    assert to_grey_values(torch.tensor([[[[-3.0, 3.0]]]])).ravel().tolist() == [0, 255]


def test_settings_that_came_later_do_not_rename_the_generators_from_before():
    """The hash is that of the fields which the first generators had, and of the weights."""
    G = generator()
    first = ("size", "channels", "condition_dim", "z_dim", "w_dim", "mapping_layers", "channel_base", "channel_max")
    shape = {name: getattr(NETWORK, name) for name in (*first, "minibatch_std_group")}
    digest = hashlib.sha256(json.dumps(shape, separators=(",", ":")).encode())
    digest.update(save({name: tensor.contiguous() for name, tensor in G.network.state_dict().items()}))
    assert G.hash == digest.hexdigest()
    other = Generator(
        G.network, G.card.model_copy(update={"network": NETWORK.model_copy(update={"model": "contragan"})})
    )
    assert other.hash != G.hash


def test_saving_over_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SorbyError, match=r"thesis\.tex"):
        generator().save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def damage(saved, how):
    weights = saved / "model.safetensors"
    tensors = load_file(weights)
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:500])
    elif how == "gone":
        weights.unlink()
    elif how == "nan":
        tensors["synthesis.const"][0] = float("nan")
        save_file(tensors, weights)
    elif how == "shape":
        tensors["synthesis.const"] = tensors["synthesis.const"][:, :2].contiguous()
        save_file(tensors, weights)
    elif how == "missing":
        del tensors["synthesis.const"]
        save_file(tensors, weights)
    elif how == "future":
        card = json.loads((saved / "config.json").read_text())
        (saved / "config.json").write_text(json.dumps({**card, "format": 99, "colour": "new"}))
    elif how == "json":
        (saved / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "cannot be read"),
        ("gone", "cannot be read"),
        ("nan", "not finite"),
        ("shape", "shape"),
        ("missing", "missing"),
        ("future", "update Sorby"),
        ("json", "cannot be read"),
    ],
)
def test_a_damaged_generator_is_refused_in_one_line(saved, how, message):
    damage(saved, how)
    with pytest.raises(WeightsError, match=message) as error:
        Generator.load(saved)
    assert "\n" not in str(error.value)
    assert str(saved) in str(error.value)


def test_a_folder_that_is_no_generator_says_what_was_expected(tmp_path):
    with pytest.raises(WeightsError, match=r"no generator.*model\.safetensors"):
        Generator.load(tmp_path)


def test_a_generator_in_another_precision_is_the_one_opened_in_it_and_leaves_the_first_alone(tmp_path):
    from tests.latent.tiny import tiny

    tiny().save(tmp_path / "g")
    fast = Generator.load(tmp_path / "g", dtype=torch.bfloat16)
    before = fast.images([1])
    exact, opened = fast.with_dtype(torch.float32), Generator.load(tmp_path / "g", dtype=torch.float32)
    np.testing.assert_array_equal(exact.images([1]), opened.images([1]))
    np.testing.assert_array_equal(fast.images([1]), before)
    assert fast.with_dtype(torch.bfloat16) is fast


@pytest.mark.parametrize(("preset", "num"), [("laptop-64", 32), ("laptop-128", 31), ("paper-512", 1)])
def test_so_many_pictures_are_drawn_at_once_that_their_activations_are_kept(preset, num):
    network = resolve(preset).network
    assert at_once(network, torch.device("cpu"), torch.bfloat16) == num
    widest = channels_at(network.size, network) * (network.size + 1) ** 2 * 2
    assert num in (1, 32) or num * widest < LARGEST_KEPT_BYTES <= (num + 1) * widest


def test_a_gpu_and_single_precision_get_another_number_at_once():
    network = resolve("laptop-128").network
    assert at_once(network, torch.device("cuda"), torch.bfloat16) == 32
    assert at_once(network, torch.device("cpu"), torch.float32) == 15


def test_z_alone_is_the_z_of_the_picture():
    G = generator()
    torch.testing.assert_close(G.z_of([3, 8]), G.latents([3, 8]).z, rtol=0, atol=0)


def card_with(saved, **changes):
    card = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixel_size_um": -1}, "pixel_size_um"),
        ({"pixel_size_um": float("nan")}, "cannot be read"),
        ({"space": {"conditions": [{"name": "t"}]}}, "conditions have 1 numbers, the network 0"),
        ({"seen_conditions": [{"t": 1}]}, "seen_counts"),
        ({"images_seen": 10**400}, "cannot be read"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(saved, changes, message):
    card_with(saved, **changes)
    with pytest.raises(WeightsError, match="cannot be read as a generator") as error:
        Generator.load(saved)
    told = str(error.value)
    assert message in told or "validation error" in told


def test_a_card_takes_no_memory_before_its_weights_are_there(saved):
    network = json.loads((saved / "config.json").read_text())["network"]
    card_with(saved, network={**network, "size": 1024, "channel_base": 2**20, "channel_max": 8192})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match="shape"):
        Generator.load(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # kB

import json
import shlex

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F
from typer.testing import CliRunner

from sorby.cli import app
from sorby.cli.train import assignments
from sorby.config import resolve
from sorby.errors import ConfigError, DataError, SorbyError, WeightsError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.interop.imported import import_file
from sorby.models.stylegan2 import Discriminator
from sorby.training import run
from sorby.training.state import new_state
from sorby.training.stylegan2 import generator_step
from sorby.training.tick import read_log
from sorby.training.transfer import START, start
from tests.docs.commands import parse
from tests.interop.made import (
    DIM,
    layers_of,
    official,
    official_file,
    pickled,
    rosinality_file,
    slow_picture,
    slow_scores,
    slow_w,
)
from tests.training.conftest import tiny_config

NUM = 4


def opened(folder):
    return Generator.load(folder, dtype=torch.float32)


def drawn(generator, z, c, noise, *, psi=1.0):
    with torch.inference_mode():
        return generator.network.synthesis(generator.styles(z, c, psi), noise).double().numpy()


def latents(generator, num, *, seed=1):
    rng = torch.Generator().manual_seed(seed)
    dim = generator.card.network.condition_dim
    c = torch.eye(dim)[torch.arange(num) % dim] if dim else torch.zeros(num, 0)
    return torch.randn(num, DIM, generator=rng), c, generator.network.synthesis.draw_noise(num, rng=rng)


def slowly(G, z, c, noise, **keywords):
    each = zip(z.double().numpy(), c.double().numpy(), strict=True)
    ws = [slow_w(G, *one, **keywords) for one in each]
    return np.stack([slow_picture(G, w, [layer[i, 0].double().numpy() for layer in noise]) for i, w in enumerate(ws)])


def discriminator(folder, config):
    D = Discriminator(config)
    with safe_open(folder / START, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("D.")]  # noqa: SIM118
        D.load_state_dict({name.removeprefix("D."): file.get_tensor(name) for name in names})
    return D.requires_grad_(False)


@pytest.mark.parametrize(
    "shape",
    [{}, {"classes": 3}, {"channels": 3, "clamp": 0.8}, {"classes": 2, "layers": 8, "clamp": 256}],
    ids=["plain", "conditional", "colour, held", "8 layers"],
)
def test_pictures_and_scores_are_those_of_the_published_equations(tmp_path, shape):
    G, D = official(**shape)
    import_file(official_file(tmp_path, G, D), tmp_path / "steel")
    generator = opened(tmp_path / "steel")
    z, c, noise = latents(generator, NUM)
    for psi in (1.0, 0.7):
        expected = slowly(G, z[:2], c[:2], [layer[:2] for layer in noise], psi=psi, layers=shape.get("layers", 2))
        found = drawn(generator, z[:2], c[:2], [layer[:2] for layer in noise], psi=psi)
        assert abs(found - expected).max() < 1e-5 * max(1, abs(expected).max())
    pictures = torch.randn(NUM, shape.get("channels", 1), 32, 32, generator=torch.Generator().manual_seed(2))
    scores = discriminator(tmp_path / "steel", generator.card.network)(pictures, c).double().numpy()[:, 0]
    np.testing.assert_allclose(scores, slow_scores(D, pictures.double().numpy(), c.double().numpy()), atol=1e-5)


def test_what_a_generator_is_and_where_it_is_from_is_in_its_card(tmp_path):
    path = official_file(tmp_path, *official(classes=3))
    imported = import_file(
        path, tmp_path / "steel", conditions=["phase:ferrite,bainite", "strain:%"], pixel_size_um=0.5
    )
    card = opened(tmp_path / "steel").card
    assert card == imported.card
    assert (card.images_seen, card.pixel_size_um) == (123_000, 0.5)
    assert card.data["name"] == "steel.zip"
    assert "someone" not in card.model_dump_json()
    assert "licence" in card.data["licence"]
    assert card.training["imported from"] == path.name
    assert card.training["p"] == 0.25
    assert len(card.training["sha256"]) == 64
    assert [condition.describe() for condition in card.space.conditions] == [
        "phase one of ferrite, bainite",
        "strain, a number in %",
    ]
    numbers = json.loads(safe_open(tmp_path / "steel" / START, framework="pt").metadata()["sorby"])
    assert numbers == {"images_seen": 123_000, "p": 0.25}


def test_classes_without_names_are_numbered_and_drawn_as_often(tmp_path):
    import_file(official_file(tmp_path, *official(classes=3), name="x.pkl"), tmp_path / "steel", kimg=7, p=0.5)
    generator = opened(tmp_path / "steel")
    assert {generator.condition_of(seed)["class"] for seed in range(30)} == {"0", "1", "2"}
    assert generator.card.images_seen == 7000
    assert generator.images(range(2)).shape == (2, 1, 32, 32)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["phase:a,b"], "takes a condition of 3 numbers, and --condition names 2"),
        (["phase:a,a,b"], "'phase:a,a,b': expected NAME:CLASS,CLASS"),
        (["a:K:log", "b", "c"], "'a:K:log': expected"),
        (["a", "a", "b"], "names a, a, b: give each name once"),
    ],
)
def test_conditions_that_do_not_fit_are_one_line(tmp_path, conditions, message):
    path = official_file(tmp_path, *official(classes=3))
    with pytest.raises(ConfigError, match=message):
        import_file(path, tmp_path / "steel", conditions=conditions)
    assert not (tmp_path / "steel").exists()


def test_an_import_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path):
    path = official_file(tmp_path, *official())
    for _ in range(2):
        import_file(path, tmp_path / "steel")
    (tmp_path / "steel" / "mine.txt").touch()
    with pytest.raises(DataError, match=r"mine\.txt is in the way"):
        import_file(path, tmp_path / "steel")


def test_a_file_can_be_inspected_before(tmp_path):
    summary = summarise(official_file(tmp_path, *official(classes=3)))
    assert "official StyleGAN2-ADA" in summary.title
    facts = [summary.facts[name] for name in ("draws", "trained for", "augmentation probability", "discriminator")]
    assert facts == ["32 x 32 px, grey", "123 kimg", "0.25", "can train on"]


# What Sorby has not


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthesis.b8.architecture": "resnet"}, "architecture 'resnet'"),
        ({"synthesis.b8.conv0.activation": "relu"}, "activation 'relu' at synthesis.b8.conv0"),
        ({"synthesis.b8.conv0.use_noise": False}, "use_noise False"),
        ({"synthesis.b8.conv0.resample_filter": torch.ones(6, 6)}, "resample_filter than"),
        ({"synthesis.b8.conv0.conv_clamp": 3}, "conv_clamp"),
        ({"synthesis.b8.conv0.bias": torch.zeros(3)}, "shape"),
        ({"synthesis.input.freqs": torch.zeros(3)}, "StyleGAN3's own synthesis"),
        ({"mapping.extra": torch.zeros(3), "z_dim": "six"}, "does not say its z_dim"),
        ({"img_channels": 4}, "of a shape that Sorby has not"),
        ({"img_resolution": 24}, "pictures of 24 px"),
        ({"synthesis.b4.const": torch.full((8, 4, 4), torch.nan)}, "not finite"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_a_generator_that_sorby_has_not_is_refused_in_one_line(tmp_path, change, message):
    G, _ = official()
    with pytest.raises(WeightsError, match=message) as error:
        import_file(official_file(tmp_path, G | change), tmp_path / "steel")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "steel").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"b8.architecture": "orig"},
        {"b4.mbstd.num_channels": 0},
        {"b4.mbstd.group_size": None},
        {"b8.conv0.conv_clamp": 4},
        {"b8.conv0.weight": torch.zeros(2, 2, 3, 3)},
        {"c_dim": 2},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_discriminator_that_sorby_has_not_is_left_out_and_that_is_said(tmp_path, change):
    G, D = official()
    imported = import_file(official_file(tmp_path, G, D | change), tmp_path / "steel")
    assert not imported.has_start
    assert "the discriminator is left out" in imported.remarks[-1]
    assert not (tmp_path / "steel" / START).exists()
    opened(tmp_path / "steel").images([0])


def test_a_file_of_other_things_is_refused(tmp_path):
    path = tmp_path / "other.pkl"
    path.write_bytes(pickled({"numbers": [1, 2, 3]}))
    with pytest.raises(WeightsError, match="no networks that Sorby knows"):
        import_file(path, tmp_path / "steel")


def test_a_network_that_holds_itself_is_refused(tmp_path):
    record = layers_of(official()[0])
    record.meta["state"]["_modules"]["again"] = record
    path = tmp_path / "loop.pkl"
    inner = layers_of({})
    inner.meta["state"]["_modules"]["again"] = {}
    path.write_bytes(pickled({"G_ema": inner}))
    with pytest.raises(WeightsError, match="no network of layers at again"):
        import_file(path, tmp_path / "steel")


# Other programs


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old form"])
def test_rosinality_s_networks_are_the_same_by_other_names(tmp_path, old):
    G, D = official(channels=3)
    imported = import_file(rosinality_file(tmp_path, G, D, old=old), tmp_path / "steel")
    import_file(official_file(tmp_path, G, D), tmp_path / "official")
    steel, same = opened(tmp_path / "steel"), opened(tmp_path / "official")
    assert steel.hash == same.hash
    assert (imported.card.images_seen, imported.card.training["p"], imported.has_start) == (16_000, 0.25, True)
    pictures = torch.randn(NUM, 3, 32, 32)
    judged = [
        discriminator(tmp_path / name, same.card.network)(pictures, pictures[:, 0, 0, :0])
        for name in ("steel", "official")
    ]
    assert torch.equal(*judged)


def test_a_mean_of_w_that_a_file_does_not_hold_is_taken_over_many_latents(tmp_path):
    G, D = official(channels=3)
    import_file(rosinality_file(tmp_path, G, D, mean=False), tmp_path / "steel")
    z = np.random.default_rng(0).normal(size=(5000, DIM))
    ws = np.array([slow_w(G, row, np.zeros(0)) for row in z])
    found = opened(tmp_path / "steel").network.w_mean.double().numpy()
    assert (abs(found - ws.mean(0)) < 6 * ws.std(0) / np.sqrt(5000)).all()


def lucidrains_state(rng, *, capacity=2):
    """The weights of a generator of lucidrains' code, by its names."""

    def normal(*shape):
        return torch.randn(shape, generator=rng)

    def linear(name, inputs, outputs, size=0.3):
        return {f"{name}.weight": size * normal(outputs, inputs), f"{name}.bias": size * normal(outputs)}

    widths = [capacity * 2**i for i in (4, 3, 2, 1)]
    state = {"GE.initial_block": normal(1, widths[0], 4, 4), "GE.initial_conv.bias": normal(widths[0])}
    state["GE.initial_conv.weight"] = 0.3 * normal(widths[0], widths[0], 3, 3)
    for layer in range(2):
        state |= linear(f"SE.net.{2 * layer}", DIM, DIM, 3)
    for block, (inputs, width) in enumerate(zip([widths[0], *widths], widths, strict=False)):
        name = f"GE.blocks.{block}"
        for number, wide in ((1, inputs), (2, width)):
            state |= linear(f"{name}.to_style{number}", DIM, wide) | linear(f"{name}.to_noise{number}", 1, width)
            state[f"{name}.conv{number}.weight"] = 0.2 * normal(width, wide, 3, 3)
        state |= linear(f"{name}.to_rgb.to_style", DIM, width)
        state[f"{name}.to_rgb.conv.weight"] = 0.2 * normal(3, width, 1, 1)
        state[f"{name}.to_rgb.upsample.1.f"] = torch.tensor([1.0, 2, 1])
    return state


def lucidrains_picture(state, z, field):
    """One picture in 0..1, reckoned as that code has it: plain weights, one kernel a picture, one field of noise."""
    value = {name: tensor.double() for name, tensor in state.items()}

    def linear(name, x):
        return F.linear(x, value[f"{name}.weight"], value[f"{name}.bias"])

    def modulated(x, name, style, *, demodulate=True):
        weight = value[f"{name}.weight"] * (style + 1)[:, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def larger(x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    w = z / z.norm()
    for layer in (0, 2):
        w = F.leaky_relu(0.1 * linear(f"SE.net.{layer}", w), 0.2)
    x = F.conv2d(value["GE.initial_block"], value["GE.initial_conv.weight"], value["GE.initial_conv.bias"], padding=1)
    blur = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]).double().expand(3, 1, 3, 3) / 16
    rgb = None
    for block in range(4):
        name = f"GE.blocks.{block}"
        x = larger(x) if block else x
        crop = field[: x.shape[2], : x.shape[2], None]
        for number in (1, 2):
            noise = linear(f"{name}.to_noise{number}", crop).permute(2, 0, 1)
            x = modulated(x, f"{name}.conv{number}", linear(f"{name}.to_style{number}", w))
            x = F.leaky_relu(x + noise, 0.2)
        new = modulated(x, f"{name}.to_rgb.conv", linear(f"{name}.to_rgb.to_style", w), demodulate=False)
        rgb = new if rgb is None else new + F.conv2d(F.pad(larger(rgb), (1, 1, 1, 1), mode="reflect"), blur, groups=3)
    return rgb[0]


def lucidrains_file(folder, state, name="model_3.pt"):
    torch.save({"GAN": state, "version": "1.9.0"}, folder / name)
    return folder / name


def test_lucidrains_generator_draws_the_same_pictures(tmp_path):
    rng = torch.Generator().manual_seed(0)
    state = lucidrains_state(rng)
    imported = import_file(lucidrains_file(tmp_path, state), tmp_path / "steel")
    generator = opened(tmp_path / "steel")
    z, c, noise = latents(generator, 2)
    expected = np.stack(
        [lucidrains_picture(state, z[i].double(), noise[-1][i, 0].double()).numpy() * 2 - 1 for i in range(2)]
    )
    assert abs(drawn(generator, z, c, noise) - expected).max() < 1e-5 * abs(expected).max()
    assert not imported.has_start
    assert generator.images(range(2)).shape == (2, 3, 32, 32)
    assert "does not tell how many images" in imported.remarks[-1]


def test_the_speed_of_lucidrains_mapping_is_read_beside_its_file(tmp_path):
    state = lucidrains_state(torch.Generator().manual_seed(0))
    path = lucidrains_file(tmp_path, state)
    (tmp_path / ".config.json").write_text('{"lr_mlp": 0.2}')
    import_file(path, tmp_path / "fast")
    (tmp_path / ".config.json").unlink()
    doubled = {name: tensor * (2 if name.startswith("SE.") else 1) for name, tensor in state.items()}
    import_file(lucidrains_file(tmp_path, doubled), tmp_path / "doubled")
    assert opened(tmp_path / "fast").hash == opened(tmp_path / "doubled").hash


def test_parts_that_lucidrains_may_add_are_refused(tmp_path):
    state = lucidrains_state(torch.Generator().manual_seed(0))
    with pytest.raises(WeightsError, match="has attention"):
        import_file(lucidrains_file(tmp_path, state | {"GE.attns.1.x": torch.zeros(1)}), tmp_path / "steel")


# Training goes on


def settings(card, **changes):
    network = card.network.model_dump()
    return tiny_config(**{"network": network, "kimg": 123.016, "tick_kimg": 0.008, "score_ticks": 0, **changes})


def test_training_goes_on_where_the_file_ends(tmp_path, tiny_dataset):
    import_file(official_file(tmp_path, *official()), tmp_path / "steel")
    card = opened(tmp_path / "steel").card
    config = settings(card, start_from=str(tmp_path / "steel"))
    state = new_state(config)
    start(state, config, say=pytest.fail)
    assert (state.images_seen, state.ada.p) == (123_000, 0.25)
    kept = opened(tmp_path / "steel").network.state_dict()
    for network in (state.G, state.G_ema):
        assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(state.D.out.weight, discriminator(tmp_path / "steel", card.network).out.weight)
    out = run.train(tiny_dataset, tmp_path / "run", config, tensorboard=False, warn=pytest.fail)
    assert [line["images_seen"] for line in read_log(out)] == [123_008, 123_016]
    assert abs(read_log(out)[0]["p"] - 0.25) <= 0.08 + 1e-9
    assert not torch.equal(opened(out).network.synthesis.const, kept["synthesis.const"])


def test_a_run_that_would_be_over_before_it_begins_is_refused(tmp_path):
    import_file(official_file(tmp_path, *official()), tmp_path / "steel")
    config = settings(opened(tmp_path / "steel").card, start_from=str(tmp_path / "steel"), kimg=100)
    with pytest.raises(ConfigError, match=r"trained with 123 kimg, and this run is to stop at 100: give --kimg 223"):
        start(new_state(config), config, say=pytest.fail)
    import_file(official_file(tmp_path, *official()), tmp_path / "steel", kimg=0)
    state = new_state(config)
    start(state, config, say=pytest.fail)
    assert state.images_seen == 0


def test_conditional_and_bilinear_networks_learn_too(tmp_path):
    import_file(official_file(tmp_path, *official(classes=2)), tmp_path / "classes")
    import_file(lucidrains_file(tmp_path, lucidrains_state(torch.Generator().manual_seed(0))), tmp_path / "bilinear")
    for name in ("classes", "bilinear"):
        card = opened(tmp_path / name).card
        config = settings(card, start_from=str(tmp_path / name), kimg=200)
        state = new_state(config)
        start(state, config, say=lambda _: None)
        before = state.G.mapping.layers[0].weight.clone()
        _, condition, _ = latents(opened(tmp_path / name), 4)
        generator_step(state, condition, config, augment=lambda x, _: x, rng=torch.Generator().manual_seed(0))
        assert not torch.equal(before, state.G.mapping.layers[0].weight)


# The command


def test_from_the_command_line(tmp_path):
    path = official_file(tmp_path, *official(classes=2, clamp=256))
    arguments = ["import", str(path), "--out", str(tmp_path / "steel"), "--condition", "phase:a,b"]
    result = CliRunner().invoke(app, [*arguments, "--pixel-size-um", "0.2"])
    assert result.exit_code == 0, result.output
    assert "trained with 123 kimg" in result.output
    told = shlex.split(next(line for line in result.output.splitlines() if line.startswith("Train on with"))[15:])
    parse(told[1:])
    sets = [told[i + 1] for i, word in enumerate(told) if word == "--set"]
    network = resolve("auto", assignments(sets), size=32).network
    data = {"channels": 1, "condition_dim": 2}
    assert network.model_copy(update=data) == opened(tmp_path / "steel").card.network
    wrong = CliRunner().invoke(app, [*arguments, "--pixel-size-um", "0"])
    assert isinstance(wrong.exception, SorbyError)

import pytest

from sorby.augment import FAMILIES as AUGMENT_FAMILIES
from sorby.config import FAMILIES, TrainConfig, auto, check, from_toml, presets, resolve, to_toml
from sorby.errors import ConfigError


def test_paper_512_is_the_run_of_paper_a():
    config = resolve("paper-512")
    assert (config.kimg, config.r_t, config.augment) == (25000, 0.5, ("blit", "geom"))
    assert (config.batch_size, config.network.size, config.p) == (32, 512, None)
    assert (config.ada_interval, config.ada_kimg, config.luma_flip) == (4, 500, False)
    assert (config.r1_interval, config.path_length_interval) == (16, 4)


def test_paper_b_is_the_run_of_paper_b():
    """Jain et al. 2024, table 3 and supplement A.3; 800 epochs of about 1,200 patches."""
    config = resolve("paper-b")
    assert (config.optimiser, config.learning_rate, config.batch_size) == ("rmsprop", 0.0002, 128)
    assert (config.weight_clip, config.gradient_penalty, config.n_critic) == (0.009, 0, 4)
    assert (config.contrastive, config.contrastive_weight, config.temperature) == ("class", 1, 0.1)
    assert (config.network.size, config.network.z_dim, config.total_images) == (128, 128, 800 * 1200)


def test_nothing_is_also_a_name():
    config = resolve("paper-b", {"contrastive": None, "symmetry": None})  # as --set contrastive=none gives it
    assert (config.contrastive, config.symmetry) == ("none", "none")


@pytest.mark.parametrize(
    ("size", "gpus", "batch", "gamma", "base", "rate"),
    [
        (128, 1, 32, 0.0002 * 128**2 / 32, 16384, 0.0025),
        (256, 1, 16, 0.0002 * 256**2 / 16, 16384, 0.0025),
        (256, 8, 64, 0.0002 * 256**2 / 64, 16384, 0.0025),
        (512, 8, 64, 0.0002 * 512**2 / 64, 32768, 0.0025),
        (1024, 8, 32, 0.0002 * 1024**2 / 32, 32768, 0.002),
    ],
)
def test_auto_follows_the_published_rules(size, gpus, batch, gamma, base, rate):
    rules = auto(size, gpus=gpus)
    assert (rules["batch_size"], rules["learning_rate"]) == (batch, rate)
    assert rules["r1_gamma"] == pytest.approx(gamma)
    assert rules["network"]["channel_base"] == base
    assert rules["ema_kimg"] == pytest.approx(batch * 10 / 32)


@pytest.mark.parametrize("name", [*presets(), "auto"])
def test_every_preset_is_valid_and_survives_toml(name):
    config = resolve(name)
    assert from_toml(to_toml(config)) == config


def test_settings_that_are_none_survive_toml():
    config = TrainConfig(ema_rampup=None, p=0.0, subset=None)
    assert from_toml(to_toml(config)) == config


def test_changes_reach_the_network_and_leave_the_rest():
    config = resolve("laptop-64", {"network": {"z_dim": 32}, "kimg": 1})
    assert (config.network.z_dim, config.network.channel_max, config.kimg) == (32, 128, 1)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"'laptop-63'.*laptop-64"):
        resolve("laptop-63")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r_t": 2}, "r_t.*at most 1.*2"),
        ({"augment": ["blot"]}, "blot.*blit"),
        ({"network": {"size": 100}}, "100.*power of two"),
        ({"gama": 1}, "gama"),
        ({"batch_size": 64, "tick_kimg": 0.01}, "tick_kimg.*batch"),
        ({"kimg": "many"}, "kimg.*a number.*many"),
        ({"match_greys": "maybe"}, "match_greys: expected true or false .came: .maybe"),
        ({"network": {"size": 64.5}}, "network.size: expected a whole number .came: 64.5"),
        ({"network": "wide"}, "network: expected settings .*such as network.z_dim .came: .wide"),
        ({"kimg": "inf"}, "kimg.*finite"),
        ({"batch_size": 6}, "batch_size is 6.*minibatch_std_group, 4"),
        ({"n_critic": 4}, "n_critic is 4.*only contragan"),
        ({"network": {"normalisation": "layer"}}, "normalisation is layer.*only contragan"),
        ({"network": {"model": "contragan"}, "weight_clip": 0.01, "r1_gamma": 3}, "r1_gamma is 3.*only stylegan2"),
        ({"network": {"model": "contragan"}}, "weight_clip or by gradient_penalty"),
        ({"network": {"model": "contragan"}, "weight_clip": 1, "gradient_penalty": 1}, "one of the two"),
        ({"contrastive": "sometimes"}, "contrastive.*continuous.*sometimes"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        check(settings)
    assert "\n" not in str(error.value)


def test_the_settings_know_the_families_that_the_augmentation_has():
    assert set(FAMILIES) == set(AUGMENT_FAMILIES)


def test_every_setting_has_a_sentence():
    for model in (TrainConfig, TrainConfig.model_fields["network"].annotation):
        assert [name for name, field in model.model_fields.items() if not field.description] == []

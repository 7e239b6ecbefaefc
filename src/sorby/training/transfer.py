"""A start from a trained generator, and a discriminator of which some layers stay as they are.

Freeze-D (Mo, Cho & Shin 2020): the layers nearest to the picture see edges and textures, which alloys have in common.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from sorby.atomic import write_bytes
from sorby.config import TrainConfig
from sorby.errors import ConfigError, WeightsError
from sorby.generator import read_generator
from sorby.models.contragan import Critic
from sorby.models.stylegan2 import Discriminator
from sorby.training import checkpoint
from sorby.training.state import AnyDiscriminator, State
from sorby.training.tick import read_config
from sorby.untrusted import first_words

Say = Callable[[str], None]
START = "start.safetensors"
"""Beside an imported generator: all networks, and how far they were trained."""
OPTIONAL = ("condition", "contrast", "embed", "out.")
"""Parts that a network has for conditions alone: they begin anew where they do not fit."""


def start(state: State, config: TrainConfig, *, say: Say) -> None:
    """Give the networks the weights of the run, or of the generator, that the settings name.

    Of a run both networks and the moving average start, from its newest checkpoint; of a generator folder or a shipped
    one the generator alone, and the discriminator is new. Of an imported one that has a discriminator all networks
    start, with p and the count of images: its training goes on. Parts for conditions that the start does not have begin
    anew, and `say` tells so. Optimisers begin anew in any case, p and the count of images of a run as well.
    Raises `WeightsError` where there is no generator, `ConfigError` where it has other networks or was trained for
    longer than this run is to be.
    """
    source = Path(config.start_from)
    if (source / START).is_file():
        _go_on(state, source, config, say=say)
        return
    if (source / "config.toml").is_file() and (found := checkpoint.checkpoints(source / "checkpoint")):
        before = read_config(source)
        _check_same(source, before.network.model_dump(), config)
        if before.discriminator != config.discriminator:
            raise ConfigError(
                f"{source} trained with discriminator {before.discriminator}, and this run has {config.discriminator}: "
                f"add --set discriminator={before.discriminator}, or start from {source}/best, which is a generator."
            )
        _fill_all(state, _read(found[0]), source, say=say)
        return
    card, trained = read_generator(source)
    _check_same(source, card.network.model_dump(), config)
    for network in (state.G, state.G_ema):
        _fill(network, dict(trained.state_dict()), source, say=say)
    say(f"{source} has no discriminator: that of this run is new, and has to catch up with the generator.")


def write_start(path: Path, networks: Mapping[str, nn.Module], *, images_seen: int, p: float) -> None:
    """Write what `start` goes on from: the networks G, G_ema and D, the images that they have seen, and p."""
    tensors = {
        f"{name}.{key}": tensor.detach().clone().contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    numbers = {"images_seen": images_seen, "p": p}
    write_bytes(path, save_tensors(tensors, metadata={"sorby": json.dumps(numbers)}))


def _go_on(state: State, source: Path, config: TrainConfig, *, say: Say) -> None:
    """Take over all that an import has of a training."""
    card, _ = read_generator(source)
    _check_same(source, card.network.model_dump(), config)
    if config.discriminator != "stylegan2":
        raise ConfigError(
            f"{source} has a discriminator of StyleGAN2, and this run has {config.discriminator}: add "
            "--set discriminator=stylegan2."
        )
    try:
        with safe_open(source / START, framework="pt") as file:
            numbers = json.loads(file.metadata()["sorby"])
        tensors = _read(source / START)
        images_seen, p = int(numbers["images_seen"]), float(numbers["p"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{source / START} cannot be read ({first_words(error)}): import the file again.") from None
    if images_seen >= config.total_images:
        seen = images_seen / 1000
        raise ConfigError(
            f"{source} was trained with {seen:g} kimg, and this run is to stop at {config.kimg:g}: give --kimg "
            f"{seen + config.kimg:g} to go on, or import with --kimg 0 to count anew."
        )
    _fill_all(state, tensors, source, say=say)
    state.images_seen = images_seen
    state.ada = replace(state.ada, p=p if config.p is None else config.p)


def freeze(D: AnyDiscriminator, blocks: int) -> None:
    """Hold the `blocks` nearest to the picture, each of which halves its side; the first with what reads the picture.

    The official StyleGAN2-ADA counts layers: its 10 are the first three blocks. Raises `ConfigError` for more blocks
    than there are, and for a discriminator on pretrained features, whose feature network never learns.
    """
    if not blocks:
        return
    for layer in _blocks(D, blocks):
        layer.requires_grad_(False)


def _blocks(D: AnyDiscriminator, num: int) -> list[nn.Module]:
    if isinstance(D, Discriminator):
        found = [nn.ModuleList([D.from_grey, D.blocks[0]]), *list(D.blocks)[1:]]
    elif isinstance(D, Critic):
        layers = list(D.before_plane)
        starts = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        found = [nn.ModuleList(layers[a:b]) for a, b in zip(starts, [*starts[1:], len(layers)], strict=True)]
    else:
        raise ConfigError(
            "freeze_d has no meaning for discriminator = projected, whose features never learn: leave it out."
        )
    if num > len(found):
        raise ConfigError(f"freeze_d is {num}, and the discriminator has {len(found)} blocks: choose fewer.")
    return found[:num]


def _check_same(source: Path, before: dict[str, object], config: TrainConfig) -> None:
    """Raise `ConfigError` where other settings than those of the conditions differ, naming all of them."""
    now = config.network.model_dump()
    differing = [name for name in now if name != "condition_dim" and before.get(name) != now[name]]
    if differing:
        told = "; ".join(f"{name} is {before.get(name)}, of this run {now[name]}" for name in differing)
        values = {name: "none" if before.get(name) is None else before[name] for name in differing}
        settings = " ".join(f"--set network.{name}={value}" for name, value in values.items())
        raise ConfigError(f"{source} has other networks ({told}): train with {settings}.")


def _fill(network: nn.Module, tensors: dict[str, Tensor], source: Path, *, say: Say) -> None:
    """Take over what fits; conditions may differ, nothing else. Raises `WeightsError`."""
    own = network.state_dict()
    new = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
    strange = [name for name in new if not any(part in name for part in OPTIONAL)]
    if strange:
        raise WeightsError(f"{source} does not fit this run at {strange[0]}: train with the settings that it had.")
    network.load_state_dict({name: own[name] if name in new else tensors[name] for name in own})
    if new:
        parts = ", ".join(sorted({name.rpartition(".")[0] for name in new}))
        say(f"{source} knows other conditions: {parts} begin anew.")


def _fill_all(state: State, tensors: dict[str, Tensor], source: Path, *, say: Say) -> None:
    networks: dict[str, nn.Module] = {"G": state.G, "G_ema": state.G_ema, "D": state.D}
    for name, network in networks.items():
        _fill(network, _under(name, tensors), source, say=say)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return checkpoint.read(path)[0]
    except checkpoint.DAMAGED as error:
        raise WeightsError(f"{path} cannot be read ({first_words(error)}): copy the run again.") from None


def _under(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}

"""All that a checkpoint holds: networks, optimisers, and the few numbers that training adapts."""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sorby.augment.controller import AdaState
from sorby.config import TrainConfig
from sorby.errors import WeightsError
from sorby.metrics.efficientnet import EfficientNetLite0, Stages
from sorby.metrics.features import load_network
from sorby.models.build import AnyGenerator, generator_network
from sorby.models.contragan import Critic
from sorby.models.place import place
from sorby.models.projected import ProjectedDiscriminator
from sorby.models.stylegan2 import Discriminator
from sorby.models.weights import check_weights
from sorby.seeds import rng_for

ADAM_BETA2 = 0.99

AnyDiscriminator = Discriminator | ProjectedDiscriminator | Critic


@dataclass
class State:
    """A run between two steps. Random numbers follow from the seed and `images_seen`, so none are kept here."""

    G: AnyGenerator
    D: AnyDiscriminator
    G_ema: AnyGenerator
    opt_G: torch.optim.Optimizer
    opt_D: torch.optim.Optimizer
    path_length_mean: Tensor
    ada: AdaState
    images_seen: int = 0
    best: dict[str, float] = field(default_factory=dict)
    """Scores of the best generator so far; empty before the first."""

    @property
    def device(self) -> torch.device:
        """Where the run lives."""
        return self.path_length_mean.device


def new_state(config: TrainConfig, *, device: torch.device | str = "cpu") -> State:
    """The start of a run; the weights follow from `config.seed`.

    Raises `WeightsError` where the discriminator needs a pretrained network that is not on this machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng_for(config.seed, "weights").initial_seed())
        G, D = generator_network(config.network), discriminator(config)
    G, D = place(G, device), place(D, device)
    G_ema = copy.deepcopy(G).eval().requires_grad_(False)
    lazy = config.network.model == "stylegan2"  # its regularisers are steps of their own
    return State(
        G=G,
        D=D,
        G_ema=G_ema,
        opt_G=_optimiser(
            G,
            config,
            learning_rate=config.learning_rate,
            beta1=config.beta1,
            lazy_interval=config.path_length_interval if lazy and config.path_length_weight else None,
        ),
        opt_D=_optimiser(
            D,
            config,
            learning_rate=_or(config.discriminator_learning_rate, config.learning_rate),
            beta1=_or(config.discriminator_beta1, config.beta1),
            lazy_interval=config.r1_interval if lazy and config.r1_gamma else None,
        ),
        path_length_mean=torch.zeros((), device=device),
        ada=AdaState(p=config.p or 0.0),
    )


def discriminator(config: TrainConfig) -> AnyDiscriminator:
    """The discriminator that the settings name, with new weights; it gives vectors where they are contrasted."""
    contrastive = config.contrastive != "none"
    if config.network.model == "contragan":
        return Critic(config.network, contrastive=contrastive)
    if config.discriminator == "stylegan2":
        return Discriminator(config.network, contrastive=contrastive)
    try:
        folded = load_network("efficientnet-lite0").module
    except WeightsError as error:
        raise WeightsError(f"{error} Or train without: --set discriminator=stylegan2 --gamma 0.4.") from error
    assert isinstance(folded, EfficientNetLite0)
    return ProjectedDiscriminator(
        config.network, Stages(folded), channels=Stages.CHANNELS, stds=Stages.STDS, contrastive=contrastive
    )


def tensors_of(state: State) -> dict[str, Tensor]:
    """Every tensor of the run by name, `G.mapping...` or `opt_G.12.exp_avg`."""
    tensors = {"path_length_mean": state.path_length_mean}
    for name, network in _networks(state).items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in _optimisers(state).items():
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{key}": value for key, value in moments.items()}
    return tensors


def fill(state: State, tensors: dict[str, Tensor]) -> None:
    """Put the tensors of `tensors_of` back.

    Raises `WeightsError` where those of a network do not fit it, `KeyError` or `RuntimeError` where others do not.
    """
    state.path_length_mean.copy_(tensors["path_length_mean"])
    for name, network in _networks(state).items():
        weights = _under(name, tensors)
        check_weights(network, weights, name, unfit="damaged, or of another version of Sorby")
        network.load_state_dict(weights)
    for name, optimiser in _optimisers(state).items():
        _fill_optimiser(optimiser, _under(name, tensors))


def _optimiser(
    network: nn.Module, config: TrainConfig, *, learning_rate: float, beta1: float, lazy_interval: int | None
) -> torch.optim.Optimizer:
    """RMSProp; or Adam, slowed for the extra step of a lazy regulariser (Karras et al. 2020a, appendix B)."""
    if config.optimiser == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=learning_rate)
    ratio = 1.0 if lazy_interval is None else lazy_interval / (lazy_interval + 1)
    betas = (beta1**ratio, ADAM_BETA2**ratio)
    return torch.optim.Adam(network.parameters(), lr=learning_rate * ratio, betas=betas, eps=1e-8, fused=True)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _fill_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    weights = optimiser.param_groups[0]["params"]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, moment = key.split(".")
        # A fused optimiser walks through memory: moments must lie in the order of their weights, not merely equal them.
        like = weights[int(index)] if value.ndim else value
        moments.setdefault(int(index), {})[moment] = torch.empty_like(like, device="cpu").copy_(value)
    whole: dict[str, Any] = optimiser.state_dict()
    optimiser.load_state_dict({**whole, "state": moments})


def _networks(state: State) -> dict[str, nn.Module]:
    return {"G": state.G, "D": state.D, "G_ema": state.G_ema}


def _optimisers(state: State) -> dict[str, torch.optim.Optimizer]:
    return {"opt_G": state.opt_G, "opt_D": state.opt_D}


def _under(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}

"""The training loop: step, adapt the augmentation, average the weights, tick."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sorby.augment import Augment
from sorby.augment.controller import AdaState, observe
from sorby.config import TrainConfig
from sorby.models import ema
from sorby.models.place import upload
from sorby.seeds import Rows, rng_for
from sorby.team import Team
from sorby.training import contragan, stylegan2
from sorby.training.batches import Batches
from sorby.training.share import share_of
from sorby.training.state import State
from sorby.training.steps import Batch, Scalars

OnTick = Callable[[State, dict[str, float]], None]
OnStep = Callable[[State], None]
MODELS = {"stylegan2": stylegan2, "contragan": contragan}


def train(
    state: State,
    batches: Batches,
    config: TrainConfig,
    *,
    augment: Augment,
    on_tick: OnTick,
    on_step: OnStep,
    team: Team | None = None,
    accumulate: int = 1,
) -> None:
    """Train until `config.total_images` real images have been shown.

    `on_tick` gets the scalars averaged since the last tick, every `config.tick_images` and at the end.
    """
    team = team or Team()
    averages = Averages()
    while state.images_seen < config.total_images:
        averages.add(step(state, batches, config, augment, team=team, accumulate=accumulate))
        finished = state.images_seen >= config.total_images
        if finished or crossed(state.images_seen, config.batch_size, every=config.tick_images):
            on_tick(state, averages.take(team))
        on_step(state)


def step(
    state: State,
    batches: Batches,
    config: TrainConfig,
    augment: Augment,
    *,
    team: Team | None = None,
    accumulate: int = 1,
) -> Scalars:
    """One batch: the networks, as their model has it, then the augmentation probability and the average.

    Each process of the `team` does its share of it, in `accumulate` parts; scalars are what that adds to the batch's.
    """
    number = state.images_seen // config.batch_size
    rng = rng_for(config.seed, "step", number, device=state.device)
    # What is decided on the CPU, such as which image is augmented how, makes no GPU wait.
    host_rng = rng_for(config.seed, "conditions and augmentation", number)
    share = share_of(config, team=team or Team(), accumulate=accumulate, rngs=(rng, host_rng))
    num = share.rows.of
    real, condition = batches.at(state.images_seen, device=state.device, part=share.rows)
    asked, asked_again = (upload(batches.draw_conditions(num, rng=host_rng), state.device) for _ in range(2))

    def augmented(images: Tensor, rows: Rows) -> Tensor:
        return augment(images, p=state.ada.p, rng=host_rng, rows=rows)

    batch = Batch(number, real, condition, (asked, asked_again))
    steps = MODELS[config.network.model]
    scalars, real_scores = steps.step(state, batch, config, augment=augmented, rng=rng, share=share)

    state.images_seen += num
    beta = ema.decay(num, state.images_seen, half_life_images=config.ema_kimg * 1000, rampup=config.ema_rampup)
    ema.update(state.G_ema, state.G, beta)
    state.ada = adapted(state.ada, share.gathered(real_scores), config)
    return scalars


def adapted(ada: AdaState, real_scores: Float[Tensor, "n s"], config: TrainConfig) -> AdaState:
    """The augmentation after one more batch; a fixed p stays."""
    ada = observe(ada, real_scores, target=config.r_t, interval=config.ada_interval, ada_kimg=config.ada_kimg)
    return ada if config.p is None else replace(ada, p=config.p)


def crossed(images_seen: int, batch_size: int, *, every: int) -> bool:
    """Whether the last batch passed a multiple of `every`."""
    return images_seen // every > (images_seen - batch_size) // every


class Averages:
    """Means of scalars over the steps since the last tick; tensors are read only when taken."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, scalars: Scalars) -> None:
        """Add one step."""
        for name, value in scalars.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] += 1

    def take(self, team: Team) -> dict[str, float]:
        """The means of whole batches, and begin anew."""
        totals = team.sum(torch.stack(list(self._sums.values()))) if team.size > 1 else self._sums.values()
        means = {name: float(total) / self._counts[name] for name, total in zip(self._sums, totals, strict=True)}
        self.__init__()  # type: ignore[misc]
        return means

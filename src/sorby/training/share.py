"""What one process does of a batch: some of its rows, in one part or in several, and how all comes together.

The rule of every step: what a part gives - a loss, its gradient, a scalar - is what its rows add to that of the whole
batch, so that parts and processes are summed. N processes then do what one would do with the same batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.config import TrainConfig
from sorby.errors import ConfigError
from sorby.seeds import Rows
from sorby.team import Team


@dataclass(frozen=True)
class Share:
    """Rows of a batch, for one step."""

    rows: Rows
    """What this process computes ..."""
    num_parts: int = 1
    """... in so many parts, one after another: gradient accumulation."""
    group: int = 1
    """Neighbours in the batch that stay together, since they share a minibatch standard deviation."""
    team: Team = field(default_factory=Team)
    rngs: tuple[torch.Generator, ...] = ()
    """Chance of the step: each part draws what the first one drew, for the whole batch."""

    @classmethod
    def whole(cls, num: int) -> "Share":
        """All of a batch at once, by one process."""
        return cls(Rows.whole(num))

    def of(self, num: int) -> "Share":
        """The share of another batch in this step, of images that nothing keeps together."""
        rows = dealt(num, among=self.team.size, to=self.team.rank)
        return Share(rows, self.num_parts, team=self.team, rngs=self.rngs)

    def parts(self, *networks: nn.Module) -> Iterator[Rows]:
        """Rows to compute at once; each part finds the random numbers and the buffers of `networks` as the first did.

        A buffer such as that of spectral normalisation moves with each use of its network: once a step, not a part.
        """
        if self.num_parts == 1:
            yield self.rows
            return
        chance = [rng.get_state() for rng in self.rngs]
        buffers = [buffer for network in networks for buffer in network.buffers()]
        kept = [buffer.clone() for buffer in buffers]
        for part in range(self.num_parts):
            if part:
                for rng, before in zip(self.rngs, chance, strict=True):
                    rng.set_state(before)
                for buffer, before in zip(buffers, kept, strict=True):
                    buffer.copy_(before)
            rows = dealt(self.rows.num, group=self.group, among=self.num_parts, to=part)
            yield Rows(self.rows.start + rows.start, self.rows.start + rows.stop, self.rows.of)

    def mine(self, rows: Rows, values: Tensor) -> Tensor:
        """A part of what this process has for its rows."""
        return values[rows.start - self.rows.start : rows.stop - self.rows.start]

    def sum(self, tensor: Tensor) -> Tensor:
        """Over all processes."""
        return self.team.sum(tensor)

    def sum_gradients(self, optimiser: torch.optim.Optimizer, *more: Tensor) -> None:
        """Put those of the whole batch in the place of each process's own, and sum `more` with them in one go."""
        if self.team.size == 1:
            return
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        tensors = [*(weight.grad for weight in weights if weight.grad is not None), *more]
        flat = self.team.sum(torch.cat([tensor.flatten() for tensor in tensors]))
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    def gathered(self, own: Float[Tensor, "m *k"]) -> Float[Tensor, "n *k"]:
        """That of the whole batch from each process's; the gradient flows to the own rows.

        A loss of the whole batch that all processes compute so has the right gradient when theirs are summed.
        """
        if self.team.size == 1:
            return own
        whole = own.new_zeros(self.rows.of, *own.shape[1:])
        places = slice(self.rows.start, self.rows.stop)
        whole[places] = own.detach()
        whole = self.team.sum(whole)
        return torch.cat([whole[: places.start], own, whole[places.stop :]])


def add(sums: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    """Add what one more part gave."""
    for name, value in more.items():
        sums[name] = sums[name] + value if name in sums else value


def dealt(num: int, *, group: int = 1, among: int, to: int) -> Rows:
    """Rows of a batch dealt out evenly in whole groups, in order.

    >>> [dealt(12, group=4, among=2, to=process)[:2] for process in (0, 1)]
    [(0, 4), (4, 12)]
    """
    groups = num // group
    return Rows(group * (groups * to // among), group * (groups * (to + 1) // among), num)


def share_of(config: TrainConfig, *, team: Team, accumulate: int = 1, rngs: Iterable[torch.Generator] = ()) -> Share:
    """What this process does of each batch of a run."""
    group = group_of(config)
    rows = dealt(config.batch_size, group=group, among=team.size, to=team.rank)
    return Share(rows, accumulate, group, team, tuple(rngs))


def group_of(config: TrainConfig) -> int:
    """Neighbours that stay together."""
    return config.network.minibatch_std_group if config.network.model == "stylegan2" else 1


def check_shares(config: TrainConfig, team: Team, accumulate: int) -> None:
    """Raise `ConfigError` where a batch cannot be shared out so that the result stays that of one process."""
    if accumulate > 1 and config.contrastive != "none":
        raise ConfigError(
            f"--accumulate {accumulate}: the contrastive loss compares all images of a batch, which then are not there "
            "at once: leave it out, or use more --devices."
        )
    if accumulate > 1 and config.network.model == "contragan" and config.network.normalisation == "batch":
        raise ConfigError(
            f"--accumulate {accumulate}: batch normalisation is over all images of a batch, which then are not there "
            "at once: leave it out, use more --devices, or --set network.normalisation=layer."
        )
    group = group_of(config)
    groups = config.batch_size // group
    if config.network.model == "stylegan2" and config.path_length_weight:
        groups = min(groups, config.batch_size // 2)
    wanted = team.size * accumulate
    if wanted > groups:
        of = f"in groups of {group} " if group > 1 else ""
        raise ConfigError(
            f"A batch of {config.batch_size} {of}can be shared out into {groups} parts at most, but {team.size} "
            f"processes with --accumulate {accumulate} need {wanted}: choose fewer, or a larger --batch."
        )

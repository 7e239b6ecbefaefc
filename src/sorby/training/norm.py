"""Batch normalisation over the batch of all processes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.team import Team


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy 2015) of a batch that lies on several processes, also on a CPU.

    PyTorch's SyncBatchNorm does the same on GPUs alone, and without a second derivative.
    """

    team: Team

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([x.numel() / x.shape[1]])
        *sums, count = self.team.sum_with_gradient(torch.cat([values.sum((0, 2, 3)), count])).split([x.shape[1], 1])
        mean = sums[0] / count
        centred = values - mean[:, None, None]
        # The squares of what is centred, and not those of the values: a difference of large sums would lose digits.
        variance = self.team.sum_with_gradient(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
        """Move the running values, which the generator draws with, as `BatchNorm2d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance, self.momentum or 0.0)
        self.num_batches_tracked.add_(1)


def share_norms(network: nn.Module, team: Team) -> None:
    """Make the batch normalisation of a network one over all processes; its weights stay the same objects."""
    if team.size == 1:
        return
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            shared = SharedBatchNorm(module.num_features, eps=module.eps, momentum=module.momentum)
            shared.weight, shared.bias = module.weight, module.bias
            shared.running_mean, shared.running_var = module.running_mean, module.running_var
            shared.num_batches_tracked = module.num_batches_tracked
            shared.team = team
            network.set_submodule(name, shared)

"""The processes that train one run together, one a device. Most runs have one, which has nobody to agree with.

Lightning Fabric starts them, or finds those that `torchrun` has started. Numbers are summed by PyTorch itself: Fabric
would wait for all devices before each sum.
"""

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor

from sorby.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
PATIENCE = timedelta(hours=1)
"""How long a process waits for the others, as while the first one scores; that one has ended is mostly seen at once."""
AGAIN = "the same command again goes on from the last tick"


class LostError(TrainingError):
    """Another process of the team has failed, and has said why."""


class Team:
    """A process alone."""

    rank = 0
    size = 1

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, the same in each to the bit; the tensor may be overwritten."""
        return tensor

    def sum_with_gradient(self, tensor: Tensor) -> Tensor:
        """The same, for a loss that is itself summed over the processes."""
        return tensor

    def all(self, value: T) -> list[T]:
        """What each process has, in their order."""
        return [value]

    def wait(self) -> None:
        """Until all have come this far."""
        self.all(None)

    def first(self, do: Callable[[], T]) -> T:
        """Do something in the first process alone; all get the result, or fail with it, and wait until it is done."""
        return do()


class Processes(Team):
    """Several processes, brought together by Fabric."""

    def __init__(self, fabric: "Fabric") -> None:
        super().__init__(fabric.device)
        self.fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size

    def sum(self, tensor: Tensor) -> Tensor:
        self._together(lambda: torch.distributed.all_reduce(tensor))
        return tensor

    def sum_with_gradient(self, tensor: Tensor) -> Tensor:
        return _Sum.apply(tensor, self)

    def all(self, value: T) -> list[T]:
        values: list[T | None] = [None] * self.size
        self._together(lambda: torch.distributed.all_gather_object(values, value))
        return cast(list[T], values)

    def first(self, do: Callable[[], T]) -> T:
        result: T | None = None
        error: Exception | None = None
        if self.is_first:
            try:
                result = do()
            except Exception as raised:
                error = raised
        result, failed = self._together(lambda: self.fabric.broadcast((result, error is not None)))
        if error is not None:
            raise error
        if failed:
            raise LostError("The first process has failed, and says why: look at its lines.")
        return cast(T, result)

    def _together(self, talk: Callable[[], T]) -> T:
        try:
            return talk()
        except RuntimeError as error:
            raise LostError(f"Another process has ended, or cannot be reached ({_short(error)}): {AGAIN}.") from error


class _Sum(torch.autograd.Function):
    """A sum over processes whose gradient is that sum of theirs, as often as it is taken."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, team: Team) -> Tensor:
        ctx.team = team
        return team.sum(tensor.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradients[0], ctx.team), None


def started_by_torchrun() -> bool:
    """Whether this is one of the processes of `torchrun`."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def together(device: str, devices: int | None = None) -> Team:
    """The team that this process belongs to: `devices` processes on as many devices, from `device` on.

    `device` names the first: `cuda:2` with four devices takes the GPUs 2 to 5; of a CPU each process takes its share of
    the cores. Starts the other processes by running the same command again; under `torchrun` all are there already, on
    one node or several, and `devices` are those of a node. Alone where neither asks for more.
    Raises `ConfigError` where there are not as many devices, or the extra `parallel` is not installed.
    """
    launched = started_by_torchrun()
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if launched else devices or 1
    if launched and devices not in (None, here):
        raise ConfigError(f"--devices is {devices}, but torchrun started {here} processes a node: leave --devices out.")
    nodes = int(os.environ["WORLD_SIZE"]) // here if launched else 1
    if here * nodes == 1:
        return Team(device)
    kind, _, first = device.partition(":")
    _check_devices(kind, int(first or 0), here)
    return Processes(_fabric(kind, int(first or 0), here, nodes))


def _check_devices(kind: str, first: int, num: int) -> None:
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"--devices {num}: {kind} is one device; choose cpu or cuda for several.")
    if kind == "cuda" and first + num > (there := torch.cuda.device_count()):
        raise ConfigError(
            f"--devices {num} from cuda:{first} on asks for cuda:{first + num - 1}, but the GPUs here are cuda:0 to "
            f"cuda:{there - 1}: choose fewer, or another first one."
        )


def _fabric(kind: str, first: int, num: int, nodes: int) -> "Fabric":
    """The processes, connected."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError:
        raise ConfigError(
            "Several devices need Lightning Fabric: pip install 'sorby[parallel]', or leave --devices out."
        ) from None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    environment = TorchElasticEnvironment() if started_by_torchrun() else LightningEnvironment()
    if "LOCAL_RANK" in os.environ and not started_by_torchrun():
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    fabric: Fabric = Fabric(
        accelerator=kind,
        devices=num if kind == "cpu" else list(range(first, first + num)),
        num_nodes=nodes,
        strategy=DDPStrategy(cluster_environment=environment, timeout=PATIENCE),
    )
    try:
        fabric.launch()
    except RuntimeError as error:
        raise LostError(f"The processes do not find each other ({_short(error)}): {AGAIN}.") from error
    if kind == "cpu":  # of GPUs Fabric does it; threads of a connection left open abort the process at its end
        atexit.register(torch.distributed.destroy_process_group)
    return fabric


def _short(error: Exception) -> str:
    """What PyTorch says, without where in its code and what to do about it."""
    line = (str(error).splitlines() or ["no reason given"])[0]
    return re.sub(r"^\[[^]]*\] *", "", line).partition(". ")[0].rstrip(".")


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: on a GPU it would wait for it for an hour."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

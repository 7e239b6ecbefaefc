"""Where networks and images live, in which order weights lie, and how precisely they are used."""

import platform
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)
CPUINFO = Path("/proc/cpuinfo")
"""What Linux says of the processor."""


def place(network: N, device: torch.device | str) -> N:
    """Move a network to a device, channels last: the layout in which convolutions are fastest."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def upload(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Send to a device; a CUDA device fetches it from pinned memory while the program goes on.

    Others are waited for: what is not pinned may be freed before it has arrived.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def name_of(dtype: torch.dtype) -> str:
    """A precision as the settings call it.

    >>> name_of(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")


def fastest_dtype(device: torch.device | str) -> torch.dtype:
    """The precision in which convolutions are fastest, bfloat16 or float32, by what the device is, without timing it.

    A processor without instructions for bfloat16 imitates it, many times slower than float32. With AVX512-BF16 alone,
    those of Intel do half as much in bfloat16, those of AMD two to four times as much (docs/performance.md).
    """
    kind = torch.device(device).type
    if kind == "cuda":
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif kind == "cpu":
        bfloat16 = has_amx() or (_has("avx512_bf16") and not _is_of_intel())
    else:
        bfloat16 = False
    return torch.bfloat16 if bfloat16 else torch.float32


def has_amx() -> bool:
    """Whether this processor multiplies matrices, in bfloat16, by instructions of its own."""
    return _has("amx_tile")


def _has(instructions: str) -> bool:
    return getattr(torch.cpu, f"_is_{instructions}_supported", lambda: False)()  # private names: one may be gone


def _is_of_intel() -> bool:
    return "GenuineIntel" in (CPUINFO.read_text() if CPUINFO.is_file() else platform.processor())

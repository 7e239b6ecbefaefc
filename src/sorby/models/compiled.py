"""Synthesis compiled by OpenVINO, where it is installed: the fastest way to draw in bfloat16 on a processor.

In float32 it is no faster than PyTorch, so there PyTorch draws. What OpenVINO draws is the same to the bit whatever is
drawn beside it, and in any number of threads.
"""

import copy
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.errors import ConfigError
from sorby.models.build import AnyGenerator
from sorby.models.place import name_of


@cache
def openvino_version() -> str | None:
    """None where it is not installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def is_compiled(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Whether pictures are drawn with OpenVINO: on a processor, in bfloat16, where it is installed."""
    return torch.device(device).type == "cpu" and dtype == torch.bfloat16 and openvino_version() is not None


def how_drawn(device: torch.device | str, dtype: torch.dtype) -> str:
    """The precision of pictures, and OpenVINO with its version where it draws them.

    >>> how_drawn("cpu", torch.float32)
    'float32'
    """
    return name_of(dtype) + (f", OpenVINO {openvino_version()}" if is_compiled(device, dtype) else "")


class CompiledSynthesis:
    """What `network.synthesis` computes, its convolutions in bfloat16, of any number of pictures.

    `ws` and `noise` of some pictures are what it is traced with, in about half a second for 64 px. Raises `ConfigError`
    where OpenVINO cannot do it.
    """

    def __init__(self, network: AnyGenerator, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]) -> None:
        self._lock = threading.Lock()
        try:
            self._model = _compiled(network, [ws, *noise])
        except (ImportError, AttributeError, TypeError, RuntimeError) as error:
            reason = str(error).strip().rpartition("\n")[2]  # the lines before name its source files
            raise ConfigError(
                f"OpenVINO {openvino_version()} cannot draw with this generator ({reason}): "
                "uninstall it (pip uninstall openvino), and PyTorch draws."
            ) from error

    def __call__(self, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]) -> Float[Tensor, "n c h w"]:
        """Pictures of -1 to 1; one call at a time, whatever the thread."""
        with self._lock:
            (pictures,) = self._model([given.numpy() for given in (ws, *noise)]).values()
        return torch.from_numpy(pictures)


class _Synthesis(nn.Module):
    def __init__(self, network: AnyGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, ws: Tensor, *noise: Tensor) -> Tensor:
        return self.network.synthesis(ws, noise)


def _compiled(network: AnyGenerator, inputs: Sequence[Tensor]) -> Any:
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    exact = copy.deepcopy(network)
    exact.freeze(torch.float32)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a traced network does not branch, and that tracing grows old
        example = tuple(given.clone() for given in inputs)
        traced = torch.jit.freeze(torch.jit.trace(_Synthesis(exact).eval(), example, check_trace=False))
        # Not `convert_model`, which tells its makers of each use.
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for parameter, given in zip(model.get_parameters(), example, strict=True):
        parameter.set_element_type(openvino.Type.f32)
        parameter.set_partial_shape(openvino.PartialShape([-1, *given.shape[1:]]))
    model.validate_nodes_and_infer_types()
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino.Core().compile_model(model, "CPU", hints)

"""Synthesis compiled by OpenVINO, where it is installed: the fastest way to draw on a processor with AMX.

On others, and of many pictures in float32, PyTorch is faster, and draws (docs/performance.md). What OpenVINO draws is
the same to the bit whatever is drawn beside it, and in any number of threads.
"""

import copy
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby.errors import ConfigError
from sorby.models import contragan
from sorby.models.build import AnyGenerator, AnySynthesis
from sorby.models.place import has_amx, name_of


@cache
def openvino_version() -> str | None:
    """None where it is not installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def is_compiled(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Whether pictures are drawn with OpenVINO: in bfloat16 on a processor with AMX, where it is installed."""
    fits = torch.device(device).type == "cpu" and dtype == torch.bfloat16 and has_amx()
    return fits and openvino_version() is not None


def how_drawn(device: torch.device | str, dtype: torch.dtype) -> str:
    """The precision of pictures, and OpenVINO with its version where it draws them.

    >>> how_drawn("cpu", torch.float32)
    'float32'
    """
    return name_of(dtype) + (f", OpenVINO {openvino_version()}" if is_compiled(device, dtype) else "")


class CompiledSynthesis:
    """What `network.synthesis` computes, in bfloat16, of any number of pictures.

    `ws` and `noise` of some pictures are what it is traced with, in about a second for 64 px. Coarse layers
    (`CoarseToFine`) are a model of their own, in float32, since OpenVINO takes one precision a model. Raises
    `ConfigError` where OpenVINO cannot do it.
    """

    def __init__(self, network: AnyGenerator, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]) -> None:
        self._lock = threading.Lock()
        exact = copy.deepcopy(network)
        exact.freeze(torch.float32)
        self._begin, self._coarse_noise = None, 0
        try:
            with torch.inference_mode(False), torch.no_grad():
                self._compile(exact.synthesis, ws.clone(), [layer.clone() for layer in noise])
        except (ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).strip().rpartition("\n")[2]  # the lines before name its source files
            raise ConfigError(
                f"OpenVINO {openvino_version()} cannot draw with this generator ({reason}): "
                "uninstall it (pip uninstall openvino), and PyTorch draws."
            ) from error

    def __call__(self, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]) -> Float[Tensor, "n c h w"]:
        """Pictures of -1 to 1; one call at a time, whatever the thread."""
        styles, layers = ws.numpy(), [layer.numpy() for layer in noise]
        coarse, fine = layers[: self._coarse_noise], layers[self._coarse_noise :]
        with self._lock:
            begun: Iterable[Any] = [] if self._begin is None else self._begin([styles, *coarse]).values()
            (pictures,) = self._finish([*begun, styles, *fine]).values()
        return torch.from_numpy(pictures)

    def _compile(self, synthesis: AnySynthesis, ws: Tensor, noise: Sequence[Tensor]) -> None:
        if isinstance(synthesis, contragan.Synthesis):
            self._finish = _compiled(synthesis, lambda ws: synthesis(ws, []), [ws], "bf16")
            return
        self._coarse_noise = synthesis.coarse_noise
        coarse, fine = noise[: self._coarse_noise], noise[self._coarse_noise :]
        begun = synthesis.begin(ws, coarse)
        self._begin = _compiled(synthesis, lambda ws, *noise: synthesis.begin(ws, noise), [ws, *coarse], "f32")
        self._finish = _compiled(
            synthesis,
            lambda x, picture, ws, *noise: synthesis.finish(x, picture, ws, noise),
            [*begun, ws, *fine],
            "bf16",
        )


class _Traceable(nn.Module):
    """A function as a module that owns the weights it uses."""

    def __init__(self, weights: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.weights, self.function = weights, function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def _compiled(weights: nn.Module, function: Callable[..., Any], inputs: Sequence[Tensor], precision: str) -> Any:
    """`function` of `inputs`, of any number of pictures, as a model of OpenVINO."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = tuple(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a traced network does not branch, and that tracing grows old
        traced = torch.jit.freeze(torch.jit.trace(_Traceable(weights, function).eval(), example, check_trace=False))
        # Not `convert_model`, which tells its makers of each use.
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for parameter, given in zip(model.get_parameters(), example, strict=True):
        parameter.set_element_type(openvino.Type.f32)
        parameter.set_partial_shape(openvino.PartialShape([-1, *given.shape[1:]]))
    model.validate_nodes_and_infer_types()
    hints = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino.Core().compile_model(model, "CPU", hints)

"""Convolutions whose derivatives, of any order, are computed by the kernels made for them.

The sum over `convolve(x, weight) * y` is linear in `x`, in `weight` and in `y`. Its derivatives are a transposed
convolution of `y`, the correlation of `x` and `y`, which has the shape of the weight, and the convolution; those of
these are the same three. PyTorch computes its second derivatives otherwise: the correlation as a convolution with
kernels as large as the pictures, in up to ten times the time (docs/trials.md).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class DifferentiatedTwice(TorchFunctionMode):
    """Within it `torch.nn.functional.conv2d` is `convolve`, where it can be: for networks whose gradient is in a loss.

    Elsewhere PyTorch's own is faster, by the tenth of a millisecond a layer that functions written in Python take.
    """

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return (_conv2d if function is F.conv2d else function)(*args, **(kwargs or {}))


def convolve(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "d c k l"],
    bias: Float[Tensor, " d"] | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> Float[Tensor, "n d _ _"]:
    """What `torch.nn.functional.conv2d` gives."""
    how = How(_pair(stride), _pair(padding))
    sides = zip(x.shape[2:], weight.shape[2:], how.stride, how.padding, strict=True)
    shape = (x.shape[0], weight.shape[0], *((side + 2 * pad - k) // step + 1 for side, k, step, pad in sides))
    return _convolve(x, weight, bias, shape, how)


def convolve_transposed(
    x: Float[Tensor, "n d h w"], weight: Float[Tensor, "d c k l"], *, stride: int
) -> Float[Tensor, "n c _ _"]:
    """What `torch.nn.functional.conv_transpose2d` gives."""
    if not torch.is_grad_enabled():  # so that a traced generator has an operation that ONNX and OpenVINO know
        return F.conv_transpose2d(x, weight, stride=stride)
    sides = zip(x.shape[2:], weight.shape[2:], strict=True)
    shape = (x.shape[0], weight.shape[1], *((side - 1) * stride + k for side, k in sides))
    return _convolve(x, weight, None, shape, How(_pair(stride), (0, 0), is_transposed=True))


class How(NamedTuple):
    """How a kernel goes over a picture."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    is_transposed: bool = False

    def back(self) -> "How":
        """The way that gradients go."""
        return self._replace(is_transposed=not self.is_transposed)


def _conv2d(
    input: Tensor,  # noqa: A002 - as PyTorch calls it
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if groups > 1 or _pair(dilation) != (1, 1) or isinstance(padding, str):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return convolve(input, weight, bias, stride, padding)


def _pair(number: int | tuple[int, int]) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else number


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Sequence[int], how: How) -> Tensor:
    """The convolution, or the transposed one, whose result has this `shape`."""
    if torch.is_grad_enabled():
        return _Convolution.apply(x, weight, bias, _ToWeight.apply(weight, bias, [x], shape, how), how)
    if how.is_transposed:
        like = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        return _gradients(like, x, weight, how, (True, False, False))[0]
    return F.conv2d(x, weight, bias, how.stride, how.padding)


def _correlate(x: Tensor, y: Tensor, weight: Tensor, has_bias: bool, how: How) -> tuple[Tensor, Tensor | None]:
    """Gradients of the `weight` and the bias, from `x` and the gradient `y` of its convolution."""
    if torch.is_grad_enabled():
        return _Correlation.apply(x, y, weight.detach(), has_bias, how)
    return _gradients(x, y, weight, how, (False, True, has_bias))[1:]


def _gradients(x: Tensor, y: Tensor, weight: Tensor, how: How, wanted: tuple[bool, bool, bool]) -> Any:
    """Those `wanted` by `x`, the weight and the bias, from the gradient `y` of the convolution of `x`."""
    geometry = how.stride, how.padding, (1, 1), False, (0, 0), 1
    return torch.ops.aten.convolution_backward(y, x, weight, [weight.shape[0]], *geometry, wanted)


# Gradients are off within `forward`, and on within `backward` only where what it computes is to be differentiated
# again: so `_convolve` and `_correlate` call these functions then, and the kernels otherwise.


class _Convolution(Function):
    """Its gradient by `x` is taken here, that by the weight beyond `to_weight`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, to_weight: Tensor, how: How) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape, how
        return _convolve(x, weight, bias, to_weight.shape, how)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (weight,), (y,) = ctx.saved_tensors, gradients
        x = _convolve(y, weight, None, ctx.shape, ctx.how.back()) if ctx.needs_input_grad[0] else None
        return x, None, None, y, None


class _ToWeight(Function):
    """Where the gradient goes on its way to the weight and the bias: nobody comes here unless those are asked for.

    A function is not told which of its gradients are, and R1 and the path length ask for those of pictures and styles
    alone. Nothing goes to `x` from here, which is why it is in a list. What is given back is zero and takes no memory.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, x: list[Tensor], shape: Sequence[int], how: How
    ) -> Tensor:
        ctx.save_for_backward(*x, weight)
        ctx.how, ctx.has_bias = how, bias is not None
        return weight.new_zeros(()).expand(*shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x, weight), (y,) = ctx.saved_tensors, gradients
        if ctx.how.is_transposed:
            return *_correlate(y, x, weight, False, ctx.how.back()), None, None, None
        return *_correlate(x, y, weight, ctx.has_bias, ctx.how), None, None, None


class _Correlation(Function):
    """By `x` and `y`; the weight is there for its shape."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, weight: Tensor, has_bias: bool, how: How
    ) -> tuple[Tensor, Tensor | None]:
        ctx.save_for_backward(x, y)
        ctx.how = how
        return _correlate(x, y, weight, has_bias, how)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x, y), (weight, bias) = ctx.saved_tensors, gradients
        to_x = _convolve(y, weight, None, x.shape, ctx.how.back()) if ctx.needs_input_grad[0] else None
        to_y = _convolve(x, weight, bias, y.shape, ctx.how) if ctx.needs_input_grad[1] else None
        return to_x, to_y, None, None, None

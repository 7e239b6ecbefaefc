"""Weights out of a file, held against the network that they are to be of."""

from collections.abc import Mapping

from torch import Tensor, nn

from sorby.errors import WeightsError


def check_weights(network: nn.Module, tensors: Mapping[str, Tensor], what: str, *, unfit: str) -> None:
    """Raise `WeightsError` naming the first that is missing, unknown, of another shape or kind, or not finite.

    `what` has the weights; `unfit` says what it means that they are not those of `network`, and what helps.
    """
    expected = network.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in expected or name not in tensors:
            where = "is missing from" if name in expected else "has no place in"
            raise WeightsError(f"{name} {where} the network of {what}: {unfit}.")
        came, wanted = list(tensors[name].shape), list(expected[name].shape)
        if came != wanted:
            raise WeightsError(f"{name} in {what} has shape {came}, expected {wanted}: {unfit}.")
        if tensors[name].dtype != expected[name].dtype:
            kinds = f"{tensors[name].dtype}, expected {expected[name].dtype}"
            raise WeightsError(f"{name} in {what} holds {kinds}: {unfit}.")
        if not tensors[name].isfinite().all():
            raise WeightsError(f"{name} in {what} is not finite: the training had failed; use an earlier one.")

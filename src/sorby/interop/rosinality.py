"""Checkpoints of rosinality's stylegan2-pytorch: state dictionaries by the names of its layers.

A checkpoint of its training has `g_ema`, `g`, `d`, `args` and `ada_aug_p`; a converted generator has `g_ema` and
`latent_avg`. The pictures are in colour, there are no conditions, and nothing is held (no clamp).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sorby.config import NetworkConfig
from sorby.errors import WeightsError
from sorby.interop.foreign import Foreign, Tensors, fitted, is_low_pass, mean_w, network_config, tensor_of
from sorby.interop.pickles import Call
from sorby.interop.torch_files import tensors_in
from sorby.models.stylegan2 import GeneratorNetwork

ORIGIN = "rosinality/stylegan2-pytorch"
SIGN = "style.1.weight"
"""A weight that every generator of it has."""


def is_rosinality(value: Any) -> bool:
    """Whether a file's value is one of its checkpoints, or the state dictionary of a generator alone."""
    return isinstance(value, dict) and SIGN in _generator(value)


def read_rosinality(value: Mapping[str, Any], path: Path) -> Foreign:
    """The networks of a checkpoint. Raises `WeightsError` for a generator that Sorby has not.

    A discriminator that Sorby has not is left out, with a remark.
    """
    size = path.stat().st_size
    tensors = tensors_in(_generator(value), f"the generator of {path}", at_most=size)
    what, learning = f"the generator of {path}", value.get("g")
    config = _config(tensors, what)
    average = tensors_in({"mean": value.get("latent_avg")}, what, at_most=size).get("mean")
    G_ema = _named(tensors, what)
    if average is None:
        unaveraged = fitted(GeneratorNetwork, config, G_ema | {"w_mean": torch.zeros(config.w_dim)}, what)
        average = mean_w(unaveraged.mapping, config.z_dim)
    G_ema["w_mean"] = average.reshape(-1)
    G = None
    if isinstance(learning, dict):
        G = _named(tensors_in(learning, what, at_most=size), what) | {"w_mean": G_ema["w_mean"]}
    D, remarks = None, ["the fixed noise maps are left out: Sorby draws the noise of a picture with its seed"]
    if isinstance(value.get("d"), dict):
        try:
            what = f"the discriminator of {path}"
            D = _discriminator(tensors_in(value["d"], what, at_most=size), config.size, what)
        except WeightsError as error:
            remarks.append(f"the discriminator is left out: {error}")
    p = value.get("ada_aug_p")
    return Foreign(
        origin=ORIGIN,
        network=config,
        G_ema=G_ema,
        G=G,
        D=D,
        kimg=_kimg(value.get("args"), path),
        p=float(p) if isinstance(p, int | float) and 0 <= p <= 1 else None,
        remarks=tuple(remarks),
    )


def _generator(value: Mapping[str, Any]) -> Mapping[str, Any]:
    named = value.get("g_ema", value)
    return named if isinstance(named, dict) else {}


def _config(tensors: Tensors, what: str) -> NetworkConfig:
    """The shape, from those of the weights."""
    convs = [name for name in tensors if re.fullmatch(r"convs\.\d+\.activate\.bias", name)]
    widths = {4: len(tensor_of(tensors, "conv1.activate.bias", what))}
    for block in range(len(convs) // 2):
        widths[8 * 2**block] = len(tensor_of(tensors, f"convs.{2 * block}.activate.bias", what))
    _check_filters(tensors, what)
    w_dim, z_dim = tensor_of(tensors, SIGN, what).shape
    layers = len([name for name in tensors if re.fullmatch(r"style\.\d+\.weight", name)])
    return network_config(what, widths=widths, channels=3, z_dim=z_dim, w_dim=w_dim, mapping_layers=layers)


def _named(tensors: Tensors, what: str) -> dict[str, Tensor]:
    """The weights of a generator by Sorby's names, but for the mean of w."""
    named = {"synthesis.const": tensor_of(tensors, "input.input", what)[0]}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if found := re.fullmatch(r"style\.(\d+)", layer):
            named[f"mapping.layers.{int(found[1]) - 1}.{kind}"] = tensor
        elif found := re.fullmatch(r"(conv1|to_rgb1|(convs|to_rgbs)\.(\d+))(|\..+)", layer):
            block = 0 if found[3] is None else int(found[3]) + 1
            is_conv = found[1].startswith("conv")
            named |= _of_layer(f"{found[4]}.{kind}", tensor, block, is_conv=is_conv)
    return named


def _of_layer(name: str, tensor: Tensor, block: int, *, is_conv: bool) -> dict[str, Tensor]:
    there = f"synthesis.{'convs' if is_conv else 'to_grey'}.{block}"
    if name.startswith(".conv.modulation."):
        return {f"{there}.affine.{name.removeprefix('.conv.modulation.')}": tensor}
    if name == ".conv.weight":  # every second is convolved, and not correlated, with its weights
        return {f"{there}.conv.weight": tensor[0].flip(2, 3) if is_conv and block % 2 else tensor[0]}
    if name == ".noise.weight":
        return {f"{there}.noise_strength": tensor.reshape(())}
    return {f"{there}.bias": tensor.reshape(-1)} if name in (".activate.bias", ".bias") else {}


def _discriminator(tensors: Tensors, size: int, what: str) -> dict[str, Tensor]:
    """The weights of a discriminator by Sorby's names."""
    _check_filters(tensors, what)
    places = {"from_grey": ("convs.0.0", "convs.0.1"), "conv": ("final_conv.0", "final_conv.1")}
    places |= {"linear": ("final_linear.0",) * 2, "out": ("final_linear.1",) * 2}
    named = {}
    for block in range(size.bit_length() - 3):
        here = f"convs.{block + 1}"
        places[f"blocks.{block}.conv0"] = (f"{here}.conv1.0", f"{here}.conv1.1")
        places[f"blocks.{block}.conv1"] = (f"{here}.conv2.1", f"{here}.conv2.2")
        named[f"blocks.{block}.shortcut.weight"] = tensor_of(tensors, f"{here}.skip.1.weight", what)
    for there, (weight, bias) in places.items():
        named[f"{there}.weight"] = tensor_of(tensors, f"{weight}.weight", what)
        named[f"{there}.bias"] = tensor_of(tensors, f"{bias}.bias", what)
    return named


def _check_filters(tensors: Tensors, what: str) -> None:
    for name, tensor in tensors.items():
        if name.endswith(".kernel") and not any(is_low_pass(tensor, gain) for gain in (1, 4)):
            raise WeightsError(f"{what} has another {name} than [1, 3, 3, 1], and Sorby's networks have that.")


def _kimg(args: Any, path: Path) -> float | None:
    """From the number of steps in the file's name and the batch; not told where several devices had a batch each."""
    settings = args.state if isinstance(args, Call) and isinstance(args.state, dict) else {}
    batch, found = settings.get("batch"), re.fullmatch(r"(\d{6,9})\.pt", path.name)
    known = type(batch) is int and found and settings.get("distributed") is False
    return int(found[1]) * batch / 1000 if known and found and batch else None

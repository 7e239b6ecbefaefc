"""Checkpoints of lucidrains' stylegan2-pytorch: one state dictionary of all its networks.

Its layers have plain weights and no gain. Sorby's weights are scaled when used, and its activations grow by the square
root of two a layer, which demodulation lets be: so both draw the same picture from different numbers. The pictures are
in colour, from 0 to 1, and there are no conditions.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sorby.config import NetworkConfig
from sorby.errors import WeightsError
from sorby.interop.foreign import Foreign, Tensors, fitted, mean_w, network_config, tensor_of
from sorby.interop.torch_files import tensors_in
from sorby.models.conditioning import SLOW
from sorby.models.layers import ACTIVATION_GAIN
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.untrusted import first_words, parse_json, read_text

ORIGIN = "lucidrains/stylegan2-pytorch"
SIGN = "GE.initial_conv.weight"
"""A weight that every checkpoint of it has."""
USUAL_SPEED = 0.1
"""How much slower than others the layers of its mapping learn, unless the settings beside the file tell otherwise."""
REMARKS = ("the discriminator is left out: its layers are not those of StyleGAN2",)


def is_lucidrains(value: Any) -> bool:
    """Whether a file's value is one of its checkpoints, or the state dictionary in it."""
    return isinstance(value, dict) and SIGN in _state(value)


def read_lucidrains(value: Mapping[str, Any], path: Path) -> Foreign:
    """The generator of a checkpoint, without its discriminator. Raises `WeightsError` for one that Sorby has not."""
    what = f"the generator of {path}"
    average = {name: part for name, part in _state(value).items() if str(name).startswith(("GE.", "SE."))}
    tensors = tensors_in(average, what, at_most=path.stat().st_size)
    config = _config(tensors, what)
    named = _mapping(tensors, _speed(path), what) | _synthesis(tensors, what)
    unaveraged = fitted(GeneratorNetwork, config, named | {"w_mean": torch.zeros(config.w_dim)}, what)
    return Foreign(
        origin=ORIGIN,
        network=config,
        G_ema=named | {"w_mean": mean_w(unaveraged.mapping, config.z_dim)},
        remarks=REMARKS,
    )


def _state(value: Mapping[str, Any]) -> Mapping[str, Any]:
    named = value.get("GAN", value)
    return named if isinstance(named, dict) else {}


def _config(tensors: Tensors, what: str) -> NetworkConfig:
    """The shape, from those of the weights."""
    for part, why in (("GE.attns.", "attention"), ("GE.to_initial_block.", "no learnt constant (--no-const)")):
        if any(name.startswith(part) for name in tensors):
            raise WeightsError(f"{what} has {why}, which Sorby's networks have not.")
    widths = {
        4 * 2**block: len(tensor_of(tensors, f"{_block(block)}.conv2.weight", what)) for block in _blocks(tensors)
    }
    dim = tensor_of(tensors, "SE.net.0.weight", what).shape[1]
    layers = len([name for name in tensors if re.fullmatch(r"SE\.net\.\d+\.weight", name)])
    channels = len(tensor_of(tensors, f"{_block(0)}.to_rgb.conv.weight", what))
    config = network_config(what, widths=widths, channels=channels, z_dim=dim, w_dim=dim, mapping_layers=layers)
    return config.model_copy(update={"upsampling": "bilinear"})


def _mapping(tensors: Tensors, speed: float, what: str) -> dict[str, Tensor]:
    """The layers from z, which it scales to length 1 and Sorby to mean square 1, to w."""
    named = {}
    names = [name for name in tensors if re.fullmatch(r"SE\.net\.\d+\.weight", name)]
    for layer in range(len(names)):
        weight, bias = (tensor_of(tensors, f"SE.net.{2 * layer}.{kind}", what) for kind in ("weight", "bias"))
        scale = speed / (ACTIVATION_GAIN * SLOW)
        inputs = weight.shape[1]
        named[f"mapping.layers.{layer}.weight"] = weight * scale * (math.sqrt(inputs) if layer else 1)
        named[f"mapping.layers.{layer}.bias"] = bias * scale
    return named


def _synthesis(tensors: Tensors, what: str) -> dict[str, Tensor]:
    """All layers from w to the picture, which becomes twice as large less 1."""
    weight, bias = (tensor_of(tensors, f"GE.initial_conv.{kind}", what) for kind in ("weight", "bias"))
    const = F.conv2d(tensor_of(tensors, "GE.initial_block", what), weight, bias, padding=1)
    named = {"synthesis.const": const[0]}  # what is convolved without a style is a constant still
    for block in _blocks(tensors):
        for half in (0, 1):
            layer, here = 2 * block + half, f"{_block(block)}"
            there, grown = f"synthesis.convs.{layer}", ACTIVATION_GAIN**layer
            named |= _modulated(tensors, f"{here}.to_style{half + 1}", f"{here}.conv{half + 1}", there, what)
            noise = f"{here}.to_noise{half + 1}"
            named[f"{there}.noise_strength"] = tensor_of(tensors, f"{noise}.weight", what)[:, :, None] * grown
            named[f"{there}.bias"] = tensor_of(tensors, f"{noise}.bias", what) * grown
        there, here = f"synthesis.to_grey.{block}", f"{_block(block)}.to_rgb"
        named |= _modulated(tensors, f"{here}.to_style", f"{here}.conv", there, what)
        named[f"{there}.conv.weight"] *= 2 / ACTIVATION_GAIN ** (2 * block + 2)
        named[f"{there}.bias"] = torch.full((len(named[f"{there}.conv.weight"]),), 0.0)
    named[f"synthesis.to_grey.{len(_blocks(tensors)) - 1}.bias"] -= 1
    return named


def _modulated(tensors: Tensors, style: str, conv: str, there: str, what: str) -> dict[str, Tensor]:
    """A convolution, and the layer of its style, to which 1 is added."""
    affine, weight = tensor_of(tensors, f"{style}.weight", what), tensor_of(tensors, f"{conv}.weight", what)
    return {
        f"{there}.affine.weight": affine * math.sqrt(affine.shape[1]),
        f"{there}.affine.bias": tensor_of(tensors, f"{style}.bias", what) + 1,
        f"{there}.conv.weight": weight * math.sqrt(weight[0].numel()),
    }


def _block(number: int) -> str:
    return f"GE.blocks.{number}"


def _blocks(tensors: Tensors) -> range:
    return range(len([name for name in tensors if re.fullmatch(r"GE\.blocks\.\d+\.conv2\.weight", name)]))


def _speed(path: Path) -> float:
    """From the settings that training writes beside its files, or the usual one."""
    beside = path.parent / ".config.json"
    try:
        speed = parse_json(read_text(beside)).get("lr_mlp", USUAL_SPEED) if beside.exists() else USUAL_SPEED
        return float(speed)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{beside} cannot be read ({first_words(error)}): mend it or move it away.") from None

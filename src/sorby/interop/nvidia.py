"""Networks of the official StyleGAN2-ADA and StyleGAN3 (its StyleGAN2 part), as their training pickles them.

A pickle has `G`, `D`, `G_ema`, `augment_pipe` and `training_set_kwargs`. Each layer of a network is a record with its
source text, which is not looked at, and its state: parameters, buffers, layers and plain settings.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from sorby.config import NetworkConfig
from sorby.errors import WeightsError
from sorby.interop.foreign import Foreign, Tensors, is_low_pass, network_config, tensor_of
from sorby.interop.pickles import Call
from sorby.interop.torch_files import tensors_in
from sorby.models.conditioning import SLOW

ORIGIN = "official StyleGAN2-ADA or StyleGAN3, in PyTorch"
RECORD = "torch_utils.persistence._reconstruct_persistent_obj"
PARTS = ("_parameters", "_buffers", "_modules")
MOST_VALUES = 100_000
DEEPEST = 8
LARGEST = 100_000
"""Length of a latent or condition that is still believed."""
LINEAR = ("affine", "embed", "out", "skip")
"""Layers without an activation."""


def is_official(value: Any) -> bool:
    """Whether a file's value is a dictionary of official networks."""
    return isinstance(value, dict) and _is_record(value.get("G_ema"))


def read_official(value: Mapping[str, Any], path: Path) -> Foreign:
    """The networks of an official pickle. Raises `WeightsError` for a generator that Sorby has not.

    A discriminator that Sorby has not is left out, with a remark.
    """
    size = path.stat().st_size
    read = {name: _Network(value[name], f"{name} of {path}", size) for name in ("G_ema", "G", "D") if name in value}
    config, G_ema = read["G_ema"].config(), read["G_ema"].generator()
    D, remarks = None, ["noise_const is left out: Sorby draws the noise of a picture with its seed"]
    if "D" in read:
        try:
            config, D = read["D"].with_group(config), read["D"].discriminator(config.clamp)
        except WeightsError as error:
            remarks.append(f"the discriminator is left out: {error}")
    return Foreign(
        origin=ORIGIN,
        network=config,
        G_ema=G_ema,
        G=read["G"].generator() if "G" in read else None,
        D=D,
        kimg=_kimg(path),
        p=_probability(value.get("augment_pipe"), path),
        data=_data(value.get("training_set_kwargs")),
        remarks=tuple(remarks),
    )


class _Network:
    """All values of a network by dotted name: weights, and settings of each layer."""

    def __init__(self, record: Any, what: str, size: int) -> None:
        self.what = what
        self.values = _values(record, what)
        self.tensors = tensors_in(self.values, what, at_most=size)
        if any(name.startswith("synthesis.input.") for name in self.tensors):
            raise WeightsError(f"{what} is of StyleGAN3's own synthesis (config T or R), which Sorby has not.")

    def config(self) -> NetworkConfig:
        """The shape of a generator."""
        size = self.whole("img_resolution")
        sides = [2**i for i in range(2, size.bit_length())]
        if size not in sides:
            raise WeightsError(f"{self.what} draws pictures of {size} px, expected a power of two from 32 to 1024.")
        self.check("synthesis", architecture="skip", use_noise=True)
        return network_config(
            self.what,
            widths={side: len(self.tensor(f"synthesis.b{side}.conv1.bias")) for side in sides},
            channels=self.whole("img_channels"),
            z_dim=self.whole("z_dim"),
            w_dim=self.whole("w_dim"),
            mapping_layers=self.connected(),
            condition_dim=self.whole("c_dim"),
            clamp=self.clamp(),
        )

    def generator(self) -> Tensors:
        """The weights of a generator by Sorby's names."""
        tensors = self.mapping("mapping.")
        tensors["w_mean"] = self.tensor("mapping.w_avg")
        tensors["synthesis.const"] = self.tensor("synthesis.b4.const")
        conv, side = 0, 4
        for block in range(len([name for name in self.tensors if name.endswith("torgb.bias")])):
            here = f"synthesis.b{side}"
            for layer in ("conv0", "conv1") if block else ("conv1",):
                there = f"synthesis.convs.{conv}"
                tensors |= self.modulated(f"{here}.{layer}", there)
                tensors[f"{there}.noise_strength"] = self.tensor(f"{here}.{layer}.noise_strength")
                if layer == "conv0":  # these are convolved, and not correlated, with their weights
                    tensors[f"{there}.conv.weight"] = tensors[f"{there}.conv.weight"].flip(2, 3)
                conv += 1
            tensors |= self.modulated(f"{here}.torgb", f"synthesis.to_grey.{block}")
            side *= 2
        return tensors

    def discriminator(self, clamp: float | None) -> Tensors:
        """The weights of a discriminator by Sorby's names; its layers are held as those of the generator."""
        self.check("b", architecture="resnet")
        if self.clamp() != clamp:
            raise WeightsError(f"{self.what} has conv_clamp {self.clamp()}, and its generator {clamp}.")
        if self.values.get("b4.mbstd.num_channels") != 1:
            raise WeightsError(f"{self.what} has not one channel of minibatch standard deviation, and Sorby's has.")
        tensors = self.mapping("mapping.", into="condition.") if self.whole("c_dim") else {}
        side, block = self.whole("img_resolution"), 0
        tensors |= self.plain(f"b{side}.fromrgb", "from_grey")
        while side > 4:
            tensors |= self.plain(f"b{side}.conv0", f"blocks.{block}.conv0")
            tensors |= self.plain(f"b{side}.conv1", f"blocks.{block}.conv1")
            tensors[f"blocks.{block}.shortcut.weight"] = self.tensor(f"b{side}.skip.weight")
            side, block = side // 2, block + 1
        for there, here in (("conv", "conv"), ("linear", "fc"), ("out", "out")):
            tensors |= self.plain(f"b4.{here}", there)
        return tensors

    def with_group(self, config: NetworkConfig) -> NetworkConfig:
        """The shape with the group of the minibatch standard deviation, which is of the discriminator alone."""
        return config.model_copy(update={"minibatch_std_group": self.whole("b4.mbstd.group_size")})

    def mapping(self, here: str, *, into: str = "mapping.") -> dict[str, Tensor]:
        """The layers from z and condition to w, or from the condition to what scores are projected onto."""
        tensors = {}
        for layer in range(self.connected()):
            slowed = self.number(f"{here}fc{layer}.bias_gain") / SLOW  # how much slower than others it learns
            for name in ("weight", "bias"):
                tensors[f"{into}layers.{layer}.{name}"] = self.tensor(f"{here}fc{layer}.{name}") * slowed
        if self.whole("c_dim"):
            tensors |= self.plain(f"{here}embed", f"{into}embed")
        return tensors

    def modulated(self, here: str, there: str) -> dict[str, Tensor]:
        """A modulated convolution, the layer that makes its style, and its bias."""
        return {
            **self.plain(f"{here}.affine", f"{there}.affine"),
            f"{there}.conv.weight": self.tensor(f"{here}.weight"),
            f"{there}.bias": self.tensor(f"{here}.bias"),
        }

    def plain(self, here: str, there: str) -> dict[str, Tensor]:
        """Weight and bias of a layer."""
        return {f"{there}.{name}": self.tensor(f"{here}.{name}") for name in ("weight", "bias")}

    def connected(self) -> int:
        """Fully connected layers of the mapping."""
        return len([name for name in self.tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name)])

    def clamp(self) -> float | None:
        """What all convolutions but the shortcuts are held to."""
        names = [name for name in self.values if name.endswith(".conv_clamp") and not name.endswith(".skip.conv_clamp")]
        found = [self.values[name] for name in names]
        if not found or not all(isinstance(value, int | float | None) and value == found[0] for value in found):
            raise WeightsError(f"{self.what} holds its layers to different sizes (conv_clamp), and Sorby to one.")
        return found[0]

    def check(self, within: str, **settings: object) -> None:
        """Refuse settings of layers that Sorby's networks have not."""
        for name, value in self.values.items():
            layer, _, setting = name.rpartition(".")
            expected = settings.get(setting) if name.startswith(within) else None
            if setting == "activation":
                expected = "linear" if layer.rpartition(".")[2] in LINEAR else "lrelu"
            if expected is not None and value != expected:
                came = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
                raise WeightsError(f"{self.what} has {setting} {came} at {layer}, and Sorby's networks {expected}.")
        for name, tensor in self.tensors.items():
            if name.endswith("resample_filter") and not is_low_pass(tensor):
                raise WeightsError(f"{self.what} has another {name} than [1, 3, 3, 1], and Sorby's networks have that.")

    def tensor(self, name: str) -> Tensor:
        return tensor_of(self.tensors, name, self.what)

    def whole(self, name: str) -> int:
        value = self.values.get(name)
        if type(value) is not int or not 0 <= value <= LARGEST:
            raise WeightsError(f"{self.what} does not say its {name}: it is of another kind than those of StyleGAN2.")
        return value

    def number(self, name: str) -> float:
        value = self.values.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= LARGEST:
            raise WeightsError(f"{self.what} does not say its {name}: it is of another kind than those of StyleGAN2.")
        return value


def _is_record(value: Any) -> bool:
    return isinstance(value, Call) and value.name == RECORD


def _values(record: Any, what: str) -> dict[str, Any]:
    """Parameters, buffers and settings of a layer and of all layers in it, by dotted name."""
    found: dict[str, Any] = {}
    waiting = [("", record, 0)]
    while waiting:
        prefix, layer, depth = waiting.pop()
        state = layer.args[0].get("state") if _is_record(layer) and isinstance(layer.args[0], dict) else None
        parts = [state.get(name) for name in PARTS] if isinstance(state, dict) else []
        dicts = [part for part in parts if isinstance(part, dict)]
        if not isinstance(state, dict) or len(dicts) < len(PARTS) or depth > DEEPEST:
            raise WeightsError(f"{what} is no network of layers at {prefix or 'its top'}: the file is damaged.")
        parameters, buffers, layers = dicts
        settings = {name: value for name, value in state.items() if not str(name).startswith("_")}
        found |= {f"{prefix}{name}": value for name, value in {**settings, **parameters, **buffers}.items()}
        waiting += [(f"{prefix}{name}.", inner, depth + 1) for name, inner in layers.items() if inner is not None]
        if len(found) + len(waiting) > MOST_VALUES:
            raise WeightsError(f"{what} has more than {MOST_VALUES} values: the file is damaged.")
    return found


def _kimg(path: Path) -> float | None:
    """From the name that training gives its files.

    >>> _kimg(Path("network-snapshot-004000.pkl"))
    4000.0
    """
    found = re.search(r"network-snapshot-(\d{1,9})(?!\d)", path.name)
    return float(found[1]) if found else None


def _probability(pipe: Any, path: Path) -> float | None:
    if not _is_record(pipe):
        return None
    p = tensors_in(_values(pipe, f"augment_pipe of {path}"), str(path), at_most=path.stat().st_size).get("p")
    return None if p is None or p.numel() != 1 or not 0 <= float(p) <= 1 else round(float(p), 6)


def _data(settings: Any) -> dict[str, Any]:
    """Name and number of the training pictures, as far as it is told."""
    if not isinstance(settings, dict):
        return {}
    path, num = settings.get("path"), settings.get("max_size")
    named = (
        {"name": PurePosixPath(path.replace("\\", "/")).name.encode(errors="replace").decode()}
        if isinstance(path, str)
        else {}
    )
    return named | ({"patches": num} if type(num) is int else {})

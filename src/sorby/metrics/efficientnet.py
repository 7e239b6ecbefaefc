"""EfficientNet-lite0 (Tan & Le 2019, the variant without squeeze-excitation and swish), as far as its pooled features.

Parameter names are those of the published PyTorch files, so that their state dicts load strictly.
"""

import copy

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STAGES = (
    # expansion, channels, blocks, first stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""Table 1 of the paper for B0; lite models scale neither stem nor head."""


class SameConv(nn.Conv2d):
    """Convolution that pads as TensorFlow does: an odd pixel of padding goes to the right and to the bottom.

    An odd pixel is a zero in front of the kernel in place of a copy of the image.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """The side of the output is that of the input over the stride, rounded up."""
        down, across = self._padding_of(x.shape[2]), self._padding_of(x.shape[3])
        weight = F.pad(self.weight, (across % 2, 0, down % 2, 0)) if down % 2 or across % 2 else self.weight
        return F.conv2d(x, weight, self.bias, self.stride, ((down + 1) // 2, (across + 1) // 2), groups=self.groups)

    def _padding_of(self, size: int) -> int:
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max((-(-size // stride) - 1) * stride + kernel - size, 0)


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): expand, filter each channel, project."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expands = expansion > 1
        self.skips = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv(inputs, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride=stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = SameConv(wide, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Add the input where the shape stays."""
        y = _relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = _relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y.add_(x) if self.skips else y


class EfficientNetLite0(nn.Module):
    """Images of 224 px, scaled to (grey - 127) / 128, to 1280 pooled features. For inference only."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.Sequential(*_blocks(32))
        self._conv_head = SameConv(320, 1280, 1, bias=False)
        self._bn1 = _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1280"]:
        """Mean over the image of the last layer, each 0 to 6."""
        x = _relu6(self._bn0(self._conv_stem(images)))
        x = _relu6(self._bn1(self._conv_head(self._blocks(x))))
        return x.mean(dim=(2, 3))

    def folded(self) -> "EfficientNetLite0":
        """The same function with each normalisation inside the convolution before it, a third faster."""
        net = copy.deepcopy(self).eval().requires_grad_(False)
        _fold(net, "_conv_stem", "_bn0")
        _fold(net, "_conv_head", "_bn1")
        for block in net._blocks:
            if block.expands:
                _fold(block, "_expand_conv", "_bn0")
            _fold(block, "_depthwise_conv", "_bn1")
            _fold(block, "_project_conv", "_bn2")
        return net


class Stages(nn.Module):
    """Pictures in [-1, 1] to the maps of a folded network at 1/4, 1/8, 1/16 and 1/32 of their side.

    For a discriminator that looks through this network (Sauer et al. 2021); the gradient by the pictures can be taken.
    """

    CHANNELS = (24, 40, 112, 320)
    LAST_BLOCKS = (2, 4, 10, 15)  # the last block at each size
    STDS = (8.6, 7.2, 5.1, 2.4)  # on steel micrographs enlarged to 128 px

    def __init__(self, folded: EfficientNetLite0) -> None:
        super().__init__()
        self.stem, self.blocks = folded._conv_stem, folded._blocks

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Maps of 24, 40, 112 and 320 channels, of any sign and about the standard deviations `STDS`."""
        x = _relu6(self.stem((images * 127.5 + 0.5) / 128))  # grey values are 127.5 (image + 1); the network takes 127
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.LAST_BLOCKS:
                maps.append(x)
        return maps


def _fold(module: nn.Module, conv: str, norm: str) -> None:
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, nn.Identity())


def _relu6(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return F.relu6(x, inplace=not x.requires_grad)  # where a gradient is taken, in place would be on a copy


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _blocks(inputs: int) -> list[Block]:
    blocks = []
    for expansion, outputs, repeats, stride, kernel in STAGES:
        for i in range(repeats):
            blocks.append(Block(inputs, outputs, expansion=expansion, stride=stride if i == 0 else 1, kernel=kernel))
            inputs = outputs
    return blocks

"""VGG16 (Simonyan & Zisserman 2015, configuration D) as far as its second fully connected layer.

Paper A takes recall in these 4,096 features. Parameter names are those of torchvision's files.
"""

from jaxtyping import Float
from torch import Tensor, nn

CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Output channels of each 3x3 convolution; 0 is a maximum over 2x2 pixels."""


class VGG16(nn.Module):
    """Images of 224 px, standardised as ImageNet is, to 4096 features >= 0."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout()),
            nn.Linear(4096, 1000),
        )

    def forward(self, images: Float[Tensor, "n 3 224 224"]) -> Float[Tensor, "n 4096"]:
        """The second fully connected layer after its rectifier."""
        return self.classifier[:5](self.features(images).flatten(1))


def _layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in CHANNELS:
        if outputs == 0:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
    return layers

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import skimage.data
import torch
from PIL import Image
from torch.nn import functional as F

from sorby.errors import ConfigError, WeightsError
from sorby.metrics.efficientnet import EfficientNetLite0, Stages
from sorby.metrics.features import FEATURE_NETWORKS, extract_features, load_network, resize
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.vgg import VGG16
from sorby.metrics.weights import find_weights

INCEPTION_DRAWS = 21_751_136 + 2048 * 1008 + 1008
"""Numbers that torch-fidelity's Inception draws while it is built: for its convolutions and its last layer."""


@pytest.fixture(scope="module")
def inception():
    return load_network("inception")


@pytest.fixture(scope="module")
def efficientnet():
    return load_network("efficientnet-lite0")


@pytest.fixture(scope="module")
def published_images():
    """The two sets of noise in torchmetrics' docstrings: seed 123, then the network is built, then these are drawn."""
    rng = torch.Generator().manual_seed(123)
    torch.rand(INCEPTION_DRAWS, generator=rng)
    real = torch.randint(0, 200, (100, 3, 299, 299), dtype=torch.uint8, generator=rng)
    generated = torch.randint(100, 255, (100, 3, 299, 299), dtype=torch.uint8, generator=rng)
    return real, generated, rng


def noise(n, channels, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


@torch.inference_mode()
def first_64_features(inception, images):
    """Inception up to its first pooling, pooled: what torchmetrics calls feature=64."""
    layers = inception.module.net.layers
    parts = [layers.pool0(layers.conv_2(layers.conv_1(layers.conv((x.float() - 128) / 128)))) for x in images.split(8)]
    return torch.cat([part.mean(dim=(2, 3)) for part in parts]).numpy()


def test_fid_reproduces_the_value_published_by_torchmetrics(inception, published_images):
    """`tensor(12.7202)` in the docstring of FrechetInceptionDistance(feature=64), torchmetrics src image/fid.py."""
    real, generated, _ = published_images
    stats = [feature_stats(first_64_features(inception, images)) for images in (real, generated)]
    assert frechet_distance(*stats) == pytest.approx(12.7202, abs=5e-5)


def test_kid_of_a_tenth_of_the_published_images_stays_what_it_was(inception, published_images):
    """Recorded from the code that gave the published value for all 200, see the next test."""
    features = [extract_features(inception, [images[:10].numpy()]) for images in published_images[:2]]
    assert kernel_distance(*features) == pytest.approx(0.037439, abs=5e-6)


@pytest.mark.skipif("SORBY_SLOW_TESTS" not in os.environ, reason="200 images take 40 s; set SORBY_SLOW_TESTS=1")
def test_kid_reproduces_the_value_published_by_torchmetrics(inception, published_images):
    """`(tensor(0.0337), tensor(0.0023))` in the docstring of KernelInceptionDistance(subset_size=50), image/kid.py."""
    real, generated, rng = published_images
    a, b = (extract_features(inception, [images.numpy()]) for images in (real, generated))
    subsets = [torch.randperm(100, generator=rng)[:50].numpy() for _ in range(200)]
    values = [kernel_distance(a[i], b[j]) for i, j in zip(subsets[::2], subsets[1::2], strict=True)]
    assert (np.mean(values), np.std(values)) == (pytest.approx(0.0337, abs=5e-5), pytest.approx(0.0023, abs=5e-5))


@torch.inference_mode()
@pytest.mark.parametrize(
    ("picture", "classes"),
    [(skimage.data.chelsea, {281, 282, 285}), (skimage.data.coffee, {967}), (skimage.data.rocket, {657, 744, 812})],
)
def test_efficientnet_knows_a_cat_a_coffee_and_a_rocket(efficientnet, picture, classes):
    pixels = picture()
    side = min(pixels.shape[:2])
    square = np.ascontiguousarray(pixels[:side, 80 : 80 + side].transpose(2, 0, 1))[None]
    scores = efficientnet.module._fc(efficientnet(torch.from_numpy(square)))
    assert int(scores.argmax()) in classes


@torch.inference_mode()
def test_folding_the_normalisations_changes_nothing():
    rng = torch.Generator().manual_seed(0)
    net = EfficientNetLite0().eval()
    for name, tensor in net.state_dict().items():
        if "running_var" in name or ("bn" in name and name.endswith("weight")):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
    images = torch.randn(2, 3, 64, 64, generator=rng)
    torch.testing.assert_close(net.folded()(images), net(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["inception", "efficientnet-lite0"])
def test_a_grey_picture_has_the_features_of_three_equal_channels(name):
    network, grey = load_network(name), noise(2, 1, 64)
    one = extract_features(network, [grey])
    three = extract_features(network, [np.repeat(grey, 3, axis=1)])
    assert one.shape == (2, network.dim)
    np.testing.assert_allclose(one, three, rtol=1e-3, atol=1e-3)


def test_features_do_not_hang_on_how_images_are_batched(efficientnet):
    images = noise(11, 1, 32)
    whole = extract_features(efficientnet, [images])
    parts = extract_features(efficientnet, [images[:3], images[3:]])
    np.testing.assert_allclose(whole, parts, rtol=1e-3, atol=1e-4)


def test_shrinking_is_that_of_pillow():
    picture = noise(1, 1, 96)
    ours = resize(torch.from_numpy(picture).float(), size_px=40)[0, 0].numpy()
    pillow = np.asarray(Image.fromarray(picture[0, 0].astype(np.float32)).resize((40, 40), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(ours, pillow.clip(0, 255), atol=0.01)


def test_vgg16_has_the_layers_of_the_published_file():
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in VGG16().state_dict().items()}
    convolutions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    expected = {f"features.{i}.{part}" for i in convolutions for part in ("weight", "bias")}
    expected |= {f"classifier.{i}.{part}" for i in (0, 3, 6) for part in ("weight", "bias")}
    assert set(shapes) == expected
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 138_357_544  # Simonyan & Zisserman, table 2: 138 M


@torch.inference_mode()
def test_vgg16_is_read_from_a_file_and_gives_the_second_fully_connected_layer(tmp_path):
    net = VGG16().eval()
    safetensors.torch.save_file(net.state_dict(), tmp_path / "mine.safetensors")
    found = load_network("vgg16", path=tmp_path / "mine.safetensors")(torch.from_numpy(noise(1, 1, 224)))
    (tmp_path / "mine.safetensors").unlink()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = (torch.from_numpy(noise(1, 1, 224)) / 255 - mean) / std
    hidden = (net.classifier[0](net.features(pixels).flatten(1))).relu()
    torch.testing.assert_close(found, net.classifier[3](hidden).relu(), rtol=1e-3, atol=1e-5)


def test_weights_that_are_code_are_never_run(monkeypatch, tmp_path):
    monkeypatch.setattr("sorby.metrics.features.find_weights", lambda *_, **__: (tmp_path / "net.pth", "0"))
    torch.save({"weights": os.system}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net\.pth holds no weights of EfficientNetLite0"):
        load_network("efficientnet-lite0")


def test_weights_given_by_path_that_are_code_are_never_run(tmp_path):
    torch.save({"weights": os.system}, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"mine\.pth holds no weights of VGG16"):
        load_network("vgg16", path=tmp_path / "mine.pth")


def test_weights_of_another_network_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("sorby.metrics.features.find_weights", lambda *_, **__: (tmp_path / "net.pth", "0"))
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net\.pth holds no weights of EfficientNetLite0"):
        load_network("efficientnet-lite0")


def test_an_unknown_network_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="inception, efficientnet-lite0, vgg16"):
        load_network("dino")


def test_the_weights_named_are_those_of_the_requirements_file():
    text = (
        next(p for p in Path(__file__).parents if (p / "pyproject.toml").exists()) / "requirements/weights.txt"
    ).read_text()
    for name in ("inception", "efficientnet-lite0"):
        weights = FEATURE_NETWORKS[name].weights
        assert weights.package in text
        assert find_weights(weights)[0].is_file()


def test_the_stages_end_in_the_features_of_the_whole_network(efficientnet):
    """Grey values to the pooled features by way of the maps that a discriminator looks at."""
    grey = torch.randint(0, 256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(0)).float()
    maps = Stages(efficientnet.module)(grey / 127.5 - 1)
    assert [x.shape[1:] for x in maps] == [(24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    pooled = F.relu6(efficientnet.module._conv_head(maps[-1])).mean(dim=(2, 3))
    torch.testing.assert_close(pooled, efficientnet(grey.to(torch.uint8)), rtol=1e-3, atol=1e-4)

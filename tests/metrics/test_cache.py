from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sorby.metrics.cache import cached_features
from sorby.metrics.features import FILTER, Blueprint, FeatureNetwork
from sorby.metrics.sets import ImageSet
from sorby.metrics.weights import WeightsFile


class Means(nn.Module):
    """Three features: the mean of each channel."""

    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return x.mean(dim=(2, 3))


@pytest.fixture
def network(monkeypatch, tmp_path):
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path))
    blueprint = Blueprint(WeightsFile("means", {}, ""), lambda _: Means(), 3, 8, (0.0,), (1.0,))
    return FeatureNetwork("means", 3, FILTER, "0" * 64, blueprint, Means(), torch.device("cpu"))


@pytest.fixture
def images():
    pictures = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    return ImageSet("noise", ("a",) * 40, np.arange(40), lambda i: pictures[list(i)], "hash", None)


def test_features_from_the_cache_are_those_computed(network, images):
    computed = cached_features(images, network)
    calls = network.module.calls
    np.testing.assert_array_equal(cached_features(images, network), computed)
    assert network.module.calls == calls
    np.testing.assert_allclose(computed[:, 0], images.first(40).mean(axis=(1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("change", [{"sha256": "1" * 64}, {"filter": "box"}, {"name": "other"}])
def test_another_network_or_filter_is_computed_anew(network, images, change):
    cached_features(images, network)
    calls = network.module.calls
    cached_features(images, replace(network, **change))
    assert network.module.calls > calls


def test_other_images_are_computed_anew(network, images):
    cached_features(images, network)
    half = images.subset(np.arange(20), name="half")
    assert len(cached_features(half, network)) == 20


def test_a_damaged_file_is_computed_anew(network, images, tmp_path):
    computed = cached_features(images, network)
    (file,) = (tmp_path / "features").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    np.testing.assert_array_equal(cached_features(images, network), computed)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(monkeypatch, network, images, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "file"))
    assert cached_features(images, network).shape == (40, 3)

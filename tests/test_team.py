import re
from pathlib import Path

import numpy as np
import pytest
import torch

from sorby.draw import draw
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.metrics.cache import cached_features, is_cached, shared_features
from sorby.metrics.features import extract_features, load_network
from sorby.metrics.sets import of_generator
from sorby.team import LostError, _short, together
from tests.processes import in_processes


def test_alone_there_is_nobody_to_agree_with():
    team = together("cpu")
    assert (team.size, team.is_first, team.device) == (1, True, torch.device("cpu"))
    assert team.all("mine") == ["mine"]
    assert team.first(lambda: 3) == 3
    one = torch.ones(2)
    assert team.sum(one) is one


def test_sums_gradients_and_failures_are_those_of_all():
    def work(team):
        x = torch.tensor([1.0 + team.rank], requires_grad=True)
        total = team.sum_with_gradient(x)
        assert float(total.detach()) == 3
        (gradient,) = torch.autograd.grad(total**3, x, create_graph=True)
        assert float(gradient.detach()) == 2 * 27  # each process's loss has this derivative
        (second,) = torch.autograd.grad(gradient, x)
        assert float(second.detach()) == 4 * 18
        assert team.all(team.rank) == [0, 1]
        assert team.first(lambda: 5 + team.rank) == 5
        error = ZeroDivisionError if team.is_first else LostError
        with pytest.raises(error):
            team.first(lambda: 1 / 0)
        assert float(team.sum(torch.ones(1))) == 2  # and all are still together

    assert in_processes(2, work) == [0, 0]


@pytest.mark.parametrize(
    ("device", "message"), [("mps", "mps is one device"), ("cuda:2", "from cuda:2 on asks for cuda:5")]
)
def test_devices_that_are_not_there_are_refused(device, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match=re.escape(message)):
        together(device, 4)


def test_what_torchrun_started_is_not_contradicted(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="--devices is 3, but torchrun started 2 processes a node"):
        together("cpu", 3)


def test_what_pytorch_says_is_told_in_short():
    long = "[/pytorch/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:51. This is typically a crash."
    assert _short(RuntimeError(long)) == "Connection closed by peer [127.0.0.1]:51"
    assert _short(RuntimeError()) == "no reason given"


def test_processes_draw_the_pictures_and_take_the_features_that_one_does(tmp_path):
    generator = Generator.load("uhcs-64")
    try:
        network = load_network("efficientnet-lite0")
    except WeightsError as reason:
        pytest.skip(str(reason))
    images = of_generator(generator, range(70), [None] * 70, name="drawn", truncation=1.0)

    def work(team):
        list(draw(generator, range(70), tmp_path / "two", team=team))
        team.wait()
        shared_features(images, network, team)

    list(draw(generator, range(70), tmp_path / "one"))
    assert in_processes(2, work) == [0, 0]
    one, two = (sorted(Path(tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert all(path.read_bytes() == other.read_bytes() for path, other in zip(one, two, strict=True))
    assert is_cached(images, network)
    assert np.array_equal(cached_features(images, network), extract_features(network, images.batches()))

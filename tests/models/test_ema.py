import pytest
import torch
from torch import nn

from sorby.models import ema


def test_after_one_half_life_half_of_the_old_average_is_left():
    average, network = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    average.weight.data.fill_(1)
    network.weight.data.fill_(0)
    for _ in range(10):
        ema.update(average, network, ema.decay(100, 10**9, half_life_images=1000, rampup=0.05))
    assert average.weight.item() == pytest.approx(0.5)


def test_early_on_the_average_forgets_within_a_twentieth_of_what_was_seen():
    assert ema.decay(50, 1000, half_life_images=10_000, rampup=0.05) == 0.5
    assert ema.decay(50, 1000, half_life_images=50, rampup=None) == 0.5


def test_buffers_are_copied():
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network.running_mean.fill_(3)
    ema.update(average, network, 0.999)
    assert torch.equal(average.running_mean, network.running_mean)

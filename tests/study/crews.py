"""Crews that work in the test itself, on runs that learn nothing."""

import contextlib

import torch

from sorby.card import GeneratorCard
from sorby.config import NetworkConfig
from sorby.errors import SorbyError
from sorby.generator import Generator
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.study.crew import Ended, Place
from sorby.study.work import work_on


class Here:
    """Works on one run after another; loses its worker on those of `loses`, so many times each."""

    def __init__(self, folder, *, loses=None):
        self.folder, self.loses, self.begun, self.stopped = folder, dict(loses or {}), [], False

    @property
    def free(self):
        return [] if getattr(self, "ended", None) else [Place("cpu")]

    def start(self, name):
        self.begun.append(name)
        if self.loses.get(name, 0):
            self.loses[name] -= 1
            self.ended = Ended(name, "killed by SIGKILL")
            return
        with contextlib.suppress(SorbyError):  # which is noted
            work_on(self.folder, name, say=lambda _: None)
        self.ended = Ended(name)

    def wait(self):
        ended, self.ended = self.ended, None
        return ended

    def stop(self):
        self.stopped = True


def untrained(data, out, config, **_):
    """In place of training: leaves a generator that follows from the seed alone."""
    torch.manual_seed(config.seed)
    network = NetworkConfig(size=32, z_dim=8, w_dim=8, channel_base=128, channel_max=8, condition_dim=data.space.dim)
    card = GeneratorCard(network=network, space=data.space, pixel_size_um=0.1, images_seen=5)
    Generator(GeneratorNetwork(network), card).save(out / "last")
    return out

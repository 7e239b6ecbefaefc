"""Random numbers that follow from names: a seed and a place in the run give the same numbers, always.

Nothing random has to be saved with a run: step 1000 draws what it draws, whether or not the run was stopped before.
"""

import hashlib

import torch


def rng_for(seed: int, *place: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose at one place, such as `rng_for(seed, "step", 1000)`.

    >>> torch.rand(1, generator=rng_for(0, "a")).equal(torch.rand(1, generator=rng_for(0, "a")))
    True
    >>> torch.rand(1, generator=rng_for(0, "a")).equal(torch.rand(1, generator=rng_for(0, "b")))
    False
    """
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)

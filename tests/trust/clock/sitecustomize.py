"""A clock that jumps by up to a day at any look at it, for what runs with this folder in PYTHONPATH.

Only where JUMPING_CLOCK is set: who collects tests imports this file too.
"""

import os
import random
import time

DAY_S = 86_400
_true, _rng = time.time, random.Random()


def jumping() -> float:
    """Seconds since 1970, and up to a day more or less."""
    return _true() + _rng.uniform(-DAY_S, DAY_S)


if "JUMPING_CLOCK" in os.environ:
    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)

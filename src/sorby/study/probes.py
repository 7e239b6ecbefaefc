"""The kinds of run that a study has, each timed on this machine, as many at once as runs will be."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

from sorby.errors import DataError
from sorby.study.file import Study
from sorby.study.plan import Run
from sorby.study.probe import QUICK_NETWORK, Request, Timing, due, period

BUDGET_SECONDS = 30.0
"""What the probes of a study on a laptop take; each network is timed in any case, however large."""
MOST_PROBES = 4
"""At once: as many as runs will be, which slow each other."""
LEAST_STEP_SECONDS = 2.0
OVERHEAD_SECONDS = 7.0
"""Of a probe, beyond its steps."""

COSTLY = (
    "network",
    "discriminator",
    "updates",
    "batch_size",
    "optimiser",
    "r1_interval",
    "path_length_interval",
    "n_critic",
    "contrastive",
    "augment",
    "augment_without",
    "precision",
    "score_images",
)
"""Settings that the time of a step or a score depends on ..."""
COSTLY_IF_ANY = ("r1_gamma", "path_length_weight", "gradient_penalty", "weight_clip", "score_ticks")
"""... or on whether they are nothing."""
NETWORK = ("network", "discriminator", "updates", "batch_size", "precision")
"""Those without which nothing can be said; the others change less."""


def timed(
    study: Study,
    runs: Sequence[Run],
    devices: Sequence[str],
    *,
    threads: int,
    say: Callable[[str], None],
    notes: list[str],
) -> list[Timing]:
    """The timing of each run, by that of one of its kind, or of one with its networks where there was no time for more.

    As many at once as runs will be, up to `MOST_PROBES`: they slow each other as the runs will.
    """
    kinds = {_kind(run): run for run in reversed(runs)}
    of_networks = {_networks(run): run for run in kinds.values()}
    needed = list(of_networks.values())
    others = [run for run in kinds.values() if run not in needed]
    at_once = min(len(devices), MOST_PROBES)
    jobs = needed + others
    repeated = list(islice(cycle(jobs), max(len(jobs), at_once))) if jobs else []
    seconds = max(BUDGET_SECONDS * at_once / max(len(repeated), 1) - OVERHEAD_SECONDS, LEAST_STEP_SECONDS)
    if jobs:
        say(f"Timing {len(jobs)} kind{'s' * (len(jobs) > 1)} of run ...")
    until = time.monotonic() + BUDGET_SECONDS
    free = deque(devices)

    def one(run: Run) -> Timing | None:
        if time.monotonic() > until and run not in needed:
            return None
        device = free.popleft()
        try:
            return _probe(run, study, device, threads=threads, seconds=seconds)
        finally:
            free.append(device)

    with ThreadPoolExecutor(max(at_once, 1)) as pool:
        found = [(run, timing) for run, timing in zip(repeated, pool.map(one, repeated), strict=True) if timing]
    by_kind, by_networks = (_middle(found, key) for key in (_kind, _networks))
    if len(by_kind) < len(kinds):
        notes.append(f"{len(kinds) - len(by_kind)} of {len(kinds)} kinds of run are taken to be as others, not timed.")
    if any(timing.batch < run.config.batch_size for run, timing in found):
        few = min(timing.batch for _, timing in found)
        notes.append(f"Steps were timed with {few} of their images and scaled up: the time may be off by half.")
    if study.search and runs:
        notes.append("All trials of the search are taken to be as the first.")
    if any(run.config.score_ticks and not timing.feature for run, timing in found):
        notes.append(f"Without scores: the weights of {QUICK_NETWORK} are not on this machine, see sorby doctor.")
    return [by_kind.get(_kind(run), by_networks[_networks(run)]) for run in runs]


def _middle(found: Sequence[tuple[Run, Timing]], key: Callable[[Run], str]) -> dict[str, Timing]:
    """The median timing of the runs that are alike by a key; of two, the faster."""
    groups: dict[str, list[Timing]] = {}
    for run, timing in sorted(found, key=lambda pair: sum(pair[1].steps.values())):
        groups.setdefault(key(run), []).append(timing)
    return {name: group[(len(group) - 1) // 2] for name, group in groups.items()}


def _probe(run: Run, study: Study, device: str, *, threads: int, seconds: float) -> Timing:
    """Time the parts of a run in a process of its own. Raises `DataError` where it ends without a result."""
    request = Request(
        dataset=run.data.path,
        config=run.config,
        device=device,
        network=study.network if study.measure == "conditions" else None,
        seconds=seconds,
        began=time.time(),
    )
    count = str(threads)
    done = subprocess.run(
        [sys.executable, "-m", "sorby.study.probe"],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OMP_WAIT_POLICY": "passive"},
    )
    if done.returncode == 0:
        return Timing.model_validate_json(done.stdout.splitlines()[-1])
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise DataError(f"A run like {run.name} was tried and killed by {name}, as it is where memory is too small.")
    reason = (done.stderr.strip().splitlines() or ["it did not say why"])[-1]
    raise DataError(f"A run like {run.name} was tried and cannot begin: {reason}")


def _kind(run: Run) -> str:
    """Equal for runs whose parts cost the same."""
    config = run.config
    whether = {name: bool(getattr(config, name)) for name in COSTLY_IF_ANY}
    augmented = bool(config.augment) and config.p != 0
    return _networks(run) + config.model_dump_json(include=set(COSTLY)) + json.dumps([whether, augmented])


def _networks(run: Run) -> str:
    config = run.config
    steps = sorted({due(number, config) for number in range(period(config))})
    return config.model_dump_json(include=set(NETWORK)) + json.dumps(steps)

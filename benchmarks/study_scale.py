"""How a study of many runs scales: the head of `sorby study` itself, with workers whose time is simulated.

Workers take the time of the run, fail at random (exponential, so many a device-year), and go on from their last
checkpoint elsewhere. What is told: the time until all is done, the share of device hours in which something was trained
that was kept, and the processor time that the head itself took.

    python benchmarks/study_scale.py
"""

import argparse
import heapq
import time
from dataclasses import dataclass

import numpy as np

from sorby.study.crew import Ended, Place
from sorby.study.run import carry_out


@dataclass
class Cluster:
    """A crew whose clock jumps from one event to the next. Hours throughout."""

    places: int
    hours: float
    failures_an_hour: float
    checkpoint_hours: float
    start_hours: float
    seed: int

    def __post_init__(self) -> None:
        self.now = self.busy = self.lost = 0.0
        self.working: list[tuple[float, str, bool]] = []
        self.left: dict[str, float] = {}
        self.rng = np.random.default_rng(self.seed)

    @property
    def free(self) -> list[Place]:
        return [Place("cuda")] * (self.places - len(self.working))

    def start(self, name: str) -> None:
        left = self.left.setdefault(name, self.hours * float(self.rng.lognormal(0, 0.05)))
        trouble = self.rng.exponential(1 / self.failures_an_hour) if self.failures_an_hour else np.inf
        needed = self.start_hours + left
        heapq.heappush(self.working, (self.now + min(needed, trouble), name, trouble < needed))
        if trouble < needed:
            trained = max(trouble - self.start_hours, 0.0)
            kept = trained // self.checkpoint_hours * self.checkpoint_hours
            self.left[name] = left - kept
            self.lost += trouble - kept
            self.busy += trouble
        else:
            self.lost += self.start_hours
            self.busy += needed

    def wait(self) -> Ended:
        self.now, name, failed = heapq.heappop(self.working)
        return Ended(name, "lost its node" if failed else "")

    def stop(self) -> None:
        pass


def simulated(runs: int, **settings: float) -> tuple[float, float, float]:
    """Hours until all is done, share of device time kept, seconds of the head."""
    crew = Cluster(**settings)  # type: ignore[arg-type]
    began = time.process_time()
    carry_out(
        [f"run-{number}" for number in range(runs)],
        crew,
        failure=lambda _: "",
        progress=lambda name: crew.hours - crew.left[name],
    )
    return crew.now, 1 - crew.lost / crew.busy, time.process_time() - began


def main() -> None:
    """One row for each machine and way of sharing it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--gpu-hours", type=float, default=550, help="of one run; paper A: 33,000 V100-hours for 60")
    parser.add_argument("--efficiency", type=float, default=0.92, help="of each doubling of the devices of a run")
    parser.add_argument("--failures", type=float, default=4, help="a device a year")
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    print("| devices | devices a run | days, median (5 to 95 %) | least possible | device time kept | head, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for devices in (16, 64, 256, 1024):
        for each in (1, 4, 16):
            hours = args.gpu_hours / each / args.efficiency ** np.log2(each)
            found = np.array(
                [
                    simulated(
                        args.runs,
                        places=devices // each,
                        hours=hours,
                        failures_an_hour=args.failures * each / 8766,
                        checkpoint_hours=hours * 4 / 25000,
                        start_hours=0.02,
                        seed=seed,
                    )
                    for seed in range(args.repeats)
                ]
            )
            low, median, high = np.percentile(found[:, 0] / 24, (5, 50, 95))
            least = args.runs * args.gpu_hours / devices / 24
            print(
                f"| {devices} | {each} | {median:.0f} ({low:.0f} to {high:.0f}) | {least:.0f} "
                f"| {100 * found[:, 1].mean():.1f} % | {found[:, 2].mean():.2g} |"
            )


if __name__ == "__main__":
    main()

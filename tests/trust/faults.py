"""Commands disturbed at random moments and given again: they have to end, with what they give undisturbed.

    python -m tests.trust.faults --times 200
    python -m tests.trust.faults --kinds full read-only --only prepare train

Each verb works on small simulated data in processes of its own, disturbed in one of these ways:

- kill: ended by SIGKILL with all that it began, once in three another time before it may end;
- full: on a disk that has room for a random part of the result;
- read-only: on a disk that takes no more at a random moment;
- memory: with a random part of the memory that it needs;
- clock: with a clock that jumps by up to a day at any look at it.

Then it is given again, undisturbed. What counts of a result is all but times and energy. Where it was neither killed
nor ended well, it has to say why in one line. Disks need the rights of root. The table has a line a kind and verb.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.trust.verbs import VERBS, Verb, files_of, fill, finish

AGAIN = 1 / 3
MIB = 2**20
CLOCK = Path(__file__).parent / "clock"


@dataclass
class Count:
    """What came of disturbing one verb in one way."""

    disturbed: int = 0
    """Commands that did not end well by themselves."""
    told: int = 0
    """Of these, those that said why in one line."""
    stuck: int = 0
    """Of these, those that had to be ended: without memory, OpenBLAS asks for it for ever when it is loaded."""
    compared: int = 0
    other: int = 0
    """Results that were not the undisturbed one."""
    wrong: list[str] = field(default_factory=list)
    """What must not be."""


@dataclass(frozen=True)
class Trial:
    """A verb, its data, and what it gives and takes undisturbed."""

    verb: Verb
    folder: Path
    expected: Mapping[str, str]
    seconds: float
    start_bytes: int
    """Private memory of Sorby before it does anything."""
    data_bytes: int
    """Most private memory of its first process."""
    size_bytes: int
    """Of the result."""


def measure(verb: Verb, folder: Path) -> Trial:
    """Run a verb twice undisturbed. Raises `RuntimeError` where it gives two results."""
    one, other = folder / "undisturbed" / verb.out, folder / "once-more" / verb.out
    for out in (one, other):
        out.parent.mkdir()
    start = _most_data([sys.executable, "-m", "sorby", "--help"])
    began = time.perf_counter()
    most = _most_data(verb.words(folder, one))
    seconds = time.perf_counter() - began
    expected = files_of(one)
    finish(verb, folder, other)
    if differing := _differing(expected, files_of(other)):
        raise RuntimeError(f"{verb.name} gives another result each time: {differing}")
    files = [one] if one.is_file() else [file for file in one.rglob("*") if file.is_file()]
    return Trial(verb, folder, expected, seconds, start, most, sum(file.stat().st_size for file in files))


def _most_data(words: list[str]) -> int:
    """Run a command and look at its memory meanwhile."""
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while running.poll() is None:
        most = max(most, _data_bytes(running.pid))
        time.sleep(0.02)
    return most


def _data_bytes(pid: int) -> int:
    """VmData of a process, which RLIMIT_DATA limits; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData")), 0)


def run(
    trial: Trial,
    out: Path,
    count: Count,
    *,
    disturb: Callable[[int], bool] = lambda _: False,
    at: float = 0.0,
    **how: object,
) -> bool:
    """Whether a command ended well, disturbed after `at` seconds by `disturb(pid)`, which says whether it ended it."""
    words = trial.verb.words(trial.folder, out)
    with tempfile.TemporaryFile("w+") as said:
        begun = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True, **how)
        ended = False
        try:
            begun.wait(at)
        except subprocess.TimeoutExpired:
            ended = disturb(begun.pid)
            try:
                begun.wait(max(60, 5 * trial.seconds))
            except subprocess.TimeoutExpired:
                count.stuck += 1
                ended = _kill(begun.pid)
                begun.wait()
        finally:
            if begun.poll() is None:  # interrupted by hand
                _kill(begun.pid)
        if begun.returncode == 0:
            return True
        count.disturbed += 1
        said.seek(0)
        text = said.read()
        # The explorer's own answers go to the browser; the script that asks it is not Sorby's.
        if not ended and trial.verb.module == "sorby":
            _judge(trial.verb.name, begun.returncode, text, count)
    return False


def _judge(name: str, code: int, text: str, count: Count) -> None:
    # A study whose runs failed names them, each with a log of its own, and ends with 1.
    told = (1, 2) if name == "study" else (2,)
    if code in told and "Traceback" not in text:
        count.told += 1
    elif code > 0:
        count.wrong.append(f"{name}: exit code {code}: {text[-1500:]}")


def _kill(pid: int) -> bool:
    os.killpg(pid, signal.SIGKILL)
    return True


def kill(trial: Trial, place: Path, count: Count, rng: random.Random) -> None:
    """End it at a random moment; perhaps again."""
    while not run(trial, place, count, disturb=_kill, at=rng.uniform(0, trial.seconds)):
        if rng.random() > AGAIN:
            break


def full(trial: Trial, place: Path, count: Count, rng: random.Random) -> None:
    """Give it a disk with too little room, then one with enough."""
    with disk(place.parent, rng.randint(4096, max(8192, int(1.2 * trial.size_bytes)))) as remount:
        run(trial, place, count)
        remount("size=1g")
        _compare(trial, place, count)


def read_only(trial: Trial, place: Path, count: Count, rng: random.Random) -> None:
    """Let the disk take no more from a random moment on at which nothing is open on it."""
    with disk(place.parent, 2**30) as remount:

        def stop(pid: int) -> bool:
            end = time.perf_counter() + trial.seconds
            while time.perf_counter() < end and not remount("ro"):
                time.sleep(0.01)
            return False

        run(trial, place, count, disturb=stop, at=rng.uniform(0, trial.seconds))
        remount("rw")
        _compare(trial, place, count)


def memory(trial: Trial, place: Path, count: Count, rng: random.Random) -> None:
    """Let none of its processes have the memory it needs."""
    most = int(rng.uniform(min(trial.start_bytes, trial.data_bytes), trial.data_bytes))
    run(trial, place, count, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)))


def clock(trial: Trial, place: Path, count: Count, rng: random.Random) -> None:
    """Let its clock jump; it has to end well."""
    path = os.pathsep.join(filter(None, [str(CLOCK), os.environ.get("PYTHONPATH")]))
    if not run(trial, place, count, env={**os.environ, "PYTHONPATH": path, "JUMPING_CLOCK": "yes"}):
        count.wrong.append(f"{trial.verb.name} did not end well with a clock that jumps")


@contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[Callable[[str], bool]]:
    """Make `folder` a disk of its own; gives what mounts it with another option, if no open file is in the way."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder], check=True)
    try:
        yield (
            lambda option: (
                not subprocess.run(["mount", "-o", f"remount,{option}", folder], stderr=subprocess.DEVNULL).returncode
            )
        )
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


KINDS = {"kill": kill, "full": full, "read-only": read_only, "memory": memory, "clock": clock}


def _compare(trial: Trial, place: Path, count: Count) -> None:
    """Give the command once more and compare."""
    finish(trial.verb, trial.folder, place)
    found = files_of(place)
    count.compared += 1
    if found != trial.expected:
        count.other += 1
        count.wrong.append(f"{trial.verb.name}: another result in {_differing(trial.expected, found)[:5]}")


def disturbed(kind: str, trial: Trial, *, times: int, rng: random.Random) -> Count:
    """Disturb a verb so often, and compare each result."""
    count, tries = Count(), 0
    while tries < times and count.disturbed < times:
        tries += 1
        place = trial.folder / "disturbed"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        before = count.compared
        KINDS[kind](trial, place / trial.verb.out, count, rng)
        if count.compared == before:
            _compare(trial, place / trial.verb.out, count)
    return count


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def main() -> None:
    """Print a table, a line a kind and verb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="of all verbs together, in each way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=["kill"])
    parser.add_argument("--only", nargs="+", choices=[verb.name for verb in VERBS])
    args = parser.parse_args()
    verbs = [verb for verb in VERBS if not args.only or verb.name in args.only]
    print("| how | verb | disturbed | told in one line | stuck | results compared | another result |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    wrong = []
    for number, verb in enumerate(verbs):
        times = args.times // len(verbs) + (number < args.times % len(verbs))
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder))
            trial = measure(verb, Path(folder))
            inputs = files_of(Path(folder))
            for kind in args.kinds:
                count = disturbed(kind, trial, times=times, rng=random.Random(f"{verb.name} {kind} {args.seed}"))
                wrong += count.wrong + [f"{verb.name} got stuck, {kind}"] * (count.stuck if kind != "memory" else 0)
                line = (kind, verb.name, count.disturbed, count.told, count.stuck, count.compared, count.other)
                print(f"| {' | '.join(map(str, line))} |", flush=True)
            shutil.rmtree(Path(folder, "disturbed"))
            if changed := _differing(inputs, files_of(Path(folder))):
                wrong.append(f"{verb.name} changed its data: {changed}")
    print("\n".join(wrong), file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

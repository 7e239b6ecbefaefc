"""Commands killed at random moments (SIGKILL) and given again: they have to end, with what they give undisturbed.

    python -m tests.trust.faults --kills 200 --seed 0

Each verb works on small simulated data in processes of its own. Killed at a moment between its start and its end, with
all that it started, it is given again, and once in three killed again; then it may end. What counts of a result is all
but times and energy. The table says how often each was killed, and how often the result was another.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMES = {"img_s", "seconds", "from_images", "energy", "energy_kwh", "written", "command"}
"""Keys of results that say when and how fast, and where in a log a run was gone on with."""
LONGEST_S = 300
AGAIN = 1 / 3

TRAINING = (
    "--preset demo --kimg 0.128 --set tick_kimg=0.032 --set batch_size=8 --set discriminator=stylegan2 "
    "--set network.channel_base=256 --set network.channel_max=16 --set score_ticks=0"
)
STUDY = """
dataset = "{folder}/field.zip"
preset = "demo"
seeds = [0, 1]

[settings]
kimg = 0.064
tick_kimg = 0.032
score_images = 16
discriminator = "stylegan2"

[variants.none]
augment = []

[variants.blit]
augment = ["blit"]
"""


@dataclass(frozen=True)
class Fault:
    """A command, and what it makes."""

    verb: str
    command: str
    """With {out} for what it makes, and {folder} for the data."""
    out: str
    """Name of what it makes."""


def files_of(path: Path) -> dict[str, str]:
    """SHA-256 of each file; of JSON and logs without times; a checkpoint only by what it ends in."""
    if path.is_file():
        return {path.name: _sha(path.read_bytes())}
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_file() and not _is_beside(name):
            text = file.suffix in (".json", ".jsonl")
            found[name] = _timeless(file.read_text()) if text else _sha(file.read_bytes())
    return found


def _is_beside(name: str) -> bool:
    """What is left of a kill, or differs from run to run by its nature."""
    parts = (
        "tensorboard",
        "checkpoint/",
        ".part-",
        ".old-",
        ".lock",
        "environment.jsonl",
        ".log",
        ".md",
        ".html",
        ".svg",
    )
    return any(part in name for part in parts)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _timeless(text: str) -> str:
    return json.dumps([_without(json.loads(line)) for line in text.splitlines()] if "\n{" in text else _loaded(text))


def _loaded(text: str) -> Any:
    return _without(json.loads(text))


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(one) for key, one in value.items() if key not in TIMES}
    return [_without(one) for one in value] if isinstance(value, list) else value


FAULTS = (
    Fault("prepare", "prepare {folder}/raw --out {out} --size 32 --match", "made.zip"),
    Fault(
        "simulate",
        "simulate random-field --sample 4 --images-per-condition 8 --size 32 --field-size 128 --out {out}",
        "field.zip",
    ),
    Fault("train", f"train {{folder}}/field.zip --out {{out}} {TRAINING}", "run"),
    Fault("generate", "generate uhcs-64 --num 64 --out {out}", "pictures"),
    Fault(
        "evaluate",
        "evaluate uhcs-64 {folder}/steel.zip --num 24 --network efficientnet-lite0 --out {out}",
        "report",
    ),
    Fault("study", "study run {folder}/study.toml --out {out} --yes", "study"),
)


def fill(folder: Path) -> None:
    """Pictures, datasets and a study file for all verbs."""
    from tests.data.made import textures

    textures(folder / "raw", 24, (128, 160))
    textures(folder / "steel", 16, (192, 192))
    sorby(f"prepare {folder}/steel --out {folder}/steel.zip --size 64 --held-out 0.5")
    sorby(
        f"simulate random-field --sample 4 --images-per-condition 8 --size 32 --field-size 128 --out {folder}/field.zip"
    )
    (folder / "study.toml").write_text(STUDY.format(folder=folder))


def sorby(words: str) -> None:
    """Run a command to its end."""
    done = subprocess.run([sys.executable, "-m", "sorby", *words.split()], capture_output=True, timeout=LONGEST_S)
    if done.returncode:
        raise RuntimeError(f"sorby {words}: exit code {done.returncode}\n{done.stderr.decode()[-2000:]}")


def kill_after(words: str, seconds: float) -> bool:
    """Begin a command and kill it with all that it began; whether it was still there to be killed."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = subprocess.Popen([sys.executable, "-m", "sorby", *words.split()], start_new_session=True, **quiet)
    try:
        begun.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
        return True
    return False


def try_fault(fault: Fault, folder: Path, *, kills: int, rng: random.Random) -> tuple[int, int, int]:
    """Kills done, results compared, and results that were another."""
    undisturbed = folder / "undisturbed" / fault.out
    undisturbed.parent.mkdir(exist_ok=True)
    began = time.perf_counter()
    sorby(fault.command.format(folder=folder, out=undisturbed))
    lasts = time.perf_counter() - began
    expected, done, compared, other = files_of(undisturbed), 0, 0, 0
    once_more = folder / "once-more" / fault.out
    once_more.parent.mkdir()
    sorby(fault.command.format(folder=folder, out=once_more))
    if differing := _differing(expected, files_of(once_more)):
        raise RuntimeError(f"{fault.verb} gives another result each time: {differing}")
    while done < kills:
        place = folder / "killed"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        words = fault.command.format(folder=folder, out=place / fault.out)
        killed = kill_after(words, rng.uniform(0, lasts))
        done += killed
        while killed and rng.random() < AGAIN and done < kills:
            killed = kill_after(words, rng.uniform(0, lasts))
            done += killed
        sorby(words)
        found = files_of(place / fault.out)
        compared += 1
        if found != expected:
            other += 1
            print(f"  {fault.verb}: another result in {', '.join(_differing(expected, found)[:5])}", flush=True)
    return done, compared, other


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def main() -> None:
    """Print a table, a line a verb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of all verbs together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[fault.verb for fault in FAULTS])
    args = parser.parse_args()
    faults = [fault for fault in FAULTS if not args.only or fault.verb in args.only]
    print("| verb | killed | results compared | another result |\n| --- | --- | --- | --- |", flush=True)
    wrong = 0
    for number, fault in enumerate(faults):
        each = args.kills // len(faults) + (number < args.kills % len(faults))
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder))
            rng = random.Random(f"{fault.verb} {args.seed}")
            done, compared, other = try_fault(fault, Path(folder), kills=each, rng=rng)
        wrong += other
        print(f"| {fault.verb} | {done} | {compared} | {other} |", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()

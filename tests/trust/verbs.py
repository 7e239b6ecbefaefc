"""Commands of the verbs on small simulated data, what they make, and what counts of it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_S = 300
TIMES = {"img_s", "seconds", "from_images", "energy", "energy_kwh", "written", "command"}
"""Keys of results that say when and how fast, and where in a log a run was gone on with."""
BESIDE = (
    *("tensorboard", "checkpoint/", ".part-", ".old-", ".lock", "environment.jsonl", ".log", ".md", ".html", ".svg"),
    "work/",  # of a study: what each run is at
)
"""Parts of names of files that are left of a kill, or differ from run to run by their nature."""

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
class Verb:
    """A command, and what it makes."""

    name: str
    command: str
    """With {out} for what it makes, and {folder} for the data."""
    out: str
    """Name of what it makes."""
    module: str = "sorby"

    def words(self, folder: Path, out: Path, python: str = sys.executable) -> list[str]:
        """The command as a program takes it."""
        return [python, "-m", self.module, *self.command.format(folder=folder, out=out).split()]


FIELD = "simulate random-field --sample 4 --images-per-condition 8 --size 32 --field-size 128 --out {out}"
VERBS = (
    Verb("prepare", "prepare {folder}/raw --out {out} --size 32 --match", "made.zip"),
    Verb("simulate", FIELD, "field.zip"),
    Verb("train", f"train {{folder}}/field.zip --out {{out}} {TRAINING}", "run"),
    Verb("generate", "generate uhcs-64 --num 64 --out {out}", "pictures"),
    Verb(
        "evaluate",
        "evaluate uhcs-64 {folder}/steel.zip --num 24 --network efficientnet-lite0 --out {out}",
        "report",
    ),
    Verb("study", "study run {folder}/study.toml --out {out} --yes", "study"),
    Verb("serve", "{folder}/steel.zip {out}", "answers", module="tests.trust.asked"),
)


def fill(folder: Path) -> None:
    """Pictures, datasets and a study file for all verbs."""
    from tests.data.made import textures

    textures(folder / "raw", 24, (128, 160))
    textures(folder / "steel", 16, (192, 192))
    for command in (
        f"prepare {folder}/steel --out {folder}/steel.zip --size 64 --held-out 0.5",
        FIELD.format(out=folder / "field.zip"),
    ):
        finish(Verb("", command, ""), folder, folder)
    (folder / "study.toml").write_text(STUDY.format(folder=folder))


def finish(
    verb: Verb, folder: Path, out: Path, *, python: str = sys.executable, env: Mapping[str, str] | None = None
) -> None:
    """Run a command to its end; raises `RuntimeError` where it ends otherwise than well."""
    words = verb.words(folder, out, python)
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_S, env=env)
    if done.returncode:
        raise RuntimeError(f"{verb.command}: exit code {done.returncode}\n{done.stderr[-2000:]}")


def files_of(path: Path) -> dict[str, str]:
    """SHA-256 of each file that counts; of JSON and logs without times."""
    if path.is_file():
        return {path.name: _sha(path.read_bytes())}
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_file() and not any(part in name for part in BESIDE):
            text = file.suffix in (".json", ".jsonl")
            found[name] = _sha(_timeless(file.read_text()).encode() if text else file.read_bytes())
    return found


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _timeless(text: str) -> str:
    values = [json.loads(line) for line in text.splitlines()] if "\n{" in text else json.loads(text)
    return json.dumps(_without(values))


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(one) for key, one in value.items() if key not in TIMES}
    return [_without(one) for one in value] if isinstance(value, list) else value

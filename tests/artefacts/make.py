"""Everything that a version of Sorby writes, small and simulated, to be opened by all later ones.

    python -m tests.artefacts.make --out tests/artefacts/2026-11-28-3b07a36

makes that of this version; with --source FOLDER that of another one, whose src/ was unpacked there by
`git archive COMMIT src | tar x -C FOLDER`. What a version does not know yet is left out, and told.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.data.made import textures

TINY = (
    "--preset demo --kimg 0.064 --set tick_kimg=0.032 --set batch_size=8 --set score_ticks=0 --precision float32 "
    "--set network.z_dim=8 --set network.w_dim=8 --set network.channel_base=64 --set network.channel_max=8"
)
STUDY = """
dataset = "patches.zip"
preset = "demo"
seeds = [0]
num = 32

[settings]
kimg = 0.032
tick_kimg = 0.032
score_ticks = 1
score_images = 16
batch_size = 8
precision = "float32"

[settings.network]
z_dim = 8
w_dim = 8
channel_base = 64
channel_max = 8

[variants.none]
augment = []

[variants.blit]
augment = ["blit"]
"""
COMMANDS = (
    "prepare raw --out plain.zip --size 32 --held-out 0.5 --pixel-size-um 0.25",
    "prepare raw/t[0-3].png --out patches.zip --size 32 --pixel-size-um 0.25 --labels labels.csv "
    "--condition temperature:C",
    "prepare raw/t[0-1].png --out patches.shards --size 32 --pixel-size-um 0.25",
    "simulate random-field --sample 2 --images-per-condition 4 --size 32 --field-size 128 --out simulated.zip",
    f"train plain.zip --out run {TINY}",
    f"train patches.zip --out conditional {TINY}",
    "generate run --num 4 --format png --out pictures",
    "generate conditional --num 2 --condition temperature=900 --format png --out at-900",
    "directions run --out directions --num 32",
    "project run pictures/seed0000.png --out projection --steps 2",
    "evaluate run plain.zip --num 24 --network efficientnet-lite0 --out report",
    "measure pictures --out measured.csv",
    "study run study.toml --out study --yes",
)
"""In their order, in one folder."""
LEFT_OUT = ("raw", "run/checkpoint/*32.*", "conditional/checkpoint", "study/*/checkpoint", "*/samples", "*/tensorboard")
LEFT_OUT += ("run/best", "conditional/best", "study/*/best", "study/*/samples", "study/*/tensorboard", "study/logs")
LEFT_OUT += (
    "study/*/last",
    "directions/*.png",
    "projection/*.png",
    "labels.csv",
    "*.review.html",
    "report/*.html",
    "*/*.svg",
    "measured.overlays",
)
"""What is large, and is written a second time."""


def make(out: Path, source: Path) -> list[str]:
    """Fill `out` by the code in `source`/src, and say what became of each command."""
    told = []
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        textures(here / "raw", 8, (64, 96))
        rows = "".join(f"t{i}.png,{850 + 20 * i}\n" for i in range(4))
        (here / "labels.csv").write_text(f"file,temperature\n{rows}")
        (here / "study.toml").write_text(STUDY)
        for command in COMMANDS:
            failed = _sorby(command, here, source)
            told.append(f"{'not yet there' if failed else 'made'}: sorby {command}{failed and f' ({failed})'}")
        for path in [path for pattern in LEFT_OUT for path in here.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(here, out)
    return told


def _sorby(command: str, folder: Path, source: Path) -> str:
    """Do a command in `folder`; what it says where it fails."""
    env = os.environ | {"PYTHONPATH": str(source.resolve() / "src"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", "from sorby.cli import main; main()", *command.split()]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def main() -> None:
    """Make the artefacts of a version."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[2])
    given = parser.parse_args()
    print("\n".join(make(given.out, given.source)))


if __name__ == "__main__":
    main()

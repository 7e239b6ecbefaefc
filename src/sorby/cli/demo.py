"""`sorby demo`: the main job end to end on built-in data."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for everything that the demo makes; by default demo, or demo-quick.", show_default=False
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer images and hardly any training: only to see that all works.")
    ] = False,
) -> None:
    """Go from raw micrographs to new ones and a report, on simulated dual-phase steel: minutes, no network."""
    import time

    from rich.console import Console

    from sorby.demo import commands, write_raw

    console, start = Console(highlight=False), time.monotonic()
    out = out or Path("demo-quick" if quick else "demo")
    num_specimens, micrographs_each = (4, 2) if quick else (8, 3)
    num = num_specimens * micrographs_each
    console.print(f"Simulating {num} micrographs of dual-phase steel in {out / 'raw'}", markup=False, soft_wrap=True)
    write_raw(out / "raw", num_specimens=num_specimens, micrographs_each=micrographs_each)
    for command in commands(out, quick=quick):
        console.print(f"\n$ {command}", style="bold", markup=False, soft_wrap=True)
        _run(command)
    console.print(f"\nDone in {time.monotonic() - start:.0f} s.", style="bold")
    console.print(closing(out, quick=quick), markup=False, soft_wrap=True)


def closing(out: Path, *, quick: bool) -> str:
    """What the run shows and does not show, where to look, and what to do next."""
    return f"""
{LEARNT_NOTHING if quick else LEARNT}
It cannot show how good a generator gets: shapes are rough, variety is small, and scores of so few pictures are
uncertain. The micrographs were simulated, so nothing here is a statement about a real steel.

The report      {out}/report/report.html
New pictures    {out}/pictures
A longer run    {out}/after-an-hour: real spheroidised steel, learnt in two hours of one core
How it learnt   {out}/run/samples

With your own micrographs:
  sorby prepare YOUR_FOLDER --out steel.zip --patches --size 64
  sorby train steel.zip --out runs/steel --preset laptop-64
  sorby generate runs/steel --num 64 --out pictures
  sorby evaluate runs/steel steel.zip"""


LEARNT = (
    "Two minutes of training at 32 px show that every step works, and that the pictures begin to look like the steel."
)
LEARNT_NOTHING = "So little training shows that every step works and nothing else: the pictures are still noise."


def _run(command: str) -> None:
    """Run a `sorby` command in a process of its own, exactly as typed."""
    import os
    import shlex
    import subprocess
    import sys

    python = [sys.executable, "-c", "from sorby.cli import main; main()"]
    # Threads that spin while they wait take the cores from each other: on a busy machine many times slower.
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    finished = subprocess.run([*python, *shlex.split(command)[1:]], check=False, env=environment)
    if finished.returncode:
        raise typer.Exit(finished.returncode)

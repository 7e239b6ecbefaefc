"""`sorby doctor`: devices, precision, weights found, what would be slow and why."""

from pathlib import Path

import typer


def doctor() -> None:
    """Say what this machine offers, what is missing, and what would be slow and why."""
    from rich.console import Console
    from rich.text import Text

    from sorby.doctor import examine

    console, broken = Console(), False
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    for finding in examine(Path.cwd()):
        broken |= finding.status == "fail"
        console.print(Text(f"{finding.status:4}", style=colours[finding.status]), f" {finding.topic:18}", end="")
        console.print(Text(finding.text))
    if broken:
        raise typer.Exit(1)

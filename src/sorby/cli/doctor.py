"""`sorby doctor`: devices, precision, weights found, what would be slow and why."""

from pathlib import Path

import typer


def doctor() -> None:
    """Say what this machine offers, what is missing, and what would be slow and why."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sorby.doctor import examine

    findings = list(examine(Path.cwd()))
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    report = Table.grid(padding=(0, 2))
    for finding in findings:
        report.add_row(Text(finding.status, style=colours[finding.status]), finding.topic, Text(finding.text))
    Console().print(report)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)

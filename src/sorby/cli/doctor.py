"""`sorby doctor`: what stands in the way, of this machine or of what is named."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    path: Annotated[
        Path | None, typer.Argument(help="Images, a dataset or a run; this machine if nothing is named.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV with a column `file`, which belongs to the images.")] = None,
) -> None:
    """Say what this machine offers, what is missing and slow; or what is wrong with images, a dataset, a run."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sorby.doctor import examine

    findings = list(examine(path, labels=labels))
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    report = Table.grid(padding=(0, 2))
    for finding in findings:
        report.add_row(Text(finding.status, style=colours[finding.status]), finding.topic, Text(finding.text))
    Console().print(report)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)

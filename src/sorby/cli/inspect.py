"""`sorby inspect`: what a thing is, in one screen."""

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    path: Annotated[
        Path, typer.Argument(help="Micrograph, film, dataset, generator or run; or a file that sorby import reads.")
    ],
) -> None:
    """Say what a micrograph, film, dataset, generator, run or file of another program is, in one screen."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sorby.errors import printable
    from sorby.inspect import summarise

    summary, console = summarise(path), Console()
    console.print(Text(printable(summary.title), style="bold"))
    facts = Table.grid(padding=(0, 2))
    for name, value in summary.facts.items():
        facts.add_row(Text(printable(name), style="cyan"), Text(printable(value)))
    console.print(facts)
    if summary.table:
        log = Table(*summary.table[0], box=None, header_style="cyan")
        for row in summary.table:
            log.add_row(*(Text(printable(value)) for value in row.values()))
        console.print(log)

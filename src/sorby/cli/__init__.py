"""The command line: a thin file a verb.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import os
import sys

import typer

from sorby.cli.demo import demo
from sorby.cli.design import design
from sorby.cli.directions import directions
from sorby.cli.doctor import doctor
from sorby.cli.evaluate import evaluate
from sorby.cli.export import export
from sorby.cli.generate import generate
from sorby.cli.import_ import import_
from sorby.cli.inspect import inspect
from sorby.cli.interpolate import interpolate
from sorby.cli.lacking import what_is_lacking
from sorby.cli.measure import measure
from sorby.cli.mix import mix
from sorby.cli.pack import pack
from sorby.cli.predict import predict
from sorby.cli.prepare import prepare
from sorby.cli.project import project
from sorby.cli.reproduce import reproduce
from sorby.cli.serve import serve
from sorby.cli.simulate import simulate
from sorby.cli.study import study
from sorby.cli.train import train
from sorby.cli.transfer import transfer
from sorby.errors import SorbyError

app = typer.Typer(
    name="sorby",
    help="Learn the microstructure of an alloy from a few micrographs, and draw new ones in micrometres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    demo,
    prepare,
    pack,
    simulate,
    inspect,
    train,
    generate,
    interpolate,
    mix,
    directions,
    project,
    measure,
    evaluate,
    predict,
    design,
    reproduce,
    export,
    serve,
    doctor,
):
    app.command()(verb)
app.command("import")(import_)
app.command(context_settings={"ignore_unknown_options": True})(transfer)  # they are those of train
app.add_typer(study, name="study")


def main() -> None:
    """Run the command line; what the user can mend, or the machine lacks, becomes one line and exit code 2."""
    # Threads that spin while they wait take the cores from other programs, and from each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app()
    except Exception as error:
        said = error if isinstance(error, SorbyError) else what_is_lacking(error)
        if said is None:
            raise
        print(f"sorby: {said}", file=sys.stderr)  # noqa: T201
        sys.exit(2)

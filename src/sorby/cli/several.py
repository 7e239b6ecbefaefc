"""Commands that run as several processes, of which one speaks."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorby.team import Team

DEVICES = "Processes, one a device from --device on, or one a share of the cores; torchrun says it itself."


def are_several(devices: int | None) -> bool:
    """Whether a command has more than one process."""
    from sorby.team import started_by_torchrun

    return (devices or 1) > 1 or started_by_torchrun()


@contextlib.contextmanager
def team_of(device: str, devices: int | None) -> Iterator["Team"]:
    """The processes of this command, started here or by `torchrun`; all but the first are silent.

    They are started by the same command: what a user may have mistaken is best found before.
    """
    from sorby.cli.train import chosen_device
    from sorby.team import LostError, together

    team = together(chosen_device(device, several=are_several(devices)), devices)
    if team.is_first:
        yield team
        return
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            yield team
        except LostError:  # the first process says why; threads of a broken connection do not let this one end
            os._exit(2)
        except KeyboardInterrupt:
            os._exit(130)

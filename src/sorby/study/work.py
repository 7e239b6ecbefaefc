"""One run of a study, in one process: trained, measured, and what is known of the work.

`python -m sorby.study.work FOLDER NAME DEVICE` is what a worker is started as. The folder of a study:

    study.toml          the study as it runs
    NAME/               a run, with its result in result.json
    work/NAME.json      how the work on it stands
    work/NAME.lock      held by the process that does it
    logs/NAME.log       what it said
    results.*           what all say together
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tomli_w
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from sorby.atomic import write_text
from sorby.errors import SorbyError, TrainingError
from sorby.study.energy import Meter
from sorby.study.file import Study, read_study
from sorby.study.measures import Result, measure, result_type
from sorby.study.plan import Run, plan_of
from sorby.training.run import train

RESULT = "result.json"
"""In the folder of each run: what was measured on it."""

Say = Callable[[str], None]
Stand = Literal["begun", "finished", "failed"]


class Work(BaseModel):
    """How the work on a run stands; what it cost, over all the times that it was taken up."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    identity: str
    state: Stand
    worker: str = ""
    """Machine and process."""
    device: str = "cpu"
    times: int = 0
    """How often it was taken up."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    kwh: float | None = None
    """Energy; none where it cannot be measured."""
    energy_by: str = ""
    """How the energy was measured."""
    error: str = ""
    final: bool = False
    """The error would come again, as it follows from settings and data."""


def work_on(folder: Path, name: str, *, device: str = "cpu", say: Say = print) -> Result:
    """Train and measure a run of the study in `folder`, going on where it was stopped; wait where another works on it.

    Raises `SorbyError` where it cannot be done, which is noted.
    """
    study = read_study(folder / "study.toml")
    run = next(run for run in plan_of(study).runs if run.name == name)
    path = folder / "work" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder, name)):
        if done := finished(folder, run, study):
            return done
        account = Account(path, known_work(folder, run, study), device)

        def tick(_: object, line: dict[str, float]) -> None:
            scores = "".join(f"  {key} {line[key]:.4g}" for key in ("fid", "recall") if key in line)
            say(f"kimg {line['kimg']:g}  {line['img_s']:.1f} img/s  p {line['p']:.3f}{scores}")
            account.note()

        try:
            train(run.data, folder / name, run.config, device=device, tensorboard=False, on_tick=tick, warn=say)
            result = measure(run, folder / name, study, device=device)
        except SorbyError as error:
            account.note(state="failed", error=str(error), final=isinstance(error, TrainingError))
            raise
        write_text(folder / name / RESULT, result.model_dump_json(indent=2) + "\n")
        account.note(state="finished")
        return result


class Account:
    """Keeps the record of the work on a run: how it stands, and what it cost with all the times before."""

    def __init__(self, path: Path, before: Work, device: str) -> None:
        """Note that it was taken up again."""
        self.path, self.before = path, before
        self.clock, self.processor, self.meter = time.perf_counter(), time.process_time(), Meter(device)
        worker = f"{platform.node()}:{os.getpid()}"
        self.begun = before.model_copy(update={"worker": worker, "device": device, "times": before.times + 1})
        self.note()

    def note(self, *, state: Stand = "begun", error: str = "", final: bool = False) -> None:
        """Write how it stands now."""
        before, kwh = self.before, self.meter.kwh()
        now = {
            "state": state,
            "error": error,
            "final": final,
            "seconds": before.seconds + time.perf_counter() - self.clock,
            "cpu_seconds": before.cpu_seconds + time.process_time() - self.processor,
            "kwh": before.kwh if kwh is None else kwh + (before.kwh or 0),
            "energy_by": self.meter.by,
        }
        write_text(self.path, self.begun.model_copy(update=now).model_dump_json(indent=2) + "\n")


def lock_of(folder: Path, name: str) -> Path:
    """Held by the process that works on a run; the system lets go of it when the process ends, however it does."""
    return folder / "work" / f"{name}.lock"


def known_work(folder: Path, run: Run, study: Study) -> Work:
    """How the work on a run stands; as never begun where the study was changed since."""
    nothing = Work(identity=run.identity(study), state="begun")
    try:
        found = Work.model_validate_json((folder / "work" / f"{run.name}.json").read_text())
    except (OSError, ValidationError):
        return nothing
    return found if found.identity == nothing.identity else nothing


def finished(folder: Path, run: Run, study: Study) -> Result | None:
    """The result of a run, where it was measured with these settings on these data."""
    try:
        found = result_type(study).model_validate_json((folder / run.name / RESULT).read_text())
    except (OSError, ValidationError):
        return None
    return found if found.identity == run.identity(study) else None


def write_study(folder: Path, study: Study) -> None:
    """Leave the study for the workers, whatever folder they run in."""
    settings = study.model_dump(mode="json", exclude_defaults=True) | {"dataset": str(study.dataset.resolve())}
    text = tomli_w.dumps(_without_nothing(settings))
    path = folder / "study.toml"
    if not path.is_file() or path.read_text() != text:
        write_text(path, text)


def _without_nothing(settings: Any) -> Any:
    """TOML has no word for nothing: a value of a setting becomes the word none, which plans read back."""
    if isinstance(settings, dict):
        return {name: "none" if value is None else _without_nothing(value) for name, value in settings.items()}
    return settings


def attempt(folder: Path, name: str, device: str) -> int:
    """Work on a run and print what it says; gives 2 where it cannot be done, with one line that says why, else 0."""

    def say(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)  # noqa: T201

    try:
        say(f"{name} on {device}, {platform.node()} process {os.getpid()}")
        work_on(folder, name, device=device, say=say)
        say("finished")
    except SorbyError as error:
        say(f"sorby: {error}")
        return 2
    return 0


def main() -> None:
    """A worker's process."""
    folder, name, device = sys.argv[1:]
    sys.exit(attempt(Path(folder), name, device))


if __name__ == "__main__":
    main()

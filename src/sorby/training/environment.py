"""What a run ran on: a line of `environment.jsonl` each time it is begun or gone on with."""

import platform
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from sorby.atomic import write_text
from sorby.errors import DataError
from sorby.team import Team
from sorby.untrusted import first_words, parse_json, read_text

FILE = "environment.jsonl"


class Environment(BaseModel):
    """All that may move the numbers of a run and is no setting of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    from_images: int
    """Images that the run had seen when it was begun or gone on with."""
    sorby: str
    torch: str
    numpy: str
    python: str
    system: str
    processor: str
    device: str
    threads: int
    """Of the processor, in each process."""
    processes: int
    accumulate: int

    def differences(self, other: "Environment") -> list[str]:
        """What is not the same, in words; `other` is what is now."""
        ours, theirs = (one.model_dump(exclude={"from_images"}) for one in (self, other))
        return [f"{name} was {ours[name]}, is {theirs[name]}" for name in ours if ours[name] != theirs[name]]


def this(team: Team, *, accumulate: int, from_images: int = 0) -> Environment:
    """Where this process trains."""
    return Environment(
        from_images=from_images,
        sorby=version("sorby"),
        torch=torch.__version__,
        numpy=version("numpy"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        device=_name(team.device),
        threads=torch.get_num_threads(),
        processes=team.size,
        accumulate=accumulate,
    )


def record(run: Path, now: Environment) -> None:
    """Add a line; those from after the images seen, of ticks that are done again, go."""
    before = [one for one in read(run) if one.from_images < now.from_images]
    write_text(run / FILE, "".join(f"{one.model_dump_json()}\n" for one in [*before, now]))


def read(run: Path) -> list[Environment]:
    """What a run ran on, in order; empty for a run that did not record it. Raises `DataError` where it is damaged."""
    path = run / FILE
    try:
        return [Environment(**parse_json(line)) for line in read_text(path).splitlines()] if path.exists() else []
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({first_words(error)}): delete it, and nobody will know what the run ran on."
        ) from None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

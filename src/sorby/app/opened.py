"""What the explorer shows: all that was named when it was started, and nothing else of this machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from sorby.data.dataset import Dataset, is_dataset
from sorby.errors import ConfigError, DataError, SorbyError
from sorby.generator import Generator, generator_folder
from sorby.shipped import located

T = TypeVar("T")


class Live(Generic[T]):
    """What some files hold, read again where they were written anew: a run that learns, a dataset prepared again."""

    def __init__(self, read: Callable[[], T], files: Callable[[], Sequence[Path]]) -> None:
        self._read, self._files = read, files
        self._stamps, self._value = self._look(), read()

    def get(self) -> T:
        """As it is now; as it was before where that cannot be read, as in the middle of being replaced."""
        try:
            if (now := self._look()) != self._stamps:
                self._value, self._stamps = self._read(), now
        except (OSError, SorbyError):
            pass
        return self._value

    def _look(self) -> list[tuple[int, int, int]]:
        found = [path.stat() for path in self._files() if path.exists()]
        return [(file.st_ino, file.st_mtime_ns, file.st_size) for file in found]


@dataclass(frozen=True)
class Opened:
    """Everything by its name, which is that of its folder or file."""

    generators: Mapping[str, Live[Generator]] = field(default_factory=dict)
    datasets: Mapping[str, Live[Dataset]] = field(default_factory=dict)
    runs: Mapping[str, Path] = field(default_factory=dict)
    studies: Mapping[str, Path] = field(default_factory=dict)
    directions: Mapping[str, Path] = field(default_factory=dict)
    """Folders of `sorby directions`."""
    reports: Mapping[str, Path] = field(default_factory=dict)
    """Folders that `sorby evaluate` writes its HTML page into: those that hold one, and runs, which may get one."""

    def generator(self, name: str) -> Generator:
        """Raises `ConfigError` where none of this name was opened; so do the others."""
        return _named(self.generators, name, "generator").get()

    def dataset(self, name: str) -> Dataset:
        """The dataset of a name."""
        return _named(self.datasets, name, "dataset").get()

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return _named(self.runs, name, "run")

    def study(self, name: str) -> Path:
        """The folder of a study."""
        return _named(self.studies, name, "study")

    def report(self, name: str) -> Path:
        """The folder of a report."""
        return _named({name: self.reports[name] for name in self.written_reports()}, name, "report")

    def written_reports(self) -> list[str]:
        """Names of the reports that are there now."""
        return [name for name, folder in self.reports.items() if (folder / "report.html").is_file()]


def open_all(sources: Sequence[Path], *, device: str = "cpu") -> Opened:
    """Open generators, runs, datasets, studies, evaluations and folders of directions, told apart by what they hold.

    Raises `DataError` for anything else, and where nothing at all is named.
    """
    if not sources:
        raise ConfigError("nothing was named to be explored: give generators, runs, datasets or studies.")
    found = Opened({}, {}, {}, {}, {}, {})
    for source in sources:
        _open(source, found, device)
    return found


def _open(source: Path, found: Opened, device: str) -> None:
    is_run = (source / "config.toml").is_file()
    if (source / "study.toml").is_file():
        _add(found.studies, source)
    elif (source / "directions.json").is_file():
        _add(found.directions, source)
    elif is_run or (located(source) / "config.json").is_file():
        if is_run:
            _add(found.runs, source)
        if not is_run or any((source / side / "config.json").is_file() for side in ("best", "last")):
            _add(found.generators, source, _live_generator(source, device))
    elif is_dataset(source):
        _add(found.datasets, source, Live(partial(Dataset.open, source), lambda: (source, source / "dataset.toml")))
    elif not (source / "report.html").is_file():
        raise DataError(
            f"{source} is nothing that can be explored: expected a generator, a run, a dataset, the folder of a study, "
            "of an evaluation or of directions."
        )
    if is_run or (source / "report.html").is_file():
        _add(found.reports, source)


def _live_generator(source: Path, device: str) -> Live[Generator]:
    local = located(source)  # what comes from a hub is fetched once
    return Live(partial(Generator.load, local, device=device), lambda: [generator_folder(local) / "model.safetensors"])


def _add(kind: Mapping[str, T], source: Path, value: T | None = None) -> None:
    """Under the name of its folder or file; a second one of the same name is numbered."""
    name = base = source.resolve().name
    number = 2
    while name in kind:
        name, number = f"{base} ({number})", number + 1
    kind[name] = source if value is None else value  # type: ignore[index]


def _named(things: Mapping[str, T], name: str, kind: str) -> T:
    if name not in things:
        raise ConfigError(f"No {kind} {name!r} is open: choose from {', '.join(things) or 'none'}.")
    return things[name]

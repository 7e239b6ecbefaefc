"""What stands in the way: of this machine, of micrographs and their labels, of a dataset, of a run."""

from collections.abc import Iterator
from pathlib import Path

from sorby.data.dataset import Dataset, is_dataset
from sorby.doctor import dataset, machine, micrographs, run
from sorby.doctor.finding import Finding
from sorby.errors import ConfigError

__all__ = ["Finding", "examine"]


def examine(path: Path | None, *, labels: Path | None = None) -> Iterator[Finding]:
    """All findings about `path`: a run, a dataset, or else images; about this machine where it is None.

    `labels` is the table of the images. Raises `DataError` where nothing can be read, `ConfigError` where a table is
    given and no images are.
    """
    if path is None:
        found, name = machine.examine(Path.cwd()), "a machine"
    elif (path / "config.toml").is_file():
        found, name = run.examine(path), f"{path}, a run,"
    elif is_dataset(path):
        found, name = dataset.examine(Dataset.open(path)), f"{path}, a dataset,"
    else:
        return micrographs.examine(path, labels)
    if labels is not None:
        raise ConfigError(f"--labels {labels}: {name} has none; give the images that the table is about.")
    return found

"""Where the weights of a feature network are found on this machine, and whether they are the right ones.

Nothing is ever downloaded: a file is named by its path, comes with a package, or lies in the folder `$SORBY_WEIGHTS`
or in the cache.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sorby.errors import WeightsError


@dataclass(frozen=True)
class WeightsFile:
    """The file of weights of one network: its names, its hash, and how to get it."""

    network: str
    names: Mapping[str, str]
    """File names looked for, in this order, and the digits with which the sha256 of each begins ("" for any)."""
    how_to_get: str
    package: str | None = None
    """Distribution that carries the file, if one does."""


def find_weights(file: WeightsFile, *, path: Path | None = None) -> tuple[Path, str]:
    """Path and sha256 of the weights: the file at `path`, whatever its name, or the first one found.

    Raises `WeightsError` where there are none, or where the file found is damaged or another one.
    """
    if path is not None and not path.is_file():
        raise WeightsError(f"{path} is no file: expected the weights of {file.network}: {file.how_to_get}.")
    for candidate in _candidates(file) if path is None else (path,):
        if candidate.is_file():
            return candidate, _checked(candidate, file)
    raise WeightsError(
        f"the weights of {file.network} are not on this machine (looked for {' or '.join(file.names)}): "
        f"{file.how_to_get}, or put the file into {weights_folder()} or the folder that SORBY_WEIGHTS names, "
        f"or name it: --network {file.network}=FILE."
    )


def cache_folder() -> Path:
    """Folder for what can be computed or fetched again: `$SORBY_CACHE`, else `~/.cache/sorby`."""
    return Path(os.environ.get("SORBY_CACHE") or Path.home() / ".cache" / "sorby").expanduser()


def weights_folder() -> Path:
    """Folder of the cache in which weights may be put by hand."""
    return cache_folder() / "weights"


def _candidates(file: WeightsFile) -> Iterator[Path]:
    if folder := os.environ.get("SORBY_WEIGHTS"):
        yield from (Path(folder).expanduser() / name for name in file.names)
    if file.package:
        yield from _in_package(file.package, file.names)
    yield from (weights_folder() / name for name in file.names)


def _in_package(package: str, names: Mapping[str, str]) -> list[Path]:
    """Files of an installed package, whose own code is never imported: it may ask for libraries not needed here."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name in names]


def _checked(path: Path, file: WeightsFile) -> str:
    expected = (file.names[path.name],) if path.name in file.names else tuple(file.names.values())
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if not found.startswith(expected):
        raise WeightsError(
            f"{path} is not the file of weights of {file.network}: its sha256 begins {found[:8]}, expected "
            f"{' or '.join(digits[:8] for digits in expected)}; it is damaged or of another version: {file.how_to_get}."
        )
    return found

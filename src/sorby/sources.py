"""From what the user names (files, folders, patterns, zips) to the image files in it."""

import glob
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from sorby.errors import DataError
from sorby.untrusted import UNREADABLE, first_words, is_plain_name, read_bytes, read_member

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")

MAX_FILE_BYTES = 2 * 1024**3
"""A larger file, or a zip member that declares more, is refused before it is read."""

MAX_SIDECAR_BYTES = 1024**2
"""A larger text file beside an image is no microscope's header, and is passed over."""

KINDS = "a TIFF, PNG, JPEG or BMP image"


@dataclass(frozen=True)
class ImageFile:
    """One image file on disk or inside a zip. Small and picklable: the bytes are read when asked for."""

    name: str
    """As the user knows it: `a.tif`, `steel/a.tif` or `batch.zip/a.tif`. Unique within one `find_images`."""
    path: Path
    """The file, or the zip that holds it."""
    member: str | None = None
    """The name inside the zip; None for a plain file."""
    sidecar_name: str | None = None
    """The text file of the same stem beside it (Hitachi and JEOL write one), if there is one."""
    size: int = 0
    """In bytes, as the folder or the zip declares it."""

    @classmethod
    def of(cls, path: Path) -> "ImageFile":
        """The image file at `path`, named by it. Raises `DataError` where there is none."""
        if not path.is_file():
            raise DataError(f"{path} is not a file: expected {KINDS}; check the name.")
        return _plain_file(path, str(path), _sidecar_beside(path))

    def read(self) -> bytes:
        """All bytes of the image file. Raises `DataError` where it is too large or cannot be read."""
        if self.size > MAX_FILE_BYTES:
            raise DataError(
                f"{self.name} holds {self.size / 1024**3:.1f} GiB, expected at most "
                f"{MAX_FILE_BYTES / 1024**3:.0f} GiB: cut it into smaller images."
            )
        return self._bytes(self.path.name if self.member is None else self.member)

    def sidecar(self) -> str | None:
        """Text of the `.txt` beside the image, or None. UTF-8, UTF-16 or, failing both, Latin-1."""
        if self.sidecar_name is None:
            return None
        return _decode(self._bytes(self.sidecar_name))

    def _bytes(self, file: str) -> bytes:
        try:
            if self.member is None:
                return read_bytes(self.path.with_name(file), MAX_FILE_BYTES)
            return read_member(_open_zip(self.path), file, MAX_FILE_BYTES)
        except UNREADABLE as error:
            raise DataError(
                f"{self.name} could not be read ({first_words(error)}): copy it again from its source."
            ) from error


def find_images(sources: Sequence[str | Path]) -> list[ImageFile]:
    """The image files in `sources`: files, folders (with all below them), patterns such as `raw/*.tif`, and zips.

    Each source's files come in the order of their names; a file that two sources name comes once.
    Hidden files, and links that lead out of a folder, are passed over.
    Raises `DataError` where a source is missing, holds no image, or is an unsafe zip, or where the name of an image
    cannot be written on one line.
    """
    found = [file for source in sources for file in _expand(Path(source))]
    if not found:
        raise DataError(f"no source was named: expected {KINDS}, a folder, a pattern or a zip.")
    for file in found:
        if not is_plain_name(file.name):
            raise DataError(f"{file.name!r} has control characters in its name: give it another.")
    once: dict[tuple[Path, str | None], ImageFile] = {}
    for file in found:
        once.setdefault((file.path.resolve(), file.member), file)
    return _with_unique_names(list(once.values()))


def _expand(source: Path) -> list[ImageFile]:
    if source.is_dir():
        found = _in_folder(source)
        if not found:
            raise DataError(
                f"{source} holds no image (hidden files and links that lead out of it do not count): "
                f"expected {KINDS}; name the folder that holds them."
            )
        return found
    if source.is_file():
        return _in_zip(source) if source.suffix.lower() == ".zip" else [_named_file(source)]
    if glob.has_magic(str(source)):
        return _in_pattern(source)
    raise DataError(f"{source} is not there: expected {KINDS}, a folder, a pattern or a zip; check the name.")


def _named_file(path: Path) -> ImageFile:
    if not _is_image(path.name):
        raise DataError(f"{path} is not {KINDS}: expected a name ending in {', '.join(IMAGE_SUFFIXES)} or .zip.")
    return _plain_file(path, path.name, _sidecar_beside(path))


def _in_pattern(pattern: Path) -> list[ImageFile]:
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    usable = [path for path in matches if path.is_dir() or _is_image(path.name) or path.suffix.lower() == ".zip"]
    found = [file for path in usable for file in (_in_folder(path) if path.is_dir() else _expand(path))]
    if not found:
        raise DataError(f"{pattern} matches no image: expected {KINDS}; check the pattern.")
    return found


def _in_folder(folder: Path) -> list[ImageFile]:
    inside = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    images = [path for path in inside if _is_image(path.name) and not _is_hidden(path) and (folder / path).is_file()]
    kept = [path for path in images if (folder / path).resolve().is_relative_to(folder.resolve())]
    sidecars = _texts_by_stem(path.as_posix() for path in inside)
    return [_plain_file(folder / path, path.as_posix(), sidecars.get(_stem(path.as_posix()))) for path in kept]


def _plain_file(path: Path, name: str, sidecar: str | None) -> ImageFile:
    text = path.with_name(PurePosixPath(sidecar).name) if sidecar else None
    usable = text is not None and text.is_file() and text.stat().st_size <= MAX_SIDECAR_BYTES
    return ImageFile(name, path, sidecar_name=text.name if text and usable else None, size=path.stat().st_size)


def _sidecar_beside(path: Path) -> str | None:
    names = (path.stem + suffix for suffix in (".txt", ".TXT", ".Txt"))
    return next((name for name in names if path.with_name(name).is_file()), None)


def _in_zip(path: Path) -> list[ImageFile]:
    try:
        members = {info.filename: info for info in _open_zip(path).infolist() if not info.filename.endswith("/")}
    except UNREADABLE as error:
        raise DataError(
            f"{path} is not a zip that can be read ({first_words(error)}): pack the images again."
        ) from error
    for info in members.values():
        _check_member(path, info)
    images = sorted(name for name in members if _is_image(name) and not _is_hidden(PurePosixPath(name)))
    if not images:
        raise DataError(f"{path} holds no image: expected {KINDS} among its {len(members)} files.")
    sidecars = _texts_by_stem(name for name, info in members.items() if info.file_size <= MAX_SIDECAR_BYTES)
    return [
        ImageFile(f"{path.name}/{name}", path, name, sidecars.get(_stem(name)), members[name].file_size)
        for name in images
    ]


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise DataError(f"{path} has the member {name!r}, which points outside the zip: pack the images again.")
    if info.flag_bits & 0x1:
        raise DataError(f"{path} has the encrypted member {name!r}: unpack it and give the folder.")
    if _is_image(name) and info.file_size > MAX_FILE_BYTES:
        raise DataError(
            f"{path} has the member {name!r} of {info.file_size / 1024**3:.1f} GiB unpacked, expected at most "
            f"{MAX_FILE_BYTES / 1024**3:.0f} GiB: leave it out."
        )


def _open_zip(path: Path) -> zipfile.ZipFile:
    """The zip, opened once in each process (a forked child must not share its parent's place in the file)."""
    return _opened_zip(path, path.stat().st_mtime_ns, os.getpid())


@lru_cache(maxsize=8)
def _opened_zip(path: Path, modified: int, pid: int) -> zipfile.ZipFile:  # noqa: ARG001
    return zipfile.ZipFile(path)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _is_hidden(path: Path | PurePosixPath) -> bool:
    """True for dot files, and for what macOS adds to a zip."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _texts_by_stem(names: Iterable[str]) -> dict[str, str]:
    return {_stem(name): name for name in names if name.lower().endswith(".txt")}


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _with_unique_names(files: list[ImageFile]) -> list[ImageFile]:
    """Files that share a name are named by their path instead, from the folder on that holds all of these."""
    count = Counter(file.name for file in files)
    folders = [file.path.parent for file in files if count[file.name] > 1 and file.path.is_absolute()]
    above = _common(folders)
    names = [file.name if count[file.name] == 1 else _path_name(file, above) for file in files]
    if len(set(names)) < len(names):  # better to name folders, which may name a person, than two files alike
        names = [file.name if count[file.name] == 1 else _path_name(file, None) for file in files]
    return [replace(file, name=name) for file, name in zip(files, names, strict=True)]


def _common(folders: Sequence[Path]) -> Path | None:
    """The folder that all of these are in, if there is one: on Windows they may be on several drives."""
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        return None


def _path_name(file: ImageFile, above: Path | None) -> str:
    path = file.path if file.member is None else file.path / file.member
    return (path.relative_to(above) if above is not None and path.is_absolute() else path).as_posix()


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")

"""Files and folders that are there whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sorby.atomic import check_folder, new_file, new_folder, recover_folder, write_bytes, write_text
from sorby.errors import DataError

KILLED_AT_RENAME = """
import os, signal, sys
from pathlib import Path
from sorby.atomic import new_folder

path, fatal, calls, rename = Path(sys.argv[1]), int(sys.argv[2]), 0, Path.rename

def counted(self, target):
    global calls
    calls += 1
    if calls == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = counted
with new_folder(path) as folder:
    (folder / "a.txt").write_text("new")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def folder_with(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(text)
    return path


def killed_at_rename(path: Path, number: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_AT_RENAME, str(path), str(number)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_written_file_holds_the_data_and_nothing_else_stays(tmp_path):
    write_bytes(tmp_path / "deep" / "a.bin", b"123")
    write_text(tmp_path / "deep" / "b.txt", "µm")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"123"
    assert (tmp_path / "deep" / "b.txt").read_bytes() == "µm".encode()
    assert names(tmp_path / "deep") == ["a.bin", "b.txt"]


def test_temporary_file_keeps_the_suffix(tmp_path):
    with new_file(tmp_path / "a.npz") as temporary:
        assert temporary.suffix == ".npz"
        temporary.write_bytes(b"")


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_failure_inside_new_file_leaves_the_old_file_alone(tmp_path, failure):
    (tmp_path / "a.txt").write_text("old")

    def interrupted() -> None:
        with new_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(DataError if failure is OSError else failure):
        interrupted()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_full_disk_is_one_line_naming_the_file_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"a\.bin could not be written \(No space left on device\): free some space"):
        write_bytes(tmp_path / "a.bin", b"123")
    assert names(tmp_path) == []


def test_file_below_a_file_is_an_error_naming_it(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match=r"a/b\.txt could not be written"):
        write_text(tmp_path / "a" / "b.txt", "")


def test_missing_input_inside_the_block_is_not_called_a_failure_to_write(tmp_path):
    def reads_another() -> None:
        with new_file(tmp_path / "out.txt"):
            (tmp_path / "input.txt").read_text()

    with pytest.raises(FileNotFoundError, match=r"input\.txt"):
        reads_another()


def test_new_folder_takes_the_place_of_the_old_one(tmp_path):
    path = folder_with(tmp_path / "d", "old")
    (path / "b.txt").write_text("old")
    with new_folder(path) as folder:
        (folder / "a.txt").write_text("new")
    assert names(tmp_path) == ["d"]
    assert names(path) == ["a.txt"]
    assert (path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_failure_inside_new_folder_leaves_the_old_folder_alone(tmp_path, failure):
    path = folder_with(tmp_path / "d", "old")

    def interrupted() -> None:
        with new_folder(path) as folder:
            (folder / "a.txt").write_text("half")
            raise failure

    with pytest.raises(DataError if failure is OSError else failure):
        interrupted()
    assert names(tmp_path) == ["d"]
    assert (path / "a.txt").read_text() == "old"


def test_failed_second_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    path, rename = folder_with(tmp_path / "d", "old"), Path.rename

    def rename_of_the_new_fails(self: Path, target: Path) -> Path:
        if self.name.startswith(".part"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_of_the_new_fails)
    with pytest.raises(DataError, match="Permission denied"), new_folder(path):
        pass
    assert names(tmp_path) == ["d"]
    assert (path / "a.txt").read_text() == "old"


def test_new_folder_refuses_the_name_of_a_file(tmp_path):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(DataError, match="it is a file"), new_folder(tmp_path / "d"):
        pass
    assert (tmp_path / "d").read_text() == "mine"


@pytest.mark.parametrize(("number", "expected"), [(1, "old"), (2, "new")])
def test_killed_before_either_rename_recovers_a_whole_folder(tmp_path, number, expected):
    path = folder_with(tmp_path / "d", "old")
    killed_at_rename(path, number)
    recover_folder(path)
    assert (path / "a.txt").read_text() == expected


def test_new_folder_after_a_kill_loses_nothing_when_it_fails_too(tmp_path):
    path = folder_with(tmp_path / "d", "old")
    killed_at_rename(path, 2)
    with pytest.raises(ValueError, match="again"), new_folder(path):
        raise ValueError("again")
    assert names(tmp_path) == ["d"]
    assert (path / "a.txt").read_text() == "new"


def test_recover_removes_the_old_folder_of_a_finished_swap(tmp_path):
    path = folder_with(tmp_path / "d", "new")
    folder_with(tmp_path / ".old-d", "old")
    recover_folder(path)
    assert names(tmp_path) == ["d"]
    assert (path / "a.txt").read_text() == "new"


def test_recover_does_not_take_a_half_written_first_folder(tmp_path):
    folder_with(tmp_path / ".part-d", "half")
    recover_folder(tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("foreign", ["thesis.tex", "deep/er/thesis.tex", ".git/HEAD"])
def test_new_folder_refuses_to_lose_a_file_that_is_not_ours(tmp_path, foreign):
    path = folder_with(tmp_path / "d", "old")
    write_text(path / foreign, "years of work")
    with pytest.raises(DataError, match=rf"{foreign} is in the way"), new_folder(path, ours=("a.txt",)):
        pass
    assert (path / foreign).read_text() == "years of work"
    assert names(tmp_path) == ["d"]


def test_new_folder_refuses_to_lose_a_link_to_a_folder(tmp_path):
    path = folder_with(tmp_path / "d", "old")
    (path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataError, match="link is in the way"):
        check_folder(path, ours=("a.txt",))


def test_new_folder_takes_the_place_of_our_files_and_of_litter(tmp_path):
    path = folder_with(tmp_path / "d", "old")
    (path / ".DS_Store").write_text("")
    with new_folder(path, ours=("a.txt", "b.txt")) as folder:
        (folder / "b.txt").write_text("new")
    assert names(path) == ["b.txt"]


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_the_folder_one_is_in_can_be_named_and_is_not_replaced(tmp_path, monkeypatch, name):
    folder_with(tmp_path / "d", "old")
    monkeypatch.chdir(tmp_path / "d")
    recover_folder(Path(name))
    with pytest.raises(DataError, match="is the folder you are in"), new_folder(Path(name)):
        pass
    with pytest.raises(DataError, match="could not be written"):
        write_text(Path(name), "")
    assert names(Path()) == ["a.txt"]
    assert names(tmp_path) == ["d"]


def test_relative_names_lead_to_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with new_folder(Path("d")) as folder:
        (folder / "a.txt").write_text("new")
    write_text(Path("d/../b.txt"), "new")
    assert names(tmp_path) == ["b.txt", "d"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(tmp_path):
    (tmp_path / "theirs").write_text("years of work")
    (tmp_path / ".part-a.txt").symlink_to(tmp_path / "theirs")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "theirs").read_text() == "years of work"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert not (tmp_path / "a.txt").is_symlink()

import errno
import os

import numpy as np
import pytest
import torch

from sorby.cli.lacking import what_is_lacking
from tests.cli.test_main import sorby

TOO_MUCH = 2**50


@pytest.mark.parametrize(
    ("ask", "amount"),
    [
        (lambda: torch.empty(TOO_MUCH, dtype=torch.uint8), f"({TOO_MUCH} bytes more were asked for)"),
        (lambda: np.empty(TOO_MUCH, np.uint8), "memory: ask for less"),
        (lambda: bytearray(TOO_MUCH), "memory: ask for less"),
    ],
)
def test_memory_that_there_is_not_is_told_as_such(ask, amount):
    with pytest.raises((RuntimeError, MemoryError)) as failed:
        ask()
    assert amount in what_is_lacking(failed.value)


def test_memory_of_a_gpu_is_told_with_its_amount():
    text = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB."
    assert "(2.50 GiB more were asked for)" in what_is_lacking(torch.OutOfMemoryError(text))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "ask for the rights"), (errno.EACCES, "ask for the rights")],
)
def test_a_disk_that_takes_nothing_is_told_with_its_file(number, remedy):
    told = what_is_lacking(OSError(number, os.strerror(number), "runs/a.npz"))
    said = f"'runs/a.npz' could not be read or written ({os.strerror(number)})"
    assert told == f"{said}: {remedy}, or choose another place."


@pytest.mark.parametrize(
    "error", [ValueError("shape"), RuntimeError("sizes do not match"), OSError(errno.EBADF, "bad")]
)
def test_a_bug_stays_one(error):
    assert what_is_lacking(error) is None


def test_a_verb_without_memory_ends_in_one_line(monkeypatch, capsys, tmp_path):
    def without(path):
        raise MemoryError

    monkeypatch.setattr("sorby.inspect.summarise", without)
    assert sorby(monkeypatch, "inspect", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith("sorby: There was not enough memory: ask for less")
    assert len(error.splitlines()) == 1

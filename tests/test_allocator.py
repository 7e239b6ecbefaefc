import platform
import subprocess
import sys

import pytest

from sorby.allocator import keep_freed_memory

PAGE = 4096
FAULTS = """
import ctypes, resource, sys
import numpy as np
from sorby.allocator import keep_freed_memory

def fill():
    [np.ones(int(sys.argv[2]), np.uint8) for _ in range(int(sys.argv[1]))]

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a huge page would be one fault
exec(sys.argv[3])
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
SMALL, LARGE = (40, 2 * 2**20), (3, 80 * 2**20)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets what glibc has")
@pytest.mark.parametrize(
    ("blocks", "size", "said", "kept"),
    [
        (*SMALL, "", False),
        (*SMALL, "keep_freed_memory()", True),
        (*LARGE, "keep_freed_memory()", False),
        (*LARGE, f"keep_freed_memory({97 * 2**20})", False),
        (*LARGE, f"keep_freed_memory({80 * 2**20})", True),
        (*LARGE, f"keep_freed_memory({80 * 2**20}); keep_freed_memory()", True),
    ],
)
def test_freed_memory_is_used_again_where_it_is_kept_and_else_taken_afresh(blocks, size, said, kept):
    command = [sys.executable, "-c", FAULTS, str(blocks), str(size), said]
    faults = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    pages = blocks * size / PAGE
    assert faults < pages / 10 if kept else faults > pages / 2


def test_asking_twice_or_elsewhere_does_no_harm(monkeypatch):
    keep_freed_memory()
    keep_freed_memory()
    monkeypatch.setattr("sorby.allocator.platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("sorby.allocator.ctypes.CDLL", None)
    keep_freed_memory()

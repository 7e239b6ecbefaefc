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
    [np.ones(int(sys.argv[3]), np.uint8) for _ in range(int(sys.argv[2]))]

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a huge page would be one fault
if sys.argv[1] == "kept":
    keep_freed_memory()
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets what glibc has")
@pytest.mark.parametrize(("blocks", "size"), [(40, 2 * 2**20), (3, 80 * 2**20)])
def test_freed_memory_is_used_again_in_place_of_being_taken_afresh(blocks, size):
    def faults(mode: str) -> int:
        command = [sys.executable, "-c", FAULTS, mode, str(blocks), str(size)]
        return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    assert faults("as it comes") > blocks * size / PAGE / 2
    assert faults("kept") < blocks * size / PAGE / 10


def test_asking_twice_or_elsewhere_does_no_harm(monkeypatch):
    keep_freed_memory()
    keep_freed_memory()
    monkeypatch.setattr("sorby.allocator.platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("sorby.allocator.ctypes.CDLL", None)
    keep_freed_memory()

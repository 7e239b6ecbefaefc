"""How this process takes memory from the operating system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
KEPT_BYTES = 2**31 - 1
LARGEST_KEPT_BYTES = 32 * 2**20  # the most that glibc takes
LARGEST_WORTH_BYTES = 96 * 2**20


def keep_freed_memory(largest: int = 0) -> None:
    """Let glibc keep the memory of freed tensors for the next ones; elsewhere do nothing.

    As it comes, it gives every large block back at once and takes it again from the kernel, page by page and each page
    cleared: 2 to 36 % of the time of a training step on a processor (docs/trials.md).

    `largest` is what the largest tensor takes, in bytes. Where that is more than `LARGEST_KEPT_BYTES`, glibc has to
    take all from one heap to keep it. The holes of that heap grow with the tensors, so that above `LARGEST_WORTH_BYTES`
    it is not done.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        if LARGEST_KEPT_BYTES < largest <= LARGEST_WORTH_BYTES:
            libc.mallopt(M_MMAP_MAX, 0)

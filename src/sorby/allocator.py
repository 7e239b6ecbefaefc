"""How this process takes memory from the operating system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 2**31 - 1
LARGEST_KEPT_BYTES = 32 * 2**20  # the most that glibc takes


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones; elsewhere do nothing.

    As it comes, it gives every large block back at once and takes it again from the kernel, page by page and each page
    cleared: 2 to 14 % of the time of a training step on a processor (docs/trials.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)

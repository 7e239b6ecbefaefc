"""How this process takes memory from the operating system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones; elsewhere do nothing.

    As it comes, it gives every large block back at once and takes it again from the kernel, page by page and each page
    cleared: up to a quarter of the time of a training step on a processor (docs/trials.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_MAX, 0)  # a block that is mapped is always given back, and those above 32 MiB would be

"""How this process takes memory from the operating system."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
KEPT_BYTES = 2**31 - 1
LARGEST_KEPT_BYTES = 32 * 2**20  # the most that glibc takes
LARGEST_PX = 256


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones; elsewhere do nothing.

    As it comes, it gives every large block back at once and takes it again from the kernel, page by page and each page
    cleared: 2 to 14 % of the time of a training step on a processor (docs/trials.md).
    """
    _set(M_TRIM_THRESHOLD, KEPT_BYTES)
    _set(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)


def keep_large_blocks(size: int) -> None:
    """Keep those above `LARGEST_KEPT_BYTES` too, in a training on pictures of `size` px up to `LARGEST_PX`.

    Published widths have them, and a step takes a tenth to a quarter less time. The holes between them add up to a
    fifth to the memory at 256 px, and two thirds at 512 px, which is too much (docs/trials.md).
    """
    if size <= LARGEST_PX:
        _set(M_MMAP_MAX, 0)


def _set(parameter: int, value: int) -> None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(parameter, value)

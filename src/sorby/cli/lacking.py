"""What a machine has too little of, in one line: memory, room or rights on a disk."""

import errno
import re

NO_MEMORY = (
    *("allocate memory", "out of memory", "bad_alloc", "failed to map segment", "can't start new thread"),
    *("could not create a primitive", "could not create a memory object"),
)
"""Words of PyTorch on each device, of C++, of the system when it loads a library or starts a thread, and of oneDNN."""
IS_FULL = (errno.ENOSPC, errno.EDQUOT)
IS_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def what_is_lacking(error: BaseException) -> str | None:
    """What to say of an error that is the machine's and no bug; None for any other.

    >>> what_is_lacking(PermissionError(errno.EACCES, "Permission denied", "/data"))
    "'/data' could not be read or written (Permission denied): ask for the rights, or choose another place."
    >>> what_is_lacking(ValueError("negative"))
    """
    if isinstance(error, OSError) and error.errno in IS_FULL + IS_CLOSED:
        place = repr(error.filename) if error.filename else "A file"
        remedy = "free some space" if error.errno in IS_FULL else "ask for the rights"
        return f"{place} could not be read or written ({error.strerror}): {remedy}, or choose another place."
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY):
        wanted = re.search(r"tried to allocate ([\d.]+ \w+)", str(error), re.IGNORECASE)
        more = f" ({wanted[1]} more were asked for)" if wanted else ""
        return (
            f"There was not enough memory{more}: ask for less at once, such as fewer pictures or a smaller batch or "
            "size, or close other programs. What was written is whole; the same command goes on."
        )
    return None

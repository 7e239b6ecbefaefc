"""Several processes that are a team, by fork: they need not import anything again."""

import os
import signal
import socket
import traceback

import lightning_fabric  # noqa: F401 - once, and not in each process

from sorby.team import together

LONGEST_S = 120


def in_processes(num, do):
    """`do(team)` in `num` processes at once; the exit status of each: 0, 1 for an error, less than 0 for a signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [_process(rank, num, port, do) for rank in range(num)]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _process(rank, num, port, do):
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(LONGEST_S)  # a test that hangs fails
        os.nice(5)
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
        do(together("cpu", num))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

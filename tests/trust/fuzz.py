"""Damaged files of every kind, read as Sorby reads them: each is read, or refused by a `SorbyError` of one line.

    python -m tests.trust.fuzz --minutes 60 --out crashes
    python -m tests.trust.fuzz --minutes 1 --only tiff png

The inputs follow from --seed and their number. Each reader runs in a process of its own: one that is killed, or takes
more than `MOST_SECONDS` or `MOST_MIB` for an input, has failed as one that raises anything else. Failing inputs go into
--out, the smallest of each kind, and the table says how many were read.
"""

import argparse
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sorby.errors import SorbyError
from tests.trust.readers import Reader, readers

MOST_SECONDS = 10
MOST_MIB = 400
"""More than the process took before."""
LONGEST_LINE = 2100
"""Letters of a message."""


class TooLongError(BaseException):
    """An input that takes too long; no reader may catch it."""


def failing(reader: Reader, data: bytes) -> tuple[str, str] | None:
    """What is wrong with the way in which an input is read, and where; None where nothing is."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        reader.read(data)
    except SorbyError as error:
        line = str(error)
        if not line.isprintable() or len(line) > LONGEST_LINE:
            return "no clear line", f"{_place(error)} {line[:200]!r}"
    except TooLongError as error:
        return "too long", _place(error)
    except Exception as error:
        return type(error).__name__, f"{_place(error)} {str(error)[:200]!r}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return ("too much memory", f"{more} MiB") if more > MOST_MIB else None


def folder_of(name: str) -> str:
    """Where failing inputs of a reader lie."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _too_long(*_: object) -> None:
    raise TooLongError


def _place(error: BaseException) -> str:
    """The last line of Sorby's own that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/sorby/" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}"


def inputs(reader: Reader, name: str, seed: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Damaged inputs without end, from number `start` on: (number, bytes)."""
    seeds = list(reader.seeds.values())
    number = start
    while True:
        rng = random.Random(f"{name} {seed} {number}")
        data = rng.choice(seeds)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = reader.damage(data, rng)
        yield number, data
        number += 1


def work(name: str, seed: int, start: int, seconds: float, place: Path) -> None:
    """One reader's process: the input under way lies in `place`, what fails beside it."""
    with tempfile.TemporaryDirectory() as home:
        reader = readers(Path(home))[name]
        limit = _address_space() + 3 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        end = time.monotonic() + seconds
        for number, data in inputs(reader, name, seed, start):
            if time.monotonic() > end:
                break
            (place / "now").write_bytes(data)
            (place / "number").write_text(str(number + 1))
            found = failing(reader, data)
            if found:
                with (place / "failed").open("a") as file:
                    file.write(f"{number}\t{found[0]}\t{found[1]}\n")
                kind = f"{found[0]} {found[1].partition(chr(39))[0].partition(chr(34))[0]}"
                target = place / f"{folder_of(kind)[:90]}.bin"
                if not target.exists() or target.stat().st_size > len(data):
                    target.write_bytes(data)
        (place / "ended").write_text("")


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def fuzz(name: str, seed: int, seconds: float, out: Path) -> tuple[int, Counter[str]]:
    """Inputs read, and kinds of failure with how often each came."""
    place = out / folder_of(name)
    place.mkdir(parents=True, exist_ok=True)
    (place / "failed").write_text("")
    (place / "ended").unlink(missing_ok=True)
    end, start = time.monotonic() + seconds, 0
    while time.monotonic() < end and not (place / "ended").exists():
        process = multiprocessing.get_context("spawn").Process(
            target=work, args=(name, seed, start, end - time.monotonic(), place)
        )
        process.start()
        begun = time.time()
        while process.is_alive():
            stamp = (place / "number").stat().st_mtime if (place / "number").exists() else begun
            if time.time() - max(stamp, begun) > 6 * MOST_SECONDS:
                process.kill()
            process.join(2)
        if process.exitcode:
            number = int((place / "number").read_text()) if (place / "number").exists() else 0
            start = max(number, start + 1)  # the input itself may be what could not be made
            killed = place / f"killed-{-process.exitcode}.bin"
            if (place / "now").exists():
                killed.write_bytes((place / "now").read_bytes())
            with (place / "failed").open("a") as file:
                file.write(f"{start - 1}\tkilled {process.exitcode}\t\n")
            if not (place / "now").exists():
                break
    count = int((place / "number").read_text()) if (place / "number").exists() else 0
    rows = [line.split("\t") for line in (place / "failed").read_text().splitlines()]
    kinds = Counter(f"{row[1]} {row[2].partition(chr(39))[0]}" for row in rows if len(row) > 2)
    return count, kinds


def main() -> None:
    """A row of a table for each reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="readers; all without")
    parser.add_argument("--out", type=Path, default=Path("crashes"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        names = list(readers(Path(home)))
    names = [name for name in names if not args.only or name in args.only]
    print("| reader | inputs | failures | kinds |\n| --- | --- | --- | --- |")
    total, failures = 0, 0
    for name in names:
        count, kinds = fuzz(name, args.seed, args.minutes * 60 / len(names), args.out)
        total, failures = total + count, failures + sum(kinds.values())
        print(f"| {name} | {count} | {sum(kinds.values())} | {len(kinds)} |", flush=True)
        for kind, times in kinds.most_common():
            print(f"      {times} x {kind}", flush=True)
    print(f"| all | {total} | {failures} | |")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

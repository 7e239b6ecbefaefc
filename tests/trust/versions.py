"""How far the results of two environments are from each other, such as those of the oldest and the newest PyTorch.

    python -m tests.trust.versions --python OLD/bin/python
    python -m tests.trust.versions --set ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=default

Each verb works on the same data here, and with another Python in which Sorby is installed too, or with other variables,
such as those that keep the libraries to the instructions of an older processor. Printed is the largest difference of
pictures, in grey levels and in the share of px that differ; of numbers, relative; and of weights, relative to the
largest of their array.
"""

import argparse
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from sorby.decode import decode
from tests.trust.verbs import BESIDE, TIMES, VERBS, Verb, fill, finish

PICTURES = (".png", ".tif")


def in_precision(verb: Verb, precision: str) -> Verb:
    """A training in the same precision on any machine."""
    name = f"{verb.name} in {precision}"
    return replace(verb, name=name, command=f"{verb.command} --precision {precision}", out=f"{verb.out}-{precision}")


TRAININGS = [verb for verb in VERBS if verb.name == "train"]
COMPARED = (*VERBS, *(in_precision(verb, precision) for verb in TRAININGS for precision in ("bfloat16", "float32")))


def files(out: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a result that count, also those in a zip."""
    for path in [out] if out.is_file() else sorted(out.rglob("*")):
        name = path.relative_to(out.parent).as_posix()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as zipped:
                yield from ((f"{name}/{member}", zipped.read(member)) for member in zipped.namelist())
        elif path.is_file() and not any(part in name for part in BESIDE):
            yield name, path.read_bytes()


def numbers(value: object, at: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of JSON with their places, but for times."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        if key not in TIMES:
            yield from numbers(one, f"{at}/{key}")
    if isinstance(value, int | float):
        yield at, float(value)


def differences(name: str, one: bytes, other: bytes) -> Iterator[tuple[str, float, str]]:
    """Kinds of differences between two files of one name, how large, and where."""
    suffix = Path(name).suffix
    if suffix in PICTURES:
        a, b = (decode(data, name=name)[0].astype(float) for data in (one, other))
        yield "grey levels", float(np.abs(a - b).max()), name
        yield "share of px", float((a != b).mean()), name
    elif suffix == ".safetensors":
        for key, a in (first := load(one)).items():
            yield "weights", float(np.abs(a - load(other)[key]).max() / max(np.abs(a).max(), 1e-12)), f"{name} {key}"
        assert first.keys() == load(other).keys()
    elif suffix in (".json", ".jsonl"):
        texts = (
            "[" + ",".join(data.decode().splitlines()) + "]" if suffix == ".jsonl" else data for data in (one, other)
        )
        found = [dict(numbers(json.loads(text))) for text in texts]
        assert found[0].keys() == found[1].keys(), name
        for at, a in found[0].items():
            if not np.isnan(a):
                yield (
                    "numbers",
                    abs(a - found[1][at]) / max(abs(a), 1e-12) if a != found[1][at] else 0.0,
                    f"{name} {at}",
                )


def main() -> None:
    """Print a table, a line a verb and kind of difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the other environment's Python")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="the other environment's variables")
    parser.add_argument("--only", nargs="+", choices=[verb.name for verb in COMPARED])
    args = parser.parse_args()
    there = {**os.environ, **dict(text.split("=", 1) for text in args.set)}
    print("| verb | largest difference in | is | where |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill(folder)
        for verb in COMPARED:
            if args.only and verb.name not in args.only:
                continue
            outs = [folder / place / verb.out for place in ("one", "other")]
            for out, python, env in zip(outs, (sys.executable, args.python), (None, there), strict=True):
                out.parent.mkdir(exist_ok=True)
                finish(verb, folder, out, python=python, env=env)
            one, other = (dict(files(out)) for out in outs)
            assert one.keys() == other.keys(), one.keys() ^ other.keys()
            largest: dict[str, tuple[float, str]] = {}
            for name in one:
                for kind, much, at in differences(name, one[name], other[name]):
                    largest[kind] = max(largest.get(kind, (0.0, "nowhere")), (much, at))
            for kind, (much, at) in largest.items():
                print(f"| {verb.name} | {kind} | {much:.2g} | {at if much else 'nowhere'} |", flush=True)


if __name__ == "__main__":
    main()

"""Size of ONNX files, how far their pictures are from PyTorch's, and how fast they are drawn.

    python benchmarks/onnx_files.py uhcs-64 uhcs-classes-64 --batch 8 --rounds 7

Both draw in float32, in turns, so that a busy machine slows both. Needs `pip install 'sorby[onnx]'`.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from onnxruntime import InferenceSession, SessionOptions

from sorby.generator import Generator
from sorby.interop.onnx import export_onnx, inputs_of


def measure(name: str, *, batch: int, rounds: int, threads: int) -> None:
    """Export, draw in turns, and print a line."""
    generator = Generator.load(name, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.onnx"
        begun = time.perf_counter()
        difference = export_onnx(generator, path)
        taken, size = time.perf_counter() - begun, path.stat().st_size
        options = SessionOptions()
        options.intra_op_num_threads = threads
        session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    seeds = range(batch)
    inputs = dict(inputs_of(generator, seeds))
    z, noise = generator.latents(seeds)
    encoded = generator.encoded(seeds)
    seconds: dict[str, list[float]] = {"onnxruntime": [], "PyTorch": []}
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        session.run(None, inputs)
        between = time.perf_counter()
        generator.draw(generator.styles(z, encoded), noise)
        seconds["onnxruntime"].append(between - begun)
        seconds["PyTorch"].append(time.perf_counter() - between)
    rates = ", ".join(f"{who} {batch / statistics.median(each[1:]):.0f}/s" for who, each in seconds.items())
    made = f"{size / 1e6:.1f} MB, exported in {taken:.0f} s, differs by {difference:.1g}"
    print(f"{name}: {made}; batch {batch}: {rates}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="+")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for each in asked.generators:
        measure(each, batch=asked.batch, rounds=asked.rounds, threads=asked.threads)

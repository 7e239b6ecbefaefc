"""What docs/trust.md states of one generator on unlike processors: other instructions add in another order."""

import os
import subprocess
import sys

import numpy as np
import pytest

OLDER = {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}
"""Keeps PyTorch and oneDNN to instructions that every x86 processor has; others pass over it."""

DRAW = """
import sys, numpy as np, torch
from sorby import Generator
from sorby.models import compiled
compiled.openvino_version = lambda: None  # which has tests of its own, and takes no older instructions
np.save(sys.argv[1], Generator.load("uhcs-64", dtype=getattr(torch, sys.argv[2])).images(range(16)))
"""


def drawn(path, precision, **env):
    command = [sys.executable, "-c", DRAW, str(path), precision]
    subprocess.run(command, check=True, env={**os.environ, **env}, timeout=120)
    return np.load(path).astype(int)


@pytest.mark.parametrize(("precision", "grey_levels"), [("float32", 1), ("bfloat16", 12)])
def test_a_picture_on_an_older_processor_is_the_same_within_what_is_stated(precision, grey_levels, tmp_path):
    here = drawn(tmp_path / "here.npy", precision)
    older = drawn(tmp_path / "older.npy", precision, **OLDER)
    assert here.std() > 20  # a picture, and not a grey field
    assert np.abs(here - older).max() <= grey_levels


def test_a_picture_in_bfloat16_is_that_in_float32_within_what_is_stated(tmp_path):
    difference = np.abs(drawn(tmp_path / "a.npy", "float32") - drawn(tmp_path / "b.npy", "bfloat16"))
    assert difference.mean() < 1
    assert 0 < np.quantile(difference, 0.99) <= 4
    assert difference.max() <= 12  # where an edge moves by a part of a pixel

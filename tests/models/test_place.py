from pathlib import Path

import pytest
import torch

from sorby.models.place import fastest_dtype

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.is_file(), reason="this system does not list the instructions of its processor")
def test_bfloat16_is_chosen_where_the_processor_computes_in_it():
    flags = set(CPUINFO.read_text().split())
    native = bool(flags & {"avx512_bf16", "amx_tile"})
    assert fastest_dtype("cpu") == (torch.bfloat16 if native else torch.float32)


def test_apples_gpus_compute_in_float32():
    assert fastest_dtype("mps") == torch.float32

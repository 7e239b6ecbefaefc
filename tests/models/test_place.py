import platform

import pytest
import torch

from sorby.models import place
from sorby.models.place import CPUINFO, fastest_dtype


@pytest.mark.skipif(not CPUINFO.is_file(), reason="this system does not list the instructions of its processor")
def test_bfloat16_is_chosen_where_this_processor_is_faster_in_it():
    words = set(CPUINFO.read_text().split())
    faster = "amx_tile" in words or {"avx512_bf16", "AuthenticAMD"} <= words
    assert fastest_dtype("cpu") == (torch.bfloat16 if faster else torch.float32)


@pytest.mark.parametrize(
    ("instructions", "vendor", "expected"),
    [
        ({"amx_tile", "avx512_bf16"}, "GenuineIntel", torch.bfloat16),
        ({"avx512_bf16"}, "GenuineIntel", torch.float32),
        ({"avx512_bf16"}, "AuthenticAMD", torch.bfloat16),
        (set(), "AuthenticAMD", torch.float32),
        (set(), "", torch.float32),
    ],
)
def test_the_instructions_and_who_made_the_processor_decide(instructions, vendor, expected, tmp_path, monkeypatch):
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: name in instructions, raising=False)
    monkeypatch.setattr(place, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: f"Family 25 Model 97, {vendor}")  # as Windows says it
    assert fastest_dtype("cpu") == expected
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\n")
    monkeypatch.setattr(platform, "processor", str)
    assert fastest_dtype("cpu") == expected


def test_apples_gpus_compute_in_float32():
    assert fastest_dtype("mps") == torch.float32

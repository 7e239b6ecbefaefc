"""What OpenVINO draws is what PyTorch draws; `make openvino` fetches it and runs these tests."""

import socket
import sys
import threading
from types import ModuleType

import numpy as np
import pytest
import torch

from sorby import generator as generators
from sorby.draw import draw
from sorby.errors import ConfigError
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.models import compiled
from sorby.models.compiled import CompiledSynthesis
from tests.latent.tiny import tiny

SEEDS = range(5)
PRECISIONS = (torch.float32, torch.bfloat16)
needs_openvino = pytest.mark.skipif(compiled.openvino_version() is None, reason="OpenVINO is not here: make openvino")
KINDS = [
    {},
    {"layout": "random"},
    {"conditional": True},
    {"model": "contragan", "conditional": True},
    {"model": "contragan", "channels": 3},
]


def drawn_from(generator, seeds=SEEDS):
    z, noise = generator.latents(seeds)
    return generator.styles(z, generator.encoded(seeds)), noise


@pytest.fixture
def on_amx(monkeypatch):
    """As on a processor with AMX."""
    monkeypatch.setattr(generators, "fastest_dtype", lambda _: torch.bfloat16)
    monkeypatch.setattr(compiled, "has_amx", lambda: True)


@needs_openvino
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pictures_are_those_of_the_network_within_the_rounding_of_bfloat16(kind):
    generator = tiny(**kind)
    ws, noise = drawn_from(generator)
    with torch.inference_mode():
        exact = generator.network.synthesis(ws, noise)
        rounded = generator.network.synthesis(ws, noise, dtype=torch.bfloat16)
        found = CompiledSynthesis(generator.network, ws[:2], [layer[:2] for layer in noise])(ws, noise)
    assert exact.std() > 0.01
    assert (found - exact).abs().max() <= 3 * (rounded - exact).abs().max()
    assert (found - exact).abs().mean() <= 2 * (rounded - exact).abs().mean()


@needs_openvino
def test_a_picture_is_the_same_to_the_bit_whatever_is_drawn_beside_it_and_in_how_many_threads(monkeypatch):
    generator = tiny()
    ws, noise = drawn_from(generator)
    pictures = []
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        synthesis = CompiledSynthesis(generator.network, ws, noise)
        pictures.append(synthesis(ws, noise))
        pictures.append(torch.cat([synthesis(ws[i, None], [layer[i, None] for layer in noise]) for i in SEEDS]))
    assert all(torch.equal(pictures[0], others) for others in pictures[1:])


@needs_openvino
def test_two_threads_that_draw_at_once_get_their_own_pictures():
    generator = tiny()
    ws, noise = drawn_from(generator)
    synthesis = CompiledSynthesis(generator.network, ws, noise)
    alone = synthesis(ws, noise)
    found = []
    threads = [threading.Thread(target=lambda: found.append(synthesis(ws, noise))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    assert all(torch.equal(alone, one) for one in found)


@needs_openvino
def test_the_network_is_left_as_it_was():
    generator = tiny()
    ws, noise = drawn_from(generator)
    before = {name: tensor.clone() for name, tensor in generator.network.state_dict().items()}
    CompiledSynthesis(generator.network, ws, noise)
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in generator.network.synthesis.parameters())


@needs_openvino
def test_nobody_is_told_that_openvino_is_used(monkeypatch):
    called = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *args: called.append(args))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: called.append(args) or [])
    started = set(threading.enumerate())
    generator = tiny()
    CompiledSynthesis(generator.network, *drawn_from(generator))
    assert set(threading.enumerate()) == started  # telemetry would be sent by one of its own
    assert called == []


@needs_openvino
@pytest.mark.usefixtures("on_amx")
def test_a_loaded_generator_draws_with_it_and_its_pictures_say_so(tmp_path):
    tiny().save(tmp_path / "steel")
    generator = Generator.load(tmp_path / "steel")
    assert generator.precision == f"bfloat16, OpenVINO {compiled.openvino_version()}"
    ws, noise = drawn_from(generator)
    expected = generators.to_grey_values(CompiledSynthesis(tiny().network, ws, noise)(ws, noise))
    assert np.array_equal(generator.images(SEEDS), expected)
    (path,) = draw(generator, [3], tmp_path)
    assert "OpenVINO" in str(summarise(path))


@needs_openvino
@pytest.mark.usefixtures("on_amx")
def test_a_picture_is_that_in_float32_within_what_is_stated():
    exact, rounded = (Generator.load("uhcs-64", dtype=dtype).images(range(16)) for dtype in PRECISIONS)
    difference = np.abs(exact.astype(int) - rounded)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.99) <= 4
    assert difference.max() <= 12  # of these 16; of 200 it was 14 (docs/performance.md)


@needs_openvino
@pytest.mark.usefixtures("on_amx")
def test_in_float32_pytorch_draws(tmp_path):
    tiny().save(tmp_path / "steel")
    exact = Generator.load(tmp_path / "steel").with_dtype(torch.float32)
    assert exact.precision == "float32"
    assert np.array_equal(exact.images(SEEDS), Generator.load(tmp_path / "steel", dtype=torch.float32).images(SEEDS))


@pytest.mark.usefixtures("on_amx")
def test_without_it_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "openvino_version", lambda: None)
    assert not compiled.is_compiled("cpu", torch.bfloat16)
    assert compiled.how_drawn("cpu", torch.bfloat16) == "bfloat16"


def test_with_it_bfloat16_is_compiled_on_a_processor_with_amx_and_nothing_else(on_amx, monkeypatch):
    monkeypatch.setattr(compiled, "openvino_version", lambda: "2026.4.1")
    assert compiled.how_drawn("cpu", torch.bfloat16) == "bfloat16, OpenVINO 2026.4.1"
    assert compiled.how_drawn("cpu", torch.float32) == "float32"
    assert compiled.how_drawn("cuda:0", torch.bfloat16) == "bfloat16"
    monkeypatch.setattr(compiled, "has_amx", lambda: False)
    assert compiled.how_drawn("cpu", torch.bfloat16) == "bfloat16"


def test_an_openvino_that_does_not_fit_is_one_line_that_says_what_to_do(monkeypatch):
    for name in ("openvino", "openvino.frontend", "openvino.frontend.pytorch.ts_decoder"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    generator = tiny()
    with pytest.raises(ConfigError, match=r"OpenVINO .* cannot draw .*pip uninstall openvino.*PyTorch draws"):
        CompiledSynthesis(generator.network, *drawn_from(generator))

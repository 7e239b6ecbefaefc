import builtins
import io
import os
import pickle
import pickletools
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorby.errors import SorbyError, WeightsError
from sorby.interop.imported import import_file
from sorby.interop.pickles import read_pickle
from sorby.interop.torch_files import read_file, tensors_in
from tests.interop.made import official, official_file, rosinality_file


def value_of(data):
    return read_pickle(io.BytesIO(data), "it")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read_as_pickle_reads_them(protocol):
    value = {"a": [1, -2, 3 << 70, 1.5, None, True, False], "b": ("x", ("é", ()), (1, 2, 3, 4)), 3: {"c": {}}}
    value["again"] = value["a"]
    assert value_of(pickle.dumps(value, protocol)) == value


def test_long_texts_lists_and_bytes_are_read_too():
    value = {
        "text": "ü" * 300,
        "bytes": bytes(1000),
        "list": list(range(3000)),
        "many": {str(i): i for i in range(3000)},
    }
    assert value_of(pickle.dumps(value)) == value


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old form"])
def test_tensors_are_read_as_torch_reads_them(tmp_path, old):
    whole = torch.arange(24.0).reshape(2, 3, 4)
    value = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1, 1:, ::2],
        "half": whole.half(),
        "double": whole.double(),
        "long": whole.long(),
        "number": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "learns": torch.nn.Parameter(whole),
    }
    path = tmp_path / "x.pt"
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    read = tensors_in(read_file(path), "it", at_most=10**6)
    assert read.keys() == value.keys()
    for name, tensor in value.items():
        assert torch.equal(read[name], tensor.detach().float())


# Nothing is run


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def _torch_load(payload):
    data = io.BytesIO()
    torch.save(payload, data, _use_new_zipfile_serialization=False)
    return Calls(torch.storage._load_from_bytes, data.getvalue())


BAD = {
    "os.system": Calls(os.system, "touch ran"),
    "builtins.eval": Calls(builtins.eval, "open('ran', 'w')"),
    "builtins.exec": {"G_ema": Calls(builtins.exec, "open('ran', 'w')")},
    "builtins.getattr": Calls(builtins.getattr, Calls(__import__, "os"), "system"),
    "numpy objects": {"G_ema": np.array([Calls(os.system, "touch ran")], dtype=object)},
    "tensor in torch.load": {
        "G_ema": Calls(
            torch._utils._rebuild_tensor_v2, _torch_load(Calls(os.system, "touch ran")), 0, (1,), (1,), False, {}
        )
    },
    "open": Calls(open, "ran", "w"),
    "copyreg": Calls(__import__("copyreg")._reconstructor, Path, object, None),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_would_run_something_is_refused_in_one_line(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(BAD[name], protocol))
    with pytest.raises(WeightsError) as error:
        import_file(path, tmp_path / "steel")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [path]


def test_the_bad_pickles_do_run_something_where_pickle_reads_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(BAD["os.system"]))
    assert Path("ran").exists()


def test_what_a_pickle_names_is_told(tmp_path):
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps(BAD["os.system"]))
    with pytest.raises(WeightsError, match=r"network\.pkl.*'posix\.system'.*nothing of it was run"):
        read_file(path)


def test_nested_numbers_that_would_run_something_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.pkl"
    storage = _torch_load(Calls(os.system, "touch ran"))
    value = {"w": Calls(torch._utils._rebuild_tensor_v2, storage, 0, (1,), (1,), False, {})}
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(WeightsError, match="system"):
        tensors_in(read_file(path), "it", at_most=100)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.", "expected"),  # bytes of 2**60
        (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.", "not enough data"),  # a number of 2**31 bytes
        (b"\x80\x02}r\xff\xff\xff\xff.", None),  # a far place of memory, which is fine
        (b"\x80\x02cos\nsystem\nq\x00.", "'os.system'"),
        (b"\x80\x02cdnnlib.tflib.network\nNetwork\n.", "legacy.py"),
        (b"\x80\x02}X\x03\x00\x00\x00a\nbK\x01s.", "no name"),
        (b"\x80\x02Pelsewhere\n.", "step PERSID"),
        (b"\x80\x02K\x01Q.", "outside the file"),
        (b"\x80\x02(ios\nsystem\n.", "step INST"),
        (b"\x80\x02\x82\x01.", "step EXT1"),
        (b"\x80\x02}(K\x01K\x02K\x03u.", "shorter"),
        (b"\x80\x02}(K\x01K\x02)K\x03u.", "neither a text nor a number"),
        (b"\x80\x02", "pickle exhausted"),
        (b"\x80\x02K\x01K\x02.", "middle of a value"),
        (b"\x80\x02)R.", "it is damaged, or no pickle"),
        (b"\x80\x02K\x01K\x02a.", "no list"),
        (b"\x80\x02]}b.", "gives a state"),
        (b"\x80\x02h\x07.", "it is damaged, or no pickle"),
    ],
)
def test_a_crooked_program_is_refused_and_costs_nothing(code, why):
    if why is None:
        assert value_of(code) == {}
        return
    with pytest.raises(WeightsError, match=why):
        value_of(code)


def test_a_program_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("sorby.interop.pickles.MOST_STEPS", 100)
    with pytest.raises(WeightsError, match="more than 100 steps"):
        value_of(b"\x80\x02" + b"]0" * 100 + b"].")


def rebuilt(size, stride, offset=0, count=6):
    numbers = torch.zeros(count)
    storage = torch.storage.TypedStorage(wrap_storage=numbers.untyped_storage(), dtype=numbers.dtype, _internal=True)
    return Calls(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((10**12,), (0,), 0),
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (1,), 0),
        ((-1,), (1,), 0),
        ((2,), (2**62,), 0),
        (("6",), (1,), 0),
    ],
)
def test_a_tensor_larger_than_its_numbers_is_refused(size, stride, offset):
    value = value_of(pickle.dumps({"w": rebuilt(size, stride, offset)}))
    with pytest.raises(WeightsError, match="w in it is no tensor"):
        tensors_in(value, "it", at_most=100)


def test_tensors_that_share_numbers_do_not_multiply_them():
    one = rebuilt((6,), (1,))
    value = value_of(pickle.dumps({str(number): one for number in range(100)}))
    with pytest.raises(WeightsError, match="claims more numbers than it holds"):
        tensors_in(value, "it", at_most=1000)


def test_a_zip_that_unpacks_to_more_than_itself_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for info in whole.infolist():
            bomb.writestr(info.filename, whole.read(info))
    with pytest.raises(WeightsError, match="is larger than the file"):
        read_file(tmp_path / "bomb.pt")


def test_files_that_are_cut_off_are_refused(tmp_path):
    G, D = official(channels=3)
    for path in (
        official_file(tmp_path, G),
        rosinality_file(tmp_path, G, D),
        rosinality_file(tmp_path, G, D, old=True),
    ):
        data = path.read_bytes()
        for part in (0, 1, 2, 100, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:part])
            with pytest.raises(WeightsError):
                import_file(path, tmp_path / "steel")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(["official", "zip", "old"]))
def test_changed_bytes_give_an_import_or_an_error_for_the_user(fuzzed, data, form):
    folder, files = fuzzed
    original = files[form]
    changed = bytearray(original)
    head = min(len(original), 6000)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.one_of(st.integers(0, head - 1), st.integers(0, len(original) - 1)))
        changed[place] = data.draw(st.integers(0, 255))
    path = folder / "changed.pkl"
    path.write_bytes(changed)
    with suppress(SorbyError):  # anything else fails
        import_file(path, folder / "steel")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    G, D = official(channels=3)
    files = {
        "official": official_file(folder, G).read_bytes(),
        "zip": rosinality_file(folder, G, D).read_bytes(),
        "old": rosinality_file(folder, G, D, old=True).read_bytes(),
    }
    return folder, files


def test_opcodes_of_a_real_file_are_few_against_the_limit(tmp_path):
    path = official_file(tmp_path, *official())
    assert sum(1 for _ in pickletools.genops(path.read_bytes())) < 50_000

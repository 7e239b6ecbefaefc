"""Shards hold what the zip holds, and give it in any order."""

import json
import pickle
import tarfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sorby.cli import app
from sorby.conditions import ConditionSpace
from sorby.data import shards, streamed
from sorby.data.dataset import Dataset, Patch, write_dataset
from sorby.data.pack import pack
from sorby.data.pixels import decode
from sorby.data.streamed import Streamed, pictures_of
from sorby.data.table import PatchTable
from sorby.errors import DataError
from sorby.training.batches import Batches
from tests.data.made import textures

N = 30


def patches():
    for n in range(N):
        yield Patch(
            file=f"00000/é{n}.png",
            parent=f"m{n % 5}",
            group=f"g{n % 3}",
            x_px=n / 3,
            y_px=7.25,
            width_px=8,
            height_px=8,
            pixel_size_um=None if n == 4 else 0.1,
            split="held-out" if n % 5 == 4 else "train",
            conditions={"cooling": "air" if n % 2 else "oil", "time": f"{n % 4}e1"},
        )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def plain(images, tmp_path_factory):
    space = ConditionSpace.from_rows([patch.conditions for patch in patches()], ["cooling", "time:s"])
    path = tmp_path_factory.mktemp("data") / "d.zip"
    return write_dataset(path, zip(patches(), images, strict=True), space=space, recipe={"a": 1}, licence="CC0")


@pytest.fixture
def packed(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "PICTURES_A_SHARD", 7)
    return pack(plain, tmp_path / "d.shards")


def but_file(patch):
    return {name: getattr(patch, name) for name in Patch.__slots__ if name != "file"}


def test_shards_hold_what_the_zip_holds(plain, packed, images):
    assert [but_file(patch) for patch in packed.patches] == [but_file(patch) for patch in plain.patches]
    assert (packed.hash, packed.space, packed.recipe, packed.licence) == (plain.hash, plain.space, {"a": 1}, "CC0")
    assert np.array_equal(packed.images(), images[:, None])
    some = np.array([29, 3, 3, 11])
    assert np.array_equal(packed.images(some), images[some][:, None])
    assert np.array_equal(packed.conditions(some), plain.conditions(some))
    for name in ("train", "held-out"):
        one, other = packed.split(name), plain.split(name)
        assert (one.hash, one.parents, one.pixel_size_um) == (other.hash, other.parents, other.pixel_size_um)
        assert np.array_equal(one.parent_of, other.parent_of)
    assert packed.split("train").subset(2, seed=1).hash == plain.split("train").subset(2, seed=1).hash


def test_back_from_shards_every_byte_of_the_pictures_is_the_same(plain, packed, tmp_path):
    back = pack(packed, tmp_path / "back.zip")
    assert back.hash == plain.hash
    for one, other in zip(back.patches, plain.patches, strict=True):
        assert back.archive.read(one.file) == plain.archive.read(other.file)


def test_the_shards_are_what_webdataset_reads(packed, images):
    """Samples of two files that share a name, in tar files; read by the standard library, which knows no index."""
    found = sorted(packed.path.glob("shard-*.tar"))
    assert len(found) == -(-N // 7)
    members = []
    for path in found:
        with tarfile.open(path) as tar:
            members += [(member.name, tar.extractfile(member).read()) for member in tar]
    names = [name for name, _ in members]
    assert names == [f"{n:09d}.{kind}" for n in range(N) for kind in ("png", "json")]
    assert np.array_equal(decode(members[8][1], name="")[0], images[4])
    about = json.loads(members[9][1])
    assert about["conditions"] == {"cooling": "oil", "time": "0e1"}
    assert (about["parent"], about["split"]) == ("m4", "held-out")
    assert "pixel_size_um" not in about


def test_views_and_pickles_of_shards_read_too(packed, images):
    again = pickle.loads(pickle.dumps(packed.split("held-out")))
    assert np.array_equal(again.images(), images[4::5, None])


def test_columns_stay_on_disk(packed):
    assert all(isinstance(column, np.memmap) for column in packed.patches.columns.values())
    assert isinstance(packed.archive.index, np.memmap)


def test_a_table_is_the_patches_it_was_made_of():
    table = PatchTable.of(patches())
    assert table == tuple(patches())
    assert table[3:9:2] == list(patches())[3:9:2]
    assert table[-1] == table[np.int64(N - 1)] == list(patches())[-1]
    assert table != tuple(patches())[:-1]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: (path / "shard-00002.tar").unlink(), "shard-00002.tar cannot be read"),
        (
            lambda path: (path / "shard-00002.tar").write_bytes(b"short"),
            "shard-00002.tar cannot be read .it ends too soon",
        ),
        (lambda path: _flip(path / "shard-00002.tar"), "was changed since it was prepared|not a readable PNG"),
    ],
)
def test_a_damaged_shard_is_told_when_its_picture_is_asked_for(packed, harm, message):
    harm(packed.path)
    data = Dataset.open(packed.path)
    assert len(data.images([0, 1])) == 2
    with pytest.raises(DataError, match=message):
        data.images([15])


def _flip(path):
    """Change the second picture of a shard, after its header."""
    with tarfile.open(path) as tar:
        start = tar.getmembers()[2].offset_data
    data = bytearray(path.read_bytes())
    for place in range(start + 41, start + 61):
        data[place] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["columns.json", "columns/00.npy"])
def test_a_damaged_table_is_told_at_once(packed, name):
    (packed.path / name).write_bytes(b"{")
    with pytest.raises(DataError, match=r"d\.shards"):
        Dataset.open(packed.path)


def test_an_index_of_another_length_is_told(packed):
    np.save(packed.path / "index.npy", np.zeros((3, 3), np.uint64))
    with pytest.raises(DataError, match="its index and its columns differ in length"):
        Dataset.open(packed.path)


def test_packing_that_fails_leaves_what_was_there(plain, packed, tmp_path, monkeypatch):
    before = packed.hash
    monkeypatch.setattr(type(plain.archive), "read", lambda *_: (_ for _ in ()).throw(DataError("no")))
    with pytest.raises(DataError, match="no"):
        pack(plain, packed.path)
    assert Dataset.open(packed.path).hash == before
    (tmp_path / "d.shards" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"mine\.txt"):
        pack(packed, packed.path)


def test_streamed_batches_are_those_of_memory_bit_for_bit(packed, monkeypatch):
    conditions = torch.from_numpy(packed.conditions())
    settings = {"batch_size": 4, "seed": 3, "symmetry": "square"}
    kept = Batches(pictures_of(packed), conditions, **settings)
    monkeypatch.setattr(streamed, "MOST_KEPT_BYTES", 0)
    flowing = Batches(pictures_of(packed), conditions, **settings)
    assert isinstance(flowing.images, Streamed)
    for position in (0, 4, 8, 28, 32, 100, 0):
        for one, other in zip(kept.at(position), flowing.at(position), strict=True):
            assert torch.equal(one, other)


def test_what_comes_next_is_read_ahead_and_read_once(packed, monkeypatch):
    read = []
    images = Dataset.images
    monkeypatch.setattr(Dataset, "images", lambda self, rows=None: read.extend(rows) or images(self, rows))
    batches = Batches(Streamed(packed), torch.zeros(N, 0), batch_size=6, seed=0)
    for step in range(5):
        batches.at(6 * step)
    batches.images._pool.shutdown()
    assert sorted(read[:N]) == list(range(N))


def test_a_damaged_picture_stops_the_stream_with_its_name(packed):
    (packed.path / "shard-00000.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"shard-00000\.tar cannot be read"):
        Streamed(Dataset.open(packed.path))[torch.tensor([0, 20])]


def test_from_the_command_line(plain, tmp_path):
    out = tmp_path / "steel.shards"
    result = CliRunner().invoke(app, ["pack", str(plain.path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Packed 30 patches" in result.stdout
    result = CliRunner().invoke(app, ["inspect", str(out)])
    assert result.exit_code == 0, result.output
    assert "30 of 8 x 8 px" in result.stdout


def test_shards_of_prepare_are_replaced_when_it_is_repeated(tmp_path):
    textures(tmp_path / "raw", 3)
    command = ["prepare", str(tmp_path / "raw"), "--size", "32", "--out", str(tmp_path / "a.shards")]
    for _ in range(2):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert len(Dataset.open(tmp_path / "a.shards").parents) == 3

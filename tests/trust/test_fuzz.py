"""Inputs that once failed, and some damaged at random, are read or refused in one line; `fuzz.py` is the long run."""

import itertools
from pathlib import Path

import pytest

from tests.trust.fuzz import failing, folder_of, inputs
from tests.trust.readers import readers

CORPUS = Path(__file__).parent / "corpus"
NAMES = (
    "tiff", "png", "jpeg", "bmp", "text beside an image", "zip of images", "dataset zip", "dataset.toml",
    "manifest.csv", "rejected.csv", "parents.csv", "picture of a dataset", "dataset.json of others",
    "index.npy of shards", "columns.json of shards", "columns/00.npy of shards", "columns/01.npy of shards",
    "columns/03.npy of shards", "columns/08.npy of shards", "shard-00000.tar of shards", "labels", "overrides",
    "list of names", "latents", "config.json", "model.safetensors", "directions.json", "directions.safetensors",
    "projection.json", "projection.safetensors", "config.toml", "log.jsonl", "checkpoint", "study.toml",
)  # fmt: skip
SHORT = 12
"""Inputs of each reader."""


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return readers(tmp_path_factory.mktemp("fuzz") / "home")


def test_the_names_are_those_of_the_readers(every):
    assert tuple(every) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_valid_inputs_are_read(every, name):
    for data in every[name].seeds.values():
        every[name].read(data)


@pytest.mark.parametrize("name", [name for name in NAMES if (CORPUS / folder_of(name)).is_dir()])
def test_inputs_that_once_failed_do_no_more(every, name):
    kept = sorted((CORPUS / folder_of(name)).glob("*.bin"))
    assert kept
    assert {path.name: found for path in kept if (found := failing(every[name], path.read_bytes()))} == {}


@pytest.mark.parametrize("name", NAMES)
def test_damaged_inputs_are_read_or_refused_with_one_line(every, name):
    some = itertools.islice(inputs(every[name], name, seed=0, start=0), SHORT)
    assert {number: found for number, data in some if (found := failing(every[name], data))} == {}


def test_a_reader_that_fails_is_found(every):
    def broken(data):
        if len(data) % 2:
            raise KeyError("x")

    some = itertools.islice(inputs(every["png"], "png", seed=0, start=0), SHORT)
    reader = type(every["png"])(every["png"].seeds, broken, every["png"].damage)
    assert {found[0] for _, data in some if (found := failing(reader, data))} == {"KeyError"}

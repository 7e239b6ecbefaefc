"""Hostile files: what somebody could send. Each is made in a folder, and would leave `CANARY` if anything in it ran."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from sorby.config import check, to_toml
from sorby.data.dataset import Dataset
from sorby.data.pack import pack
from tests.latent.tiny import tiny
from tests.trust.readers import GREY, TINY, a_dataset, pillow, tiff, unpacked

CANARY = "CANARY"
SECRET = "SECRET"
ESCAPE = "\x1b[2J"
MIB = 2**20


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.canary),)


# ---- images


def pickle_as_image(home: Path) -> None:
    """A pickle with the name of a micrograph."""
    (home / "raw").mkdir()
    (home / "raw" / "a.tif").write_bytes(pickle.dumps(Trap(home / CANARY)))


def svg_as_png(home: Path) -> None:
    """A picture that is a program, which would read a file."""
    (home / "raw").mkdir()
    (home / "raw" / "a.png").write_text(
        '<svg xmlns:x="http://www.w3.org/1999/xlink"><image x:href="/etc/passwd"/></svg>'
    )


def png_bomb(home: Path) -> None:
    """4 kB that say to be 3.6 thousand million pixels."""
    (home / "raw").mkdir()
    (home / "raw" / "a.png").write_bytes(png(60000, 60000, bytes(4 * MIB)))


def tiff_bomb(home: Path) -> None:
    """A TIFF whose header declares 16 TiB."""
    (home / "raw").mkdir()
    data = bytearray(tiff(GREY))
    for tag in (256, 257, 278):
        at = data.index(struct.pack("<H", tag))
        struct.pack_into("<HII", data, at + 2, 4, 1, 2**22)
    (home / "raw" / "a.tif").write_bytes(data)


def jpeg_in_tiff(home: Path) -> None:
    """A TIFF of 16 x 12 pixels, of which the JPEG inside says to be 60,000 x 60,000."""
    (home / "raw").mkdir()
    data = bytearray(tiff(GREY, compression="jpeg"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 60000, 60000)
    (home / "raw" / "a.tif").write_bytes(data)


def pipe_as_image(home: Path) -> None:
    """A pipe, which waits for ever."""
    (home / "raw").mkdir()
    os.mkfifo(home / "raw" / "a.tif")


def name_with_escape(home: Path) -> None:
    """A name that clears the terminal."""
    (home / "raw").mkdir()
    (home / "raw" / f"a{ESCAPE}.png").write_bytes(pillow(GREY, "PNG"))


def link_out_of_folder(home: Path) -> None:
    """A folder whose image is a link to somebody else's."""
    (home / "raw").mkdir()
    (home / "secret.png").write_bytes(pillow(GREY, "PNG"))
    (home / "raw" / "a.png").symlink_to(home / "secret.png")


def png(width: int, height: int, pixels: bytes) -> bytes:
    """An 8-bit grey PNG with these words in its header."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(pixels),
        b"IEND": b"",
    }
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


# ---- zips


def zip_slip(home: Path) -> None:
    """A zip with a file that lies outside of it."""
    with zipfile.ZipFile(home / "it.zip", "w") as file:
        file.writestr("../../evil.png", pillow(GREY, "PNG"))


def zip_bomb(home: Path) -> None:
    """A zip of 400 kB, whose only image unpacks to 400 MiB and says that it is of 4 GiB."""
    (home / "it.zip").write_bytes(deflated("a.png", 400, declared=2**32 - 2))


def lying_zip(home: Path) -> None:
    """A zip of 400 kB, whose only image unpacks to 400 MiB and says that it is of 1 kB."""
    (home / "it.zip").write_bytes(deflated("a.png", 400, declared=1000))


def bomb_as_table(home: Path) -> None:
    """A dataset whose settings unpack to 400 MiB and say that they are 1 kB."""
    (home / "it.zip").write_bytes(deflated("dataset.toml", 400, declared=1000))


def deflated(name: str, mib: int, *, declared: int) -> bytes:
    """A zip of one file of zeros, with another size in its directory."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, made.open(name, "w") as member:
        for _ in range(mib):
            member.write(bytes(MIB))
    data = bytearray(file.getvalue())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, declared)
    struct.pack_into("<I", data, 22, declared)
    return bytes(data)


# ---- datasets


def picture_bomb(home: Path) -> None:
    """A dataset of 8 px whose pictures are of 16,000."""
    folder = dataset(home)
    for picture in (folder / "00000").iterdir():
        picture.write_bytes(png(16000, 16000, bytes(MIB)))


def size_bomb(home: Path) -> None:
    """A dataset that says to have pictures of a million pixels a side."""
    replace(dataset(home) / "dataset.toml", "size_px = 8", "size_px = 1000000")


def wrong_kinds(home: Path) -> None:
    """A dataset whose settings are of other kinds than they should."""
    replace(dataset(home) / "dataset.toml", "format = 1", 'format = "1"')


def deep_settings(home: Path) -> None:
    """Settings nested a hundred thousand deep."""
    replace(dataset(home) / "dataset.toml", "format = 1", f"format = {'[' * 100_000}{']' * 100_000}")


def linked_table(home: Path) -> None:
    """A dataset whose manifest is a link to a file of the user's."""
    folder = dataset(home)
    (home / SECRET).write_bytes((folder / "manifest.csv").read_bytes())
    (folder / "manifest.csv").unlink()
    (folder / "manifest.csv").symlink_to(home / SECRET)


def long_cell(home: Path) -> None:
    """A table with one cell of a megabyte, and a hash that fits."""
    from hashlib import sha256

    folder = dataset(home)
    before = (folder / "manifest.csv").read_bytes()
    after = before.replace(b"p0", b"p" * MIB, 1)
    (folder / "manifest.csv").write_bytes(after)
    replace(folder / "dataset.toml", sha256(before).hexdigest(), sha256(after).hexdigest())


def shards_that_name_another_file(home: Path) -> None:
    """Shards whose table of columns names a file elsewhere."""
    folder = shards(home)
    np.save(home / "secret.npy", np.zeros(6, np.uint32))
    table = json.loads((folder / "columns.json").read_text())
    table["columns"]["parent"] = "../secret.npy"
    (folder / "columns.json").write_text(json.dumps(table))


def pickle_in_shards(home: Path) -> None:
    """An index that is a pickle."""
    folder = shards(home)
    np.save(folder / "index.npy", np.array([Trap(home / CANARY)], object), allow_pickle=True)


def shards_of_any_length(home: Path) -> None:
    """An index that asks for an exabyte."""
    folder = shards(home)
    index = np.load(folder / "index.npy")
    index[:, 2] = 2**60
    np.save(folder / "index.npy", index)


def dataset(home: Path) -> Path:
    """A valid dataset as a folder."""
    a_dataset(home / "valid.zip")
    return unpacked(home / "valid.zip", home / "it")


def shards(home: Path) -> Path:
    """A valid dataset as shards."""
    a_dataset(home / "valid.zip")
    return pack(Dataset.open(home / "valid.zip"), home / "valid.shards").path.rename(home / "it")


def replace(path: Path, old: str, new: str) -> None:
    """Other words in a text file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# ---- generators


def pickle_as_weights(home: Path) -> None:
    """A generator whose weights are a pickle."""
    (generator(home) / "model.safetensors").write_bytes(pickle.dumps(Trap(home / CANARY)))


def wrong_shapes(home: Path) -> None:
    """A generator whose weights have other shapes than its card."""
    _other_weights(generator(home), lambda tensor: tensor[:, :2].contiguous())


def nan_weights(home: Path) -> None:
    """A generator with weights that are no numbers."""
    _other_weights(generator(home), lambda tensor: tensor * float("nan"))


def wrong_type(home: Path) -> None:
    """A generator whose weights are whole numbers."""
    _other_weights(generator(home), lambda tensor: tensor.long())


def vast_network(home: Path) -> None:
    """A card that asks for a network of a hundred gigabytes."""
    folder = generator(home)
    card = json.loads((folder / "config.json").read_text())
    card["network"] |= {"size": 1024, "channel_base": 2**20, "channel_max": 8192, "z_dim": 8192, "w_dim": 8192}
    (folder / "config.json").write_text(json.dumps(card))


def deep_card(home: Path) -> None:
    """A card nested a hundred thousand deep."""
    (generator(home) / "config.json").write_text("[" * 100_000 + "]" * 100_000)


def endless_weights(home: Path) -> None:
    """A generator whose weights are a link to a file that never ends."""
    (generator(home) / "model.safetensors").unlink()
    (home / "it" / "model.safetensors").symlink_to("/dev/zero")


def piped_weights(home: Path) -> None:
    """A generator whose weights are a pipe, which waits for ever."""
    (generator(home) / "model.safetensors").unlink()
    os.mkfifo(home / "it" / "model.safetensors")


def conditions_of_another(home: Path) -> None:
    """A card with conditions that its network does not have."""
    folder = generator(home)
    card = json.loads((folder / "config.json").read_text())
    condition = {"name": f"t{ESCAPE}", "low": 1.0, "high": 2.0, "std": 0.0}
    (folder / "config.json").write_text(json.dumps({**card, "space": {"conditions": [condition]}}))


def generator(home: Path) -> Path:
    """A valid generator."""
    tiny().save(home / "it")
    return home / "it"


def _other_weights(folder: Path, change: Callable) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["synthesis.const"] = change(weights["synthesis.const"])
    save_file(weights, folder / "model.safetensors")


# ---- runs and studies


def log_of_other_things(home: Path) -> None:
    """A run whose log says nothing of a training."""
    run(home).joinpath("log.jsonl").write_text('{"kimg": "eight"}\n')


def piped_log(home: Path) -> None:
    """A run whose log is a pipe."""
    os.mkfifo(run(home) / "log.jsonl")


def run_that_links_out(home: Path) -> None:
    """A run whose samples would be drawn over a file of the user's."""
    folder = run(home)
    (home / SECRET).write_text("years of work")
    (folder / "samples").mkdir()
    (folder / "samples" / "real.png").symlink_to(home / SECRET)


def settings_of_other_kinds(home: Path) -> None:
    """A run whose settings are tables where numbers are expected."""
    (run(home) / "config.toml").write_text("kimg = { a = 1 }\n" + "[network]\nsize = [64]\n")


def run(home: Path) -> Path:
    """A run that was begun."""
    a_dataset(home / "valid.zip", size=32)
    (home / "it").mkdir()
    config = check({**TINY, "kimg": 0.016, "tick_kimg": 0.016, "discriminator": "stylegan2"})
    (home / "it" / "config.toml").write_text(to_toml(config))
    return home / "it"


def study_in_vain(home: Path) -> None:
    """A study whose variants would be folders elsewhere."""
    (home / "it.toml").write_text('dataset = "d.zip"\n[variants]\n"../../evil" = { r_t = 0.5 }\n')


def deep_study(home: Path) -> None:
    """A study nested a hundred thousand deep."""
    (home / "it.toml").write_text(f"dataset = {'[' * 100_000}")


LOOK = ("inspect {home}/it",)
RUN = (*LOOK, "doctor {home}/it", "reproduce {home}/it {home}/valid.zip")
IMAGES = (
    "prepare {home}/raw --out {home}/out.zip --size 8",
    "measure {home}/raw --out {home}/out.csv",
    "evaluate uhcs-64 {home}/raw --out {home}/out",
)


def of_image(name: str) -> tuple[str, ...]:
    """The verbs that read one image, and those that read its folder."""
    file = f"{{home}}/raw/{name}"
    return (f"inspect {file}", f"project uhcs-64 {file} --out {{home}}/out", *IMAGES)


ZIPS = (
    "prepare {home}/it.zip --out {home}/out.zip --size 8",
    "measure {home}/it.zip --out {home}/out.csv",
    "evaluate uhcs-64 {home}/it.zip --out {home}/out",
)
DATA = (
    *LOOK,
    "train {home}/it --out {home}/out --dry-run",
    "pack {home}/it --out {home}/out.shards",
    "evaluate uhcs-64 {home}/it --out {home}/out",
    "predict {home}/it --property phase --out {home}/out",
    "transfer uhcs-64 {home}/it --out {home}/out",
    "export {home}/it --stylegan --out {home}/out.zip",
    "project uhcs-64 {home}/it --out {home}/out",
    "serve {home}/it --port 0",
    "doctor {home}/it",
)
DRAW = (
    *LOOK,
    "generate {home}/it --num 1 --out {home}/out",
    "measure {home}/it --out {home}/out.csv",
    "evaluate {home}/it {home}/it --out {home}/out",
    "interpolate {home}/it --out {home}/out.gif",
    "mix {home}/it --out {home}/out.png",
    "directions {home}/it --out {home}/out",
    "design {home}/it --maximise contrast --out {home}/out",
    "export {home}/it --onnx --out {home}/out.onnx",
    "serve {home}/it --port 0",
)
STUDY = ("study run {home}/it.toml --out {home}/out",)
TRAIN = "train {home}/valid.zip --out {home}/it --preset demo --kimg 0.016"

TABLE: dict[Callable[[Path], None], tuple[str, ...]] = {
    pickle_as_image: of_image("a.tif"),
    svg_as_png: of_image("a.png"),
    png_bomb: of_image("a.png"),
    tiff_bomb: of_image("a.tif"),
    jpeg_in_tiff: of_image("a.tif"),
    pipe_as_image: of_image("a.tif"),
    name_with_escape: IMAGES,
    link_out_of_folder: IMAGES,
    zip_slip: ZIPS,
    zip_bomb: ZIPS,
    lying_zip: ZIPS,
    bomb_as_table: ("inspect {home}/it.zip", "train {home}/it.zip --out {home}/out --dry-run"),
    picture_bomb: DATA,
    size_bomb: DATA,
    wrong_kinds: DATA,
    deep_settings: DATA,
    linked_table: DATA,
    long_cell: DATA,
    shards_that_name_another_file: DATA,
    pickle_in_shards: DATA,
    shards_of_any_length: DATA,
    pickle_as_weights: DRAW,
    wrong_shapes: DRAW,
    nan_weights: DRAW,
    wrong_type: DRAW,
    vast_network: DRAW,
    deep_card: DRAW,
    endless_weights: DRAW,
    piped_weights: DRAW,
    conditions_of_another: DRAW,
    log_of_other_things: RUN,
    piped_log: RUN,
    settings_of_other_kinds: RUN,
    study_in_vain: STUDY,
    deep_study: STUDY,
}
"""The verbs that would read each."""

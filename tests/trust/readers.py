"""Everything of Sorby that reads what others wrote: valid inputs of each, and the way in which it is read."""

import functools
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save as save_tensors

from sorby.conditions import ConditionSpace
from sorby.config import check, to_toml
from sorby.data.dataset import Dataset, Patch, is_dataset, write_dataset
from sorby.data.labels import read_list, read_table
from sorby.data.overrides import read_overrides
from sorby.data.pack import pack
from sorby.data.verdicts import verdicts
from sorby.design.inputs import read_latents
from sorby.generator import Generator
from sorby.inspect import summarise
from sorby.latent.direction_files import load_directions, read_told
from sorby.latent.projection_files import load_projection
from sorby.micrograph import decode_micrograph, encode_micrograph, read_micrograph
from sorby.simulation.vendor_files import write_as
from sorby.sources import find_images
from sorby.study.file import read_study
from sorby.training import checkpoint
from sorby.training.state import new_state
from sorby.training.tick import read_log
from tests.latent.tiny import tiny
from tests.trust import mutate

MOST_PIXELS = 2**20
GREY = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
TINY = {
    "network": {"size": 32, "z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8},
    "batch_size": 4,
    "score_ticks": 0,
}
HITACHI = "[SemImageFile]\r\nInstructName=SU5000\r\nDataSize=16x12\r\nPixelSize=49.6\r\nWorkingDistance=5000 um\r\n"
JEOL = "$CM_FULL_SIZE 16 12\n$CM_MAG 500\n$$SM_MICRON_BAR 82\n$$SM_MICRON_MARKER 10um\n"


@dataclass(frozen=True)
class Reader:
    """One way in."""

    seeds: Mapping[str, bytes]
    """Valid inputs by name."""
    read: Callable[[bytes], None]
    """Reads an input, and uses what was read. Raises `SorbyError` where it is refused."""
    damage: mutate.Damage


def readers(home: Path) -> dict[str, Reader]:
    """All readers; valid files of each are written into `home`, which the readers use."""
    return images(home) | datasets(home) | shards(home) | tables(home) | generators(home) | runs(home)


# ---- micrographs


def images(home: Path) -> dict[str, Reader]:
    """TIFF, PNG, JPEG, BMP, the text beside them, and zips of them."""
    (home / "beside").mkdir(parents=True, exist_ok=True)
    (home / "beside" / "a.bmp").write_bytes(pillow(GREY, "BMP"))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("raw/a.png", pillow(GREY, "PNG"))
        file.writestr("raw/a.txt", JEOL)
        file.writestr("raw/b.bmp", pillow(GREY, "BMP"))
    return {
        "tiff": Reader(tiffs() | vendors(home), decoded, mutate.tiff),
        "png": Reader(pngs(), decoded, mutate.png),
        "jpeg": Reader(jpegs(), decoded, mutate.bytes_of_any),
        "bmp": Reader(bmps(), decoded, mutate.bytes_of_any),
        "text beside an image": Reader(
            {"hitachi": HITACHI.encode(), "jeol": JEOL.encode()}, _in(home / "beside", "a.txt", _image), mutate.text
        ),
        "zip of images": Reader({"zip": many.getvalue()}, _in(home, "images.zip", _images), mutate.zipped),
    }


def tiffs() -> dict[str, bytes]:
    """One of each kind that is read, and headers of microscopes."""
    rgb = np.stack([GREY, GREY, GREY.T.reshape(12, 16)], axis=-1)
    return {
        "grey": tiff(GREY),
        "sixteen": tiff(GREY.astype(np.uint16) * 257, byteorder=">"),
        "rgb": tiff(rgb, photometric="rgb"),
        "planes": tiff(np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate"),
        "palette": tiff(GREY, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256)),
        "tiles": tiff(GREY, tile=(16, 16), compression="zlib"),
        "lzw": tiff(GREY, compression="lzw", predictor=True, rowsperstrip=4),
        "packbits": tiff(GREY, compression="packbits"),
        "jpeg": tiff(GREY, compression="jpeg"),
        "pages": tiff(np.stack([GREY, GREY])),
        "imagej": encode_micrograph(GREY, ".tif", pixel_size_um=0.25, description={"seed": "3"}),
        "ome": tiff(
            GREY,
            description='<OME><Image><Pixels PhysicalSizeX="0.5" PhysicalSizeXUnit="nm" SizeX="16"/></Image></OME>',
        ),
        "dpi": tiff(GREY, resolution=(1e5, 1e5), resolutionunit=3),
        "bilevel": pillow(GREY > 127, "TIFF"),
        "group4": pillow(GREY > 127, "TIFF", compression="group4"),
    }


def vendors(home: Path) -> dict[str, bytes]:
    """TIFFs with the headers of microscopes."""
    for name in ("zeiss", "fei"):
        write_as(name, home / f"{name}.tif", np.tile(GREY, (4, 6)), pixel_size_um=0.25)
    return {name: (home / f"{name}.tif").read_bytes() for name in ("zeiss", "fei")}


def pngs() -> dict[str, bytes]:
    """Of 1, 8 and 16 bits, grey, coloured, with a palette, with text, and one of Sorby's own."""
    info = PngInfo()
    info.add_text("Comment", "x" * 100, zip=True)
    info.add_itxt("Title", "é")
    return {
        "grey": pillow(GREY, "PNG", pnginfo=info, dpi=(300, 300)),
        "sixteen": pillow(GREY.astype(np.uint16) * 257, "PNG"),
        "rgb": pillow(np.stack([GREY] * 3, -1), "PNG"),
        "alpha": pillow(np.stack([GREY] * 4, -1), "PNG"),
        "bilevel": pillow(GREY > 127, "PNG"),
        "palette": saved(Image.fromarray(GREY).convert("P"), "PNG", transparency=3),
        "own": encode_micrograph(GREY, ".png", pixel_size_um=0.25, description={"condition ä": "3", "seed": "1"}),
    }


def jpegs() -> dict[str, bytes]:
    """Baseline and progressive, grey, coloured and CMYK."""
    return {
        "grey": pillow(GREY, "JPEG", dpi=(300, 300), comment=b"a"),
        "progressive": pillow(np.stack([GREY] * 3, -1), "JPEG", progressive=True),
        "cmyk": saved(Image.fromarray(np.stack([GREY] * 4, -1), "CMYK"), "JPEG"),
    }


def bmps() -> dict[str, bytes]:
    """Of 1, 8 and 24 bits, and run lengths."""
    runs = pillow(GREY, "BMP")
    return {
        "grey": runs,
        "rle": runs[:30] + (1).to_bytes(4, "little") + runs[34:1078] + b"\x10\x07\0\0" * 12 + b"\0\1",
        "rgb": pillow(np.stack([GREY] * 3, -1), "BMP"),
        "bilevel": pillow(GREY > 127, "BMP"),
    }


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    """A TIFF of an array."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"metadata": None, **options})
    return file.getvalue()


def pillow(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """An image file of an array."""
    return saved(Image.fromarray(pixels), kind, **options)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image file of a picture."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> None:
    """As the explorer takes an upload."""
    micrograph = decode_micrograph(data, name="a", most_pixels=MOST_PIXELS)
    assert micrograph.grey.ndim == 2
    assert micrograph.grey.dtype in (np.uint8, np.uint16)
    written(" ".join((*micrograph.notes, *micrograph.notes.values())))


def _image(path: Path) -> None:
    read_micrograph(path.with_name("a.bmp"))


def _images(path: Path) -> None:
    for file in find_images([path]):
        written(file.name)
        file.sidecar()
        decode_micrograph(file.read(), name=file.name, most_pixels=MOST_PIXELS)


# ---- datasets


def datasets(home: Path) -> dict[str, Reader]:
    """A dataset as a zip and as a folder, file by file, and one of another tool."""
    whole = a_dataset(home / "d.zip")
    folder = unpacked(home / "d.zip", home / "d")
    (folder / "rejected.csv").write_text("file,reason,measured,limit,sharpness\nx.tif,blank,1,2,3\n")
    (folder / "parents.csv").write_text("parent,pixel_size_um,warnings\np0,0.25,\n")
    of_others = home / "others"
    (of_others / "0").mkdir(parents=True)
    for number in range(2):
        (of_others / "0" / f"{number}.png").write_bytes(pillow(GREY[:8, :8], "PNG"))
    labels = {"labels": [["0/0.png", 1], ["0/1.png", 0]]}
    vectors = {"labels": [["0/0.png", [0.5, 1.5]], ["0/1.png", [1, 2]]]}
    picture = "00000/0.png"
    return {
        "dataset zip": Reader({"zip": whole}, _in(home, "d2.zip", _dataset), mutate.zipped),
        "dataset.toml": Reader(
            {"toml": (folder / "dataset.toml").read_bytes()}, _in(folder, "dataset.toml", _parent), mutate.text
        ),
        "manifest.csv": Reader({"csv": (folder / "manifest.csv").read_bytes()}, _manifest(folder), mutate.text),
        "rejected.csv": Reader(
            {"csv": (folder / "rejected.csv").read_bytes()}, _in(folder, "rejected.csv", _parent), mutate.text
        ),
        "parents.csv": Reader(
            {"csv": (folder / "parents.csv").read_bytes()}, _in(folder, "parents.csv", _parent), mutate.text
        ),
        "picture of a dataset": Reader(
            {"png": (folder / picture).read_bytes()},
            _in(folder, picture, lambda path: _dataset(path.parents[1])),
            mutate.png,
        ),
        "dataset.json of others": Reader(
            {"class": json.dumps(labels).encode(), "vector": json.dumps(vectors).encode()},
            _in(of_others, "dataset.json", _parent),
            mutate.json_text,
        ),
    }


def a_dataset(path: Path, *, size: int = 8) -> bytes:
    """A dataset of six patches of three micrographs, with a class and a number."""
    rows = [{"phase": "ab"[n % 2], "temperature": str(800 + 100 * n)} for n in range(6)]
    patches = [
        Patch(
            file=f"00000/{n}.png",
            parent=f"p{n % 3}",
            pixel_size_um=0.25,
            conditions=row,
            split="train" if n else "held-out",
        )
        for n, row in enumerate(rows)
    ]
    pictures = np.random.default_rng(0).integers(0, 256, (6, size, size), dtype=np.uint8)
    space = ConditionSpace.from_rows(rows, ["phase", "temperature:°C"])
    write_dataset(path, zip(patches, pictures, strict=True), space=space, recipe={"size": 8, "keep": []})
    return path.read_bytes()


def unpacked(zip_path: Path, folder: Path) -> Path:
    """A zip as a folder."""
    with zipfile.ZipFile(zip_path) as file:
        file.extractall(folder)
    return folder


def _dataset(path: Path) -> None:
    is_dataset(path)
    data = Dataset.open(path)
    data.images()
    data.conditions()
    written(data.hash, *(f"{patch}" for patch in data.patches))
    verdicts(data)
    for value in summarise(path).facts.values():
        written(value)


def _parent(path: Path) -> None:
    _dataset(path.parent)


def _manifest(folder: Path) -> Callable[[bytes], None]:
    """The manifest with its hash in dataset.toml, so that it is looked into."""
    from hashlib import sha256

    about = (folder / "dataset.toml").read_text()
    before = sha256((folder / "manifest.csv").read_bytes()).hexdigest()

    def read(data: bytes) -> None:
        with _put(folder / "dataset.toml", about.replace(before, sha256(data).hexdigest()).encode()):
            _in(folder, "manifest.csv", _parent)(data)

    return read


def shards(home: Path) -> dict[str, Reader]:
    """The files of a dataset in shards."""
    if not (home / "d.zip").exists():
        a_dataset(home / "d.zip")
    folder = pack(Dataset.open(home / "d.zip"), home / "d.shards").path
    names = ("index.npy", "columns.json", "columns/00.npy", "columns/01.npy", "columns/03.npy", "columns/08.npy")
    damage = {".npy": mutate.numbers, ".json": mutate.json_text, ".tar": mutate.bytes_of_any}
    return {
        f"{name} of shards": Reader(
            {"valid": (folder / name).read_bytes()},
            _in(folder, name, functools.partial(_shards, folder)),
            damage[Path(name).suffix],
        )
        for name in (*names, "shard-00000.tar")
    }


def _shards(folder: Path, _: Path) -> None:
    _dataset(folder)


# ---- tables


def tables(home: Path) -> dict[str, Reader]:
    """Labels, overrides, lists of names, latents."""
    labels = b"file,temperature,phase\na.tif,800,ferrite\nb.tif,900,pearlite\n"
    latents = io.BytesIO()
    np.savez_compressed(latents, latents=np.eye(2), files=np.array(["a.tif", "b.tif"]))
    return {
        "labels": Reader(
            {"comma": labels, "semicolon": labels.replace(b",", b";")}, _in(home, "labels.csv", _labels), mutate.text
        ),
        "overrides": Reader(
            {"csv": b"file,decision\na.tif,keep\nb.tif,reject\n"}, _in(home, "o.csv", read_overrides), mutate.text
        ),
        "list of names": Reader({"txt": b"a.tif\n# no\nb.tif\n"}, _in(home, "names.txt", read_list), mutate.text),
        "latents": Reader({"npz": latents.getvalue()}, _in(home, "latents.npz", _latents), mutate.zipped),
    }


def _labels(path: Path) -> None:
    rows = read_table(path)
    written(str(rows))
    for columns in (["temperature:°C"], ["temperature::log", "phase"]):
        ConditionSpace.from_rows(rows, columns).encode(_values(rows[0], columns))


def _values(row: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    return {name: row[name] for name in (column.partition(":")[0] for column in columns)}


def _latents(path: Path) -> None:
    read_latents(path, ["a.tif", "b.tif"])


# ---- generators, directions, projections


def generators(home: Path) -> dict[str, Reader]:
    """The files of a generator, of directions and of a projection."""
    model = tiny(conditional=True)
    folder = home / "generator"
    model.save(folder)
    directions = {
        "generator": model.hash,
        "directions": [{"name": "pca-1", "layers": [0, 8], "share": 0.5, "one_sd": "nothing", "effects": {}}],
    }
    vectors = save_tensors({"pca-1": model.network.w_mean.new_ones(16)})
    z, noise = model.latents([3])
    ws = model.styles(z, model.encoded([3], None))
    held = {"ws": ws[0].contiguous(), **{f"noise{i}": layer[0] for i, layer in enumerate(noise)}}
    projection = {"generator": model.hash, "source": "a.tif"}
    for name, files in {
        "directions": {"directions.json": json.dumps(directions).encode(), "directions.safetensors": vectors},
        "projection": {
            "projection.json": json.dumps(projection).encode(),
            "projection.safetensors": save_tensors(held),
        },
    }.items():
        (home / name).mkdir()
        for file, data in files.items():
            (home / name / file).write_bytes(data)

    def moved(path: Path) -> None:
        for name, does in read_told(path.parent)[1].items():
            written(name, does)
        for direction in load_directions(path.parent, model):
            written(direction.name)

    def projected(path: Path) -> None:
        stop = load_projection(path.parent, model)
        written(stop.name)
        model.draw(stop.ws[None], [layer[None] for layer in stop.noise])

    ways = {folder: _generator, home / "directions": moved, home / "projection": projected}
    files = {
        "config.json": (folder, mutate.json_text),
        "model.safetensors": (folder, mutate.tensors),
        "directions.json": (home / "directions", mutate.json_text),
        "directions.safetensors": (home / "directions", mutate.tensors),
        "projection.json": (home / "projection", mutate.json_text),
        "projection.safetensors": (home / "projection", mutate.tensors),
    }
    return {
        name: Reader({"valid": (place / name).read_bytes()}, _in(place, name, ways[place]), damage)
        for name, (place, damage) in files.items()
    }


def _generator(path: Path) -> None:
    model = Generator.load(path.parent)
    asked = model.condition_of(0)
    model.images([0])
    model.images([0], condition=asked, truncation=0.5)
    written(model.card.space.tell(asked))
    summary = summarise(path.parent)
    written(summary.title, *summary.facts.values())


# ---- runs and studies


def runs(home: Path) -> dict[str, Reader]:
    """The files of a run, and a study."""
    folder = home / "run"
    config = check({**TINY, "preset": "laptop-64"})
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "config.toml").write_text(to_toml(config))
    line = {"kimg": 0.016, "images_seen": 16, "seconds": 1.5, "img_s": 10.0, "r_t": 0.1, "p": 0.0, "fid": 30.0}
    log = "".join(json.dumps({**line, "kimg": 0.016 * n, "images_seen": 16 * n}) + "\n" for n in (1, 2, 3)).encode()
    (folder / "log.jsonl").write_bytes(log)
    state = new_state(check({**TINY, "discriminator": "stylegan2"}))
    checkpoint.save(state, home / "checkpoint")
    (saved_state,) = checkpoint.checkpoints(home / "checkpoint")
    study = b'title = "a"\ndataset = "d.zip"\npreset = "demo"\nseeds = [0, 1]\n\n[grid]\nr_t = [0.3, 0.6]\n'
    variants = b'dataset = "d.zip"\n[variants]\na = { r_t = 0.3, network = { z_dim = 64 } }\nb = {}\n'
    search = b'dataset = "d.zip"\n[search]\ntrials = 3\n[search.space]\nr_t = { low = 0.1, high = 0.5, log = true }\n'

    def restored(path: Path) -> None:
        checkpoint.restore(state, path.parent, warn=written)

    def planned(path: Path) -> None:
        study = read_study(path)
        written(*study.all_variants())

    return {
        "config.toml": Reader(
            {"toml": (folder / "config.toml").read_bytes()}, _in(folder, "config.toml", _run), mutate.text
        ),
        "log.jsonl": Reader({"log": log}, _in(folder, "log.jsonl", _run), _lines),
        "checkpoint": Reader(
            {"valid": saved_state.read_bytes()}, _in(saved_state.parent, saved_state.name, restored), mutate.tensors
        ),
        "study.toml": Reader(
            {"grid": study, "variants": variants, "search": search}, _in(home, "study.toml", planned), mutate.text
        ),
    }


def _lines(data: bytes, rng: object) -> bytes:
    """A line of JSON changed; or as text."""
    lines = data.splitlines()
    at = rng.randrange(len(lines)) if lines else 0
    if not lines or rng.random() < 0.3:
        return mutate.text(data, rng)
    lines[at] = mutate.json_text(lines[at], rng)
    return b"\n".join(lines) + b"\n"


def _run(path: Path) -> None:
    read_log(path.parent)
    summary = summarise(path.parent)
    written(summary.title, *summary.facts.values())
    for row in summary.table:
        written(*row.values())


# ---- what all need


def written(*texts: str) -> None:
    """What is told can be written."""
    for text in texts:
        text.encode()


def _in(folder: Path, name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Read a file of a folder with other bytes in it."""
    return functools.partial(_read_in, folder / name, read)


def _read_in(path: Path, read: Callable[[Path], object], data: bytes) -> None:
    with _put(path, data):
        read(path)


class _put:  # noqa: N801
    """Other bytes in a file, for a while; a file that was not there is left."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self.before = path.read_bytes() if path.is_file() else None

    def __enter__(self) -> None:
        self.path.write_bytes(self.data)
        # Files that are opened once and kept are known by their time.
        stamp = self.path.stat().st_mtime_ns + hash(self.data) % 10**9
        os.utime(self.path, ns=(stamp, stamp))

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            self.path.unlink()
        else:
            self.path.write_bytes(self.before)

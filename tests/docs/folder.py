"""What a reader of the pages has at hand: files of the names that the pages use, as small as will do.

Micrographs, their labels and properties are simulated; `uhcs600` and `ni_superalloy`, real data that do not come with
Sorby, are stood in for, with the columns of their tables that the pages name.
"""

import json
import shutil
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from PIL import Image

import sorby
from sorby.micrograph import write_micrograph
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem_look import sem_look, with_info_bar
from tests.docs.commands import ROOT, run
from tests.interop.made import official, official_file

MADE = {"simulated": "true"}
CONDITIONS = [(temperature, rate) for temperature in (900, 1000, 1100) for rate in (0.001, 0.01)]
CLASSES = ("spheroidite", "pearlite", "carbide_network")
UHCS = ("file", "microconstituent", "fov_group", "anneal_temperature_C", "anneal_time_min")
"""Columns of the tables of `uhcs600`."""
SHORT = {"kimg": 0.016, "tick_kimg": 0.016, "score_ticks": 0}


def fill(folder: Path) -> None:
    """Micrographs, labels, datasets, a run and studies."""
    _raw(folder / "raw")
    shutil.copy(folder / "raw/labels.csv", folder)
    shutil.copytree(folder / "raw", folder / "micrographs", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copytree(folder / "micrographs", folder / "ni_superalloy/images")
    shutil.copy(folder / "raw/s0.tif", folder / "micrograph.tif")
    _uhcs(folder / "uhcs600")
    _studies(folder / "studies")
    _datasets(folder)
    _theirs(folder / "theirs.zip")
    _imported(folder)
    _tables(folder)
    _train(folder)
    for name, content in (("early.tif", 3), ("late.tif", 4)):
        _particles(folder / name, seed=content)


def _raw(folder: Path) -> None:
    folder.mkdir()
    rows = ["file,specimen,temperature,strain_rate,route"]
    for number, (temperature, rate) in enumerate(CONDITIONS):
        grey = with_info_bar(_texture((256, 256), 0.3 + 0.05 * number, seed=number), pixel_size_um=0.05)
        write_micrograph(folder / f"s{number}.tif", grey, pixel_size_um=0.05, description=MADE)
        rows.append(f"s{number}.tif,s{number},{temperature},{rate},{'rolled' if number % 2 else 'forged'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def _uhcs(folder: Path) -> None:
    """Classes that differ in how much of them is bright, and heat treatments, six micrographs of each class."""
    (folder / "images").mkdir(parents=True)
    rows = [",".join(UHCS)]
    for number in range(18):
        name = f"images/micrograph{number}.jpg"
        Image.fromarray(_texture((384, 384), 0.25 + 0.2 * (number % 3), seed=number)).save(folder / name, quality=95)
        rows.append(f"{name},{CLASSES[number % 3]},{number},{(800, 970)[number // 3 % 2]},{(90, 180)[number // 6 % 2]}")
    for table in ("labels.csv", "conditions.csv"):
        (folder / table).write_text("\n".join(rows) + "\n")


def _texture(shape: tuple[int, int], fraction: float, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phases = two_phase(shape, volume_fraction=fraction, correlation_length_px=12, nu=2.5, rng=rng)
    return sem_look(phases, pixel_size_um=0.05, rng=rng)


def _studies(folder: Path) -> None:
    """The studies that come with Sorby, with the first two variants of each, one seed, and a training of a moment."""
    folder.mkdir()
    for path in (ROOT / "studies").glob("*.toml"):
        study: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        laptop = study["scales"]["laptop"]
        laptop.setdefault("settings", {}).update(SHORT, batch_size=8)
        if study.get("measure") == "conditions":
            study["num"] = laptop["num"] = 10
        else:
            laptop["settings"] |= {"score_ticks": 1, "score_images": 16}
        for holder in (study, laptop):
            if "variants" in holder:
                holder["variants"] = dict(list(holder["variants"].items())[:2])
            if "grid" in holder:
                holder["grid"] = {name: values[:2] for name, values in holder["grid"].items()}
        if "search" in study:
            study["search"] |= {"trials": 2, "confirm": [101]}
        (folder / path.name).write_text(tomli_w.dumps(study | {"seeds": [0]}), encoding="utf-8")


def _datasets(folder: Path) -> None:
    conditions = ("temperature:°C", "strain_rate:1/s:log")
    recipe = sorby.Recipe(size=64, conditions=conditions, group="specimen", specimen="specimen", held_out=0.35)
    sorby.prepare([str(folder / "raw")], folder / "steel.zip", recipe=recipe, labels=folder / "labels.csv")
    for name, size, condition in (
        ("spheroidite.zip", 64, ()),
        ("classes.zip", 64, ("microconstituent",)),
        ("classes128.zip", 128, ("microconstituent",)),
    ):
        of_uhcs = sorby.Recipe(size=size, scale=size / 128, conditions=condition, group="fov_group", held_out=0.2)
        sorby.prepare(
            [str(folder / "uhcs600/images")], folder / name, recipe=of_uhcs, labels=folder / "uhcs600/labels.csv"
        )
    few = sorby.Recipe(size=32, scale=0.5, held_out=0.2)
    sorby.prepare([str(folder / "micrographs")], folder / "few-32.zip", recipe=few)
    shutil.copy(folder / "few-32.zip", folder / "dp-steel.zip")
    brief = {"sample": 6, "ranges": {"time": (30.0, 60.0)}}
    sorby.simulate("spinodal", folder / "spinodal.zip", **brief, images_per_condition=1, size=64, field_size=64)


def _imported(folder: Path) -> None:
    """Files of the official StyleGAN2-ADA, of random networks."""
    official_file(folder, *official(size=64, layers=8), name="network-snapshot-004000.pkl")
    official_file(folder, *official(classes=3), name="network.pkl")


def _theirs(path: Path) -> None:
    """A dataset of another StyleGAN tool, of two classes."""
    labels = []
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(8):
            name, png = f"00000/img{number:08d}.png", BytesIO()
            Image.fromarray(_texture((64, 64), 0.3 + 0.2 * (number % 2), seed=50 + number)).save(png, "PNG")
            archive.writestr(name, png.getvalue())
            labels.append([name, number % 2])
        archive.writestr("dataset.json", json.dumps({"labels": labels}))


def _tables(folder: Path) -> None:
    """Properties that follow from the fraction of the bright phase, and so from the pictures."""
    for name, columns in (("hardness.csv", "hardness"), ("tensile.csv", "TS,EL")):
        values = [f"{150 + 20 * number}" + (f",{30 - 2 * number}" if "," in columns else "") for number in range(6)]
        rows = [f"s{number}.tif,s{number},{value}" for number, value in enumerate(values)]
        (folder / name).write_text("\n".join([f"file,specimen,{columns}", *rows]) + "\n")


def _train(folder: Path) -> None:
    """A run and a generator's pictures; another run to start from, of the widths of its preset."""
    steel = sorby.Dataset.open(folder / "steel.zip")
    small = {"channel_base": 512, "channel_max": 32, "z_dim": 16, "w_dim": 16}
    config = sorby.resolve("laptop-64", {**SHORT, "discriminator": "stylegan2", "network": small})
    sorby.train(steel, folder / "runs/steel", config, tensorboard=False)
    start = sorby.resolve("laptop-64", {**SHORT, "discriminator": "stylegan2"})
    sorby.train(steel, folder / "runs/simulated", start, tensorboard=False)
    patch = steel.images([0])[0, 0]
    write_micrograph(folder / "patch.png", patch, pixel_size_um=0.05, description=MADE)
    run(["generate", str(folder / "runs/steel"), "--num", "24", "--out", str(folder / "pictures")])


def _particles(path: Path, *, seed: int) -> None:
    """Bright discs on a dark ground, apart from each other."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(60, 4, (256, 256))
    y, x = np.mgrid[:256, :256]
    for cy in range(24, 256, 48):
        for cx in range(24, 256, 48):
            grey[(x - cx) ** 2 + (y - cy) ** 2 < rng.uniform(5, 12) ** 2] += 120
    write_micrograph(path, grey.clip(0, 255).astype(np.uint8), pixel_size_um=0.05, description=MADE)

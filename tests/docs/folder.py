"""What a reader of the pages has at hand: files of the names that the pages use, as small as will do."""

import shutil
from pathlib import Path

import numpy as np

import sorby
from sorby.micrograph import write_micrograph
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem_look import sem_look, with_info_bar
from tests.docs.commands import ROOT, run

MADE = {"simulated": "true"}
CONDITIONS = [(temperature, rate) for temperature in (900, 1000, 1100) for rate in (0.001, 0.01)]


def fill(folder: Path) -> None:
    """Micrographs, labels, datasets, a run and studies."""
    _raw(folder / "raw")
    shutil.copy(folder / "raw/labels.csv", folder)
    shutil.copytree(folder / "raw", folder / "micrographs", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copy(folder / "raw/s0.tif", folder / "micrograph.tif")
    shutil.copytree(ROOT / "studies", folder / "studies")
    conditions = ("temperature:°C", "strain_rate:1/s:log")
    recipe = sorby.Recipe(size=64, conditions=conditions, group="specimen", specimen="specimen", held_out=0.35)
    sorby.prepare([str(folder / "raw")], folder / "steel.zip", recipe=recipe, labels=folder / "labels.csv")
    _tables(folder)
    _train(folder)
    sorby.simulate("spinodal", folder / "spinodal.zip", sample=6, images_per_condition=1, size=32, field_size=32)
    shutil.copy(folder / "spinodal.zip", folder / "spinodal-32.zip")
    few = sorby.Recipe(size=32, held_out=0.2)
    sorby.prepare([str(folder / "micrographs")], folder / "few-32.zip", recipe=few)
    shutil.copy(folder / "few-32.zip", folder / "spheroidite-32.zip")
    for name, content in (("early.tif", 3), ("late.tif", 4)):
        _particles(folder / name, seed=content)


def _raw(folder: Path) -> None:
    folder.mkdir()
    rows = ["file,specimen,temperature,strain_rate,route"]
    for number, (temperature, rate) in enumerate(CONDITIONS):
        rng = np.random.default_rng(number)
        fraction = 0.3 + 0.05 * number
        phases = two_phase((256, 256), volume_fraction=fraction, correlation_length_px=12, nu=2.5, rng=rng)
        grey = with_info_bar(sem_look(phases, pixel_size_um=0.05, rng=rng), pixel_size_um=0.05)
        write_micrograph(folder / f"s{number}.tif", grey, pixel_size_um=0.05, description=MADE)
        rows.append(f"s{number}.tif,s{number},{temperature},{rate},{'rolled' if number % 2 else 'forged'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def _tables(folder: Path) -> None:
    """Properties that follow from the fraction of the bright phase, and so from the pictures."""
    for name, columns in (("hardness.csv", "hardness"), ("tensile.csv", "TS,EL")):
        values = [f"{150 + 20 * number}" + (f",{30 - 2 * number}" if "," in columns else "") for number in range(6)]
        rows = [f"s{number}.tif,s{number},{value}" for number, value in enumerate(values)]
        (folder / name).write_text("\n".join([f"file,specimen,{columns}", *rows]) + "\n")


def _train(folder: Path) -> None:
    small = {"channel_base": 512, "channel_max": 32, "z_dim": 16, "w_dim": 16}
    settings = {"kimg": 0.016, "tick_kimg": 0.016, "score_ticks": 0, "discriminator": "stylegan2", "network": small}
    config = sorby.resolve("conditions-64", settings)
    sorby.train(sorby.Dataset.open(folder / "steel.zip"), folder / "runs/steel", config, tensorboard=False)
    start = sorby.resolve(
        "laptop-64", {"discriminator": "stylegan2", "kimg": 0.016, "tick_kimg": 0.016, "score_ticks": 0}
    )
    sorby.train(sorby.Dataset.open(folder / "steel.zip"), folder / "runs/simulated", start, tensorboard=False)
    patch = sorby.Dataset.open(folder / "steel.zip").images([0])[0, 0]
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

"""What a thing is, in one screen: a micrograph, film, dataset, generator or run, or a network of another program."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorby.card import GeneratorCard
from sorby.conditions import ConditionSpace
from sorby.config import TrainConfig, flat, resolve
from sorby.data.dataset import Dataset, is_dataset
from sorby.errors import DataError
from sorby.generator import Generator
from sorby.interop.imported import read_foreign
from sorby.micrograph import is_synthetic, read_micrograph
from sorby.report.video import SUFFIXES, read_about
from sorby.shipped import located
from sorby.sources import IMAGE_SUFFIXES
from sorby.training.tick import read_config, read_log

FOREIGN_SUFFIXES = (".pkl", ".pt", ".pth")
LOG_LINES = 6
LOG_COLUMNS = ("kimg", "img_s", "r_t", "p", "loss_G", "loss_D", "r1", "fid", "recall")


@dataclass(frozen=True)
class Summary:
    """A title, facts by name, and perhaps a table."""

    title: str
    facts: Mapping[str, str]
    table: Sequence[Mapping[str, str]] = ()
    """Rows of equal columns."""


def summarise(path: Path) -> Summary:
    """What `path` is and holds. Raises `DataError` where it is nothing that Sorby knows."""
    if (path / "config.toml").is_file():
        return of_run(path)
    if (located(path) / "config.json").is_file():
        return of_generator(path)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return of_micrograph(path)
    if is_dataset(path):
        return of_dataset(path)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return of_film(path)
    if path.is_file() and path.suffix.lower() in FOREIGN_SUFFIXES:
        return of_foreign(path)
    raise DataError(
        f"{path} is nothing that can be inspected: expected a micrograph, a film, a dataset of sorby prepare, a "
        "generator, or a run; of a folder of raw images name one file."
    )


def of_micrograph(path: Path) -> Summary:
    """Size, scale and provenance of one image; for a generated one, what drew it."""
    micrograph = read_micrograph(path)
    grey, um, notes = micrograph.grey, micrograph.pixel_size_um, dict(micrograph.notes)
    height, width = grey.shape
    facts = {
        "size": f"{width} x {height} px, {8 * grey.itemsize} bit",
        "pixel size": f"{um:g} µm" if um else "not known",
        "field of view": f"{width * um:.4g} x {height * um:.4g} µm" if um else "not known",
        "grey values": f"{grey.min()} to {grey.max()}, mean {grey.mean():.0f}",
    }
    kind, origin = _origin(notes)
    told = {name.replace("_", " "): value for name, value in notes.items()}
    if micrograph.identity:
        named = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in micrograph.identity.items())
        told["names in the file"] = f"{named} (kept out of all that Sorby writes, but for prepare --keep-names)"
    return Summary(f"{kind} {path}", facts | {"origin": origin} | told)


def _origin(notes: Mapping[str, str]) -> tuple[str, str]:
    """What an image is by its own words, and what these are worth: they can be lost, and written by anyone."""
    if is_synthetic(notes):
        return "Generated picture", "a generator drew it, as it says itself"
    if notes.get("simulated") == "true":
        return "Simulated picture", "a simulation drew it, as it says itself"
    if "vendor" in notes:
        return "Micrograph", f"it has the header of a microscope ({notes['vendor']}), and nothing says it is generated"
    return "Image", "nothing says that it is generated, and nothing that it is real: what said so may be lost"


def of_film(path: Path) -> Summary:
    """What a film says of itself; its pictures are not looked at."""
    about = read_about(path)
    kind = "Generated film" if is_synthetic(about) else "Film"
    origin = "a generator drew it, as it says itself" if about else _origin({})[1]
    size = {"size": f"{path.stat().st_size / 1e6:.3g} MB"}
    return Summary(f"{kind} {path}", size | {"origin": origin} | about)


def of_dataset(path: Path) -> Summary:
    """Patches, where they come from, how they are split, and the recipe."""
    data = Dataset.open(path)
    splits, parents = Counter(p.split for p in data.patches), {p.parent: p.split for p in data.patches}
    halves = Counter(parents.values())
    facts = {
        "patches": f"{len(data)} of {data.size} x {data.size} px, {'grey' if data.channels == 1 else 'colour'}",
        "pixel size": f"{data.pixel_size_um:g} µm" if data.pixel_size_um else _pixel_sizes(data),
        "split": ", ".join(f"{name} {splits[name]} of {halves[name]} micrographs" for name in splits),
        "origin": data.origin or "nothing says that any picture is generated or simulated",
        "groups": _distinct(patch.group for patch in data.patches),
        "specimens": _distinct(patch.specimen for patch in data.patches),
        "conditions": _conditions(data.space),
        "recipe": _short(data.recipe) or "not known: made by another tool",
        "hash": data.hash,
    }
    return Summary(f"Dataset {path}", facts)


def of_generator(path: Path) -> Summary:
    """The card of a generator, and the number of its weights."""
    generator = Generator.load(path)
    parameters = sum(weights.numel() for weights in generator.network.parameters())
    return Summary(f"Generator {path}", _card(generator.card) | {"weights": f"{parameters:,}", "hash": generator.hash})


def of_foreign(path: Path) -> Summary:
    """What the file of another program holds, as far as Sorby reads it. Nothing in it is run."""
    foreign = read_foreign(path)
    network = foreign.network
    facts = {
        "draws": f"{network.size} x {network.size} px, {'grey' if network.channels == 1 else 'colour'}",
        "conditions": f"{network.condition_dim} numbers, whose names it does not tell"
        if network.condition_dim
        else "none",
        "trained for": "not told" if foreign.kimg is None else f"{foreign.kimg:g} kimg",
        "augmentation probability": "not told" if foreign.p is None else f"{foreign.p:.3g}",
        "discriminator": "not one of Sorby's" if foreign.D is None else "can train on",
        "data": _short(foreign.data) or "not told",
        "use it with": f"sorby import {path} --out GENERATOR",
    }
    return Summary(f"Network of {foreign.origin}: {path}", facts)


def of_run(path: Path) -> Summary:
    """How far a run is, its best score, its last log lines, and the command that goes on with it."""
    config, log = read_config(path), read_log(path)
    seen = log[-1]["kimg"] if log else 0.0
    facts = {
        "progress": f"{seen:g} of {config.kimg:g} kimg ({min(seen / config.kimg, 1):.0%})",
        "preset": config.preset,
    }
    if log:
        speed = f", last at {log[-1]['img_s']:g} images/s" if log[-1].get("img_s") is not None else ""
        facts["time so far"] = f"{log[-1]['seconds'] / 60:.1f} min{speed}"
    card = _card_in(path / "best") or _card_in(path / "last")
    if card:
        facts |= {"best generator": f"at {card.images_seen / 1000:g} kimg: {_scores(card) or 'not scored'}"}
        facts |= {name: _card(card)[name] for name in ("draws", "pixel size", "conditions", "data")}
    finished = seen >= config.kimg
    facts["go on with"] = resume_command(path, config, str(card.data.get("name", "DATASET")) if card else "DATASET")
    if finished:
        facts["go on with"] += f"  (finished; raise --kimg above {config.kimg:g} for more)"
    return Summary(f"Run {path}", facts, [_log_row(line) for line in log[-LOG_LINES:]])


def resume_command(path: Path, config: TrainConfig, dataset: str) -> str:
    """The command that gives these settings again; the precision that the run took is kept without being named."""
    if not config.preset:
        return "the same Python call again"
    before, now = flat(resolve(config.preset, size=config.network.size)), flat(config)
    kept = _FROM_DATA + (("precision",) if before["precision"] == "fastest" else ())
    changed = {name: value for name, value in now.items() if value != before[name] and name not in kept}
    kimg = ["--kimg", f"{changed.pop('kimg'):g}"] if "kimg" in changed else []
    sets = [word for name, value in changed.items() for word in ("--set", f"{name}={_written(value)}")]
    # Quoted: a run that others made must not lay words into the user's shell.
    return shlex.join(["sorby", "train", dataset, "--out", str(path), "--preset", config.preset, *kimg, *sets])


_FROM_DATA = ("network.channels", "network.condition_dim")


def _card_in(folder: Path) -> GeneratorCard | None:
    return Generator.load(folder).card if (folder / "config.json").is_file() else None


def _card(card: GeneratorCard) -> dict[str, str]:
    return {
        "draws": f"{card.size} x {card.size} px, {'grey' if card.network.channels == 1 else 'colour'}",
        "pixel size": f"{card.pixel_size_um:g} µm" if card.pixel_size_um else "not known",
        "conditions": _conditions(card.space),
        "trained for": f"{card.images_seen / 1000:g} kimg",
        "training": _short(card.training),
        "data": _short(card.data),
        "scores": _scores(card) or "none",
    }


def _scores(card: GeneratorCard) -> str:
    """Without the shift of each descriptor, which `log.jsonl` and the README of the generator have."""
    return _short({name: score for name, score in card.scores.items() if not name.startswith("shift_")})


def _conditions(space: ConditionSpace) -> str:
    return "; ".join(condition.describe() for condition in space.conditions) or "none"


def _pixel_sizes(data: Dataset) -> str:
    known = [patch.pixel_size_um for patch in data.patches if patch.pixel_size_um]
    if not known:
        return "not known"
    unknown = len(data) - len(known)
    return f"{min(known):g} to {max(known):g} µm" + (f", not known for {unknown} patches" if unknown else "")


def _distinct(names: Any) -> str:
    return str(len({name for name in names if name})) if any(names := list(names)) else "not given"


def _short(values: Mapping[str, Any]) -> str:
    """Nested settings on one line, without empty ones.

    >>> _short({"size": 64, "keep": [], "limits": {"crack": 0.5}})
    'size 64; limits (crack 0.5)'
    """
    return "; ".join(
        f"{name} ({_short(value)})" if isinstance(value, Mapping) else f"{name} {_number(value)}"
        for name, value in values.items()
        if value not in ([], (), {}, None)
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _log_row(line: Mapping[str, Any]) -> dict[str, str]:
    return {name: _number(line[name]) if line.get(name) is not None else "" for name in LOG_COLUMNS}


def _written(value: Any) -> str:
    """A setting as `--set` reads it."""
    if isinstance(value, tuple | list):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)

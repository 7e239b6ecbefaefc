"""Metadata in the words of others: concepts of NeXus (NXem) and terms of the EM Glossary, as JSON.

Paths are those of the application definition NXem and its base classes (FAIRmat-NFDI/nexus_definitions, January 2026).
Terms of the EM Glossary are the two that these definitions name for what Sorby knows; for detector, magnification and
size of a pixel they name none. NXem has no word for a picture of a generative network: it is a simulation there.
"""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sorby.atomic import write_text
from sorby.data.dataset import Dataset, is_dataset
from sorby.errors import ConfigError
from sorby.generator import Generator
from sorby.metrics.sets import is_generator
from sorby.micrograph import is_synthetic, read_micrograph
from sorby.untrusted import rows_of

EMG = "https://purls.helmholtz-metadaten.de/emg/"
INSTRUMENT, EVENT = "/ENTRY/measurement/instrument", "/ENTRY/measurement/eventID"
MEASURED_IMAGE, SIMULATED_IMAGE = f"{EVENT}/imageID/image_2d", "/ENTRY/simulation/results/IMAGE/image_2d"

OF_MICROSCOPE: dict[str, tuple[str, str, str]] = {
    "vendor": (f"{INSTRUMENT}/fabrication/vendor", "", ""),
    "instrument": (f"{INSTRUMENT}/fabrication/model", "", ""),
    "detector": (f"{INSTRUMENT}/detectorID/name", "", ""),
    "kV": (f"{EVENT}/instrument/ebeam_column/electron_source/voltage", "kV", "EMG_00000004"),  # Acceleration Voltage
    "working_distance_mm": (f"{EVENT}/instrument/optics/working_distance", "mm", "EMG_00000050"),  # Working Distance
    "magnification": (f"{EVENT}/instrument/optics/magnification", "", ""),
}
"""Of each note on a micrograph: its concept, its unit, its term in the EM Glossary."""
NUMBERS = ("kV", "working_distance_mm", "magnification")
REQUIRED = ("/ENTRY/start_time", "/ENTRY/sampleID/preparation_date", "/ENTRY/sampleID/atom_types")
"""What NXem asks for and Sorby does not know, or leaves out since it may name somebody."""

Concepts = dict[str, dict[str, Any]]


def export_metadata(path: Path, out: Path) -> int:
    """Write what is known of a micrograph, dataset, generator or run as JSON; gives the number of concepts.

    Who, where and which of a file's header stays out. Raises `ConfigError` for another suffix, `DataError` or
    `WeightsError` where `path` is none of these.
    """
    if out.suffix.lower() != ".json":
        raise ConfigError(f"{out} does not end in .json: name a file that does.")
    concepts = _concepts(path)
    about = {
        "definition": "NXem",
        "glossary": "EM Glossary",
        "source": path.name,
        "concepts": concepts,
        "required_by_NXem_and_not_known": list(REQUIRED),
    }
    write_text(out, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    return len(concepts)


def _concepts(path: Path) -> Concepts:
    start = {"/ENTRY/definition": _entry("NXem")}
    if is_generator(path):
        return start | _of_generator(Generator.load(path))
    return start | (_of_dataset(Dataset.open(path)) if is_dataset(path) else _of_micrograph(path))


def _of_micrograph(path: Path) -> Concepts:
    micrograph = read_micrograph(path)
    notes, height, width = micrograph.notes, *micrograph.grey.shape
    if _is_drawn(notes):
        drawn = {name: value for name, value in notes.items() if name not in ("synthetic", "simulated")}
        return _simulation(drawn) | _image(SIMULATED_IMAGE, width, height, micrograph.pixel_size_um)
    real = {"/ENTRY/sampleID/is_simulation": _entry(False)} if "vendor" in notes else {}
    return real | _microscope([notes]) | _image(MEASURED_IMAGE, width, height, micrograph.pixel_size_um)


def _of_dataset(data: Dataset) -> Concepts:
    """Settings of the microscope where all micrographs share them."""
    told = f"{len(data)} patches of {len(data.parents)} parents; licence: {data.licence or 'not stated'}"
    about = {"/ENTRY/experiment_description": _entry(f"{told}; {data.origin}" if data.origin else told)}
    if data.space.conditions:
        conditions = "; ".join(condition.describe() for condition in data.space.conditions)
        about["/ENTRY/sampleID/description"] = _entry(conditions)
    notes = _notes(data)
    if data.recipe.get("simulator") or (notes and all(map(_is_drawn, notes))):
        drawn_by = "; ".join(dict.fromkeys(note["generator"] for note in notes if "generator" in note))
        known = {"simulator": data.recipe.get("simulator"), "seed": data.recipe.get("seed"), "generator": drawn_by}
        config = {name: value for name, value in known.items() if value not in (None, "")}
        return about | _simulation(config) | _image(SIMULATED_IMAGE, data.size, data.size, data.pixel_size_um)
    return about | _microscope(notes) | _image(MEASURED_IMAGE, data.size, data.size, data.pixel_size_um)


def _notes(data: Dataset) -> list[dict[str, str]]:
    """What is noted on each micrograph; none where the dataset has no table of them."""
    if "parents.csv" not in data.archive.names():
        return []
    rows = rows_of(data.archive.read("parents.csv").decode(errors="replace"))
    return [dict(pair.split("=", 1) for pair in row.get("notes", "").split("; ") if "=" in pair) for row in rows]


def _is_drawn(notes: Mapping[str, str]) -> bool:
    """Whether a generator or a simulation drew it, by its own words."""
    return is_synthetic(notes) or notes.get("simulated") == "true"


def _of_generator(generator: Generator) -> Concepts:
    card = generator.card
    config = {
        "generator": generator.hash,
        **{f"condition {condition.name}": condition.describe() for condition in card.space.conditions},
        **{f"data {name}": value for name, value in card.data.items()},
        **{f"training {name}": value for name, value in card.training.items()},
    }
    return _simulation(config) | _image(SIMULATED_IMAGE, card.size, card.size, card.pixel_size_um)


def _simulation(config: Mapping[str, Any]) -> Concepts:
    """What says that nothing was observed, and what was drawn by which settings."""
    program = "/ENTRY/simulation/programID/program"
    parameters = {f"/ENTRY/simulation/config/{name.replace(' ', '_')}": _entry(v) for name, v in config.items()}
    return {
        "/ENTRY/sampleID/is_simulation": _entry(True),
        program: _entry("Sorby"),
        f"{program}/@version": _entry(version("sorby")),
        **parameters,
    }


def _microscope(notes: Iterable[Mapping[str, str]]) -> Concepts:
    """The settings on which all agree."""
    rows = list(notes)
    found: Concepts = {}
    for name, (concept, unit, term) in OF_MICROSCOPE.items():
        values = {row.get(name) for row in rows}
        if len(values) == 1 and (value := values.pop()) is not None:
            found[concept] = _entry(float(value) if name in NUMBERS else value, unit, term)
    return found


def _image(group: str, width: int, height: int, pixel_size_um: float | None) -> Concepts:
    """Places of the pixels: axis_i to the right, axis_j down, each `count` numbers from 0 on, `step` apart."""
    step = {} if pixel_size_um is None else {"start": 0, "step": pixel_size_um}
    unit = "" if pixel_size_um is None else "um"
    return {
        f"{group}/axis_i": _entry({**step, "count": width}, unit),
        f"{group}/axis_j": _entry({**step, "count": height}, unit),
    }


def _entry(value: Any, unit: str = "", term: str = "") -> dict[str, Any]:
    return {"value": value} | ({"units": unit} if unit else {}) | ({"term": f"{EMG}{term}"} if term else {})

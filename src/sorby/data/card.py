"""The card of a dataset: README.md in it, and how a hub shows it."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from sorby.conditions import ConditionSpace
from sorby.data.table import PatchTable

CARD = "README.md"


def data_card(
    patches: PatchTable,
    *,
    space: ConditionSpace,
    size: int,
    channels: int,
    recipe: Mapping[str, Any],
    licence: str | None,
    origin: str,
    num_rejected: int | None,
) -> str:
    """What a dataset holds, where it comes from, and what it lacks, as Markdown under the header of the hub.

    `num_rejected` are micrographs that were left out, None where nobody knows.
    """
    splits = Counter(words[code] for words in [patches.words["split"]] for code in patches.codes("split"))
    parents, specimens = len(patches.distinct("parent")), [name for name in patches.distinct("specimen") if name]
    simulated = bool(recipe.get("simulator"))
    names = "in parents.csv, as was asked for" if recipe.get("keep_names") else "left out"
    lines = [
        "# A dataset of micrographs, prepared by Sorby",
        "",
        *([f"Not all of it is real: {origin}.", ""] if origin else []),
        "## What it holds",
        "",
        f"- Patches: {len(patches)} of {size} x {size} px, {'grey' if channels == 1 else 'colour'}, 8 bit",
        f"- Pixel size: {_pixel_sizes(patches)}",
        *(f"- Split, {name}: {number} patches" for name, number in splits.items()),
        f"- {'Simulated fields' if simulated else 'Micrographs'}: {parents}; no one is on two sides of the split",
        f"- Specimens: {len(specimens) or 'not given'}",
        *(f"- Condition, {condition.describe()}" for condition in space.conditions),
        "",
        "## How it was made",
        "",
        f"- Recipe: {_recipe(recipe) or 'not known'}",
        f"- Micrographs left out: {'not known' if num_rejected is None else f'{num_rejected}; rejected.csv says why'}",
        f"- Users, operators, sample names, stage positions, dates and serial numbers of the files' headers: {names}",
        "- Names of the files stay, as names of the micrographs: the split by micrograph rests on them",
        "",
        "## Use and limits",
        "",
        "- For: training and judging generators of microstructures; measuring, where the pixel size is known",
        "- Not for: claims about alloys, treatments or magnifications that are not in it",
        "- Patches of one micrograph are not independent, and rejecting images by quality has chosen among them",
        "",
        "## Licence and citation",
        "",
        f"- Licence: {licence or 'not stated'}",
        "- Cite: the source of the micrographs; Sorby does not know it",
        "",
    ]
    return _header(licence) + "\n".join(lines)


def _header(licence: str | None) -> str:
    name = re.sub(r"[^a-z0-9.]+", "-", (licence or "").lower()).strip("-")
    told = f"license: other\nlicense_name: {name}\n" if name else ""
    return f"---\n{told}tags: [materials-science, microstructure, micrograph]\n---\n\n"


def _pixel_sizes(patches: PatchTable) -> str:
    sizes = patches.columns["pixel_size_um"][patches.rows]
    known = sizes[~np.isnan(sizes)]
    if not known.size:
        return "not known"
    low, high = f"{known.min():g}", f"{known.max():g}"
    unknown = f", not known for {sizes.size - known.size} patches" if known.size < sizes.size else ""
    return f"{low if low == high else f'{low} to {high}'} µm{unknown}"


def _recipe(recipe: Mapping[str, Any]) -> str:
    """On one line, without lists of images and what is off."""
    told = {name: value for name, value in recipe.items() if name not in ("keep", "reject", "limits", "about")}
    return "; ".join(f"{name} {value}" for name, value in told.items() if value not in ([], (), {}, None, False, ""))

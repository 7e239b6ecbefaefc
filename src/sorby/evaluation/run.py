"""Can the generated images be believed? Scores against real micrographs, with floors, in one report."""

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sorby.atomic import write_text
from sorby.evaluation.at_conditions import at_conditions, conditioning, of_scored, shown
from sorby.evaluation.metallography import correlation_of, descriptors_of, lacking, tables_of
from sorby.evaluation.originality import copies_of, leaks_of
from sorby.evaluation.scores import checks_of, likeness_of, networks_for, pair_pictures, scores_of
from sorby.evaluation.sides import check_alike, comparisons_of, generated_set, note_given, training_set
from sorby.metrics.cache import cached_features, shared_features
from sorby.metrics.compare import Side, check_number
from sorby.metrics.features import FeatureNetwork
from sorby.metrics.record import Report
from sorby.metrics.sets import ImageSet, conditions_of, is_generator, open_real, open_set
from sorby.models.compiled import how_drawn
from sorby.models.place import fastest_dtype
from sorby.report.html import Pictures, render
from sorby.team import Team
from sorby.training.tick import read_log

SAMPLE = 512
"""Pictures a side that are looked at: for grey values, spectra, correlation, copies, leaks and the grids."""

Say = Callable[[str], None]


def evaluate(
    generated: str | Path,
    real: str | Path,
    out: str | Path,
    *,
    num: int = 2000,
    seed: int = 0,
    networks: Sequence[str] = (),
    truncation: float = 1.0,
    at_each_condition: bool = False,
    device: torch.device | str = "cpu",
    command: str = "",
    say: Say = lambda _: None,
) -> Report:
    """Score `generated` against `real`, each a run, a generator, a dataset or a folder of images.

    Takes at most `num` images of each side, drawn with `seed`. `networks` are names, or NAME=PATH for weights in a
    file of one's own; without, all whose weights are on this machine are used.
    `at_each_condition` measures as many further images of each condition, those held out of training included, and
    asks whether the pictures show the condition that they were asked for.
    Writes `out/scores.json` and `out/report.html`; `say` is told what is being done.
    Raises `DataError`, `ConfigError` or `WeightsError`.
    """
    generated, real, out = Path(generated), Path(real), Path(out)
    check_number(num, "--num")
    nets, notes = networks_for(networks, device)
    reals = open_real(real, num=num, seed=seed, device=device)
    comparisons = comparisons_of(reals, name=real.name, seed=seed, notes=notes)
    first, last = comparisons[0], comparisons[-1]
    fakes = generated_set(generated, real, num=num, seed=seed, truncation=truncation, device=device)
    check_alike(fakes, first, notes)
    note_given(generated, notes)
    conditions = (
        at_conditions(generated, real, num=num, seed=seed, truncation=truncation, device=device, notes=notes)
        if at_each_condition
        else None
    )
    sides = dict.fromkeys([fakes, *(images for c in comparisons for images in (c.real, *c.floor))])
    samples = {images: images.first(SAMPLE) for images in sides}
    features = {network.name: {images: _side(images, network, say) for images in sides} for network in nets}
    say("microstructure")
    scale = fakes.pixel_size_um if first.pixel_size_um else None
    tables = tables_of(fakes, first, pixel_size_um=scale)
    found = (
        conditioning(conditions, nets[0], seed=seed, notes=notes, say=say)
        if conditions
        else of_scored(tables, fakes, first, real, pixel_size_um=scale, seed=seed, notes=notes)
    )
    say("copies and leaks")
    copies, copy_pictures = copies_of(samples, fakes, first, training_set(real, first, seed=seed))
    likeness = likeness_of(nets[0].name, features[nets[0].name], fakes, last)
    say("scores")
    report = Report(
        generated=str(generated),
        real=str(real),
        seed=seed,
        truncation=truncation,
        pixel_size_um=fakes.pixel_size_um,
        real_pixel_size_um=first.pixel_size_um,
        size_px=(samples[fakes].shape[3], samples[fakes].shape[2]),
        num={"generated": len(fakes)} | {c.against: len(c.real) for c in comparisons},
        num_parents={c.against: c.real.num_parents for c in comparisons},
        scores=tuple(scores_of(nets, features, fakes, comparisons, seed=seed)),
        checks=tuple(check for c in comparisons for check in checks_of(samples, fakes, c)),
        descriptors=tuple(descriptors_of(tables, fakes, first, pixel_size_um=scale)),
        lacking=tuple(lacking(tables, first)),
        by_condition=found.by_condition,
        fidelity=found.fidelity,
        likeness=likeness,
        copies=copies,
        leaks=tuple(leaks_of(samples, fakes, first, seed=seed)),
        notes=tuple(notes),
        hashes={"generated": fakes.hash} | {c.against: c.real.hash for c in comparisons},
        command=command,
        versions=_versions()
        | ({"pictures drawn in": how_drawn(device, fastest_dtype(device))} if is_generator(generated) else {}),
    )
    pictures = Pictures(
        generated=samples[fakes],
        real=samples[first.real],
        pairs=pair_pictures(likeness, fakes, last.real),
        copies=copy_pictures,
        generated_descriptors=tables.generated,
        real_descriptors=tables.real,
        generated_s2=correlation_of(samples[fakes], fakes.parents[:SAMPLE]),
        real_s2=correlation_of(samples[first.real], first.real.parents[:SAMPLE]),
        conditions=shown(conditions, found) if conditions else (),
        about=fakes.about,
    )
    page = render(report, pictures, log=_log(generated))
    write_text(out / "scores.json", report.model_dump_json(indent=2) + "\n")
    write_text(out / "report.html", page)
    return report


def share_features(
    generated: str | Path,
    real: str | Path,
    *,
    num: int,
    seed: int,
    networks: Sequence[str],
    truncation: float,
    team: Team,
) -> None:
    """Leave the features that `evaluate` with the same arguments needs in the cache: each process takes some of them.

    Those at each condition are left to it, and so is what follows from features and pictures.
    """
    generated, real = Path(generated), Path(real)
    nets, _ = networks_for(networks, team.device)
    reals = open_real(real, num=num, seed=seed, device=team.device)
    comparisons = comparisons_of(reals, name=real.name, seed=seed, notes=[])
    conditions = conditions_of(real)
    fakes = open_set(generated, num=num, seed=seed, conditions=conditions, truncation=truncation, device=team.device)
    for images in dict.fromkeys([fakes, *(images for c in comparisons for images in (c.real, *c.floor))]):
        for network in nets:
            shared_features(images, network, team)


def _side(images: ImageSet, network: FeatureNetwork, say: Say) -> Side:
    say(f"{network.name} features of {len(images)} images: {images.name}")
    return Side(images.name, cached_features(images, network), images.parents)


def _log(generated: Path) -> list[dict[str, Any]]:
    """Lines of a run's log; empty for anything else."""
    return read_log(generated) if generated.is_dir() else []


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("sorby", "torch", "numpy", "scipy")}
    return packages | {"Python": platform.python_version(), "system": platform.platform()}

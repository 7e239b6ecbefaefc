"""Can the generated images be believed? Scores against real micrographs, with floors, in one report."""

import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from sorby.atomic import write_text
from sorby.data.dataset import Split
from sorby.errors import DataError, WeightsError
from sorby.measure import descriptor_table, unit_of
from sorby.metrics.cache import cached_features
from sorby.metrics.compare import MIN_IMAGES, Side, check_number, compare
from sorby.metrics.copies import Copy, align, audit
from sorby.metrics.features import FEATURE_NETWORKS, FeatureNetwork, load_network
from sorby.metrics.leak import LEAST_PX, leaks
from sorby.metrics.neighbours import nearest
from sorby.metrics.record import Check, CopyAudit, CopyPair, Descriptor, Leak, Likeness, Pair, Report
from sorby.metrics.score import Against, Score
from sorby.metrics.sets import ImageSet, conditions_of, open_real, open_set
from sorby.metrics.structure import grey_histogram, histogram_distance, radial_power, spectrum_distance
from sorby.microstructure.compare import Agreement, agreement
from sorby.microstructure.describe import QUANTITIES, Quantity, comparable
from sorby.report.html import Pictures, render
from sorby.training.tick import read_log

SAMPLE = 512  # pictures a side for grey values, spectra and the grids
NUM_PAIRS = 6
SCALE_TOLERANCE = 0.01

Say = Callable[[str], None]


@dataclass(frozen=True)
class Described:
    """Descriptors, an image a row and a column each of `QUANTITIES`; NaN where an image has none."""

    generated: Float[np.ndarray, "n q"]
    one: Float[np.ndarray, "m q"]
    """Some real images ..."""
    other: Float[np.ndarray, "k q"]
    """... and those of other micrographs."""

    @property
    def real(self) -> Float[np.ndarray, "r q"]:
        """All real images: a mean gains nothing from copies, so the training images count too."""
        return np.concatenate([self.one, self.other])


@dataclass(frozen=True)
class Comparison:
    """Generated against some real images, and the two sets of real images that give the floor."""

    against: Against
    real: ImageSet
    floor: tuple[ImageSet, ImageSet]
    """The second stands in the place of the generated images."""


def evaluate(
    generated: str | Path,
    real: str | Path,
    out: str | Path,
    *,
    num: int = 2000,
    seed: int = 0,
    networks: Sequence[str] = (),
    truncation: float = 1.0,
    device: torch.device | str = "cpu",
    command: str = "",
    say: Say = lambda _: None,
) -> Report:
    """Score `generated` against `real`, each a run, a generator, a dataset or a folder of images.

    Takes at most `num` images of each side, drawn with `seed`. `networks` are names, or NAME=PATH for weights in a
    file of one's own; without, all whose weights are on this machine are used.
    Writes `out/scores.json` and `out/report.html`; `say` is told what is being done.
    Raises `DataError`, `ConfigError` or `WeightsError`.
    """
    generated, real, out = Path(generated), Path(real), Path(out)
    check_number(num, "--num")
    nets, notes = _networks(networks, device)
    comparisons = _comparisons(open_real(real, num=num, seed=seed, device=device), real.name, seed, notes)
    fakes = _fakes(generated, real, num, seed, truncation, device)
    _check_alike(fakes, comparisons[0].real, notes)
    sides = dict.fromkeys([fakes, *(images for c in comparisons for images in (c.real, *c.floor))])
    features = {network.name: {images: _side(images, network, say) for images in sides} for network in nets}
    samples = {images: images.first(SAMPLE) for images in sides}
    say("microstructure")
    scale = fakes.pixel_size_um if comparisons[0].real.pixel_size_um else None
    described = _described(fakes, comparisons, scale)
    say("copies and leaks")
    copies, copy_pictures = _copies(fakes, comparisons[0], _training(real, comparisons[0], seed))
    likeness = _likeness(nets[0].name, features[nets[0].name], fakes, comparisons[-1])
    report = Report(
        generated=str(generated),
        real=str(real),
        seed=seed,
        truncation=truncation,
        pixel_size_um=fakes.pixel_size_um,
        size_px=(samples[fakes].shape[3], samples[fakes].shape[2]),
        num={"generated": len(fakes)} | {c.against: len(c.real) for c in comparisons},
        num_parents={c.against: c.real.num_parents for c in comparisons},
        scores=tuple(_scores(nets, features, fakes, comparisons, seed, say)),
        checks=tuple(check for c in comparisons for check in _checks(samples, fakes, c)),
        descriptors=tuple(_descriptors(described, fakes, comparisons[0], pixel_size_um=scale, seed=seed)),
        likeness=likeness,
        copies=copies,
        leaks=tuple(_leaks(samples[fakes], comparisons[0], seed)),
        notes=tuple(notes),
        hashes={"generated": fakes.hash} | {c.against: c.real.hash for c in comparisons},
        command=command,
        versions=_versions(),
    )
    pairs = _pair_pictures(likeness, fakes, comparisons[-1].real)
    shown = Pictures(
        generated=samples[fakes],
        real=samples[comparisons[0].real],
        pairs=pairs,
        copies=copy_pictures,
        generated_descriptors=described.generated,
        real_descriptors=described.real,
    )
    page = render(report, shown, log=_log(generated))
    write_text(out / "scores.json", report.model_dump_json(indent=2) + "\n")
    write_text(out / "report.html", page)
    return report


def _networks(names: Sequence[str], device: torch.device | str) -> tuple[list[FeatureNetwork], list[str]]:
    """The networks asked for, or all that can be had and a note on each that cannot."""
    if names:
        asked = dict(_name_and_path(name) for name in names)
        return [load_network(name, path=path, device=device) for name, path in asked.items()], []
    found, notes = [], []
    for name in FEATURE_NETWORKS:
        try:
            found.append(load_network(name, device=device))
        except WeightsError as error:
            notes.append(f"Not scored in {name} features: {error}")
    if not found:
        raise WeightsError(f"no feature network can be used. {notes[0]}")
    return found, notes


def _name_and_path(network: str) -> tuple[str, Path | None]:
    """`vgg16=/weights/vgg16.pth` to its parts; the path may be left out.

    >>> _name_and_path("inception")
    ('inception', None)
    """
    name, _, path = network.partition("=")
    return name, Path(path).expanduser() if path else None


def _comparisons(reals: Mapping[Split | None, ImageSet], name: str, seed: int, notes: list[str]) -> list[Comparison]:
    """Held-out micrographs first; where there are none, all real images, with two halves of them for the floor.

    Raises `DataError` where there are too few for a score or its floor.
    """
    if len(reals) == 2 and min(len(images) for images in reals.values()) >= MIN_IMAGES:
        held_out, train = reals["held-out"], reals["train"]
        return [
            Comparison("held-out", held_out, (held_out, train)),
            Comparison("train", train, (train, held_out)),
        ]
    notes.append(
        f"{name} has no held-out micrographs (or fewer than {MIN_IMAGES} images of them): a generator that copies "
        "its training images is not found out by these scores. The floor compares two halves of the real micrographs."
    )
    images = max(reals.values(), key=len)
    check_number(len(images), name, least=2 * MIN_IMAGES)
    if images.num_parents == 1:
        notes.append(
            "All real images compared to come from one micrograph. The floor compares two halves of them, which are "
            "more alike than two micrographs are: a generator of new micrographs cannot be expected to reach it."
        )
    halves = images.halves(seed=seed)
    for half in halves:
        check_number(len(half), f"{name}, {half.name},")
    return [Comparison("real", images, halves)]


def _fakes(path: Path, real: Path, num: int, seed: int, truncation: float, device: torch.device | str) -> ImageSet:
    """The generated images, of the conditions of the real ones. Raises `DataError` where they are too few."""
    conditions = conditions_of(real)
    images = open_set(path, num=num, seed=seed, conditions=conditions, truncation=truncation, device=device)
    check_number(len(images), images.name)
    return images.kept()


def _check_alike(fakes: ImageSet, real: ImageSet, notes: list[str]) -> None:
    """Raise `DataError` for pictures of different sizes or colours; note different or unknown scales."""
    (_, c, h, w), (_, real_c, real_h, real_w) = fakes.first(1).shape, real.first(1).shape
    if (h, w) != (real_h, real_w):
        raise DataError(
            f"{fakes.name} has images of {w} x {h} px and {real.name} of {real_w} x {real_h} px: expected one size; "
            "prepare the real images at the size of the generated ones."
        )
    if c != real_c:
        raise DataError(
            f"{fakes.name} has {_colour(c)} images and {real.name} {_colour(real_c)} ones: expected one kind; a folder "
            "of images is read as grey, so give the run, the generator or a dataset in its place."
        )
    um, real_um = fakes.pixel_size_um, real.pixel_size_um
    if um is None or real_um is None:
        notes.append("The pixel size of one side is unknown or mixed: nobody has checked that the scales agree.")
    elif not same_scale(um, real_um):
        notes.append(
            f"Pixel sizes differ ({um:g} and {real_um:g} µm): these scores mix up structure and magnification, and "
            "lengths are not compared."
        )


def same_scale(um: float | None, real_um: float | None) -> bool:
    """Whether two pixel sizes agree, or one of them is unknown."""
    return um is None or real_um is None or abs(um / real_um - 1) <= SCALE_TOLERANCE


def _colour(channels: int) -> str:
    return "grey" if channels == 1 else "colour"


def _side(images: ImageSet, network: FeatureNetwork, say: Say) -> Side:
    say(f"{network.name} features of {len(images)} images: {images.name}")
    return Side(images.name, cached_features(images, network), images.parents)


def _scores(
    networks: Sequence[FeatureNetwork],
    features: Mapping[str, Mapping[ImageSet, Side]],
    fakes: ImageSet,
    comparisons: Sequence[Comparison],
    seed: int,
    say: Say,
) -> list[Score]:
    found = []
    for network in networks:
        say(f"scores in {network.name} features")
        sides = features[network.name]
        for c in comparisons:
            floor = (sides[c.floor[0]], sides[c.floor[1]])
            found += compare(sides[fakes], sides[c.real], against=c.against, floor=floor, network=network, seed=seed)
    return found


def _checks(
    samples: Mapping[ImageSet, UInt8[np.ndarray, "_ c h w"]], fakes: ImageSet, comparison: Comparison
) -> list[Check]:
    """Grey values and length scales, from the pictures themselves."""
    real, generated = samples[comparison.real], samples[fakes]
    one, other = (samples[images] for images in comparison.floor)
    measures = (
        ("grey values", "grey levels", grey_histogram, histogram_distance),
        ("power spectrum", "decades", radial_power, spectrum_distance),
    )
    return [
        Check(
            name=name,
            unit=unit,
            value=distance(measure(real), measure(generated)),
            floor=distance(measure(one), measure(other)),
            against=comparison.against,
            num_real=len(real),
            num_generated=len(generated),
        )
        for name, unit, measure, distance in measures
    ]


def _described(fakes: ImageSet, comparisons: Sequence[Comparison], pixel_size_um: float | None) -> Described:
    """The metallography of the generated and of all real images, in the units of `pixel_size_um`."""
    sides = (fakes, *comparisons[0].floor)
    generated, one, other = (descriptor_table(images.batches()) for images in sides)
    factors = np.array([unit_of(quantity, pixel_size_um)[0] for quantity in QUANTITIES])
    return Described(generated * factors, one * factors, other * factors)


def _descriptors(
    described: Described, fakes: ImageSet, comparison: Comparison, *, pixel_size_um: float | None, seed: int
) -> list[Descriptor]:
    """Each descriptor compared; lengths are left out where the pixel sizes are known to differ."""
    one, other = (images.parents for images in comparison.floor)
    parents = _all_parents(comparison)
    generated, real, of_one, of_other = (
        comparable(table) for table in (described.generated, described.real, described.one, described.other)
    )
    rng = np.random.default_rng(seed)
    found = []
    for column, quantity in enumerate(QUANTITIES):
        if quantity.power and not same_scale(fakes.pixel_size_um, comparison.real.pixel_size_um):
            continue
        between = agreement(of_one[:, column], one, of_other[:, column], other, rng=rng)
        result = agreement(real[:, column], parents, generated[:, column], fakes.parents, rng=rng)
        if result is not None:
            found.append(_descriptor(quantity, result, between, unit=unit_of(quantity, pixel_size_um)[1]))
    return found


def _descriptor(quantity: Quantity, result: Agreement, between: Agreement | None, *, unit: str) -> Descriptor:
    shift, spread = result.shift, result.spread
    means = (result.real_mean, result.generated_mean)
    real_mean, generated_mean = map(math.exp, means) if quantity.is_length else means
    return Descriptor(
        name=quantity.name,
        title=quantity.title,
        unit=unit,
        real_mean=real_mean,
        generated_mean=generated_mean,
        shift=(shift.value, shift.low, shift.high),
        spread=(math.exp(spread.value), math.exp(spread.low), math.exp(spread.high)),
        verdict=result.verdict,
        between_real=between.shift.value if between else None,
        num_real=result.num_real,
        num_generated=result.num_generated,
        num_parents=result.num_parents,
    )


def _likeness(network: str, sides: Mapping[ImageSet, Side], fakes: ImageSet, comparison: Comparison) -> Likeness:
    one, other = (sides[images].features for images in comparison.floor)
    _, usual = nearest(other, one)
    index, distance = nearest(sides[fakes].features, sides[comparison.real].features)
    closest = np.argsort(distance)[:NUM_PAIRS]
    names = comparison.real.names
    pairs = [Pair(generated=fakes.names[i], real=names[index[i]], distance=float(distance[i])) for i in closest]
    return Likeness(
        network=network,
        against=comparison.against,
        pairs=tuple(pairs),
        usual_distance=float(np.median(usual)),
        closer_share=float(np.mean(distance < np.quantile(usual, 0.01))),
    )


def _pair_pictures(
    likeness: Likeness, fakes: ImageSet, real: ImageSet
) -> list[tuple[UInt8[np.ndarray, "_ h w"], UInt8[np.ndarray, "_ h w"]]]:
    pairs = ((fakes.names.index(pair.generated), real.names.index(pair.real)) for pair in likeness.pairs)
    return [(fakes.load([i])[0], real.load([j])[0]) for i, j in pairs]


def _training(real: Path, comparison: Comparison, seed: int) -> ImageSet:
    """All training pictures, since a copy of any of them counts; of a set without a split, those compared to."""
    if comparison.against != "held-out":
        return comparison.real
    return open_real(real, num=sys.maxsize, seed=seed)["train"]


def _copies(
    fakes: ImageSet, comparison: Comparison, train: ImageSet
) -> tuple[CopyAudit | None, list[tuple[UInt8[np.ndarray, "_ h w"], UInt8[np.ndarray, "_ h w"]]]]:
    """The audit of a sample of the generated pictures, and its closest pairs as they lie on one another."""
    generated = fakes.first(SAMPLE)
    if generated.shape[2] != generated.shape[3]:
        return None, []
    known = train.load(range(len(train)))
    has_held_out = comparison.against == "held-out"
    held_out = comparison.real.first(SAMPLE) if has_held_out else None
    found = audit(generated, known, held_out)
    closest = found.closest(NUM_PAIRS)
    chance = sorted(found.by_chance or (), key=lambda copy: -copy.similarity)[:NUM_PAIRS]
    result = CopyAudit(
        pairs=tuple(_copy_pair(copy, fakes, train) for copy in closest),
        by_chance=tuple(_copy_pair(copy, comparison.real, train) for copy in chance),
        threshold=found.threshold,
        rate=found.memorisation_rate,
        interval=found.memorisation_interval,
        num_generated=len(generated),
        num_train=len(known),
        num_held_out=0 if held_out is None else len(held_out),
    )
    return result, [(generated[copy.index], align(known[copy.nearest], copy)) for copy in closest]


def _all_parents(comparison: Comparison) -> Int[np.ndarray, " n"]:
    """Parents of both sides of the floor: the sides of a split number theirs each from 0, halves of a set do not."""
    one, other = (images.parents for images in comparison.floor)
    return np.concatenate([one, other if comparison.against == "real" else other + one.max() + 1])


def _copy_pair(copy: Copy, pictures: ImageSet, train: ImageSet) -> CopyPair:
    return CopyPair(
        picture=pictures.names[copy.index],
        train=train.names[copy.nearest],
        similarity=copy.similarity,
        move=copy.move,
        shift_px=copy.shift_px,
    )


def _leaks(generated: UInt8[np.ndarray, "n c h w"], comparison: Comparison, seed: int) -> list[Leak]:
    """Of all real pictures on hand, since the range of the data is asked for; none for pictures not square or small."""
    one, other = comparison.floor
    if generated.shape[2] != generated.shape[3] or generated.shape[2] < LEAST_PX:
        return []
    real = np.concatenate([one.first(SAMPLE), other.first(SAMPLE)])
    parents = _all_parents(comparison)
    chosen = np.concatenate([parents[: len(one)][:SAMPLE], parents[len(one) :][:SAMPLE]])
    tests = leaks(generated, real, parents=chosen, rng=np.random.default_rng(seed))
    return [Leak(move=t.move, leaked=t.leaked, reason=t.reason, p_value=t.p_value) for t in tests]


def _log(generated: Path) -> list[dict[str, Any]]:
    """Lines of a run's log; empty for anything else."""
    return read_log(generated) if generated.is_dir() else []


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("sorby", "torch", "numpy", "scipy")}
    return packages | {"Python": platform.python_version(), "system": platform.platform()}

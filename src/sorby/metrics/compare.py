"""All scores of generated against real features, each with interval, floor and notes."""

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from sorby.errors import DataError
from sorby.metrics.features import FeatureNetwork
from sorby.metrics.frechet import feature_stats, frechet_distance
from sorby.metrics.intervals import METHOD, NUM_HALVES, half_widths
from sorby.metrics.kernel import kernel_distance
from sorby.metrics.neighbours import neighbour_scores
from sorby.metrics.score import Against, Floor, Score

K, K_DENSITY = 3, 5
MIN_IMAGES = 2 * (K_DENSITY + 1)  # a side, so that half of them still have neighbours
NEIGHBOURS = {"precision": K, "recall": K, "density": K_DENSITY, "coverage": K_DENSITY}
BOUNDS = {"FID": (0.0, np.inf), "KID": (-np.inf, np.inf), "density": (0.0, np.inf)}
PAPER_A_NETWORK = "vgg16"


@dataclass(frozen=True)
class Side:
    """Features of one set of images, and the number of the micrograph (or generated image) that each comes from."""

    name: str
    features: Float[np.ndarray, "n d"]
    parents: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.features)


def compare(
    generated: Side, real: Side, *, against: Against, floor: tuple[Side, Side], network: FeatureNetwork, seed: int
) -> list[Score]:
    """Scores of `generated` against `real`; the floor compares the second of `floor` to the first.

    VGG16 gives precision and recall only, for which paper A used it. Raises `DataError` for too few images, and for
    features that are not finite or not of one network.
    """
    for side in (generated, real, *floor):
        check_number(len(side), side.name)
        _check_features(side, like=real)
    rng = np.random.default_rng(seed)
    score = partial(_values, only_neighbours=network.name == PAPER_A_NETWORK)
    floor_real, floor_other = floor[0].features, _at_most(floor[1].features, len(generated), rng)
    floors, values = score(floor_real, floor_other), score(real.features, generated.features)
    widths = half_widths(
        score,
        *(real.features, real.parents),
        *(generated.features, generated.parents),
        rng=rng,
        least=K_DENSITY + 1,
    )
    between = f"{floor[1].name} against {floor[0].name}"
    return [
        Score(
            name=name,
            value=value,
            against=against,
            **_interval(name, value, widths.get(name)),
            floor=Floor(value=floors[name], num_real=len(floor_real), num_other=len(floor_other), between=between),
            network=network.name,
            network_sha256=network.sha256,
            filter=network.filter,
            num_real=len(real),
            num_generated=len(generated),
            num_parents=len(np.unique(real.parents)),
            seed=seed,
            k=NEIGHBOURS.get(name),
            notes=tuple(_notes(name, generated, real, len(floor_real), len(floor_other), network)),
        )
        for name, value in values.items()
    ]


def _check_features(side: Side, *, like: Side) -> None:
    num, expected = side.features.shape[1], like.features.shape[1]
    if num != expected:
        raise DataError(
            f"{side.name} has {num} features an image and {like.name} {expected}: expected those of one network; take "
            "both sides through the same."
        )
    if not np.isfinite(side.features).all():
        raise DataError(
            f"{side.name} has features that are not finite: images or network are damaged; copy both again."
        )


def _values(
    real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, only_neighbours: bool
) -> dict[str, float]:
    """The numbers alone, by name."""
    near = asdict(neighbour_scores(real, generated, k=K, k_density=K_DENSITY))
    if only_neighbours:
        return {name: near[name] for name in ("precision", "recall")}
    fid = frechet_distance(feature_stats(real), feature_stats(generated))
    return {"FID": fid, "KID": kernel_distance(real, generated), **near}


def check_number(num: int, name: str, *, least: int = MIN_IMAGES) -> None:
    """Raise `DataError` where there are too few images for any score."""
    if num < least:
        raise DataError(f"{name} has {num} images, scores need at least {least}: give more, or raise --num.")


def _at_most(features: Float[np.ndarray, "n d"], num: int, rng: np.random.Generator) -> Float[np.ndarray, "m d"]:
    return features[np.sort(rng.permutation(len(features))[:num])]


def _interval(name: str, value: float, width: float | None) -> dict[str, float | str]:
    if width is None:
        return {"interval_method": "none: too few micrographs"}
    least, most = BOUNDS.get(name, (0.0, 1.0))
    method = METHOD.format(num=NUM_HALVES)
    return {"low": max(value - width, least), "high": min(value + width, most), "interval_method": method}


def _notes(
    name: str, generated: Side, real: Side, floor_real: int, floor_other: int, network: FeatureNetwork
) -> list[str]:
    notes = []
    if name == "FID" and min(len(real), len(generated)) <= network.dim:
        notes.append(f"N is below the feature size ({network.dim}), FID is biased upwards: prefer KID.")
    if name != "KID" and (floor_real, floor_other) != (len(real), len(generated)):
        notes.append(
            f"The floor has other numbers of images ({floor_real} and {floor_other}), which moves it: judge by KID."
        )
    if name == "recall" and network.name != PAPER_A_NETWORK:
        notes.append(f"Recall in {network.name} features, not in VGG16's as in paper A.")
    return notes

"""Scores of the images in features of pretrained networks, and distances of their grey values and spectra."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from sorby.errors import WeightsError
from sorby.evaluation.sides import Comparison
from sorby.metrics.compare import Side, compare
from sorby.metrics.features import FEATURE_NETWORKS, FeatureNetwork, load_network
from sorby.metrics.neighbours import nearest
from sorby.metrics.record import Check, Likeness, Pair
from sorby.metrics.score import Score
from sorby.metrics.sets import ImageSet
from sorby.metrics.structure import grey_histogram, histogram_distance, radial_power, spectrum_distance

NUM_PAIRS = 6


def networks_for(names: Sequence[str], device: torch.device | str) -> tuple[list[FeatureNetwork], list[str]]:
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


def scores_of(
    networks: Sequence[FeatureNetwork],
    features: Mapping[str, Mapping[ImageSet, Side]],
    fakes: ImageSet,
    comparisons: Sequence[Comparison],
    *,
    seed: int,
) -> list[Score]:
    """All scores of the generated images in the features of each network, with floors."""
    found = []
    for network in networks:
        sides = features[network.name]
        for c in comparisons:
            floor = (sides[c.floor[0]], sides[c.floor[1]])
            found += compare(sides[fakes], sides[c.real], against=c.against, floor=floor, network=network, seed=seed)
    return found


def checks_of(
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


def likeness_of(network: str, sides: Mapping[ImageSet, Side], fakes: ImageSet, comparison: Comparison) -> Likeness:
    """The generated images nearest to a real one in the features of a network."""
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


def pair_pictures(
    likeness: Likeness, fakes: ImageSet, real: ImageSet
) -> list[tuple[UInt8[np.ndarray, "_ h w"], UInt8[np.ndarray, "_ h w"]]]:
    """The pictures of its pairs."""
    pairs = ((fakes.names.index(pair.generated), real.names.index(pair.real)) for pair in likeness.pairs)
    return [(fakes.load([i])[0], real.load([j])[0]) for i, j in pairs]

"""The verdict on real micrographs: half of them against the other half, and against noise of the same area fraction."""

import csv

import numpy as np
import pytest

from sorby.measurement.measured import descriptor_table
from sorby.micrograph import read_micrograph
from sorby.microstructure.compare import agreement, overall, verdicts
from sorby.microstructure.describe import QUANTITIES, comparable
from sorby.simulation.random_field import gaussian_field

SIZE = 96


@pytest.fixture(scope="module")
def micrographs(shared_data):
    """The middles of 240 steel micrographs, and the number of the field of view of each."""
    folder = shared_data / "uhcs600"
    rows = list(csv.DictReader((folder / "labels.csv").read_text().splitlines()))[::2]
    crops = []
    for row in rows:
        grey = read_micrograph(folder / row["file"]).grey
        top, left = (min(len(grey), 440) - SIZE) // 2, (grey.shape[1] - SIZE) // 2
        crops.append(grey[top : top + SIZE, left : left + SIZE])
    _, parents = np.unique([row["fov_group"] for row in rows], return_inverse=True)
    return np.stack(crops)[:, None], parents


@pytest.fixture(scope="module")
def described(micrographs):
    return comparable(descriptor_table([micrographs[0]], workers=1))


def verdict_of_each(real, real_parents, other, other_parents):
    found = [agreement(real[:, i], real_parents, other[:, i], other_parents) for i in range(len(QUANTITIES))]
    return dict(zip([quantity.name for quantity in QUANTITIES], verdicts(found), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_micrographs_agrees_with_the_other_half(described, micrographs, seed):
    rng, parents = np.random.default_rng(seed), micrographs[1]
    half = np.isin(parents, rng.permutation(np.unique(parents))[: len(np.unique(parents)) // 2])
    found = verdict_of_each(described[half], parents[half], described[~half], parents[~half])
    assert overall(list(found.values())) == "agrees"


def test_noise_with_the_grey_values_and_the_area_fractions_of_the_micrographs_differs(described, micrographs):
    """Each micrograph's own grey values, ordered by a Gaussian field: the fraction stays, the structure does not."""
    images, parents = micrographs
    rng = np.random.default_rng(0)
    fakes = np.empty_like(images)
    for fake, image in zip(fakes, images, strict=True):
        order = np.argsort(gaussian_field((SIZE, SIZE), correlation_length_px=3.0, rng=rng).ravel())
        fake.ravel()[order] = np.sort(image.ravel())
    other = comparable(descriptor_table([fakes], workers=1))
    found = verdict_of_each(described, parents, other, np.arange(len(other)))
    assert overall(list(found.values())) == "differs"
    assert found["area_fraction"] != "differs"
    assert found["correlation_length"] == "differs"

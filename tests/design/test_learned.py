import csv

import numpy as np
import pytest

from sorby.design.goals import target
from sorby.design.inverse import check
from sorby.design.learned import learn
from sorby.design.meter import Meter
from sorby.errors import ConfigError
from sorby.micrograph import write_micrograph
from sorby.microstructure.describe import Segmentation

PLAIN = Segmentation(smooth_px=0, min_area_px2=1)


def discs(radius, *, size=64, rng):
    """Bright discs on a lattice, a little displaced."""
    y, x = np.mgrid[:size, :size]
    grey = np.full((size, size), 60, np.uint8)
    for i in range(4):
        for j in range(4):
            cy, cx = (size / 4 * (k + 0.5) + rng.uniform(-1, 1) for k in (i, j))
            grey[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = 190
    return grey


@pytest.fixture(scope="module")
def steel(tmp_path_factory):
    """Pictures of discs 0.5 µm a pixel, with a hardness that follows from the radius, and a number that does not."""
    folder = tmp_path_factory.mktemp("steel")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(24):
        radius = 3 + 4 * i / 23
        write_micrograph(folder / f"{i:02d}.tif", discs(radius, rng=rng), pixel_size_um=0.5, description={})
        rows.append({"file": f"{i:02d}.tif", "hardness": 100 + 20 * radius * 0.5, "luck": rng.normal()})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def hardness(steel):
    return learn(steel, "hardness:HV", labels=steel / "labels.csv", how=PLAIN)


def test_a_law_is_learned_and_told_of_new_pictures(hardness):
    meter = Meter(how=PLAIN, pixel_size_um=0.5, learned=(hardness,))
    rng = np.random.default_rng(1)
    inside = []
    for radius in np.linspace(3.5, 6.5, 12):
        numbers = meter(discs(radius, rng=rng)).numbers
        truth = 100 + 20 * radius * 0.5
        assert numbers["hardness"] == pytest.approx(truth, abs=6)  # of a range of 40
        inside.append(numbers["hardness_low"] <= truth <= numbers["hardness_high"])
    assert np.mean(inside) >= 0.7
    check([target("hardness=150")], [], meter)


def test_micrometres_count_and_not_pixels(hardness):
    numbers = [
        Meter(how=PLAIN, pixel_size_um=size_um, learned=(hardness,))(
            discs(radius, size=size, rng=np.random.default_rng(2))
        ).numbers["hardness"]
        for radius, size, size_um in ((5.0, 64, 0.5), (10.0, 128, 0.25))
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=4)


def test_what_was_learned_in_micrometres_needs_a_pixel_size(hardness):
    with pytest.raises(ConfigError, match="learned in micrometres, and this generator has no pixel size"):
        Meter(how=PLAIN, learned=(hardness,))


def test_what_does_not_follow_cannot_be_asked_for(steel):
    with pytest.raises(ConfigError, match=r"luck cannot be asked for\. Not supported: that luck follows"):
        learn(steel, "luck", labels=steel / "labels.csv", how=PLAIN)

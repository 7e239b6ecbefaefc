import csv
import io

import numpy as np
import pytest

from sorby.data.prepare import prepare
from sorby.data.recipe import make_recipe
from sorby.errors import ConfigError
from sorby.micrograph import read_micrograph
from sorby.simulation.random_field import two_phase
from sorby.simulation.sem import SemLook, photograph
from sorby.simulation.vendor_files import VENDORS, write_as

PIXEL_SIZES_UM = dict(zip(VENDORS, (0.05, 0.0004321, 0.1234567, 1 / 30), strict=True))


def micrograph(seed):
    rng = np.random.default_rng(seed)
    labels = two_phase((220, 300), volume_fraction=0.35, correlation_length_px=9, rng=rng).astype(int)
    return photograph(labels, SemLook(charging=0.2), rng=rng)


@pytest.fixture(scope="module")
def pictures():
    return {vendor: micrograph(seed) for seed, vendor in enumerate(VENDORS)}


@pytest.fixture(scope="module")
def raw(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    for vendor, picture in pictures.items():
        write_as(vendor, folder / f"{vendor}.tif", picture, pixel_size_um=PIXEL_SIZES_UM[vendor])
    return folder


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_header_is_read_as_that_of_the_vendor_and_says_that_it_is_simulated(raw, vendor):
    read = read_micrograph(raw / f"{vendor}.tif")
    assert read.pixel_size_um == pytest.approx(PIXEL_SIZES_UM[vendor], rel=1e-8)
    assert vendor in read.notes["vendor"].lower()
    assert read.notes["instrument"] == "simulated"
    assert read.notes["kV"] == "15"


def test_prepare_finds_the_bar_the_pixel_size_and_the_picture(raw, pictures, tmp_path):
    data = prepare([raw], tmp_path / "a.zip", recipe=make_recipe(size=64, held_out=0))
    rows = {row["parent"]: row for row in csv.DictReader(io.StringIO(data.archive.read("parents.csv").decode()))}
    assert set(rows) == {f"{vendor}.tif" for vendor in VENDORS}
    for vendor in VENDORS:
        row = rows[f"{vendor}.tif"]
        assert (row["top_px"], row["bottom_px"], row["height_px"], row["warnings"]) == ("0", "220", "242", "")
        assert float(row["pixel_size_um"]) == pytest.approx(PIXEL_SIZES_UM[vendor], rel=1e-8)
    for patch, picture in zip(data.patches, data.images(), strict=True):
        x, y = int(patch.x_px), int(patch.y_px)
        np.testing.assert_array_equal(picture[0], pictures[patch.parent.removesuffix(".tif")][y : y + 64, x : x + 64])


def test_an_unknown_vendor_is_refused_and_nothing_written(tmp_path, pictures):
    with pytest.raises(ConfigError, match="Vendor 'tescan' is unknown: choose zeiss, fei, hitachi, jeol"):
        write_as("tescan", tmp_path / "a.tif", pictures["zeiss"], pixel_size_um=0.1)
    assert list(tmp_path.iterdir()) == []

import csv
import math
import re

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from sorby.cli.measure import measure as command
from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.errors import DataError, SorbyError
from sorby.fields import Field, fields_of
from sorby.measurement import measured
from sorby.measurement.measured import measure_fields
from sorby.measurement.run import measure
from sorby.measurement.tables import as_csv
from sorby.micrograph import write_micrograph
from sorby.microstructure.describe import Segmentation
from tests.data.made import texture, with_bar
from tests.microstructure.test_describe import discs
from tests.microstructure.test_full import TEN_LEVELS, cones


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    """Two micrographs of discs 16 px across, with and without a pixel size, and one of a single grey."""
    path = tmp_path / "images"
    path.mkdir()
    write_micrograph(path / "a.tif", discs(), pixel_size_um=0.5, description={})
    write_micrograph(path / "b.png", discs(), pixel_size_um=None, description={})
    write_micrograph(path / "c.png", np.full((64, 64), 9, np.uint8), pixel_size_um=None, description={})
    return path


def test_lengths_are_in_micrometres_where_the_size_is_known_and_empty_with_a_reason_where_not(folder, tmp_path):
    measure(folder, tmp_path / "table.csv")
    a, b, c = table(tmp_path / "table.csv")
    assert float(a["mean_diameter_um"]) == pytest.approx(8, rel=0.05)
    assert float(a["particle_density_per_mm2"]) == pytest.approx(float(a["particle_density_per_px2"]) * 4e6, rel=1e-4)
    assert (a["note"], b["mean_diameter_um"], b["mean_diameter_px"]) == ("", "", a["mean_diameter_px"])
    assert b["note"] == "no pixel size: lengths in px only"
    assert (c["area_fraction"], c["mean_chord_px"]) == ("", "")
    assert "grey values" in c["note"]


def test_beside_each_number_of_the_phase_stands_its_band_in_the_same_unit(tmp_path):
    """Discs of radius 16 px, and 14 and 18 with the threshold a step of 10 levels up and down; 0.5 µm a pixel."""
    write_micrograph(tmp_path / "a.tif", cones(), pixel_size_um=0.5, description={})
    summary = measure(tmp_path / "a.tif", tmp_path / "table.csv", how=TEN_LEVELS)
    (row,) = table(tmp_path / "table.csv")
    for name, radii in {
        "mean_diameter_px": (32, 28, 36),
        "mean_diameter_um": (16, 14, 18),
        "boundary_density_per_px": [2 * math.pi * r / 64**2 for r in (16, 14, 18)],
        "boundary_density_per_um": [4 * math.pi * r / 64**2 for r in (16, 14, 18)],
        "area_fraction": [math.pi * r**2 / 64**2 for r in (16, 14, 18)],
    }.items():
        cells = [float(row[column]) for column in (name, f"{name}_low", f"{name}_high")]
        assert cells == pytest.approx(list(radii), rel=0.03), name
        assert [summary.estimates[name].value, *summary.bands[name]] == pytest.approx(cells, rel=1e-5)
    assert "contrast_low" not in row
    assert set(summary.estimates) - set(summary.bands) == {"contrast"}


def test_a_marked_phase_hangs_on_no_threshold(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    write_micrograph(masks / "a.png", discs(), pixel_size_um=None, description={})
    summary = measure(folder / "a.tif", tmp_path / "table.csv", masks=masks)
    (row,) = table(tmp_path / "table.csv")
    assert (row["area_fraction_low"], row["area_fraction_high"], summary.bands) == ("", "", {})


def test_the_mean_of_the_bands_is_over_micrographs_like_the_mean(tmp_path):
    """Ramps with 156 and 100 of 256 columns above the threshold, 8 more or fewer with it a step away."""
    (tmp_path / "images").mkdir()
    for name, first in (("a", 0), ("b", -56)):
        ramp = np.tile((np.arange(256) + first).clip(0).astype(np.uint8), (64, 1))
        write_micrograph(tmp_path / "images" / f"{name}.png", ramp, pixel_size_um=None, description={})
    how = Segmentation(thresholds=(99,), smooth_px=0, step=8 / 255)
    summary = measure(tmp_path / "images", tmp_path / "table.csv", how=how)
    assert summary.estimates["area_fraction"].value == 128 / 256
    assert summary.bands["area_fraction"] == pytest.approx((120 / 256, 136 / 256), rel=1e-5)


def test_curves_of_each_pixel_size_stand_by_themselves(tmp_path):
    """Random pixels of share one half: S2 falls from 1/2 to 1/4 within a pixel, a line of two pixels has 1/4 too."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        grey = 255 * (rng.random((64, 64)) < 0.5).astype(np.uint8)
        size = (0.5, 0.25, None)[i % 3]
        write_micrograph(tmp_path / "images" / f"{i:02d}.tif", grey, pixel_size_um=size, description={})
    how = Segmentation(thresholds=(128,), smooth_px=0, min_area_px2=1)
    measure(tmp_path / "images", tmp_path / "table.csv", how=how, curves=True)
    rows = table(tmp_path / "table.curves.csv")
    assert len(rows) == 3 * 5 * 33
    for row in rows:
        size = row["pixel_size_um"]
        assert row["r_um"] == (f"{int(row['r_px']) * float(size):.6g}" if size else "")
        assert row["micrographs"] == "4"
        if int(row["r_px"]) < 2:
            expected = {0: 1 / 2, 1: 1 / 4}[int(row["r_px"])]
            assert float(row["mean"]) == pytest.approx(expected, abs=0.02)
            assert float(row["low"]) < float(row["mean"]) < float(row["high"])
    assert {row["pixel_size_um"] for row in rows} == {"0.5", "0.25", ""}


def test_curves_are_written_where_asked_for_and_an_earlier_table_of_them_does_not_stay(folder, tmp_path):
    measure(folder, tmp_path / "table.csv", curves=True)
    assert {row["micrographs"] for row in table(tmp_path / "table.curves.csv")} == {"1"}  # c.png has no phases
    measure(folder, tmp_path / "table.csv")
    assert not (tmp_path / "table.curves.csv").exists()
    measure(folder / "c.png", tmp_path / "table.csv", curves=True)
    assert table(tmp_path / "table.curves.csv") == []


def test_every_particle_has_a_row(folder, tmp_path):
    summary = measure(folder, tmp_path / "table.csv")
    rows = table(tmp_path / "table.particles.csv")
    assert len(rows) == summary.num_particles == 2 * 64
    assert float(rows[0]["area_um2"]) == pytest.approx(math.pi * 16, rel=0.05)
    assert rows[-1]["area_um2"] == ""


def test_a_stated_pixel_size_stands_in_only_where_the_file_has_none(folder, tmp_path):
    measure(folder, tmp_path / "table.csv", pixel_size_um=2.0)
    a, b, _ = table(tmp_path / "table.csv")
    assert (a["pixel_size_um"], b["pixel_size_um"]) == ("0.5", "2")


def test_outlines_are_drawn_on_the_images(folder, tmp_path):
    measure(folder, tmp_path / "table.csv", overlays=2)
    pictures = sorted((tmp_path / "table.overlays").iterdir())
    assert [path.name for path in pictures] == ["000-a.png", "001-b.png"]
    picture = np.asarray(Image.open(pictures[0]))
    outlined = (picture == (255, 64, 0)).all(axis=2)
    circumference = 64 * 2 * math.pi * 16  # drawn at twice the size
    assert outlined.sum() == pytest.approx(circumference, rel=0.25)


def test_an_info_bar_is_cut_off_and_noted(tmp_path):
    write_micrograph(tmp_path / "a.png", with_bar(texture(0, (300, 400))), pixel_size_um=None, description={})
    (field,) = fields_of(tmp_path / "a.png", num=1)
    assert field.grey.shape == (300, 400)
    assert field.note == "info bar of 40 rows cut off"


def test_a_mask_of_the_same_name_is_measured_in_place_of_the_greys(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for name, columns in (("a", 64), ("b", 128), ("c", 16)):
        shape = (64, 64) if name == "c" else (256, 256)
        mask = np.zeros(shape, np.uint8)
        mask[:, :columns] = 1
        write_micrograph(masks / f"{name}.png", mask, pixel_size_um=None, description={})
    measure(folder, tmp_path / "table.csv", masks=masks)
    assert [row["area_fraction"] for row in table(tmp_path / "table.csv")] == ["0.25", "0.5", "0.25"]
    (masks / "b.png").unlink()
    (tmp_path / "table.csv").unlink()
    with pytest.raises(DataError, match=r"b\.png has no mask"):
        measure(folder, tmp_path / "table.csv", masks=masks)
    assert not (tmp_path / "table.csv").exists()


def test_what_cannot_be_read_or_does_not_fit_is_said_and_passed_over(folder, tmp_path):
    (folder / "a.tif").write_bytes((folder / "a.tif").read_bytes()[:200])
    (folder / "text.png").write_text("not an image")
    said = []
    measure(folder, tmp_path / "table.csv", say=said.append)
    assert [row["image"] for row in table(tmp_path / "table.csv")] == ["b.png", "c.png"]
    assert ["a.tif" in said[0], "text.png" in said[1]] == [True, True]


def test_a_mask_of_another_size_is_said_and_its_image_passed_over(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in "abc":
        write_micrograph(masks / f"{name}.png", np.eye(64, dtype=np.uint8), pixel_size_um=None, description={})
    said = []
    measure(folder, tmp_path / "table.csv", masks=masks, say=said.append)
    assert [row["image"] for row in table(tmp_path / "table.csv")] == ["c.png"]
    assert "64 x 64 px, expected 256 x 256 px" in said[0]


def test_a_folder_of_nothing_readable_leaves_nothing(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "text.png").write_text("not an image")
    with pytest.raises(DataError, match="no images"):
        measure(tmp_path / "images", tmp_path / "table.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_black_16_bit_files_have_no_values_and_a_reason(tmp_path):
    write_micrograph(tmp_path / "a.tif", np.zeros((64, 64), np.uint16), pixel_size_um=None, description={})
    (measured,) = measure_fields(fields_of(tmp_path / "a.tif", num=1), Segmentation())
    assert measured.described.values.area_fraction is None
    assert "grey" in measured.described.reason


def test_there_is_no_mean_in_pixels_of_images_of_several_pixel_sizes(folder, tmp_path):
    one = measure(folder / "a.tif", tmp_path / "table.csv").estimates
    several = measure(folder, tmp_path / "table.csv").estimates
    assert set(one) - set(several) == {name for name in one if name.endswith(("_px", "_px2"))}


def test_patches_of_one_micrograph_make_one_value(tmp_path):
    """Ten patches of each of three micrographs: the interval is that of three values, t = 4.303."""
    fractions = np.array([0.2, 0.4, 0.6])
    images = [np.where(np.arange(64) < 64 * fractions[i // 10], 200, 50).astype(np.uint8) for i in range(30)]
    patches = [Patch(file=f"{i:02d}.png", parent=f"p{i // 10}", pixel_size_um=0.1) for i in range(30)]
    pictures = [np.tile(image, (64, 1)) for image in images]
    path = tmp_path / "d.zip"
    write_dataset(path, zip(patches, pictures, strict=True), space=ConditionSpace(), recipe={})
    summary = measure(path, tmp_path / "table.csv", how=Segmentation(smooth_px=0))
    fraction = summary.estimates["area_fraction"]
    values = np.floor(64 * fractions) / 64 + np.array([1, 1, 1]) / 64 * (64 * fractions % 1 > 0)
    assert (fraction.num, summary.num_fields) == (3, 30)
    assert fraction.value == pytest.approx(values.mean())
    assert fraction.high - fraction.value == pytest.approx(4.303 * values.std(ddof=1) / math.sqrt(3), rel=1e-3)


def test_many_processes_give_what_one_gives(monkeypatch):
    monkeypatch.setattr(measured, "FEW_PX", 10 * 32**2)
    rng = np.random.default_rng(0)
    fields = [Field(str(i), str(i), rng.integers(0, 256, (32, 32)).astype(np.uint8), None) for i in range(70)]
    one, two = (list(measure_fields(fields, Segmentation(), workers=n)) for n in (1, 2))
    assert [m.described.band for m in one] == [m.described.band for m in two]
    assert [m.described.values for m in one] == [m.described.values for m in two]
    assert [m.field.name for m in two] == [str(i) for i in range(70)]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError):
        measure(tmp_path, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_a_table_of_no_rows_has_its_header():
    assert as_csv([], header=("a", "b")) == "a,b\n"


@pytest.mark.parametrize("out", ["table.txt", "folder.csv", "images/table.csv"])
def test_an_out_that_would_overwrite_or_mix_is_refused_before_anything_is_measured(folder, tmp_path, out):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="--out"):
        measure(folder, tmp_path / out)
    assert sorted(path.name for path in folder.iterdir()) == ["a.tif", "b.png", "c.png"]


def test_two_masks_of_one_name_are_refused(folder, tmp_path):
    for name in ("one", "two"):
        (tmp_path / "masks" / name).mkdir(parents=True)
        write_micrograph(tmp_path / "masks" / name / "a.png", discs(), pixel_size_um=None, description={})
    with pytest.raises(DataError, match="have one name"):
        measure(folder, tmp_path / "table.csv", masks=tmp_path / "masks")


def test_outlines_of_an_earlier_run_do_not_stay(folder, tmp_path):
    measure(folder, tmp_path / "table.csv")
    measure(folder / "b.png", tmp_path / "table.csv")
    assert [path.name for path in (tmp_path / "table.overlays").iterdir()] == ["000-b.png"]


def test_colours_are_measured_as_files_of_them_are(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    write_micrograph(
        tmp_path / "a.png", np.ascontiguousarray(colours.transpose(1, 2, 0)), pixel_size_um=None, description={}
    )
    path = tmp_path / "d.zip"
    write_dataset(path, [(Patch(file="a.png", parent="a"), colours)], space=ConditionSpace(), recipe={})
    (file,), (patch,) = (list(fields_of(source, num=1)) for source in (tmp_path / "a.png", path))
    assert np.abs(file.grey.astype(int) - patch.grey).max() <= 1


def test_the_command_prints_means_with_intervals_and_says_where_to_look(folder, tmp_path):
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "table.csv"
    result = CliRunner().invoke(
        app, [str(folder), "--out", str(out), "--pixel-size-um", "0.5", "--overlays", "1", "--curves"]
    )
    assert result.exit_code == 0, result.output
    said = result.output.splitlines()
    assert [word in said[0] for word in ("mean", "95 % interval", "threshold ± step")] == [True] * 3
    assert re.match(r" *area_fraction +0\.\d+ +\S+ to \S+ +0\.\d+ to 0\.\d+ +2", said[1])
    assert "mean_chord_um" in result.output
    assert "mean_chord_px" not in result.output
    assert "3 images of 3 micrographs" in " ".join(result.output.split())
    assert {path.name for path in tmp_path.glob("table.*")} == {
        "table.csv",
        "table.particles.csv",
        "table.curves.csv",
        "table.overlays",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--edges", "cut"], "--edges"), (["--phase", "5"], "phase is 5"), (["--local", "10"], "expected an odd number")],
)
def test_options_that_cannot_be_are_refused_in_one_line(folder, tmp_path, options, said):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(folder), "--out", str(tmp_path / "table.csv"), *options])
    assert isinstance(result.exception, SorbyError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "table.csv").exists()


def test_a_pixel_size_of_nothing_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match="expected more than 0"):
        measure(folder, tmp_path / "table.csv", pixel_size_um=0.0)


def test_pixel_sizes_that_differ_by_rounding_are_one(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(3):
        name = tmp_path / "images" / f"{number}.tif"
        write_micrograph(name, discs(), pixel_size_um=0.1 + number * 1e-6, description={})
    summary = measure(tmp_path / "images", tmp_path / "table.csv", curves=True)
    assert "mean_chord_px" in summary.estimates
    assert {row["micrographs"] for row in table(tmp_path / "table.curves.csv")} == {"3"}


def test_where_nothing_can_be_measured_what_was_there_stays(folder, tmp_path):
    measure(folder, tmp_path / "table.csv", curves=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("not an image")
    with pytest.raises(DataError, match="no images"):
        measure(tmp_path / "broken", tmp_path / "table.csv")
    assert {path: path.read_bytes() for path in before} == before

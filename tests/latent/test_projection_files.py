import json

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.errors import ConfigError, DataError, WeightsError
from sorby.latent.project import Projection
from sorby.latent.projection_files import FILES, beside, difference, load_projection, save_projection
from sorby.latent.target import Target, target_of
from sorby.latent.walk import Walk, stops
from sorby.micrograph import Micrograph, read_micrograph
from tests.latent.tiny import tiny


def projection(generator, *, condition=None):
    """What would be found for the picture of seed 3, if the search were perfect but for one pixel."""
    z, noise = generator.latents([3])
    ws = generator.styles(z, generator.encoded([3], condition))
    images = generator.draw(ws, noise)
    images[0, 0, 4, 7] ^= 16
    return Projection(ws, noise, (condition or {},), np.array([0.125], np.float32), images)


def target(generator, **changes):
    settings = {"name": "steel.tif", "picture": generator.images([3])[0], "pixel_size_um": 0.25, "notes": ()}
    return Target(**settings | changes)


def saved(folder, generator, **changes):
    save_projection(folder, generator, target(generator, **changes), projection(generator), space="w", steps=9, seed=1)
    return folder


def test_a_projection_that_was_saved_draws_what_it_drew(tmp_path):
    generator = tiny()
    stop = load_projection(saved(tmp_path / "p", generator), generator)
    assert stop.name == "projection of steel.tif"
    assert stop.origin is None
    found = projection(generator)
    assert torch.equal(stop.ws, found.ws[0])
    assert all(torch.equal(a, b[0]) for a, b in zip(stop.noise, found.noise, strict=True))


def test_a_walk_begins_at_a_projection(tmp_path):
    generator = tiny()
    start = load_projection(saved(tmp_path / "p", generator), generator)
    walk = Walk(generator, [start, *stops(generator, [8])], way="w")
    torch.testing.assert_close(walk.at(0).ws, start.ws)
    torch.testing.assert_close(walk.at(1).ws, stops(generator, [8])[0].ws)


def test_without_noise_there_is_none_to_save(tmp_path):
    generator = tiny(model="contragan", channel_base=128)
    assert load_projection(saved(tmp_path / "p", generator), generator).noise == ()


def test_the_folder_says_what_is_real_and_what_is_not(tmp_path):
    generator = tiny()
    folder = saved(tmp_path / "p", generator)
    assert {path.name for path in folder.iterdir()} == set(FILES)
    real, drawn = read_micrograph(folder / "target.png"), read_micrograph(folder / "projected.tif")
    assert drawn.notes["synthetic"] == "true"
    assert drawn.notes["generator"] == generator.hash
    assert drawn.notes["projection"] == "projection of steel.tif"
    assert drawn.pixel_size_um == real.pixel_size_um == 0.25
    np.testing.assert_array_equal(real.grey, generator.images([3])[0, 0])
    np.testing.assert_array_equal(drawn.grey, projection(generator).images[0, 0])


def test_the_numbers_are_those_of_the_two_pictures(tmp_path):
    generator = tiny()
    about = json.loads((saved(tmp_path / "p", generator) / "projection.json").read_text())
    assert about["mean_error_grey_levels"] == pytest.approx(16 / 32**2)
    assert 0.99 < about["correlation"] < 1
    assert about["distance"] == 0.125
    assert (about["source"], about["space"], about["steps"], about["seed"]) == ("steel.tif", "w", 9, 1)


def test_a_flat_picture_correlates_with_nothing(tmp_path):
    generator = tiny()
    folder = saved(tmp_path / "p", generator, picture=np.full((1, 32, 32), 90, np.uint8))
    assert json.loads((folder / "projection.json").read_text())["correlation"] is None


def test_the_sheet_shows_the_three_side_by_side_and_the_error_in_black(tmp_path):
    generator = tiny()
    with Image.open(saved(tmp_path / "p", generator, pixel_size_um=None) / "sheet.png") as image:
        sheet = np.asarray(image)
    zoom = 8
    three = sheet[-32 * zoom :: zoom]
    np.testing.assert_array_equal(three[:, : 32 * zoom : zoom], generator.images([3])[0, 0])
    error = three[:, 2 * (32 * zoom + 2) :: zoom]
    assert error[4, 7] == 0
    assert (np.delete(error.ravel(), 4 * 32 + 7) == 255).all()


def test_differences_do_not_wrap_around():
    black, white = np.zeros((1, 2, 2), np.uint8), np.full((1, 2, 2), 255, np.uint8)
    assert difference(black, white).min() == difference(white, black).min() == 255


def test_a_frame_has_the_micrograph_on_the_left():
    generator = tiny()
    frame = beside(target(generator), projection(generator).images[0], px=64)
    assert frame.shape == (64, 128)
    np.testing.assert_array_equal(frame[::2, :64:2], generator.images([3])[0, 0])


def test_a_projection_into_another_generator_is_refused(tmp_path):
    folder = saved(tmp_path / "p", tiny())
    with pytest.raises(ConfigError, match="another generator"):
        load_projection(folder, tiny(model="contragan", channel_base=128))


@pytest.mark.parametrize("name", ["projection.json", "projection.safetensors"])
def test_a_damaged_projection_is_refused(tmp_path, name):
    generator = tiny()
    folder = saved(tmp_path / "p", generator)
    (folder / name).write_bytes(b"{")
    with pytest.raises(WeightsError, match="holds no projection"):
        load_projection(folder, generator)


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match=r"thesis\.txt"):
        saved(tmp_path, tiny())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def micrograph(height, width, *, pixel_size_um=0.25, dtype=np.uint8):
    grey = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width), dtype=dtype)
    return Micrograph(grey, pixel_size_um, "steel.tif", {})


def test_a_micrograph_of_the_right_size_is_taken_as_it_is():
    given = micrograph(32, 32)
    made = target_of(given, tiny().card)
    np.testing.assert_array_equal(made.picture[0], given.grey)
    assert made.notes == ()


def test_of_a_larger_one_the_middle_is_taken_and_said():
    given = micrograph(40, 52)
    made = target_of(given, tiny().card)
    np.testing.assert_array_equal(made.picture[0], given.grey[4:36, 10:42])
    assert made.notes == ("of steel.tif, 52 x 40 px, the middle 32 px are projected",)


def test_a_finer_one_is_brought_to_the_scale_of_the_generator():
    made = target_of(micrograph(64, 64, pixel_size_um=0.125), tiny().card)
    assert made.picture.shape == (1, 32, 32)
    assert made.pixel_size_um == 0.25
    assert "from 0.125 to 0.25 µm" in made.notes[0]


@pytest.mark.parametrize(
    ("of_file", "of_generator", "whose"), [(None, 0.25, "steel.tif"), (0.25, None, "the generator")]
)
def test_an_unknown_scale_is_said(of_file, of_generator, whose):
    made = target_of(micrograph(32, 32, pixel_size_um=of_file), tiny(pixel_size_um=of_generator).card)
    assert made.pixel_size_um == of_file
    assert f"pixel size of {whose} is not known" in made.notes[0]


def test_16_bits_become_8_between_their_tails():
    made = target_of(micrograph(32, 32, dtype=np.uint16), tiny().card)
    assert (made.picture.min(), made.picture.max()) == (0, 255)


@pytest.mark.parametrize("given", [micrograph(31, 64), micrograph(48, 48, pixel_size_um=0.125)])
def test_one_that_is_too_small_is_refused(given):
    with pytest.raises(DataError, match=r"steel\.tif is smaller than a patch.*at least 32 px"):
        target_of(given, tiny().card)


def test_one_that_is_too_coarse_is_refused():
    with pytest.raises(DataError, match="too coarse"):
        target_of(micrograph(64, 64, pixel_size_um=1.0), tiny().card)


def test_a_generator_of_colours_is_refused():
    with pytest.raises(ConfigError, match="colours"):
        target_of(micrograph(32, 32), tiny(channels=3).card)

import json
import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from sorby.errors import ConfigError, DataError
from sorby.latent import film
from sorby.latent.film import pictures_along, write_walk
from sorby.latent.walk import Walk, stops
from sorby.measurement.measured import descriptor_table
from sorby.micrograph import read_micrograph
from sorby.report import video
from tests.latent.tiny import tiny

BAR = 24
"""Height of the scale bar, in px."""


@pytest.fixture(scope="module")
def walk():
    G = tiny()
    return Walk(G, stops(G, [0, 1]))


def decoded(path, *, size):
    """Frames as FFmpeg gives them back, grey; and its frames a second."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(ffmpeg, capture_output=True, check=True)
    fps = float(re.search(r"([\d.]+) fps", done.stderr.decode())[1])
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *size), fps


def test_the_pictures_are_those_of_the_walk_however_many_are_drawn_at_once(walk, monkeypatch):
    together = np.stack(list(pictures_along(walk, 5)))
    monkeypatch.setattr(type(walk.generator), "num_at_once", 2)
    np.testing.assert_allclose(np.stack(list(pictures_along(walk, 5))), together, atol=1)
    np.testing.assert_allclose(together[[0, -1]], walk.generator.images([0, 1]), atol=1)


def test_an_mp4_holds_every_frame_enlarged_above_a_scale_bar(walk, tmp_path):
    write_walk(walk, tmp_path / "a.mp4", frames=12, fps=6)
    frames, fps = decoded(tmp_path / "a.mp4", size=(384 + BAR, 384))
    assert (len(frames), fps) == (12, 6)
    zoom = 384 // 32
    drawn = np.stack(list(pictures_along(walk, 12)))[:, 0]
    shown = frames[:, : 32 * zoom : zoom, ::zoom]
    assert abs(shown.astype(int) - drawn).mean() < 3  # H.264 and its range of grey lose a little
    assert frames[0, 384:].min() == 0  # the bar
    write_walk(walk, tmp_path / "b.mp4", frames=2, scale_bar=False)
    assert decoded(tmp_path / "b.mp4", size=(384, 384))[0].shape[0] == 2


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_says_that_it_is_synthetic_and_by_what(walk, tmp_path, name):
    write_walk(walk, tmp_path / name, frames=3)
    content = (tmp_path / name).read_bytes()
    assert b'"synthetic": "true"' in content
    assert walk.generator.hash.encode()[:20] in content


def test_a_gif_is_read_by_others_to_its_last_frame(walk, tmp_path):
    write_walk(walk, tmp_path / "a.gif", frames=7, fps=10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 7
        gif.seek(6)
        last = np.asarray(gif.convert("L"))[:384:12, :384:12]
        assert gif.info["comment"].startswith(b'{"Software": "sorby", "synthetic": "true"')
    drawn = walk.generator.images([1])[0, 0].astype(int)
    assert abs(last.astype(int) - drawn).mean() < 6


def test_a_sheet_has_the_frames_in_order(walk, tmp_path):
    write_walk(walk, tmp_path / "a.png", frames=8, scale_bar=False)
    sheet = read_micrograph(tmp_path / "a.png")
    assert sheet.grey.shape == (2 * 34 - 2, 6 * 34 - 2)
    drawn = list(pictures_along(walk, 8))
    np.testing.assert_allclose(sheet.grey[34:66, 34:66], drawn[7][0], atol=1)
    assert sheet.notes["walk"] == walk.describe()
    assert sheet.pixel_size_um == 0.25


def test_a_folder_has_a_tiff_each_frame_with_its_scale(walk, tmp_path):
    write_walk(walk, tmp_path / "frames", frames=11)
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files][::10] == ["frame00.tif", "frame10.tif"]
    last = read_micrograph(files[-1])
    np.testing.assert_allclose(last.grey, walk.generator.images([1])[0, 0], atol=1)
    assert (last.pixel_size_um, last.notes["frame"], last.notes["synthetic"]) == (0.25, "10 of 11", "true")


def test_traces_are_the_descriptors_of_the_frames_in_micrometres(walk):
    values = film._measured(film._Along(walk, 4), ["mean_chord", "area_fraction"], film.BY_OTSU)
    table = descriptor_table([np.stack(list(pictures_along(walk, 4)))])
    np.testing.assert_allclose(values[1], table[:, 0])
    np.testing.assert_allclose(values[0], 0.25 * table[:, 1])


def test_traces_stand_under_the_film_with_a_mark_that_moves(walk, tmp_path):
    write_walk(walk, tmp_path / "a.mp4", frames=6, traces=["area_fraction"])
    frames, _ = decoded(tmp_path / "a.mp4", size=(384 + BAR + 90, 384))
    below = frames[:, -60:].astype(int)
    changed = np.flatnonzero(abs(below[1] - below[3]).max(0) > 60)
    assert len(changed) == 2
    assert changed[1] - changed[0] == pytest.approx(0.4 * 340, abs=15)  # two fifths of the film, and of the axis


@pytest.mark.parametrize(
    ("name", "traces", "total"), [("a.gif", (), 5), ("a.mp4", ["area_fraction"], 10), ("f", (), 5)]
)
def test_each_picture_is_told_of_with_those_that_are_drawn_for_traces(walk, tmp_path, name, traces, total):
    told = []
    write_walk(walk, tmp_path / name, frames=5, traces=traces, on_frame=lambda *how_far: told.append(how_far))
    assert told == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_who_is_told_can_end_the_film_and_nothing_is_left(walk, tmp_path, name):
    told = []

    def stop_at_the_third(done, _):
        told.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_walk(walk, tmp_path / name, frames=500, on_frame=stop_at_the_third)
    assert told == [1, 2, 3]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.avi", {}, "expected a name ending in .mp4, .gif or .png, or a folder"),
        ("a.mp4", {"traces": ["hardness"]}, "Trace 'hardness' is not known: choose from area_fraction"),
        ("a.png", {"traces": ["area_fraction"]}, "Traces are drawn under films"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is(walk, tmp_path, name, options, message):
    with pytest.raises(ConfigError, match=message):
        write_walk(walk, tmp_path / name, frames=3, **options)
    assert not list(tmp_path.iterdir())


def test_without_ffmpeg_the_way_to_it_is_told(walk, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ConfigError, match=r"pip install 'sorby\[film\]', or give --out a folder"):
        write_walk(walk, tmp_path / "a.mp4", frames=3)
    write_walk(walk, tmp_path / "frames", frames=3)


def test_a_film_that_fails_leaves_nothing(tmp_path):
    def frames():
        yield np.zeros((32, 32), np.uint8)
        raise DataError("the network is gone")

    with pytest.raises(DataError, match="gone"):
        video.write_video(tmp_path / "a.mp4", frames(), fps=24, about={})
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told_in_one_line(monkeypatch, tmp_path):
    def refused(*_, **__):
        yield None
        raise OSError("many\nlines\nof FFmpeg")

    monkeypatch.setattr(imageio_ffmpeg, "write_frames", refused)
    with pytest.raises(DataError, match=r"a\.mp4 could not be written \(FFmpeg could not write it\)") as caught:
        video.write_video(tmp_path / "a.mp4", [np.zeros((8, 8), np.uint8)], fps=24, about={})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_long_comment_is_whole(tmp_path):
    text = json.dumps(list(range(200)))
    video.write_video(tmp_path / "a.gif", [np.zeros((8, 8), np.uint8)], fps=5, about={"walk": text})
    with Image.open(tmp_path / "a.gif") as gif:
        assert json.loads(gif.info["comment"]) == {"Software": "sorby", "walk": text}
    assert video.read_about(tmp_path / "a.gif") == {"walk": text}

"""All that the verbs draw says that it is synthetic, in files as a user finds them."""

import json
import subprocess
from io import BytesIO
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sorby.cli import app
from sorby.errors import DataError
from sorby.inspect import summarise
from sorby.mark import marked
from sorby.micrograph import read_micrograph, write_micrograph
from sorby.report.video import read_about
from tests.latent.tiny import tiny

PICTURES = (".png", ".tif")
FILMS = (".mp4", ".gif")

AT = ["--condition", "temperature=900", "--condition", "phase=ferrite"]
CONDITION = {"condition temperature": "900", "condition phase": "ferrite"}
SEED = "seed"

DRAWN = {
    "generate": (["G", "--out", "OUT", "--num", "2", *AT], {"seed": None, **CONDITION}),
    "generate png": (["G", "--out", "OUT", "--num", "1", "--format", "png", *AT], {"seed": "0", **CONDITION}),
    "generate sheet": (["G", "--out", "OUT", "--num", "1", "--condition", "temperature=800,900", "phase=ferrite"], {}),
    "interpolate mp4": (["G", "--out", "OUT/a.mp4", "--frames", "3", *AT], {"walk": None}),
    "interpolate gif": (["G", "--out", "OUT/a.gif", "--frames", "3", *AT], {"walk": None}),
    "interpolate png": (["G", "--out", "OUT/a.png", "--frames", "3", *AT], {"walk": None}),
    "interpolate frames": (["G", "--out", "OUT/frames", "--frames", "3", *AT], {"walk": None}),
    "mix": (["G", "--out", "OUT/a.png", *AT], {"rows": "0, 1, 2, 3", "columns": "4, 5, 6, 7", **CONDITION}),
    "directions": (
        ["G", "--out", "OUT", "--num", "1", "--seeds", "8", "--by-chance", "8", *AT],
        {"seeds": "0, 1, 2, 3", **CONDITION},
    ),
    "project": (
        ["G", "REAL", "--out", "OUT/p", "--steps", "2", "--film", "OUT/a.mp4", *AT],
        {"projected": "into w, 2 steps, seed 0", **CONDITION},
    ),
}
"""The options of each verb that draws from a generator, and what its files say beside the generator."""
REAL = {"target.png"}
"""Files of real pictures, which must not say that they are synthetic."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("honesty")
    tiny(conditional=True).save(folder / "G")
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    write_micrograph(folder / "real.tif", grey, pixel_size_um=0.25, description={})
    return folder


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return result.output


def drawn_by(made: Path, name: str, out: Path, *more: str) -> list[Path]:
    """The pictures and films that a line of `DRAWN` writes."""
    words = [word.replace("OUT", str(out)) for word in DRAWN[name][0]]
    words = [{"G": str(made / "G"), "REAL": str(made / "real.tif")}.get(word, word) for word in words]
    run(name.split()[0], *words, *more)
    return sorted(path for path in out.rglob("*") if path.suffix in PICTURES + FILMS)


def about(path: Path) -> dict[str, str]:
    return read_about(path) if path.suffix in FILMS else dict(read_micrograph(path).notes)


def pixels(path: Path) -> np.ndarray:
    """Grey values; of a film those of its first frame, far apart ones alone, since compression moves all a little."""
    if path.suffix not in FILMS:
        return read_micrograph(path).grey
    words = ["-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    frame = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *words], capture_output=True, check=True).stdout
    return np.frombuffer(frame, np.uint8) // 64


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_and_film_of_every_verb_names_generator_seed_and_condition(made, tmp_path, name):
    files = drawn_by(made, name, tmp_path)
    assert files
    for path in files:
        told = about(path)
        if path.name in REAL:
            assert "synthetic" not in told
            continue
        assert told["synthetic"] in ("true", "right half"), path
        assert told["generator"] == tiny(conditional=True).hash, path
        for key, value in DRAWN[name][1].items():
            assert told[key] == (value or told[key]), path
        if "walk" in told:
            assert "seed 0, phase ferrite, temperature 900 °C" in told["walk"]
        assert summarise(path).title.startswith("Generated")
        assert summarise(path).facts["generator"] == told["generator"]


def test_the_target_of_a_projection_that_is_itself_generated_says_so_and_a_marked_one_is_refused(made, tmp_path):
    (picture,) = drawn_by(made, "generate png", tmp_path / "drawn")
    run("project", made / "G", picture, "--out", tmp_path / "p", "--steps", "2")
    told = about(tmp_path / "p" / "target.png")
    assert (told["synthetic"], told["generator"], told["seed"]) == ("true", tiny(conditional=True).hash, "0")
    (marked_one,) = drawn_by(made, "generate png", tmp_path / "marked", "--mark")
    with pytest.raises(DataError, match="has a mark in its pixels"):
        run("project", made / "G", marked_one, "--out", tmp_path / "q", "--steps", "2")


def test_the_sheet_of_conditions_names_all_of_them(made, tmp_path):
    drawn_by(made, "generate sheet", tmp_path)
    told = about(tmp_path / "conditions.png")
    assert "800" in told["conditions"]
    assert "900" in told["conditions"]
    assert told["seeds"] == "0 to 0"


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "project"])
def test_the_mark_is_in_the_pixels_only_where_it_is_asked_for_and_says_so(made, tmp_path, name):
    plain = drawn_by(made, name, tmp_path / "plain")
    with_mark = drawn_by(made, name, tmp_path / "marked", "--mark")
    assert len(plain) == len(with_mark) > 0
    for one, other in zip(plain, with_mark, strict=True):
        assert "mark" not in about(one)
        assert about(other)["mark"].startswith("SYNTHETIC")
        changed = pixels(one) != pixels(other)
        assert 0 < changed.mean() < 0.5


def test_only_the_corner_is_marked_with_white_on_black(made):
    for value in (0, 128, 255):
        picture = np.full((3, 64, 64), value, np.uint8)
        changed = marked(picture)
        assert (picture == value).all()
        assert (changed[:, :48] == value).all()
        assert (changed[:, :, 60:] == value).all()
        corner = changed[0, -10:, :45]
        assert corner.min() == 0
        assert corner.max() > 200


@pytest.mark.parametrize("size", [16, 32, 64, 512])
def test_a_mark_fits_into_pictures_of_any_size(size):
    changed = marked(np.full((1, size, size), 128, np.uint8))[0]
    area = (changed != 128).mean()
    assert 0 < area < (0.7 if size < 32 else 0.3)


def test_marked_pictures_are_not_measured_nor_scored(made, tmp_path):
    drawn_by(made, "generate", tmp_path / "marked", "--mark")
    output = CliRunner().invoke(app, ["measure", str(tmp_path / "marked"), "--out", str(tmp_path / "a.csv")])
    assert "has a mark in its pixels" in str(output.output) + str(output.exception)
    assert not (tmp_path / "a.csv").exists()
    command = ["evaluate", str(tmp_path / "marked"), str(tmp_path / "marked"), "--out", str(tmp_path / "e")]
    assert "has a mark in its pixels" in str(CliRunner().invoke(app, command).exception)


def test_outlines_of_generated_pictures_say_that_these_are_synthetic(made, tmp_path):
    drawn_by(made, "generate", tmp_path / "pictures")
    for source, out in ((tmp_path / "pictures", "files"), (made / "G", "drawn")):
        run("measure", source, "--out", tmp_path / f"{out}.csv", "--num", "2")
        overlays = sorted((tmp_path / f"{out}.overlays").iterdir())
        assert len(overlays) == 2
        assert all(about(path)["synthetic"] == "true" and "seed" in about(path) for path in overlays)
        assert "synthetic" in (tmp_path / f"{out}.csv").read_text()


# ---- what inspect says


def test_a_generated_picture_saved_again_without_its_words_is_not_called_real(made, tmp_path):
    drawn_by(made, "generate png", tmp_path)
    with Image.open(tmp_path / "seed0000.png") as image:
        Image.fromarray(np.asarray(image)).save(tmp_path / "again.png")
    summary = summarise(tmp_path / "again.png")
    assert summary.title.startswith("Image ")
    assert "nothing says that it is generated, and nothing that it is real" in summary.facts["origin"]


def test_a_real_micrograph_is_known_by_its_header(shared_data):
    for path in sorted((shared_data / "vendor_sem_tiff" / "images").glob("zeiss*.tif"))[:1]:
        summary = summarise(path)
        assert summary.title.startswith("Micrograph")
        assert "the header of a microscope (Zeiss)" in summary.facts["origin"]


@pytest.mark.parametrize("suffix", FILMS)
def test_a_film_that_says_nothing_is_only_a_film_and_a_damaged_one_is_told(made, tmp_path, suffix):
    name = "interpolate mp4" if suffix == ".mp4" else "interpolate gif"
    (film,) = drawn_by(made, name, tmp_path)
    film.write_bytes(film.read_bytes().replace(b'{"Software": "sorby"', b'{"Software": "other"'))
    assert summarise(film).title.startswith("Film ")
    assert "nothing says that it is generated" in summarise(film).facts["origin"]


@pytest.mark.parametrize("rest", [b"", b", [[", b":" * 99, b', "a": ' + b"[" * 10**5])
def test_a_film_whose_words_are_damaged_is_told_in_a_line(tmp_path, rest):
    words = b'{"Software": "sorby"' + rest
    (tmp_path / "a.mp4").write_bytes(b"moov" + words)
    (tmp_path / "a.gif").write_bytes(b"GIF89a!\xfe" + bytes([min(len(words), 255)]) + words[:255] + b"\0;")
    for name in ("a.mp4", "a.gif"):
        with pytest.raises(DataError, match="cannot be read as a film"):
            read_about(tmp_path / name)


def test_an_empty_film_is_told_in_a_line(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match="it is empty"):
        read_about(tmp_path / "a.mp4")


def test_a_film_packed_anew_by_ffmpeg_still_says_what_it_is(made, tmp_path):
    (film,) = drawn_by(made, "interpolate mp4", tmp_path)
    again = tmp_path / "again.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-c", "copy", "-movflags", "faststart", again],
        check=True,
    )
    assert read_about(again) == read_about(film)


def test_the_words_of_a_film_are_json_that_others_can_read(made, tmp_path):
    (film,) = drawn_by(made, "interpolate gif", tmp_path)
    with Image.open(BytesIO(film.read_bytes())) as gif:
        assert json.loads(gif.info["comment"])["walk"] == read_about(film)["walk"]

"""Grey values of images of every kind are exact; bad files are refused in one line."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sorby.decode import MAX_PIXELS, decode
from sorby.errors import DataError
from sorby.micrograph import Micrograph, read_micrograph
from sorby.vendors import read_header

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (6, 9), np.uint8)
GREY16 = RNG.integers(0, 65536, (6, 9), np.uint16)
RGB8 = RNG.integers(0, 256, (6, 9, 3), np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601, in floating point."""
    return np.floor(rgb @ np.array([0.299, 0.587, 0.114]) + 0.5)


def tiff(path: Path, pixels: np.ndarray, **options: object) -> Micrograph:
    tifffile.imwrite(path, pixels, metadata=None, **options)
    return read_micrograph(path)


def saved(path: Path, image: Image.Image, **options: object) -> Micrograph:
    image.save(path, **options)
    return read_micrograph(path)


# ---- grey values


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("grey", [GREY8, GREY16], ids=["8", "16"])
def test_grey_tiff_is_read_exactly(tmp_path, grey, compression):
    micrograph = tiff(tmp_path / "a.tif", grey, compression=compression)
    assert micrograph.grey.dtype == grey.dtype
    np.testing.assert_array_equal(micrograph.grey, grey)
    assert micrograph.notes["bits"] == str(8 * grey.itemsize)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_one_of_65536_grey_values_survives(tmp_path, byteorder):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(tiff(tmp_path / "a.tif", ramp, byteorder=byteorder).grey, ramp)
    np.testing.assert_array_equal(saved(tmp_path / "a.png", Image.fromarray(ramp)).grey, ramp)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_eight_bit_grey_is_read_exactly(tmp_path, suffix):
    np.testing.assert_array_equal(saved(tmp_path / f"a.{suffix}", Image.fromarray(GREY8)).grey, GREY8)


def test_jpeg_is_read_as_its_decoder_gives_it(tmp_path):
    smooth = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    micrograph = saved(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95)
    assert np.abs(micrograph.grey.astype(int) - smooth).max() <= 3


def test_minimum_is_white_is_inverted(tmp_path):
    for grey in (GREY8, GREY16):
        np.testing.assert_array_equal(tiff(tmp_path / "a.tif", grey, photometric="miniswhite").grey, ~grey)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_bilevel_becomes_black_and_white(tmp_path, suffix):
    bits = GREY8 > 127
    micrograph = saved(tmp_path / f"a.{suffix}", Image.fromarray(bits))
    np.testing.assert_array_equal(micrograph.grey, np.where(bits, 255, 0))


def test_twelve_bits_packed_in_a_tiff_keep_their_values(tmp_path):
    grey = RNG.integers(0, 4096, (6, 8), np.uint16)
    packed = bytearray()
    for a, b in grey.reshape(-1, 2).tolist():
        packed += bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255])
    (tmp_path / "a.tif").write_bytes(bare_tiff(8, 6, bits=12, strip=bytes(packed)))
    micrograph = read_micrograph(tmp_path / "a.tif")
    np.testing.assert_array_equal(micrograph.grey, grey)
    assert micrograph.notes["bits"] == "12"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_equal_rgb_channels_give_that_channel(tmp_path, suffix):
    micrograph = saved(tmp_path / f"a.{suffix}", Image.fromarray(np.stack([GREY8] * 3, axis=-1)))
    np.testing.assert_array_equal(micrograph.grey, GREY8)
    assert micrograph.notes["colour"] == "RGB, channels equal"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_unequal_rgb_channels_give_luma_and_a_note(tmp_path, suffix):
    micrograph = saved(tmp_path / f"a.{suffix}", Image.fromarray(RGB8))
    np.testing.assert_array_equal(micrograph.grey, luma(RGB8))
    assert "601" in micrograph.notes["colour"]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_sixteen_bit_rgb_keeps_sixteen_bits(tmp_path, planar):
    equal = np.stack([GREY16] * 3, axis=-1)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(equal))
    stored = equal if planar == "contig" else np.moveaxis(equal, -1, 0)
    from_tiff = tiff(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    for micrograph in (read_micrograph(tmp_path / "a.png"), from_tiff):
        assert micrograph.grey.dtype == np.uint16
        np.testing.assert_array_equal(micrograph.grey, GREY16)


@pytest.mark.parametrize("alpha", ["opaque", "not opaque"])
@pytest.mark.parametrize("grey", [GREY8, GREY16], ids=["8", "16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_never_changes_the_grey_values_and_is_noted(tmp_path, alpha, grey, channels):
    top = np.full_like(grey, np.iinfo(grey.dtype).max if alpha == "opaque" else 7)
    pixels = np.stack([grey] * channels + [top], axis=-1)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    photometric = "minisblack" if channels == 1 else "rgb"
    from_tiff = tiff(tmp_path / "a.tif", pixels, photometric=photometric, planarconfig="contig", extrasamples=[2])
    for micrograph in (read_micrograph(tmp_path / "a.png"), from_tiff):
        np.testing.assert_array_equal(micrograph.grey, grey)
        assert micrograph.notes["alpha"].startswith(alpha)


@pytest.mark.parametrize("step", [256, 257])
def test_grey_palette_of_a_tiff_is_applied_exactly(tmp_path, step):
    levels = RNG.permutation(256).astype(np.uint16)
    micrograph = tiff(tmp_path / "a.tif", GREY8, photometric="palette", colormap=np.stack([levels * step] * 3))
    assert micrograph.grey.dtype == np.uint8
    np.testing.assert_array_equal(micrograph.grey, levels[GREY8])
    assert micrograph.notes["colour"] == "grey palette, applied"


def test_coloured_palette_gives_luma_and_a_note(tmp_path):
    palette = RNG.integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(GREY8)
    image.putpalette(palette.tobytes())
    from_png = saved(tmp_path / "a.png", image)
    from_tiff = tiff(tmp_path / "a.tif", GREY8, photometric="palette", colormap=palette.T.astype(np.uint16) * 257)
    for micrograph in (from_png, from_tiff):
        np.testing.assert_array_equal(micrograph.grey, luma(palette)[GREY8])
        assert "601" in micrograph.notes["colour"]


def test_colours_that_no_pixel_uses_leave_a_palette_grey(tmp_path):
    palette = np.stack([np.arange(256)] * 3, axis=-1).astype(np.uint8)
    palette[255] = (255, 0, 0)
    image = Image.fromarray(np.minimum(GREY8, 254))
    image.putpalette(palette.tobytes())
    micrograph = saved(tmp_path / "a.png", image)
    np.testing.assert_array_equal(micrograph.grey, np.minimum(GREY8, 254))
    assert micrograph.notes["colour"] == "grey palette, applied"


def test_first_full_resolution_page_is_used_and_noted(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY8[::2, ::2], subfiletype=1, metadata=None)
        file.write(GREY8, metadata=None)
        file.write(~GREY8, metadata=None)
    micrograph = read_micrograph(tmp_path / "a.tif")
    np.testing.assert_array_equal(micrograph.grey, GREY8)
    assert micrograph.notes["pages"].startswith("3,")


def test_one_pixel_is_a_micrograph(tmp_path):
    for suffix in ("png", "bmp", "jpg", "tif"):
        assert saved(tmp_path / f"a.{suffix}", Image.new("L", (1, 1), 77)).grey.tolist() == [[77]]


def test_wrong_suffix_does_not_matter_since_the_bytes_tell(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.jpg").grey, GREY8)


# ---- bad input


def bare_tiff(
    width: int, height: int, *, bits: int = 8, sample_format: int = 1, samples: int = 1, strip: bytes = b""
) -> bytes:
    """A little-endian TIFF of one strip, written by hand, so that its header can lie."""
    tags = [
        (256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, samples), (278, height),
        (279, len(strip)), (339, sample_format),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + entries + bytes(4)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


def jpeg_header(width: int, height: int) -> bytes:
    return (
        b"\xff\xd8\xff\xc0\0\x0b\x08"
        + struct.pack(">HH", height, width)
        + b"\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    )


def encoded(suffix: str) -> bytes:
    return {
        "png": lambda: imagecodecs.png_encode(GREY8), "jpg": lambda: imagecodecs.jpeg8_encode(GREY8),
        "png16": lambda: imagecodecs.png_encode(GREY16),
    }[suffix]()  # fmt: skip


def flipped(suffix: str, *, at: int) -> bytes:
    """An uncompressed PNG with one bit turned over, `at` bytes after its last chunk's name: only check sums tell."""
    data = bytearray(imagecodecs.png_encode(GREY16 if suffix == "png16" else GREY8, level=0))
    data[data.index(b"IEND") + at] ^= 1
    return bytes(data)


def without_its_end() -> bytes:
    """A compressed TIFF of many strips whose last ones are not in the file."""
    file = io.BytesIO()
    tifffile.imwrite(file, GREY8, compression="zlib", rowsperstrip=1, metadata=None)
    return file.getvalue()[:-30]


def jpeg_inside(width: int, height: int) -> bytes:
    """A TIFF of 16 x 16 pixels with a JPEG that declares another size."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((16, 16), np.uint8), compression="jpeg", metadata=None)
    data = bytearray(file.getvalue())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG that goes over its pixels 300 times."""
    file = io.BytesIO()
    Image.fromarray(GREY8).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 300 + data[-2:]


def strips_on_each_other() -> bytes:
    """A TIFF of six strips that are all the whole file, so that it would be read six times."""
    file = io.BytesIO()
    tifffile.imwrite(file, GREY8, rowsperstrip=1, metadata=None)
    data = file.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        tags = [opened.pages[0].tags[code] for code in (273, 279)]
    changed = bytearray(data)
    for tag, value in zip(tags, (8, len(data) - 8), strict=True):
        size = 2 if tag.dtype == 3 else 4
        for number in range(6):
            changed[tag.valueoffset + size * number : tag.valueoffset + size * (number + 1)] = value.to_bytes(
                size, "little"
            )
    return bytes(changed)


def another_compression() -> bytes:
    """A TIFF whose pixels are JPEG 2000, which has a size of its own."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((16, 16), np.uint8), compression="jpeg2000", metadata=None)
    return file.getvalue()


BAD = {
    "inside.tif": (jpeg_inside(60_000, 60_000), "JPEG inside that is larger than it says"),
    "scans.jpg": (many_scans(), "more than 200 scans"),
    "overlap.tif": (strips_on_each_other(), "strips or tiles that lie on each other"),
    "jpeg2000.tif": (another_compression(), "a compression other than none, CCITT, LZW, JPEG, deflate, PackBits"),
    "empty.tif": (b"", r"is empty \(0 bytes\): expected a TIFF, PNG, JPEG or BMP image"),
    "text.png": (b"temperature,phase\n1100,ferrite\n", r"is text \(starts with b'temperature,'\): expected"),
    "noise.bmp": (bytes(range(200, 256)), "is no known image"),
    "float.tif": (
        bare_tiff(2, 2, bits=32, sample_format=3, strip=bytes(16)),
        "32-bit float .*save it as 8-bit or 16-bit",
    ),
    "signed.tif": (bare_tiff(2, 2, bits=16, sample_format=2, strip=bytes(8)), "16-bit signed"),
    "int32.tif": (bare_tiff(2, 2, bits=32, strip=bytes(16)), "32-bit unsigned"),
    "cut.tif": (bare_tiff(9, 6, strip=bytes(54))[:40], "damaged or cut short"),
    "short.tif": (bare_tiff(9, 6, strip=bytes(50)), "pixels missing"),
    "strips.tif": (without_its_end(), "pixels missing"),
    "headless.tif": (b"II*\0", "damaged or cut short"),
    "cut.png": (encoded("png")[:-30], "damaged or cut short"),
    "flipped.png": (flipped("png", at=-40), "damaged or cut short"),
    "flipped16.png": (flipped("png16", at=-40), "damaged or cut short"),
    "checksum16.png": (flipped("png16", at=-9), "damaged or cut short"),
    "cut16.png": (encoded("png16")[:-30], "damaged or cut short"),
    "cut.jpg": (encoded("jpg")[:-60], "damaged or cut short"),
    "cut.bmp": (bmp_header(9, 6), "damaged or cut short"),
    "none.tif": (bare_tiff(0, 0), "declares 0 x 0 pixels|damaged"),
    "channels.tif": (bare_tiff(2, 2, samples=5, strip=bytes(20)), "many channels|damaged"),
    "huge.tif": (bare_tiff(100_000, 100_000, strip=b"0"), "declares 100000 x 100000 pixels, expected at most"),
    "huge.png": (png_header(100_000, 100_000), "declares 100000 x 100000 pixels, expected at most"),
    "huge.bmp": (bmp_header(100_000, 100_000), "declares 100000 x 100000 pixels, expected at most"),
    "huge.jpg": (jpeg_header(65_500, 65_500), "declares 65500 x 65500 pixels, expected at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_one_line_naming_it(tmp_path, name, capfd):
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        read_micrograph(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_damaged_sixteen_bit_pngs_never_reach_the_decoder_that_miscounts(monkeypatch):
    monkeypatch.setattr(imagecodecs, "png_decode", lambda _: pytest.fail("was asked to decode damaged bytes"))
    for at in (-40, -9):
        with pytest.raises(DataError, match="damaged"):
            decode(flipped("png16", at=at), name="a.png")


def test_real_file_with_damaged_pixels_is_one_line_naming_it(shared_data):
    with pytest.raises(DataError, match=r"fei_quanta_damaged_pixels\.tif .*: expected .*; copy it again"):
        read_micrograph(shared_data / "vendor_sem_tiff" / "images" / "fei_quanta_damaged_pixels.tif")


def test_odd_chunks_of_a_sixteen_bit_png_are_not_told_to_the_terminal(capfd):
    data = encoded("png16")
    odd = b"gAMA" + bytes(9)
    chunk = struct.pack(">I", 9) + odd + struct.pack(">I", zlib.crc32(odd))
    grey, _, _ = decode(data[:33] + chunk + data[33:], name="a.png")
    np.testing.assert_array_equal(grey, GREY16)
    assert capfd.readouterr() == ("", "")


def test_animated_png_is_refused(tmp_path):
    frames = [Image.fromarray(GREY8), Image.fromarray(~GREY8)]
    with pytest.raises(DataError, match="animated PNG: expected one image"):
        saved(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])


def test_image_larger_than_pillow_likes_is_read_without_a_warning():
    side = 9600  # 92 Mpx: over the size at which Pillow warns, under ours
    assert side**2 < MAX_PIXELS
    data = imagecodecs.png_encode(np.zeros((side, side), np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(data, name="a.png")[0].shape == (side, side)
    assert caught == []


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "BMP"])
def test_fewer_pixels_may_be_allowed(kind):
    file = io.BytesIO()
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(file, kind)
    assert decode(file.getvalue(), name="a", most_pixels=2000)[0].shape == (40, 50)
    with pytest.raises(DataError, match="a declares 50 x 40 pixels, expected at most 1999 in all"):
        decode(file.getvalue(), name="a", most_pixels=1999)


def survives(data: bytes) -> None:
    """Decoding gives grey values or a DataError of one line; anything else, a warning too, fails the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            grey, header, _ = decode(data, name="a")
            read_header(header)
            line = str(grey.dtype)
        except DataError as error:
            line = str(error)
    assert caught == []
    assert "\n" not in line


MAGICS = [b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"]


@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_give_a_micrograph_or_a_data_error(magic, rest):
    survives(magic + rest)


def whole_files() -> dict[str, bytes]:
    image = Image.fromarray(RNG.integers(0, 256, (40, 50), np.uint8))
    files = {}
    for suffix, options in {"PNG": {}, "JPEG": {}, "BMP": {}, "TIFF": {"compression": "tiff_lzw"}}.items():
        buffer = io.BytesIO()
        image.save(buffer, format=suffix, **options)
        files[suffix] = buffer.getvalue()
    return files | {"raw TIFF": bare_tiff(50, 40, strip=image.tobytes()), "PNG 16": encoded("png16")}


WHOLE = whole_files()


@given(kind=st.sampled_from(sorted(WHOLE)), end=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_truncated_file_gives_a_micrograph_or_a_data_error(kind, end):
    survives(WHOLE[kind][: int(end * len(WHOLE[kind]))])


@given(
    kind=st.sampled_from(sorted(WHOLE)),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_flipped_bytes_give_a_micrograph_or_a_data_error(kind, places):
    data = bytearray(WHOLE[kind])
    for place, value in places:
        data[int(place * len(data))] = value
    survives(bytes(data))


@given(name=st.sampled_from(["zeiss_smartsem_nanoporous_gold", "fei_helios_fib_liftout"]), end=st.floats(0, 0.999))
@settings(max_examples=40, deadline=None)
def test_truncated_vendor_file_gives_a_micrograph_or_a_data_error(shared_data, name, end):
    data = (shared_data / "vendor_sem_tiff" / "images" / f"{name}.tif").read_bytes()
    survives(data[: int(end * len(data))])

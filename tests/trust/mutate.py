"""Damage to a valid file: at random as bytes, as text, or where its format is known."""

import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Damage = Callable[[bytes, random.Random], bytes]

NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
TOKENS = (
    *map(str, NUMBERS), "-1", "-0.0", "1e308", "1e-320", "1e999", "nan", "NaN", "inf", "-Infinity", "9" * 400,
    "9" * 5000, "true", "null", "none", '""', "[]", "{}", '"x"', "'", '"', "\n", "\r", "\x00", "\x1b[2J", "\u202e",
    "\ud7ff", "é", "../../x", "/etc/passwd", "=1+1", "@x", ":", ",", ";", "\t", "#", "=", " " * 300, "\n" * 300,
    "a." * 200, "[" * 300, "\\x41", "\\ud800", "\\N{DIGIT ONE}", "%s", "{0}", "1970-01-01", "0x10", "1_0",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.0, -0.5, 1e308, 1e-320, float("nan"),
    float("inf"), "", "x", "0", "-1", "../../x", "/etc/passwd", "a\nb", "\x1b[2J", "\x00", "\ud800", "=1+1", [], {},
    [[]], [1, 2], ["x"], {"x": 1}, [None], [0] * 50, "9" * 500,
)  # fmt: skip
LONGEST = 2**22
"""Letters of a line; the process that makes inputs has little memory too."""
TAGS = (
    254, 256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 282, 284, 317, 320, 322, 323, 324, 325, 330, 339, 347, 32997,
    33628, 34118, 34412, 34665, 34680, 34682, 50838, 50839, 51023,
)  # fmt: skip
COMPRESSIONS = (5, 6, 7, 8, 34925, 32773, 33003, 34712, 34887, 50000, 50001, 50002, 52546)


def bytes_of_any(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Some bytes changed, put in, left out, doubled, or taken from another file."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(out) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 16, 64))
        match rng.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
            case 2:
                out[at : at + length] = b""
            case 3:
                out[at:at] = rng.randbytes(length)
            case 4:
                out[at:at] = out[at : at + length] * rng.choice((1, 2, 100))
            case 5:
                size = rng.choice((1, 2, 4, 8))
                number = rng.choice(NUMBERS) % 256**size
                out[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))
            case 6 if others:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                out[at : at + length] = other[start : start + length]
            case _ if rng.random() < 0.1:
                del out[at:]
    return bytes(out)


def text(data: bytes, rng: random.Random) -> bytes:
    """A token in the place of a word, a line doubled, left out or moved; or as any bytes."""
    if rng.random() < 0.15:
        return bytes_of_any(data, rng)
    lines = data.decode(errors="replace").split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                lines.insert(rng.randrange(len(lines) + 1), lines[at])
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                lines[at] = (lines[at] * rng.choice((2, 3, 50)))[:LONGEST]
            case _:
                lines[at] = _with_token(lines[at], rng)
    return "\n".join(lines).encode(errors="surrogatepass")


def _with_token(line: str, rng: random.Random) -> str:
    marks = [at for at, letter in enumerate(line) if letter in ' =,:;"[]{}'] or [0]
    start = rng.choice(marks)
    end = next((mark for mark in marks if mark > start), len(line)) if rng.random() < 0.8 else start
    return line[: start + 1] + rng.choice(TOKENS) + line[end:]


def json_text(data: bytes, rng: random.Random) -> bytes:
    """Another value in a place of the tree, a key more or less; or as text."""
    if rng.random() < 0.3:
        return text(data, rng)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return text(data, rng)
    for _ in range(rng.choice((1, 1, 2))):
        tree = _regrown(tree, rng)
    if rng.random() < 0.02:
        depth = rng.choice((500, 2000, 100_000))
        return b"[" * depth + json.dumps(tree).encode() + b"]" * depth
    return json.dumps(tree).encode()


def _regrown(tree: Any, rng: random.Random) -> Any:
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return rng.choice(VALUES)
    grown = dict(tree) if isinstance(tree, dict) else list(tree)
    key = rng.choice(list(grown)) if isinstance(grown, dict) else rng.randrange(len(grown))
    match rng.randrange(8):
        case 0:
            del grown[key]
        case 1 if isinstance(grown, dict):
            grown[rng.choice(("x", "", "format", "name", "\x1b[2J", key + " "))] = rng.choice(VALUES)
        case 1:
            grown.append(grown[key])
        case _:
            grown[key] = _regrown(grown[key], rng)
    return grown


def tiff(data: bytes, rng: random.Random) -> bytes:
    """Another type, number or value in an entry of the first directory; or as any bytes."""
    if rng.random() < 0.3 or len(data) < 8 or data[:4] != b"II*\0":
        return bytes_of_any(data, rng)
    out = bytearray(data)
    (start,) = struct.unpack_from("<I", out, 4)
    if start + 2 > len(out):
        return bytes_of_any(data, rng)
    (entries,) = struct.unpack_from("<H", out, start)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = start + 2 + 12 * rng.randrange(max(entries, 1))
        if place + 12 > len(out):
            return bytes_of_any(data, rng)
        match rng.randrange(5):
            case 0:
                struct.pack_into("<H", out, place, rng.choice(TAGS))
            case 1:
                struct.pack_into("<H", out, place + 2, rng.randrange(19))
            case 2:
                struct.pack_into("<I", out, place + 4, rng.choice(NUMBERS) % 2**32)
            case 3:
                value = rng.choice((*NUMBERS, *COMPRESSIONS))
                struct.pack_into("<I", out, place + 8, value % 2**32)
            case _:
                struct.pack_into("<I", out, place + 8, rng.randrange(len(out)))
    return bytes(out)


def png(data: bytes, rng: random.Random) -> bytes:
    """A chunk changed, doubled or left out, with a checksum that fits; or as any bytes."""
    if rng.random() < 0.2:
        return bytes_of_any(data, rng)
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return bytes_of_any(data, rng)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(chunks))
        kind, body = chunks[at]
        match rng.randrange(6):
            case 0:
                chunks.insert(rng.randrange(len(chunks) + 1), chunks[at])
            case 1 if len(chunks) > 1:
                del chunks[at]
            case 2:
                names = (
                    b"IHDR",
                    b"PLTE",
                    b"tRNS",
                    b"tEXt",
                    b"zTXt",
                    b"iTXt",
                    b"pHYs",
                    b"gAMA",
                    b"iCCP",
                    b"eXIf",
                    b"acTL",
                    b"fcTL",
                )
                chunks.insert(rng.randrange(len(chunks) + 1), (rng.choice(names), body))
            case 3 if kind == b"IDAT":
                chunks[at] = kind, zlib.compress(bytes_of_any(_inflated(body), rng))
            case _:
                chunks[at] = kind, bytes_of_any(body, rng)
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return data[:8] + b"".join(packed)


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        return body


def zipped(data: bytes, rng: random.Random) -> bytes:
    """Another number in a header of the zip; or as any bytes."""
    starts = [at for magic in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for at in _places(data, magic)]
    if rng.random() < 0.3 or not starts:
        return bytes_of_any(data, rng)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        size = rng.choice((2, 4))
        place = rng.choice(starts) + rng.randrange(4, 46, 2)
        out[place : place + size] = (rng.choice((*NUMBERS, 8, 12, 14, 93)) % 256**size).to_bytes(size, "little")
    return bytes(out)


def _places(data: bytes, magic: bytes) -> list[int]:
    found, at = [], data.find(magic)
    while at >= 0:
        found.append(at)
        at = data.find(magic, at + 1)
    return found


def tensors(data: bytes, rng: random.Random) -> bytes:
    """Another header of a safetensors file, of the length that it says; or as any bytes."""
    if rng.random() < 0.3 or len(data) < 8:
        return bytes_of_any(data, rng)
    (length,) = struct.unpack_from("<Q", data)
    header = json_text(data[8 : 8 + length], rng)
    for old in (b'"F32"', b'"F64"') if rng.random() < 0.3 else ():
        dtypes = (b'"F16"', b'"BF16"', b'"I64"', b'"I32"', b'"BOOL"', b'"F8_E4M3"', b'"U8"', b'"C64"')
        header = header.replace(old, rng.choice(dtypes), 1)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def numbers(data: bytes, rng: random.Random) -> bytes:
    """Another text in the header of an .npy file; or as any bytes."""
    if rng.random() < 0.4 or len(data) < 10:
        return bytes_of_any(data, rng)
    (length,) = struct.unpack_from("<H", data, 8)
    header = text(data[10 : 10 + length], rng).replace(b"\n", b"") + b"\n"
    for old, new in ((b"<u8", rng.choice((b"<i8", b"<f8", b"|O", b"|b1", b"<U9", b"|V8", b"<M8[s]"))),) * (
        rng.random() < 0.3
    ):
        header = header.replace(old, new)
    return data[:8] + struct.pack("<H", len(header) % 65536) + header + data[10 + length :]

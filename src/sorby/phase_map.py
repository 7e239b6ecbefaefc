"""A phase map (the number of the phase of each pixel) as a file for crystal plasticity, for finite elements, or to see.

The top row of the picture has the largest y. Cells and elements are counted from the lower left, along x first.
"""

import base64
import math
import re
import struct
import textwrap
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer

from sorby.atomic import write_bytes
from sorby.errors import DataError
from sorby.micrograph import write_micrograph

IMAGES = (".png", ".tif", ".tiff")
MOST_IN_IMAGE = 256
_ON_A_LINE = 16  # numbers of a set, by Abaqus' rule


def write_phase_map(
    path: Path,
    phase_map: Integer[np.ndarray, "h w"] | Bool[np.ndarray, "h w"],
    *,
    pixel_size_um: float | None,
    phases: Sequence[str],
    about: Mapping[str, str],
) -> None:
    """Write a map of the `phases`, by the suffix of `path`; `about` says where it is from and goes into the file.

    `.vti`: VTK image data for ParaView and DAMASK 3 (`GeomGrid.load`). One layer of cubic cells in metres; cell data
    `material` is the phase, and so the number, from 0, of its entry in `material.yaml`, which is left to write.
    `.inp`: Abaqus, also CalculiX: plane-strain elements CPE4 in micrometres, so that forces in micronewtons give
    stresses in MPa. Sets of elements and of nodes `PHASE_0_NAME` and so on; of nodes `LEFT`, `RIGHT`, `BOTTOM`, `TOP`.
    Sections and materials are left to write.
    `.png`, `.tif`: the phases' numbers as grey values, with the scale.

    Raises `DataError` for another suffix, a phase without name, and without a pixel size, which only images can lack.
    """
    suffix = path.suffix.lower()
    writers = {".vti": _vti, ".inp": _abaqus}
    if suffix not in (*writers, *IMAGES):
        raise DataError(f"{path} cannot be written: expected a name ending in .vti, .inp, .png or .tif.")
    if not phase_map.size or phase_map.min() < 0 or phase_map.max() >= len(phases):
        raise DataError(f"{path} cannot be written: expected phases 0 to {len(phases) - 1}, one for each name given.")
    if pixel_size_um is not None and not 0 < pixel_size_um < math.inf:
        raise DataError(f"{path} cannot be written: the pixel size is {pixel_size_um} µm; expected a number above 0.")
    entries = {**about, **{f"phase {number}": name for number, name in enumerate(phases)}}
    if suffix in IMAGES:
        if len(phases) > MOST_IN_IMAGE:
            raise DataError(f"{path} cannot hold {len(phases)} phases: at most {MOST_IN_IMAGE}; write a .vti.")
        write_micrograph(path, phase_map.astype(np.uint8), pixel_size_um=pixel_size_um, description=entries)
    elif pixel_size_um is None:
        raise DataError(f"{path} cannot be written without a pixel size: models have lengths; give it in micrometres.")
    else:
        notes = [f"{key}: {value}" for key, value in {"Software": "sorby", **entries}.items()]
        write_bytes(path, writers[suffix](np.flipud(phase_map), pixel_size_um, phases, notes))


def _vti(upwards: np.ndarray, pixel_size_um: float, phases: Sequence[str], notes: list[str]) -> bytes:  # noqa: ARG001
    """VTK's XML, in the form that DAMASK's own reader takes: a tag a line, encoded data on a line of their own."""
    h, w = upwards.shape
    comments = b"".join(note.encode() + b"\0" for note in notes)
    spacing = f"{pixel_size_um / 1e6:.12g}"
    return f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="0.1" byte_order="LittleEndian" header_type="UInt32" \
compressor="vtkZLibDataCompressor">
  <ImageData WholeExtent="0 {w} 0 {h} 0 1" Origin="0 0 0" Spacing="{spacing} {spacing} {spacing}" \
Direction="1 0 0 0 1 0 0 0 1">
    <FieldData>
      <Array type="String" Name="comments" NumberOfTuples="{len(notes)}" format="binary">
        {_encoded(comments)}
      </Array>
    </FieldData>
    <Piece Extent="0 {w} 0 {h} 0 1">
      <PointData>
      </PointData>
      <CellData>
        <DataArray type="Int32" Name="material" format="binary">
          {_encoded(upwards.astype("<i4").tobytes())}
        </DataArray>
      </CellData>
    </Piece>
  </ImageData>
</VTKFile>
""".encode()


def _encoded(data: bytes) -> str:
    """One compressed block: how many blocks, bytes of a block, of the last, and as compressed; then the block."""
    compressed = zlib.compress(data)
    header = struct.pack("<4I", 1, len(data), len(data), len(compressed))
    return (base64.b64encode(header) + base64.b64encode(compressed)).decode()


def _abaqus(upwards: np.ndarray, pixel_size_um: float, phases: Sequence[str], notes: list[str]) -> bytes:
    h, w = upwards.shape
    node = np.arange(1, (h + 1) * (w + 1) + 1).reshape(h + 1, w + 1)
    element = np.arange(1, h * w + 1).reshape(h, w)
    corners = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, 1:], node[1:, :-1]], axis=-1)  # anticlockwise
    lines = ["*HEADING", "Phase map: lengths in micrometres; with forces in micronewtons, stresses are in MPa"]
    lines += [f"** {line}" for note in notes for line in textwrap.wrap(note, 100)]
    lines += ["*NODE"]
    lines += [f"{n}, {x * pixel_size_um:.9g}, {y * pixel_size_um:.9g}" for (y, x), n in np.ndenumerate(node)]
    lines += ["*ELEMENT, TYPE=CPE4"]
    lines += [
        f"{n}, {a}, {b}, {c}, {d}" for n, (a, b, c, d) in zip(element.ravel(), corners.reshape(-1, 4), strict=True)
    ]
    for number, name in enumerate(phases):
        if (of_phase := element[upwards == number]).size:
            label = "_".join(["PHASE", str(number), *re.findall("[A-Z0-9]+", name.upper())])[:80]
            lines += [f"*ELSET, ELSET={label}", *_rows(of_phase), f"*NSET, NSET={label}, ELSET={label}"]
    for label, edge in {"LEFT": node[:, 0], "RIGHT": node[:, -1], "BOTTOM": node[0], "TOP": node[-1]}.items():
        lines += [f"*NSET, NSET={label}", *_rows(edge)]
    return "\n".join([*lines, ""]).encode("ascii", "backslashreplace")


def _rows(numbers: np.ndarray) -> Iterable[str]:
    for start in range(0, len(numbers), _ON_A_LINE):
        yield ", ".join(map(str, numbers[start : start + _ON_A_LINE]))

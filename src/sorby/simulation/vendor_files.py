"""Micrographs as microscopes save them: an info bar with a scale bar, and the vendor's own header.

For trying programs that read such files, `sorby prepare` first of all. The headers hold what `sorby.vendors` reads, in
the vendors' layouts, and name the instrument "simulated".
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import UInt8

from sorby.atomic import new_file, write_text
from sorby.errors import ConfigError
from sorby.micrograph import round_length
from sorby.simulation.sem_look import with_info_bar

ZEISS_TAG, FEI_TAG = 34118, 34682
ASCII = 2
"""Type of a TIFF tag."""
DARK_BARS = ("fei", "hitachi")
"""Vendors whose bar is black, with white letters."""


def write_as(vendor: str, path: Path, grey: UInt8[np.ndarray, "h w"], *, pixel_size_um: float) -> None:
    """Write a TIFF below which an info bar is drawn, with the header of `vendor`: zeiss, fei, hitachi or jeol.

    Zeiss and FEI keep it in a tag of the file, Hitachi and JEOL in a `.txt` beside it. Raises `ConfigError` for another
    vendor, `DataError` where the file cannot be written.
    """
    if vendor not in VENDORS:
        raise ConfigError(f"Vendor {vendor!r} is unknown: choose {', '.join(VENDORS)}.")
    picture = with_info_bar(grey, pixel_size_um=pixel_size_um, is_dark=vendor in DARK_BARS)
    tag, header = _HEADERS[vendor](picture.shape, pixel_size_um)
    tags = [(tag, ASCII, 0, header.encode("cp1252"), True)] if tag else []
    with new_file(path) as temporary:
        tifffile.imwrite(temporary, picture, metadata=None, extratags=tags)
    if not tag:
        write_text(path.with_suffix(".txt"), header)


def _zeiss(shape: tuple[int, ...], pixel_size_um: float) -> tuple[int, str]:
    """SmartSEM: numbers without a name, of which the fourth is the pixel size in metres, then names and values."""
    numbers = ["0", "0", "0", repr(pixel_size_um * 1e-6), "1000.0", "6"]
    entries = [
        *("DP_SEM", "Sem = simulated"),
        *("AP_IMAGE_PIXEL_SIZE", f"Image Pixel Size = {1000 * pixel_size_um:.4g} nm"),
        *("AP_WD", "WD = 6.2 mm"),
        *("AP_ACTUALKV", "EHT = 15.00 kV"),
        *("DP_DETECTOR_CHANNEL", "Signal A = SE2"),
        *("DP_IMAGE_STORE", f"Store resolution = {shape[1]} * {shape[0]}"),
    ]
    return ZEISS_TAG, "\r\n".join([*numbers, *entries, ""])


def _fei(shape: tuple[int, ...], pixel_size_um: float) -> tuple[int, str]:
    sections = {
        "System": {"SystemType": "simulated"},
        "Beam": {"HV": "15000", "Beam": "EBeam", "Scan": "EScan"},
        "EBeam": {"HV": "15000", "HFW": repr(shape[1] * pixel_size_um * 1e-6), "WD": "0.0102"},
        "Scan": {"PixelWidth": repr(pixel_size_um * 1e-6), "PixelHeight": repr(pixel_size_um * 1e-6)},
        "Image": {"ResolutionX": str(shape[1]), "ResolutionY": str(shape[0])},
        "Detectors": {"Number": "1", "Name": "ETD"},
    }
    lines = (line for name, values in sections.items() for line in (f"[{name}]", *_pairs(values, "=")))
    return FEI_TAG, "\r\n".join([*lines, ""])


def _hitachi(shape: tuple[int, ...], pixel_size_um: float) -> tuple[int, str]:
    values = {
        "InstructName": "simulated",
        "DataSize": f"{shape[1]}x{shape[0]}",
        "PixelSize": f"{1000 * pixel_size_um:.10g}",
        "SignalName": "SE(L)",
        "AcceleratingVoltage": "15000 Volt",
        "WorkingDistance": "8300 um",
    }
    return 0, "\n".join(["[SemImageFile]", *_pairs(values, "="), ""])


def _jeol(shape: tuple[int, ...], pixel_size_um: float) -> tuple[int, str]:
    marker_um = round_length(shape[1] * pixel_size_um / 5)
    values = {
        "$SEM_DATA_VERSION": "1",
        "$CM_INSTRUMENT": "simulated",
        "$CM_ACCEL_VOLT": "15.00",
        "$CM_SIGNAL": "SEI",
        "$CM_FULL_SIZE": f"{shape[1]} {shape[0]}",
        "$$SM_WD": "10.0",
        "$$SM_MICRON_BAR": f"{marker_um / pixel_size_um:.10g}",
        "$$SM_MICRON_MARKER": f"{marker_um:g}um",
    }
    return 0, "\n".join([*_pairs(values, " "), ""])


def _pairs(values: dict[str, str], between: str) -> list[str]:
    return [f"{name}{between}{value}" for name, value in values.items()]


_HEADERS: dict[str, Callable[[tuple[int, ...], float], tuple[int, str]]] = {
    "zeiss": _zeiss,
    "fei": _fei,
    "hitachi": _hitachi,
    "jeol": _jeol,
}
"""The tag of the header, 0 where it is a file of its own, and its text."""
VENDORS = tuple(_HEADERS)

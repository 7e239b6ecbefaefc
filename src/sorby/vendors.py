"""Pixel size and provenance from what microscopes and programs write beside the grey values.

One function per vendor takes a `Header` and gives a `Reading`, or None where the header is not of that vendor.
`VENDORS` lists them in the order in which they are tried. Who, where and which (user, stage position, sample and the
like) is told apart from the notes, by `identity_of`: it must reach no output unless somebody asks for it.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from sorby.errors import printable

SOFTWARE = "sorby"
"""Value of the Software entry by which our own files are known."""

UM_PER_UNIT = {
    "pm": 1e-6, "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "in": 25400.0,
}  # fmt: skip
"""Both Unicode spellings of micro are in use; ImageJ writes `micron` or an escape, which tifffile resolves."""

MAX_PIXEL_SIZE_UM = 1000.0
"""A pixel larger than a millimetre belongs to no micrograph."""

MAX_PLAIN_PIXEL_SIZE_UM = 10.0
"""A plain resolution is believed below this alone: programs write that of a screen or a printer, 72 to 2400 dpi or 353
to 10.6 µm, into any image, and it says nothing about the specimen."""


LONGEST_QUANTITY = 100
"""Letters of a number with its unit."""
LONGEST_NAME = 200
"""Letters of a name or a comment."""


@dataclass(frozen=True)
class Header:
    """What a file says beside its grey values."""

    width_px: int
    tags: Mapping[int, Any] = field(default_factory=dict)
    """TIFF tags by number, with the values that tifffile makes of them."""
    text: Mapping[str, str] = field(default_factory=dict)
    """Text chunks of a PNG."""
    dots_per_inch: float | None = None
    """Resolution in a physical unit, where the file states one."""
    sidecar: str | None = None
    """Text of the `.txt` file beside the image."""


@dataclass(frozen=True)
class Reading:
    """One vendor's word on an image. `notes` has only what was found."""

    pixel_size_um: float | None
    pixel_size_from: str
    notes: Mapping[str, str] = field(default_factory=dict)
    width_px: float | None = None
    """Width of the image that the pixel size was written for, where the header states it."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """User, operator, sample, comment, serial number, file name, date, time, stage position; what was found."""


def read_header(header: Header) -> tuple[float | None, dict[str, str]]:
    """Pixel size in micrometres, and the notes of all vendors that know the header.

    The size is the first that can be believed; the notes say where it is from (`pixel_size_from`), or why there is
    none (`pixel_size`).
    """
    readings = [reading for vendor in VENDORS if (reading := vendor(header)) is not None]
    notes = {_shown(key): _shown(value) for reading in reversed(readings) for key, value in reading.notes.items()}
    doubts = [_doubt(reading, header) for reading in readings]
    for reading, doubt in zip(readings, doubts, strict=True):
        if doubt is None:
            return reading.pixel_size_um, {**notes, "pixel_size_from": reading.pixel_size_from}
    why = "; ".join(doubt for doubt in doubts if doubt) or "no tag and no text file states one"
    return None, {**notes, "pixel_size": f"none: {why}"}


def identity_of(header: Header) -> dict[str, str]:
    """What a header says of who took the image, when, of which sample, and where on it; each in 200 letters at most."""
    readings = [reading for vendor in VENDORS if (reading := vendor(header)) is not None]
    found = {key: value for reading in reversed(readings) for key, value in reading.identity.items()}
    return {key: printable(value[:LONGEST_NAME]) for key, value in found.items()}


def _doubt(reading: Reading, header: Header) -> str | None:
    """Why the pixel size of `reading` cannot be believed, or None where it can."""
    size = reading.pixel_size_um
    if size is None:
        return f"{reading.pixel_size_from} does not state one"
    if not 0 < size <= MAX_PIXEL_SIZE_UM:
        return f"{reading.pixel_size_from} states {size:g} µm, which is implausible"
    if reading.width_px and reading.width_px != header.width_px:
        return (
            f"{reading.pixel_size_from} was written for an image {reading.width_px:g} px wide, "
            f"but this one has {header.width_px} px"
        )
    return None


def sorby(header: Header) -> Reading | None:
    """Our own PNG (text chunks) and TIFF (JSON in ImageJ's Info): exact to the last digit."""
    description = _own_description(header)
    if description is None:
        return None
    size, width_px = _number(description.pop("pixel_size_um", None)), _number(description.pop("width_px", None))
    return Reading(size, "sorby pixel_size_um", description, width_px)


def _own_description(header: Header) -> dict[str, str] | None:
    try:
        entries = {_unescaped(key): value for key, value in header.text.items()} or json.loads(
            header.tags[50839]["Info"]
        )
        is_ours = entries.pop("Software", None) == SOFTWARE
        return {key: str(value) for key, value in entries.items()} if is_ours else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _unescaped(keyword: str) -> str:
    """Undo what `write_micrograph` does to put any script into a PNG keyword."""
    return keyword.encode("latin-1").decode("unicode_escape")


def zeiss(header: Header) -> Reading | None:
    """Zeiss SmartSEM, TIFF tag 34118.

    AP_IMAGE_PIXEL_SIZE is of the stored image, AP_PIXEL_SIZE of the screen: only the first is right. It is rounded
    to four digits; the unnamed first entry has the same number in full, in metres, and is used unless they disagree.
    """
    tag = header.tags.get(34118)
    if not isinstance(tag, Mapping):
        return None
    rounded, exact = _zeiss_number(tag, "ap_image_pixel_size", "um"), _zeiss_exact(tag)
    size, origin = rounded, "Zeiss AP_IMAGE_PIXEL_SIZE"
    if exact is not None and (rounded is None or math.isclose(exact, rounded, rel_tol=2e-3)):
        size, origin = exact, "Zeiss tag 34118, unnamed first entry (AP_IMAGE_PIXEL_SIZE in full)"
    stored = re.match(r"\s*(\d+)\s*\*", str(_zeiss_value(tag, "dp_image_store"))[:LONGEST_QUANTITY])
    notes = _notes(
        vendor="Zeiss",
        instrument=_zeiss_value(tag, "dp_sem"),
        kV=_zeiss_number(tag, "ap_actualkv", "kV") or _zeiss_number(tag, "ap_manualkv", "kV"),
        working_distance_mm=_scaled(_zeiss_number(tag, "ap_wd", "um"), 1e-3),
        detector=_zeiss_value(tag, "dp_detector_channel"),
        magnification=_magnification(_zeiss_value(tag, "ap_mag")),
    )
    identity = _notes(
        user=_zeiss_value(tag, "sv_user_name"),
        operator=_zeiss_value(tag, "sv_operator"),
        sample=_zeiss_value(tag, "sv_sample_id"),
        comment=_zeiss_value(tag, "sv_user_text"),
        serial_number=_zeiss_value(tag, "sv_serial_number"),
        file_name=_zeiss_value(tag, "sv_file_name"),
        date=_zeiss_value(tag, "ap_date"),
        time=_zeiss_value(tag, "ap_time"),
        stage=_joined(_zeiss_value(tag, f"ap_stage_at_{axis}") for axis in "xyztr"),
    )
    return Reading(size, origin, notes, float(stored[1]) if stored else None, identity)


def _zeiss_value(tag: Mapping[str, Any], key: str) -> Any:
    entry = tag.get(key)
    return entry[1] if isinstance(entry, tuple) and len(entry) > 1 else None


def _zeiss_number(tag: Mapping[str, Any], key: str, unit: str) -> float | None:
    """A (name, value, unit) entry in `unit`: micrometres for any length, or kV."""
    entry = tag.get(key)
    if not isinstance(entry, tuple) or len(entry) != 3:
        return None
    factor = {"V": 1e-3, "kV": 1.0}.get(entry[2]) if unit == "kV" else UM_PER_UNIT.get(entry[2])
    return _scaled(_number(entry[1]), factor)


def _zeiss_exact(tag: Mapping[str, Any]) -> float | None:
    first = tag.get("")
    return _scaled(_number(first[3]), 1e6) if isinstance(first, tuple) and len(first) > 3 else None


def fei(header: Header) -> Reading | None:
    """FEI and Thermo Fisher, TIFF tags 34680 and 34682: PixelWidth in metres, or else the field width over pixels."""
    tag = _section(header.tags, 34682) or _section(header.tags, 34680)
    if not tag:
        return None
    beam = _section(tag, _section(tag, "Beam").get("Beam"))
    scan = _section(tag, _section(tag, "Beam").get("Scan"))
    image = _section(tag, "Image")
    size, origin = _fei_pixel_size(tag, beam, scan, header.width_px)
    notes = _notes(
        vendor="FEI/Thermo Fisher",
        instrument=_section(tag, "System").get("SystemType"),
        kV=_scaled(_number(beam.get("HV", _section(tag, "Beam").get("HV"))), 1e-3),
        working_distance_mm=_scaled(_number(beam.get("WD")), 1e3),
        detector=_section(tag, "Detectors").get("Name"),
    )
    user, stage = _section(tag, "User"), _section(tag, "Stage") or beam
    identity = _notes(
        user=user.get("User"),
        comment=user.get("UserText"),
        serial_number=_section(tag, "System").get("Dnumber"),
        date=user.get("Date"),
        time=user.get("Time"),
        stage=_joined(stage.get(f"Stage{axis}") for axis in "XYZTR"),
    )
    return Reading(size, origin, notes, _number(image.get("ResolutionX")), identity)


def _fei_pixel_size(
    tag: Mapping[str, Any], beam: Mapping[str, Any], scan: Mapping[str, Any], width_px: int
) -> tuple[float | None, str]:
    for name, section in (("[Scan]", _section(tag, "Scan")), ("the beam's scan section", scan)):
        size = _scaled(_number(section.get("PixelWidth")), 1e6)
        if size:
            return size, f"FEI {name} PixelWidth"
    field_width = _number(beam.get("HFW")) or _number(_section(tag, "EBeam").get("HFW"))
    return _scaled(field_width, 1e6 / width_px), "FEI HFW over the width in pixels"


def _section(tag: Mapping[Any, Any], name: Any) -> Mapping[str, Any]:
    section = tag.get(name)
    return section if isinstance(section, Mapping) else {}


def hitachi(header: Header) -> Reading | None:
    """Hitachi SU, S and TM, `.txt` beside the image: `PixelSize` in nm."""
    if header.sidecar is None or "[SemImageFile]" not in header.sidecar:
        return None
    entries = _entries(header.sidecar, "=")
    notes = _notes(
        vendor="Hitachi",
        instrument=entries.get("InstructName"),
        kV=_quantity(entries.get("AcceleratingVoltage"), {"volt": 1e-3, "v": 1e-3, "kv": 1.0}),
        working_distance_mm=_quantity(entries.get("WorkingDistance"), {"um": 1e-3, "mm": 1.0}),
        detector=entries.get("SignalName"),
        magnification=_number(entries.get("Magnification")),
    )
    size = _scaled(_number(entries.get("PixelSize")), 1e-3)
    identity = _notes(
        user=entries.get("UserName"),
        sample=entries.get("SampleName"),
        serial_number=entries.get("SerialNumber"),
        file_name=entries.get("ImageName"),
        date=entries.get("Date"),
        time=entries.get("Time"),
        stage=_joined(entries.get(f"StagePosition{axis}") for axis in "XYZTR"),
    )
    return Reading(size, "Hitachi .txt PixelSize", notes, _leading_number(entries.get("DataSize")), identity)


def jeol(header: Header) -> Reading | None:
    """JEOL, `.txt` beside the image: length of the micron marker over its bar in pixels."""
    lines = [line.strip() for line in (header.sidecar or "").splitlines()]
    entries = _entries("\n".join(line.lstrip("$") for line in lines if line.startswith("$")), None)
    if not any(name.startswith(("CM_", "SM_")) for name in entries):
        return None
    marker, bar = _quantity(entries.get("SM_MICRON_MARKER"), UM_PER_UNIT), _number(entries.get("SM_MICRON_BAR"))
    notes = _notes(
        vendor="JEOL",
        instrument=entries.get("CM_INSTRUMENT"),
        kV=_number(entries.get("CM_ACCEL_VOLT")),
        working_distance_mm=_number(entries.get("SM_WD")),
        detector=entries.get("CM_SIGNAL"),
        magnification=_number(entries.get("CM_MAG")),
    )
    size = marker / bar if marker and bar else None
    identity = _notes(
        operator=entries.get("CM_OPERATOR"),
        sample=entries.get("CM_TITLE"),
        comment=entries.get("CM_COMMENT"),
        serial_number=entries.get("CM_SERIAL_NUMBER"),
        date=entries.get("CM_DATE"),
        time=entries.get("CM_TIME"),
        stage=entries.get("CM_STAGE_POS"),
    )
    width_px = _leading_number(entries.get("CM_FULL_SIZE"))
    return Reading(size, "JEOL .txt micron marker over bar", notes, width_px, identity)


def imagej(header: Header) -> Reading | None:
    """ImageJ: XResolution in pixels per the unit of the description."""
    description = header.tags.get(270)
    if not isinstance(description, str) or not description.startswith("ImageJ="):
        return None
    unit = _entries(description, "=").get("unit")
    factor = UM_PER_UNIT.get(unit.lower().replace(r"\u00b5", "µ")) if unit else None
    return Reading(_scaled(_inverse(_rational(header.tags.get(282))), factor), "ImageJ unit and XResolution")


def ome(header: Header) -> Reading | None:
    """OME-TIFF: PhysicalSizeX of the first image, in micrometres unless a unit is given."""
    description = header.tags.get(270)
    if not isinstance(description, str) or "<OME" not in description:
        return None
    try:
        pixels = ElementTree.fromstring(description.encode()).find(".//{*}Pixels")
    except (ElementTree.ParseError, ValueError, LookupError):  # no XML, or in an unknown encoding
        return None
    if pixels is None:
        return None
    factor = UM_PER_UNIT.get(pixels.get("PhysicalSizeXUnit", "µm"))
    size = _scaled(_number(pixels.get("PhysicalSizeX")), factor)
    return Reading(size, "OME PhysicalSizeX", width_px=_number(pixels.get("SizeX")))


def resolution(header: Header) -> Reading | None:
    """Plain resolution of a TIFF, PNG, JPEG or BMP, where it is too fine to be that of a screen or a printer."""
    dpi = header.dots_per_inch
    if dpi is None or not math.isfinite(dpi) or dpi <= 0:
        return None
    size = UM_PER_UNIT["inch"] / dpi
    if size >= MAX_PLAIN_PIXEL_SIZE_UM:
        return Reading(None, f"a resolution of {dpi:.0f} dpi, as for a screen or a printer,")
    return Reading(size, "resolution tags")


VENDORS: tuple[Callable[[Header], Reading | None], ...] = (
    sorby, zeiss, fei, hitachi, jeol, imagej, ome, resolution,
)  # fmt: skip


def _number(value: Any) -> float | None:
    """`value` as a finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _entries(text: str, between: str | None) -> dict[str, str]:
    """`name = value` of each line, or with spaces between; no expression, which would take long for long lines."""
    parts = (line.strip().split(between, 1) for line in text.splitlines())
    return {part[0].strip(): part[1].strip() for part in parts if len(part) == 2}


def _leading_number(text: str | None) -> float | None:
    found = re.match(r"\d+", (text or "")[:LONGEST_QUANTITY])
    return float(found[0]) if found else None


def _quantity(text: str | None, units: Mapping[str, float]) -> float | None:
    """`15000 Volt` or `1um` in the base of `units`."""
    found = re.fullmatch(r"([-+.\deE]+)\s*([^\W\d]+)", (text or "")[:LONGEST_QUANTITY])
    return _scaled(_number(found[1]), units.get(found[2].lower())) if found else None


def _scaled(number: float | None, factor: float | None) -> float | None:
    return None if number is None or factor is None else number * factor


def _inverse(number: float | None) -> float | None:
    return 1 / number if number else None


def _rational(value: Any) -> float | None:
    """A TIFF rational, (numerator, denominator)."""
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return None
    return _number(value[0] / value[1])


def _magnification(text: Any) -> float | None:
    """Zeiss writes `500.00 K X` or `250 X`."""
    found = re.fullmatch(r"([.\d]+)\s*(K?)\s*X", str(text).strip()[:LONGEST_QUANTITY])
    return _scaled(_number(found[1]), 1e3 if found[2] else 1.0) if found else None


def _notes(**entries: Any) -> dict[str, str]:
    """What was found, as text; numbers to six digits."""
    return {key: _text(value) for key, value in entries.items() if value not in (None, "")}


def _joined(values: Iterable[Any]) -> str:
    """The coordinates that there are."""
    return " ".join(_text(value) for value in values if value not in (None, ""))


def _shown(text: str) -> str:
    """What others wrote, without what a terminal or a table would take for more than text."""
    return "\n".join(map(printable, text.split("\n")))


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return " ".join(str(value).split())
    return str(int(value)) if value.is_integer() else f"{value:.6g}"

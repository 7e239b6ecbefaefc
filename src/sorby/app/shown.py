"""Pictures and numbers as the page gets them: PNGs as text, numbers with their units, a scale bar as a share."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fastapi.responses import Response
from jaxtyping import UInt8

from sorby.draw import pixels_of
from sorby.fields import one_channel
from sorby.measurement.units import unit_of
from sorby.micrograph import encode_micrograph
from sorby.microstructure.describe import BY_OTSU, QUANTITIES, describe
from sorby.report.scale_bar import bar_um


def png(picture: UInt8[np.ndarray, "c h w"], *, pixel_size_um: float | None, about: Mapping[str, str]) -> str:
    """A picture as a `data:` address; `about` is written into it, so that it says what it is wherever it is saved."""
    data = encode_micrograph(pixels_of(picture), ".png", pixel_size_um=pixel_size_um, description=about)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def saved(
    picture: UInt8[np.ndarray, "c h w"], name: str, *, pixel_size_um: float | None, about: Mapping[str, str]
) -> Response:
    """A picture as a file `name`, which ends in .png or .tif, to be saved by a browser; `about` is written into it."""
    suffix = name[name.rindex(".") :]
    data = encode_micrograph(pixels_of(picture), suffix, pixel_size_um=pixel_size_um, description=about)
    told = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type={".png": "image/png", ".tif": "image/tiff"}[suffix], headers=told)


def scale_bar(width_px: int, pixel_size_um: float | None) -> dict[str, Any] | None:
    """Length of a bar as a share of the width of a picture, and its label; None where the pixel size is not known."""
    if pixel_size_um is None:
        return None
    length_um = bar_um(width_px, pixel_size_um)
    return {"share": length_um / pixel_size_um / width_px, "label": f"{length_um:g} µm"}


def measured(pictures: Sequence[UInt8[np.ndarray, "c h w"]], pixel_size_um: float | None) -> list[dict[str, Any]]:
    """Each descriptor: its title, its unit, and a value of each picture, null where there is nothing to measure.

    Segmented as `sorby measure` does it where nothing is said: the brighter of two phases by Otsu's threshold.
    """
    found = [describe(one_channel(picture), BY_OTSU).values for picture in pictures]
    rows = []
    for quantity in QUANTITIES:
        factor, unit = unit_of(quantity, pixel_size_um)
        values = [getattr(values, quantity.name) for values in found]
        rows.append(
            {
                "name": quantity.name,
                "title": quantity.title,
                "unit": unit,
                "values": [None if value is None else float(value) * factor for value in values],
            }
        )
    return rows

"""Style mixing: some layers of a picture take their style from another (Karras et al. 2019, section 3.1)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.draw import pixels_of
from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.mark import MARKED, marked_all
from sorby.micrograph import write_micrograph
from sorby.models.place import name_of
from sorby.report.plots import tile
from sorby.report.scale_bar import with_scale_bar


def layers_of(generator: Generator, text: str | None) -> range:
    """`2-5` to the layers 2, 3, 4 and 5; all of them for None.

    Layer 0 works at 4 px, layers 1 and 2 at 8, 3 and 4 at 16, and so on up to the size of the picture.
    Raises `ConfigError` for what is no range of layers that the generator has.
    """
    last = generator.network.num_styles - 1
    first, _, end = (text or f"0-{last}").partition("-")
    try:
        layers = range(int(first), int(end or first) + 1)
    except ValueError:
        layers = range(0)
    if not layers or layers[-1] > last:
        raise ConfigError(f"Layers {text!r} are not a range within 0-{last}: give FIRST-LAST, such as 0-{last // 2}.")
    return layers


def told(generator: Generator, layers: range) -> str:
    """For people, with the resolutions at which they work: `layers 0 to 3 (4 to 16 px)`."""
    if generator.network.num_styles == 1:
        return "the whole picture"
    low, high = (min(4 * 2 ** ((layer + 1) // 2), generator.card.size) for layer in (layers[0], layers[-1]))
    return f"layers {layers[0]} to {layers[-1]} ({low} to {high} px)"


def mix(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: range,
    *,
    condition: Values | None = None,
    truncation: float = 1.0,
) -> UInt8[np.ndarray, "r k c h w"]:
    """Pictures of the seeds of rows, with the style of a seed of the columns in `layers`; noise is that of the row.

    Raises `ConfigError` for a generator that reads one style for the whole picture.
    """
    if generator.network.num_styles < 2:
        raise ConfigError("This generator reads one style for the whole picture: choose one with layers.")
    own, others = (
        generator.styles(generator.latents(seeds).z, generator.encoded(seeds, condition), truncation)
        for seeds in (rows, columns)
    )
    noise = generator.latents(rows).noise
    pictures = []
    for other in others:
        ws = own.clone()
        ws[:, layers] = other[layers]
        pictures.append(generator.draw(ws, noise))
    return np.stack(pictures, axis=1)


def write_mixture(
    generator: Generator,
    out: Path,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: range,
    *,
    condition: Values | None = None,
    truncation: float = 1.0,
    mark: bool = False,
) -> None:
    """A sheet (.png or .tif): seeds of the rows at the left, of the columns on top, and their mixtures between.

    With a `mark` each picture says that it is synthetic in its pixels too.
    """
    mixed = mix(generator, rows, columns, layers, condition=condition, truncation=truncation)
    left, top = (generator.images(seeds, truncation=truncation, condition=condition) for seeds in (rows, columns))
    if mark:
        left, top = marked_all(left), marked_all(top)
        mixed = np.stack([marked_all(row) for row in mixed])
    blank = np.full_like(left[:1], 255)
    body = [np.concatenate([row[None], pictures]) for row, pictures in zip(left, mixed, strict=True)]
    sheet = tile(np.concatenate([blank, top, *body]), columns=1 + len(columns))
    card = generator.card
    if card.pixel_size_um is not None:
        sheet = with_scale_bar(sheet, picture_px=card.size, pixel_size_um=card.pixel_size_um)
    about = {
        "synthetic": "true",
        "generator": generator.hash,
        "rows": ", ".join(map(str, rows)),
        "columns": ", ".join(map(str, columns)),
        "mixed": f"{told(generator, layers)} from the columns",
        "truncation": f"{truncation:g}",
        "precision": name_of(generator.dtype),
        **{f"condition {name}": str(value) for name, value in (condition or {}).items()},
        **(MARKED if mark else {}),
    }
    write_micrograph(out, pixels_of(sheet.transpose(2, 0, 1)), pixel_size_um=card.pixel_size_um, description=about)

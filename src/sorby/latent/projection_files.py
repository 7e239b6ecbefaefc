"""A projection as a folder.

target.png               the part of the micrograph that was projected
projected.tif            what the generator draws there
error.png                absolute difference of the two, in grey levels
sheet.png                the three side by side
projection.safetensors   w and noise
projection.json          numbers, and where all comes from
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from sorby.atomic import new_folder, write_bytes, write_text
from sorby.draw import pixels_of
from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.latent.direction_files import check_vector
from sorby.latent.project import Projection, Space
from sorby.latent.target import Target
from sorby.latent.walk import Stop
from sorby.micrograph import write_micrograph
from sorby.report.plots import STYLE
from sorby.report.sheet import sheet_of_rows
from sorby.untrusted import MOST_WEIGHTS, first_words, parse_json, read_bytes, read_text
from sorby.vendors import SOFTWARE

TENSORS, ABOUT = "projection.safetensors", "projection.json"
FILES = ("target.png", "projected.tif", "error.png", "sheet.png", TENSORS, ABOUT)
SHEET_PX = 256
"""Smaller pictures are shown larger on the sheet, up to this side."""


def save_projection(
    folder: Path, generator: Generator, target: Target, projection: Projection, *, space: Space, steps: int, seed: int
) -> None:
    """Write the folder of the first picture of a projection in one step.

    Raises `DataError` where `folder` holds files of others.
    """
    picture, about = projection.images[0], _about(generator, target, projection, space=space, steps=steps, seed=seed)
    drawn = {
        "synthetic": "true",
        "generator": generator.hash,
        "projection": f"projection of {target.name}",
        "projected": f"into {space}, {steps} steps, seed {seed}",
        **{f"condition {key}": str(value) for key, value in projection.conditions[0].items()},
    }
    size_um = generator.card.pixel_size_um
    with new_folder(folder, ours=FILES) as new:
        write_micrograph(
            new / "target.png", pixels_of(target.picture), pixel_size_um=target.pixel_size_um, description=target.about
        )
        write_micrograph(new / "projected.tif", pixels_of(picture), pixel_size_um=size_um, description=drawn)
        apart = {"shows": "difference of an image and its projection, which is synthetic"}
        write_bytes(new / "error.png", _error_map(difference(target.picture, picture), drawn | apart))
        sheet = _sheet(target, picture)
        left = {"shows": "an image, its projection, which is synthetic, and their difference"}
        write_micrograph(new / "sheet.png", pixels_of(sheet), pixel_size_um=None, description=drawn | left)
        write_text(new / ABOUT, json.dumps(about, indent=2) + "\n")
        tensors = {"ws": projection.ws[0], **{f"noise{i}": layer[0] for i, layer in enumerate(projection.noise)}}
        told = {"generator": generator.hash, "source": target.name}
        told |= {key: about[key] for key in ("condition", "distance")}
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_bytes(
            new / TENSORS, save_tensors(held, metadata={"sorby": json.dumps(told)})
        )  # several keys would come in any order


def load_projection(folder: Path, generator: Generator) -> Stop:
    """Where a walk may begin. Raises `WeightsError` for a folder without, `ConfigError` for another generator's."""
    try:
        about = parse_json(read_text(folder / ABOUT))
        owner, source = str(about["generator"]), str(about["source"])
        tensors = load_tensors(read_bytes(folder / TENSORS, MOST_WEIGHTS))
        ws = tensors.pop("ws")
        noise = tuple(tensors[f"noise{i}"] for i in range(len(tensors)))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = first_words(error)
        raise WeightsError(f"{folder} holds no projection ({reason}): expected a folder of `sorby project`.") from None
    if owner != generator.hash:
        raise ConfigError(
            f"{folder} is a projection into another generator ({owner[:12]}...): project it into this one."
        )
    drawn = generator.latents([0]).noise
    if len(noise) != len(drawn):
        raise WeightsError(f"{folder} holds {len(noise)} layers of noise, expected {len(drawn)}: project again.")
    check_vector(folder, "ws", ws, (generator.network.num_styles, *generator.network.w_mean.shape))
    for number, (came, expected) in enumerate(zip(noise, drawn, strict=True)):
        check_vector(folder, f"noise{number}", came, expected.shape[1:])
    device = generator.device
    return Stop(f"projection of {source}", ws.to(device), tuple(layer.to(device) for layer in noise))


def difference(a: UInt8[np.ndarray, "c h w"], b: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "c h w"]:
    """Absolute difference, in grey levels."""
    return np.abs(a.astype(np.int16) - b).astype(np.uint8)


def difference_map(
    a: UInt8[np.ndarray, "c h w"], b: UInt8[np.ndarray, "c h w"]
) -> tuple[UInt8[np.ndarray, "c h w"], int]:
    """The difference to look at, white for none and black for the largest; and the largest, in grey levels."""
    error = difference(a, b)
    most = int(error.max())
    return (255 - np.rint(error * (255 / max(most, 1)))).astype(np.uint8), most


def correlation(a: UInt8[np.ndarray, "c h w"], b: UInt8[np.ndarray, "c h w"]) -> float | None:
    """Of the grey values of two pictures, -1 to 1; None where one is of a single grey value."""
    if any(side.min() == side.max() for side in (a, b)):
        return None
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def beside(target: Target, picture: UInt8[np.ndarray, "c h w"], *, px: int = SHEET_PX) -> UInt8[np.ndarray, "_ _"]:
    """The micrograph on the left and `picture` on the right, enlarged by whole pixels: a frame of a film."""
    zoom = max(px // picture.shape[1], 1)
    return np.concatenate([target.picture[0], picture[0]], 1).repeat(zoom, 0).repeat(zoom, 1)


def _about(
    generator: Generator, target: Target, projection: Projection, *, space: Space, steps: int, seed: int
) -> dict[str, Any]:
    return {
        "generator": generator.hash,
        "source": target.name,
        "notes": list(target.notes),
        "condition": dict(projection.conditions[0]),
        "space": space,
        "steps": steps,
        "seed": seed,
        "distance": float(projection.distances[0]),
        "mean_error_grey_levels": float(difference(target.picture, projection.images[0]).mean()),
        "correlation": correlation(target.picture, projection.images[0]),
    }


def _error_map(error: UInt8[np.ndarray, "1 h w"], about: dict[str, str]) -> bytes:
    """The difference in colours, with a scale in grey levels."""
    file = BytesIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axis = figure.subplots()
        shown = axis.imshow(error[0], cmap="magma", vmin=0, vmax=max(int(error.max()), 1))
        axis.set_axis_off()
        figure.colorbar(shown, label="absolute difference in grey levels")
        figure.savefig(file, format="png", dpi=120, metadata={"Software": SOFTWARE, **about})
    return file.getvalue()


def _sheet(target: Target, picture: UInt8[np.ndarray, "1 h w"]) -> UInt8[np.ndarray, "1 H W"]:
    """Micrograph, projection, and their difference: white is none, black the largest."""
    inverted, most = difference_map(target.picture, picture)
    zoom = max(SHEET_PX // picture.shape[1], 1)
    three = np.stack([target.picture, picture, inverted]).repeat(zoom, 2).repeat(zoom, 3)
    size_um = target.pixel_size_um
    title = f"{target.name}; its projection; their difference, black {most} grey levels"
    return sheet_of_rows([(title, three)], pixel_size_um=None if size_um is None else size_um / zoom).transpose(2, 0, 1)

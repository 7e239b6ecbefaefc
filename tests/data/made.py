"""Pictures with known content for the tests of preparation."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter


def texture(seed: int, shape: tuple[int, int] = (160, 200), *, sigma: float = 1.5, std: float = 40.0) -> np.ndarray:
    """A sharp, evenly lit, grainy picture of mean 128, without any fault."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal(shape), sigma)
    return np.rint(128 + std * (field - field.mean()) / field.std()).clip(1, 254).astype(np.uint8)


def with_bar(picture: np.ndarray, *, rows: int = 40, ground: int = 255, ink: int = 0, seed: int = 0) -> np.ndarray:
    """The picture with an info bar of text, a scale bar and a frame line below it."""
    image = Image.fromarray(np.vstack([picture, np.full((rows, picture.shape[1]), ground, np.uint8)]))
    draw, top = ImageDraw.Draw(image), len(picture)
    draw.line([(0, top), (image.width, top)], fill=ink)
    draw.text((10, top + 8), f"10.00 kV  x {seed} 500  SE  WD 8.1 mm", fill=ink)
    draw.rectangle([(20, top + 26), (80, top + 29)], fill=ink)
    return np.asarray(image)


def with_crack(picture: np.ndarray) -> np.ndarray:
    """The picture with one thin black crack from top to bottom."""
    image = Image.fromarray(picture)
    height, width = picture.shape
    points = [(width / 2 + 6 * np.sin(y / 9), y) for y in range(0, height, 4)]
    ImageDraw.Draw(image).line(points, fill=2, width=4)
    return np.asarray(image)


def save(folder: Path, **pictures: np.ndarray) -> Path:
    """Each picture as a PNG of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def textures(folder: Path, n: int, shape: tuple[int, int] = (160, 200)) -> Path:
    """A folder of `n` sound pictures t0.png, t1.png ..."""
    return save(folder, **{f"t{seed}": texture(seed, shape) for seed in range(n)})

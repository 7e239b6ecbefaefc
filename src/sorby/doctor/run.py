"""What stands in the way of going on with a run: its checkpoint, its augmentation, a collapse."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorby.augment.controller import HIGH_P
from sorby.config import TrainConfig
from sorby.doctor.finding import Finding
from sorby.errors import DataError
from sorby.inspect import summarise
from sorby.micrograph import read_micrograph
from sorby.training import checkpoint
from sorby.training.tick import COLLAPSED, MORE_HOLD, diversity, read_config, read_log
from sorby.untrusted import first_words


def examine(run: Path) -> Iterator[Finding]:
    """Findings about a run. Raises `ConfigError` or `DataError` where its settings or log cannot be read."""
    config, log = read_config(run), read_log(run)
    yield of_checkpoint(run)
    if log:
        yield of_augmentation(float(log[-1].get("p") or 0.0), config)
        yield of_variety(run, config)


def of_checkpoint(run: Path) -> Finding:
    """Whether the same command would go on with everything: weights, optimiser, p, order of the images."""
    found = checkpoint.checkpoints(run / "checkpoint")
    if not found:
        text = "no checkpoint, so that the same command would start anew: copy the folder checkpoint/ too, or go on "
        return Finding("resume", "fail", f"{text}from the weights alone by: sorby transfer {run} DATASET")
    damaged = []
    for path in found:
        try:
            _, numbers = checkpoint.read(path)
        except checkpoint.DAMAGED as error:
            damaged.append(f"{path.name} is damaged ({first_words(error)})")
            continue
        kimg = f"{numbers['images_seen'] / 1000:g} kimg"
        if damaged:
            return Finding("resume", "warn", f"{damaged[0]}: the same command goes on from the one before, {kimg}")
        return Finding("resume", "ok", f"goes on from {kimg} by: {summarise(run).facts['go on with']}")
    return Finding(
        "resume", "fail", f"{damaged[0]}, and no other is left: sorby transfer {run} DATASET takes the weights"
    )


def of_augmentation(p: float, config: TrainConfig) -> Finding:
    """Whether the augmentation is so strong that it may show in the pictures."""
    if p <= HIGH_P:
        return Finding("augmentation", "ok", f"p is {p:.2f}; it may leak above {HIGH_P}")
    text = f"p is {p:.2f}, and above {HIGH_P} augmentations leak into the pictures: look for it by sorby evaluate; "
    remedy = f"more images, {MORE_HOLD[config.network.model]} or fewer kimg help more than more augmentation"
    return Finding("augmentation", "warn", text + remedy)


def of_variety(run: Path, config: TrainConfig) -> Finding:
    """Whether the last pictures differ from each other as real ones do."""
    sheets = sorted((run / "samples").glob("[0-9]*.png"))
    if not sheets or not (run / "samples" / "real.png").is_file():
        return Finding("variety", "ok", "not known: the run has no samples/")
    try:
        drawn, real = (_spread(path, config.network.size) for path in (sheets[-1], run / "samples" / "real.png"))
    except DataError as error:
        return Finding("variety", "warn", str(error))
    ratio = drawn / max(real, 1e-6)
    if ratio >= COLLAPSED:
        return Finding("variety", "ok", f"pictures differ {ratio:.0%} as much as real ones")
    text = f"collapsed: pictures differ {ratio:.0%} as much as real ones; early on wait, else start a new run with "
    return Finding("variety", "warn", f"{text}{MORE_HOLD[config.network.model]}, more images, or augmentation")


def _spread(sheet: Path, size: int) -> float:
    """`diversity` of the pictures that `sorby.training.tick.tile` laid side by side; black gaps are none of them."""
    grey = read_micrograph(sheet).grey
    rows, columns = grey.shape[0] // size, grey.shape[1] // size
    parts = grey[: rows * size, : columns * size].reshape(rows, size, columns, size).swapaxes(1, 2)
    pictures: UInt8[np.ndarray, "n 1 h w"] = parts.reshape(-1, 1, size, size).astype(np.uint8)
    return diversity(pictures[pictures.any(axis=(1, 2, 3))])

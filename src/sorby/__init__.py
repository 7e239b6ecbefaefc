"""Learn the microstructure of an alloy from a few micrographs, and draw new ones in micrometres.

The functions behind the verbs, and what they hand over; each is imported when first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorby.config import TrainConfig, resolve
    from sorby.data.dataset import Dataset
    from sorby.data.prepare import prepare
    from sorby.data.recipe import Recipe
    from sorby.design.predict import predict
    from sorby.evaluation.run import evaluate
    from sorby.generator import Generator
    from sorby.latent.project import project
    from sorby.measurement.run import measure
    from sorby.micrograph import Micrograph, read_micrograph, write_micrograph
    from sorby.simulation.dataset import simulate
    from sorby.training.run import train

__all__ = [
    "Dataset",
    "Generator",
    "Micrograph",
    "Recipe",
    "TrainConfig",
    "evaluate",
    "measure",
    "predict",
    "prepare",
    "project",
    "read_micrograph",
    "resolve",
    "simulate",
    "train",
    "write_micrograph",
]

__version__ = version("sorby")

_HOME = {
    "Dataset": "sorby.data.dataset",
    "Generator": "sorby.generator",
    "Micrograph": "sorby.micrograph",
    "Recipe": "sorby.data.recipe",
    "TrainConfig": "sorby.config",
    "evaluate": "sorby.evaluation.run",
    "measure": "sorby.measurement.run",
    "predict": "sorby.design.predict",
    "prepare": "sorby.data.prepare",
    "project": "sorby.latent.project",
    "read_micrograph": "sorby.micrograph",
    "resolve": "sorby.config",
    "simulate": "sorby.simulation.dataset",
    "train": "sorby.training.run",
    "write_micrograph": "sorby.micrograph",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sorby' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

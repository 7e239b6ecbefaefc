"""The dataset of the trainings, for those that go on from an import."""

from tests.training.conftest import tiny_dataset

__all__ = ["tiny_dataset"]

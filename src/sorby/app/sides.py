"""The sides of the split of the opened datasets."""

from typing import cast, get_args

from sorby.app.asked import one_of
from sorby.app.opened import Opened
from sorby.data.dataset import Dataset, Split
from sorby.generator import Generator

ORDER: tuple[Split, ...] = ("held-out", "train", "held-out-condition")
assert set(ORDER) == set(get_args(Split))


class Sides:
    """Each is a view that is made once, so that what is found out about it, such as its hash, is found out once."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._views: dict[tuple[str, Split], tuple[Dataset, Dataset]] = {}
        """Each with the dataset that it is of, which is another one when that was prepared again."""

    def names(self, dataset: str) -> list[Split]:
        """Those that have pictures; held-out first, which nothing was learnt from."""
        patches = self._opened.dataset(dataset).patches
        return [side for side in ORDER if patches.is_word("split", side).any()]

    def view(self, dataset: str, side: str = "") -> Dataset:
        """One side, or the first where none is named. Raises `ConfigError` where there is none of this name."""
        names = self.names(dataset)
        chosen = cast(Split, one_of(side, names, f"Side of {dataset}")) if side else names[0]
        whole = self._opened.dataset(dataset)
        if self._views.get((dataset, chosen), (None, None))[0] is not whole:
            self._views[dataset, chosen] = whole, whole.split(chosen)
        return self._views[dataset, chosen][1]

    def learnt(self, generator: Generator, dataset: str) -> bool:
        """Whether a generator was trained with this dataset."""
        views = (self._opened.dataset(dataset), *(self.view(dataset, side) for side in self.names(dataset)))
        known = generator.card.data
        # A hash may take reading all pictures: only where there are as many.
        return any(known.get("patches") in (None, len(view)) and view.hash == known.get("hash") for view in views)

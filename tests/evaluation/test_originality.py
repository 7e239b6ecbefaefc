from sorby.evaluation.originality import leaks_of
from sorby.evaluation.sides import Comparison
from sorby.metrics.sets import ImageSet
from tests.metrics.test_leak import patches


def image_set(pictures, parents, *, symmetry="none"):
    names = tuple(map(str, range(len(pictures))))
    return ImageSet("set", names, parents, lambda places: pictures[list(places)], "0" * 64, None, symmetry=symmetry)


def test_turns_that_training_was_told_of_are_no_leak():
    """Half of the generated pictures of a rolled structure are turned, as those that a generator was shown."""
    one, other = (image_set(*patches(20, seed=seed)) for seed in (0, 1))
    pictures, parents = patches(200, seed=2, each=1)
    pictures[::2] = pictures[::2].swapaxes(2, 3)
    comparison = Comparison("held-out", one, (one, other))
    leaked = {}
    for symmetry in ("none", "square"):
        fakes = image_set(pictures, parents, symmetry=symmetry)
        samples = {images: images.first(512) for images in (fakes, *comparison.floor)}
        leaked[symmetry] = {leak.move: leak.leaked for leak in leaks_of(samples, fakes, comparison, seed=0)}
    assert leaked["none"]["quarter turns"]
    assert not leaked["square"]["quarter turns"]
    assert not any(leaked["square"].values())

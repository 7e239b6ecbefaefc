import numpy as np

from sorby.evaluation.originality import leaks_of
from sorby.evaluation.sides import Comparison
from sorby.metrics.sets import ImageSet
from tests.metrics.test_leak import patches


def image_set(pictures, parents, **known):
    names = tuple(map(str, range(len(pictures))))
    return ImageSet("set", names, parents, lambda places: pictures[list(places)], "0" * 64, None, **known)


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


def test_what_the_training_did_not_augment_with_cannot_have_leaked():
    """Pictures all brighter: a leak of the colours, or another fault where there was no such augmentation."""
    one, other = (image_set(*patches(20, seed=seed)) for seed in (0, 1))
    pictures, parents = patches(200, seed=2, each=1)
    comparison = Comparison("held-out", one, (one, other))
    moves = {}
    for families in (("blit", "colour"), ("blit",), ("none",)):
        fakes = image_set(np.minimum(pictures, 175) + 80, parents, augmentation=families)
        samples = {images: images.first(512) for images in (fakes, *comparison.floor)}
        moves[families] = {leak.move: leak.leaked for leak in leaks_of(samples, fakes, comparison, seed=0)}
    assert moves["blit", "colour"]["brightness"]
    assert set(moves["blit",]) == {"quarter turns", "shift"}
    assert moves["none",] == {}

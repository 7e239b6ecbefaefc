from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from sorby.errors import ConfigError, DataError
from sorby.simulation.simulators import superimposing
from sorby.simulation.superimpose import source_of, superimpose, window_shape

GROUND, OTHER_GROUND = 60, 90
FEATURE, OTHER_FEATURE = 180, 250


def discs(radius, *, ground, feature, seed, spacing=26, shape=(260, 312)):
    """Discs of one radius at shaken places of a grid, on even ground with noise of a standard deviation of 4."""
    rng = np.random.default_rng(seed)
    picture = np.full(shape, float(ground))
    for y in range(spacing // 2, shape[0], spacing):
        for x in range(spacing // 2, shape[1], spacing):
            picture[disk((y + rng.integers(-3, 4), x + rng.integers(-3, 4)), radius, shape=shape)] = feature
    return np.rint(picture + rng.normal(0, 4, shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def one():
    return source_of(discs(4, ground=GROUND, feature=FEATURE, seed=0), name="early", pixel_size_um=0.1)


@pytest.fixture(scope="module")
def other():
    return source_of(discs(8, ground=OTHER_GROUND, feature=OTHER_FEATURE, seed=1), name="late", pixel_size_um=0.1)


def made(one, other, share, seed=0):
    return superimpose(one, other, share=share, shape=window_shape(one, other), rng=np.random.default_rng(seed))


def lies_in(part, whole):
    """Whether a picture is cut from another as it is."""
    height, width = part.shape
    windows = np.lib.stride_tricks.sliding_window_view(whole, (height, width))
    corners = np.argwhere((windows[:, :, 0, :9] == part[0, :9]).all(-1))
    return any((windows[y, x] == part).all() for y, x in corners)


def diameters(mask):
    labels, _ = ndimage.label(mask)
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.array(
        [2 * np.sqrt(area / np.pi) for n, area in enumerate(np.bincount(labels.ravel())) if n not in touching]
    )


def test_the_features_are_the_discs_smallest_first(one):
    assert len(one.centres) == 10 * 12
    assert one.mask.sum() == pytest.approx(120 * len(disk((0, 0), 4)[0]), rel=0.01)
    labels, _ = ndimage.label(one.mask)
    areas = np.bincount(labels.ravel())[labels[tuple(one.centres.T)]]
    assert list(areas) == sorted(areas)


def test_none_of_the_second_gives_a_part_of_the_first_as_it_is(one, other):
    grey, mask = made(one, other, 0)
    assert lies_in(grey, one.grey)
    assert lies_in(mask, one.mask)


def test_all_of_the_second_gives_its_features_on_the_ground_of_the_first(one, other):
    grey, mask = made(one, other, 1)
    assert lies_in(mask, other.mask)
    inside = grey[ndimage.binary_erosion(mask, iterations=2)]
    assert inside.mean() == pytest.approx(GROUND + OTHER_FEATURE - OTHER_GROUND, abs=4)
    assert grey[~ndimage.binary_dilation(mask, iterations=4)].mean() == pytest.approx(GROUND, abs=1)


def test_in_between_there_are_whole_features_of_both_and_more_of_the_second_with_its_share(one, other):
    small, large = (np.median(diameters(made(one, other, share)[1])) for share in (0, 1))
    shares = []
    for share in (0.25, 0.5, 0.75):
        found = np.concatenate([diameters(made(one, other, share, seed)[1]) for seed in range(4)])
        is_large = found > (small + large) / 2
        # Discs are as large as in their micrograph: none is cut.
        np.testing.assert_allclose(np.where(is_large, found - large, found - small), 0, atol=1.5)
        shares.append(is_large.mean())
    assert shares == sorted(shares)
    assert shares[0] < 0.4
    assert shares[2] > 0.6


def test_the_mask_is_what_the_picture_shows(one, other):
    grey, mask = made(one, other, 0.5)
    assert ((ndimage.gaussian_filter(grey.astype(float), 1) > 120) == mask).mean() > 0.98


def test_the_noise_of_the_ground_is_kept(one, other):
    grey, mask = made(one, other, 0.5)
    ground = grey[~ndimage.binary_dilation(mask, iterations=3)].astype(float)
    assert ground.std() == pytest.approx(4, rel=0.2)


def test_an_equivalent_feature_of_each_lies_at_one_place():
    """Of features all alike but one, that one meets that one."""
    sources = []
    for seed in range(2):
        picture = discs(3, ground=60, feature=180, seed=seed)
        picture[disk((100 + 20 * seed, 150), 12)] = 180
        sources.append(source_of(picture, name=str(seed)))
    for source in sources:
        source.centres[:-1] = source.centres[-1]  # whichever feature is drawn, it is the large one
    _, mask = superimpose(*sources, share=1.0, shape=(120, 120), rng=np.random.default_rng(0))
    _, first = superimpose(*sources, share=0.0, shape=(120, 120), rng=np.random.default_rng(0))
    large = [ndimage.binary_opening(m, iterations=6) for m in (first, mask)]
    assert large[0].any()
    assert (large[0] & large[1]).sum() > 0.8 * (large[0] | large[1]).sum()


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(one, other):
    np.testing.assert_array_equal(made(one, other, 0.5)[0], made(one, other, 0.5)[0])
    assert (made(one, other, 0.5)[0] != made(one, other, 0.5, seed=1)[0]).any()


def test_a_picture_without_features_is_refused():
    with pytest.raises(DataError, match="flat has no features"):
        source_of(np.full((64, 64), 100, np.uint8), name="flat")


def test_a_network_is_refused(one, other):
    network = replace(one, mask=np.ones_like(one.mask))
    with pytest.raises(DataError, match="early and late, laid over each other, form one network"):
        made(network, other, 0.5)


def test_micrographs_of_two_magnifications_are_refused(one, other):
    with pytest.raises(ConfigError, match=r"early has 0\.1 .* late 0\.2: expected one magnification"):
        superimposing(one, replace(other, pixel_size_um=0.2))
    assert superimposing(one, other).pixel_size_um == 0.1
    assert superimposing(one, replace(other, pixel_size_um=None)).pixel_size_um is None

import numpy as np
import pytest

from sorby.metrics import neighbours
from sorby.metrics.neighbours import blocks, nearest, neighbour_scores, radii


def slow_scores(real, generated, k, k_density):
    """The definitions, point by point."""

    def distance(a, b):
        return np.sqrt(np.sum((a - b) ** 2))

    def radius(points, i, k):
        return sorted(distance(points[i], q) for j, q in enumerate(points) if j != i)[k - 1]

    def inside(p, others):
        return any(distance(p, q) <= radius(others, i, k) for i, q in enumerate(others))

    balls = [[distance(g, r) <= radius(real, i, k_density) for g in generated] for i, r in enumerate(real)]
    return (
        np.mean([inside(g, real) for g in generated]),
        np.mean([inside(r, generated) for r in real]),
        np.sum(balls) / (k_density * len(generated)),
        np.mean([any(row) for row in balls]),
    )


def values(scores):
    return scores.precision, scores.recall, scores.density, scores.coverage


@pytest.mark.parametrize("rows", [1, 7, 1024])
def test_scores_are_those_of_the_definitions_whatever_the_blocks(monkeypatch, rows):
    monkeypatch.setattr(neighbours, "ROWS", rows)
    rng = np.random.default_rng(0)
    real, generated = rng.standard_normal((20, 3)), 0.8 + rng.standard_normal((15, 3))
    scores = neighbour_scores(real, generated, k=2, k_density=4)
    assert values(scores) == pytest.approx(slow_scores(real, generated, 2, 4))
    assert 0 < scores.precision < 1
    assert 0 < scores.recall < 1


def test_identical_sets_score_one_and_each_ball_holds_k_and_its_centre():
    features = np.random.default_rng(1).standard_normal((40, 8))
    scores = neighbour_scores(features, features, k=3, k_density=5)
    assert values(scores) == (1, 1, pytest.approx(6 / 5), 1)


def test_sets_far_apart_score_zero():
    features = np.random.default_rng(2).standard_normal((30, 8))
    assert values(neighbour_scores(features, features + 100)) == (0, 0, 0, 0)


def test_a_generator_stuck_on_one_real_image_is_believable_and_poor():
    real = np.arange(100.0)[:, None]
    scores = neighbour_scores(real, np.full((50, 1), 40.0), k=3, k_density=3)
    assert scores.precision == 1
    assert scores.recall == 0.01
    assert scores.coverage == pytest.approx(0.05)  # the balls about 38 to 42, each reaching 2 to both sides


def test_the_radius_on_a_line_is_the_third_nearest_number():
    (radius,) = radii(np.array([0.0, 1.0, 3.0, 7.0, 15.0])[:, None], ks=(3,))
    assert np.sqrt(radius) == pytest.approx([7, 6, 4, 7, 14])


def test_without_other_numbers_the_third_and_the_fifth_neighbour_count():
    """Whole numbers, whose third nearest is 2 away and fifth 3, and at the end 29 they are 3 and 5."""
    scores = neighbour_scores(np.arange(30.0)[:, None], np.arange(20.0, 60)[:, None])
    density = (11 + 9 + 5 * 7 + 6 + 5 + 4 + 3 + 2 + 1) / (5 * 40)  # of the balls about 29, 28, 27 to 23, 22 ...
    assert values(scores) == pytest.approx((13 / 40, 13 / 30, density, 13 / 30))


def test_repeated_images_far_from_the_origin_are_at_distance_zero():
    features = np.repeat(1000 + np.random.default_rng(3).random((5, 64)).astype(np.float32), 5, axis=0)
    assert values(neighbour_scores(features, features, k=3, k_density=4))[:2] == (1, 1)
    assert (radii(features, ks=(3,))[0] == 0).all()


def slow_squares(x, y):
    return np.square(x[:, None] - y[None]).sum(axis=2)


@pytest.mark.parametrize("spread", [1e-6, 1e-2])
def test_neighbours_that_single_precision_cannot_tell_apart_are_told_apart(spread):
    rng = np.random.default_rng(6)
    groups = 1000 * rng.standard_normal((4, 64))  # of squared distances far below the rounding of 1000²
    features = np.repeat(groups, 10, axis=0) + spread * rng.standard_normal((40, 64))
    squares = np.sort(slow_squares(features, features), axis=1)
    for radius, k in zip(radii(features, ks=(3, 5)), (3, 5), strict=True):
        assert radius == pytest.approx(squares[:, k], rel=1e-9, abs=0)
    scores = neighbour_scores(features[::2], features[1::2], k=2, k_density=3)
    assert values(scores) == pytest.approx(slow_scores(features[::2], features[1::2], 2, 3))


@pytest.mark.parametrize("num", [1, 3, 300])
def test_the_nearest_of_many_are_those_of_a_full_sort(num):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((1500, 4))  # several columns in each group of `MINIMA`
    squares = slow_squares(x, y)
    (block,) = blocks(x, y)
    index, found = block.nearest(num)
    assert (index == np.argsort(squares, axis=1)[:, :num]).all()
    assert found == pytest.approx(np.sort(squares, axis=1)[:, :num])


def test_whole_numbers_at_equal_distances_lie_on_the_edge_of_a_ball_and_inside():
    rng = np.random.default_rng(8)
    real, generated = rng.integers(0, 4, (40, 3)).astype(float), rng.integers(1, 5, (30, 3)).astype(float)
    assert values(neighbour_scores(real, generated, k=2, k_density=3)) == pytest.approx(
        slow_scores(real, generated, 2, 3)
    )


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
@pytest.mark.parametrize("offset", [0, 1000])
def test_no_estimate_is_off_by_more_than_its_bound(scale, offset):
    rng = np.random.default_rng(9)
    x, y = (scale * (offset + rng.standard_t(2, (50, 300))) for _ in range(2))
    for block in blocks(x, y):
        off = np.abs(block.estimate - slow_squares(x[block.rows], y))
        assert 0 < off.max() < block.error < 1e-3 * np.median(slow_squares(x[block.rows], y))


def test_the_bound_holds_where_one_side_is_small_and_the_other_large():
    rng = np.random.default_rng(10)
    small, large = 1e-3 * rng.standard_normal((50, 300)), 1e3 * rng.standard_normal((50, 300))
    for x, y in ((small, large - large.mean(0)), (large, small)):
        (block,) = blocks(x, y)
        assert np.abs(block.estimate - slow_squares(x, y)).max() < block.error


def test_the_order_of_images_does_not_matter():
    rng = np.random.default_rng(4)
    real, generated = rng.standard_normal((30, 4)), rng.standard_normal((25, 4))
    shuffled = neighbour_scores(rng.permutation(real), rng.permutation(generated))
    assert values(shuffled) == pytest.approx(values(neighbour_scores(real, generated)))


def test_nearest_finds_the_image_among_shuffled_ones():
    rng = np.random.default_rng(5)
    features, order = rng.standard_normal((20, 4)), rng.permutation(20)
    index, distance = nearest(features, features[order])
    assert (order[index] == np.arange(20)).all()
    assert distance == pytest.approx(0, abs=1e-6)
    index, distance = nearest(np.array([[3.0, 4.0], [0.0, 0.0]]), np.zeros((1, 2)))
    assert (index.tolist(), distance.tolist()) == ([0, 0], [5, 0])

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from sorby.errors import DataError
from sorby.metrics import copies
from sorby.metrics.copies import MOVES, Copy, align, audit, correlations, find_copies, structure
from sorby.simulation.random_field import gaussian_field

SIZE = 64  # two pixels of a picture are one reduced pixel


def fields(num, *, seed, size=SIZE):
    """Grey pictures of independent random fields, cut from a periodic one where its values have become independent."""
    rng = np.random.default_rng(seed)
    field = [gaussian_field((2 * size, 2 * size), correlation_length_px=4, nu=2.5, rng=rng) for _ in range(num)]
    return (128 + 40 * np.stack(field)[:, None, :size, :size]).clip(0, 255).astype(np.uint8)


def copied(picture, *, move, down, right, onto):
    """`picture` moved and shifted, with `onto` where the shift has brought nothing in."""
    mirrored, turns = MOVES[move]
    moved = np.rot90(picture[:, :, ::-1] if mirrored else picture, turns, axes=(1, 2))
    copy = onto.copy()
    size = picture.shape[1]
    rows, columns = slice(max(down, 0), size + min(down, 0)), slice(max(right, 0), size + min(right, 0))
    from_rows, from_columns = slice(max(-down, 0), size - max(down, 0)), slice(max(-right, 0), size - max(right, 0))
    copy[:, rows, columns] = moved[:, from_rows, from_columns]
    return copy


def noisy(pictures, rng):
    return (pictures + rng.normal(0, 10, pictures.shape)).clip(0, 255).astype(np.uint8)


CHANGES = {
    "copied": lambda pictures: pictures,
    "noisy": lambda pictures: noisy(pictures, np.random.default_rng(0)),
    "brightened": lambda pictures: (0.7 * pictures + 70).astype(np.uint8),
    "blurred": lambda pictures: gaussian_filter(pictures, 1, axes=(2, 3)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("down", "right"), [(0, 0), (16, -16), (-4, 10), (0, 16)])
def test_a_moved_and_shifted_training_picture_is_found_with_its_place_move_and_shift(change, down, right):
    train, others = fields(40, seed=1), fields(8, seed=2)
    moved = [copied(train[5 * i], move=move, down=down, right=right, onto=others[i]) for i, move in enumerate(MOVES)]
    found = find_copies(CHANGES[change](np.stack(moved)), train)
    assert [(copy.index, copy.nearest) for copy in found] == [(i, 5 * i) for i in range(8)]
    assert [copy.move for copy in found] == list(MOVES)
    assert {copy.shift_px for copy in found} == {(down, right)}
    assert min(copy.similarity for copy in found) > 0.8


def test_a_shift_by_half_a_reduced_pixel_is_found_to_within_it():
    train, others = fields(10, seed=1), fields(1, seed=2)
    (found,) = find_copies(copied(train[3], move="as it is", down=7, right=-3, onto=others[0])[None], train)
    assert found.nearest == 3
    assert np.abs(np.subtract(found.shift_px, (7, -3))).max() <= 1
    assert found.similarity > 0.85


def test_a_picture_is_wholly_like_itself():
    train = fields(40, seed=1)
    for place, found in enumerate(find_copies(train, train)):
        assert (found.index, found.nearest, found.move, found.shift_px) == (place, place, "as it is", (0, 0))
        assert 1 - 1e-5 < found.similarity <= 1


def test_the_aligned_training_picture_is_the_copied_part_to_the_bit():
    train, others = fields(5, seed=1), fields(1, seed=2)
    copy = copied(train[2], move="mirrored turned 90", down=-12, right=6, onto=np.zeros_like(others[0]))
    (found,) = find_copies(copy[None], train)
    np.testing.assert_array_equal(align(train[found.nearest], found), copy)


def test_independent_random_fields_are_called_copies_about_once_in_a_hundred():
    result = audit(fields(200, seed=1), fields(100, seed=2), fields(200, seed=3))
    assert result.held_out_rate == pytest.approx(0.01, abs=0.005)
    assert result.memorisation_rate < 0.04  # four standard deviations of 200 draws, and of the threshold
    low, high = result.memorisation_interval
    assert low <= result.memorisation_rate <= high
    assert result.similarities.max() < 0.7


def test_a_generator_that_remembers_half_of_its_pictures_is_found_to():
    rng = np.random.default_rng(0)
    train, new = fields(100, seed=2), fields(60, seed=1)
    moves = list(MOVES)
    for i in range(0, 60, 2):
        down, right = rng.integers(-16, 17, 2)
        new[i] = copied(train[i], move=moves[i % 8], down=int(down), right=int(right), onto=new[i])
    result = audit(noisy(new, rng), train, fields(150, seed=3))
    assert result.memorisation_rate == pytest.approx(0.5, abs=0.04)
    assert result.held_out_rate < 0.02
    assert all(copy.index % 2 == 0 and copy.nearest == copy.index for copy in result.closest(25))
    similarities = [copy.similarity for copy in result.closest(60)]
    assert similarities == sorted(result.similarities, reverse=True)


def test_without_held_out_pictures_there_is_no_rate_but_the_pairs_are_there():
    train = fields(4, seed=1)
    result = audit(train[2:3], train, None)
    rates = (result.threshold, result.memorisation_rate, result.memorisation_interval, result.held_out_rate)
    assert rates == (None,) * 4
    assert result.held_out_similarities is None
    assert result.nearest[0].nearest == 2


def test_three_copies_of_ten_have_the_published_interval():
    copies_ = [Copy(i, 0, 1.0 if i < 3 else 0.1, "as it is", (0, 0)) for i in range(10)]
    result = copies.Audit(tuple(copies_), tuple(Copy(0, 0, 0.5, "as it is", (0, 0)) for _ in range(5)))
    assert result.memorisation_rate == 0.3
    # Clopper & Pearson: 3 of 10 has the 95 % limits 0.067 and 0.652.
    assert result.memorisation_interval == pytest.approx((0.0667, 0.6525), abs=1e-4)


def audit_of(*similarities):
    """Of the generated and of the held-out pictures."""
    return copies.Audit(*(tuple(Copy(0, 0, float(s), "as it is", (0, 0)) for s in side) for side in similarities))


def test_the_chance_of_beating_every_held_out_picture_is_that_of_the_order_of_all():
    """All 5! orders of 3 generated and 2 held-out pictures are alike; in 3! 2! of them the generated come first."""
    result = copies.Audit(
        *(tuple(Copy(0, 0, s, "as it is", (0, 0)) for s in side) for side in ((0.9, 0.8, 0.7), (0.6, 0.5)))
    )
    assert result.p_value(np.array([0, 1])) == pytest.approx(math.factorial(3) * math.factorial(2) / math.factorial(5))
    # a generated picture just as like as a held-out one is not more like
    assert audit_of((0.6, 0.5), (0.6, 0.4)).p_value(np.array([0, 1])) == 1
    # patches of one micrograph count as one
    assert result.p_value(np.array([0, 0])) == pytest.approx(1 / 4)


def test_pictures_drawn_alike_reach_a_chance_as_often_as_it_says():
    rng = np.random.default_rng(0)
    audits = (audit_of(rng.random(30), rng.random(6)) for _ in range(2000))
    chances = np.array([result.p_value(np.arange(6)) for result in audits])
    reached = max(chance for chance in chances if chance < 0.1)  # there are only so many orders
    assert np.mean(chances <= reached) == pytest.approx(reached, abs=0.015)


def slow_correlation(x, y, down, right):
    """The definition, pixel by pixel, for y moved down and to the right."""
    size = len(x)
    pairs = [
        (x[i, j], y[i - down, j - right])
        for i in range(size)
        for j in range(size)
        if 0 <= i - down < size and 0 <= j - right < size
    ]
    a, b = np.array(pairs).T
    norm_a, norm_b = (np.sqrt(max((part**2).sum(), (whole**2).mean() * len(pairs))) for part, whole in ((a, x), (b, y)))
    return (a * b).sum() / (norm_a * norm_b)


def test_correlations_are_those_of_the_definition():
    x, y = (np.random.default_rng(seed).standard_normal((2, 8, 8)) for seed in (0, 1))
    x[0, :4] *= 0.1  # a dull half
    fast = correlations(torch.from_numpy(x).float(), torch.from_numpy(y).float()).numpy()
    slow = [
        [
            [[slow_correlation(x[i], y[j], 2 - row, 2 - column) for column in range(5)] for row in range(5)]
            for i in (0, 1)
        ]
        for j in (0, 1)
    ]
    np.testing.assert_allclose(fast, slow, atol=1e-5)


def test_the_search_at_half_the_size_misses_no_copy_that_a_full_comparison_finds(monkeypatch):
    train, others = fields(40, seed=1), fields(40, seed=2)
    rng = np.random.default_rng(3)
    shifts = rng.integers(-16, 17, (40, 2)).tolist()
    moved = [
        copied(train[i], move="turned 90", down=shifts[i][0], right=shifts[i][1], onto=others[i]) for i in range(40)
    ]
    pictures = noisy(np.stack(moved), rng)
    quick = find_copies(pictures, train)
    monkeypatch.setattr(copies, "CANDIDATES", len(MOVES) * len(train))
    assert quick == find_copies(pictures, train)
    assert [copy.nearest for copy in quick] == list(range(40))


def test_the_number_of_pictures_in_a_block_changes_nothing(monkeypatch):
    pictures, train = fields(7, seed=1), fields(9, seed=2)
    whole = find_copies(pictures, train)
    monkeypatch.setattr(copies, "BLOCK", 3)
    blocks = find_copies(pictures, train)
    assert [(c.index, c.nearest, c.move, c.shift_px) for c in blocks] == [
        (c.index, c.nearest, c.move, c.shift_px) for c in whole
    ]


def test_shading_and_brightness_are_no_structure():
    ramp = np.linspace(0, 120, SIZE).astype(np.uint8)
    train = fields(3, seed=1) // 2
    (found,) = find_copies(train[:1] + ramp[None, None, :, None], train)
    assert found.nearest == 0
    assert found.similarity > 0.95


def test_flat_pictures_are_like_nothing():
    flat = np.broadcast_to(np.arange(1, 255, 23, dtype=np.uint8)[:, None, None, None], (12, 1, SIZE, SIZE)).copy()
    assert [copy.similarity for copy in find_copies(flat, fields(3, seed=1))] == pytest.approx([0] * 12, abs=0.01)
    assert [copy.similarity for copy in find_copies(fields(2, seed=1), flat)] == pytest.approx([0, 0], abs=0.01)
    assert max(copy.similarity for copy in find_copies(flat[:4], flat)) < 0.01


def test_colours_are_averaged():
    grey = fields(4, seed=1)
    np.testing.assert_allclose(structure(np.repeat(grey, 3, axis=1)), structure(grey), atol=1e-4)


@pytest.mark.parametrize("size", [32, 48, 100, 128])
def test_pictures_of_any_size_are_found(size):
    train = fields(6, seed=1, size=size)
    quarter = size // 4 // 2 * 2
    found = find_copies(copied(train[4], move="mirrored", down=quarter, right=0, onto=train[0])[None], train)[0]
    assert (found.nearest, found.move) == (4, "mirrored")
    assert np.abs(np.subtract(found.shift_px, (quarter, 0))).max() <= size / 32


def test_empty_sets_and_other_sizes_are_refused():
    small, large = fields(2, seed=1, size=32), fields(2, seed=1)
    with pytest.raises(DataError, match="There are no held-out pictures"):
        audit(large, large, large[:0])
    with pytest.raises(DataError, match=r"The training pictures have 32 x 32 px: expected squares of 64 px"):
        audit(large, small, None)
    with pytest.raises(DataError, match=r"The generated pictures have 32 x 64 px"):
        audit(large[..., :32], large, None)


def patches(grey, *, down=0, right=0):
    """Squares of 64 px of a micrograph at half its size, from a place on."""
    half = np.asarray(Image.fromarray(grey).resize((grey.shape[1] // 2, grey.shape[0] // 2), Image.Resampling.BOX))
    rows, columns = (range(start, size - 63, 64) for start, size in zip((down, right), half.shape, strict=True))
    return np.stack([half[row : row + 64, column : column + 64] for row in rows for column in columns])[:, None]


def test_shifted_patches_of_a_real_micrograph_are_found_and_those_of_others_are_not(shared_data):
    files = sorted((shared_data / "uhcs600" / "images").glob("*.jpg"))[::10]
    micrographs = [np.asarray(Image.open(file).convert("L")) for file in files]
    known, others = micrographs[:40], micrographs[40:]
    train = np.concatenate([patches(grey) for grey in known])
    shifted = np.concatenate([patches(grey, down=8, right=14)[:2] for grey in known])
    result = audit(shifted, train, np.concatenate([patches(grey) for grey in others]))
    assert result.memorisation_rate > 0.9
    assert result.held_out_similarities.max() < 0.85
    found = [copy for copy in result.nearest if copy.similarity > result.threshold]
    own = [(copy.nearest // 15, copy.move, copy.shift_px) == (copy.index // 2, "as it is", (-8, -14)) for copy in found]
    assert np.mean(own) > 0.9

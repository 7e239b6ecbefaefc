from collections import Counter

import pytest
import torch

from sorby.seeds import rng_for
from sorby.training.batches import Batches, move


def stream(n=10, **changes):
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 4, 4)
    settings = {"batch_size": 4, "seed": 0} | changes
    return Batches(images, torch.arange(n, dtype=torch.float32)[:, None], **settings)


def rows(batches, position):
    return [round(value) for value in batches.at(position)[1][:, 0].tolist()]


def test_every_epoch_shows_every_image_once():
    seen = [row for position in range(0, 40, 4) for row in rows(stream(), position)]
    assert all(Counter(seen[epoch : epoch + 10]) == Counter(range(10)) for epoch in range(0, 40, 10))
    assert seen[:10] != seen[10:20]


def test_a_batch_depends_on_its_place_alone():
    batches = stream()
    late = rows(batches, 20)
    rows(batches, 0)
    assert rows(batches, 20) == late == rows(stream(), 20)


def test_images_and_conditions_stay_together_in_minus_one_to_one():
    images, conditions = stream().at(4)
    torch.testing.assert_close(images[:, 0, 0, 0], conditions[:, 0] / 127.5 - 1)


def test_another_seed_is_another_order():
    assert [rows(stream(seed=1), p) for p in (0, 4)] != [rows(stream(), p) for p in (0, 4)]


@pytest.mark.parametrize(("symmetry", "moves"), [("none", 1), ("mirror-x", 2), ("mirror-xy", 4), ("square", 8)])
def test_a_symmetry_gives_its_number_of_moves_equally_often(symmetry, moves):
    image = torch.tensor([[0, 1], [2, 3]], dtype=torch.uint8)
    moved = move(image.expand(4000, 1, 2, 2), symmetry, rng=rng_for(0, "test"))
    counts = Counter(tuple(picture.flatten().tolist()) for picture in moved)
    assert len(counts) == moves
    expected, spread = 4000 / moves, 4 * (4000 / moves) ** 0.5
    assert all(abs(count - expected) <= spread for count in counts.values())


def test_conditions_for_generated_pictures_come_from_the_data():
    drawn = stream().draw_conditions(1000, rng=rng_for(0, "test"))
    assert set(drawn[:, 0].tolist()) == set(range(10))

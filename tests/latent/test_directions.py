import json
import math

import numpy as np
import pytest
import torch

from sorby.errors import ConfigError, WeightsError
from sorby.generator import Generator
from sorby.latent.direction_files import load_directions, read_told, save_directions, tell
from sorby.latent.directions import Direction, Spread, by_name, offset, pca, random, sefa
from sorby.latent.effects import effects
from tests.latent.tiny import tiny

ALL = range(8)


@pytest.fixture(scope="module")
def G():
    return tiny()


@pytest.fixture(scope="module")
def spread(G):
    return Spread(G)


class Bands(Generator):
    """Pictures of a bright band: its width follows the first number of w; place, grey and a little more the seed."""

    def images(self, seeds, *, offset=None, **_):
        moved = 0.0 if offset is None else float(offset[0, 0])
        rows = np.arange(64)[:, None]
        pictures = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            width = 32 + 4 * moved + rng.integers(-2, 3)
            bright = (rows + rng.integers(64)) % 64 < width
            pictures.append(np.where(np.broadcast_to(bright, (64, 64)), 200 + rng.integers(20), 50))
        return np.stack(pictures)[:, None].astype(np.uint8)


@pytest.fixture(scope="module")
def bands(G):
    return Bands(G.network, G.card)


def axis(i, *, length=2.0, name=None):
    vector = torch.zeros(16)
    vector[i] = length
    return Direction(name or f"axis-{i}", vector, ALL, 0.0)


def even(num, *, seed):
    """Directions of the same length, all equally likely."""
    u = torch.randn(num, 16, generator=torch.Generator().manual_seed(seed))
    u = 2 * u / u.norm(dim=1, keepdim=True)
    return [Direction(f"random-{i + 1}", vector, ALL, 0.0) for i, vector in enumerate(u)]


def test_principal_axes_are_those_of_an_independent_decomposition(G, spread):
    z = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(5))
    w = G.styles(z, torch.zeros(len(z), 0))[:, 0]
    _, _, axes = np.linalg.svd((w - w.mean(0)).numpy(), full_matrices=False)
    for direction, expected in zip(pca(spread, ALL, num=3), axes, strict=False):
        unit = direction.vector / direction.vector.norm()
        assert abs(float(unit @ torch.from_numpy(expected))) > 0.9
        assert float(direction.vector.norm()) == pytest.approx(float((w @ unit).std()), rel=0.05)


def test_all_principal_axes_together_are_all_that_varies(spread):
    found = pca(spread, ALL, num=99)
    assert len(found) == 16
    assert sum(direction.share for direction in found) == pytest.approx(1)
    vectors = torch.stack([direction.vector for direction in found])
    torch.testing.assert_close(vectors @ vectors.T, torch.diag(vectors.square().sum(1)), atol=1e-5, rtol=0)


def test_sefa_is_what_the_weights_stretch_most(G, spread):
    layers = range(2, 5)
    A = torch.cat([G.network.synthesis.style_weights()[layer] for layer in layers]).detach()
    singular = torch.linalg.svdvals(A)
    for direction, value in zip(sefa(G, spread, layers, num=3), singular, strict=False):
        unit = direction.vector / direction.vector.norm()
        assert float((A @ unit).norm()) == pytest.approx(float(value), rel=1e-4)
        assert float(direction.vector.norm()) == pytest.approx(spread.std_along(unit.double()), rel=1e-4)
        assert direction.layers == layers


def test_weights_of_a_style_are_all_that_read_it(G):
    read = G.network.synthesis.style_weights()
    assert len(read) == G.network.num_styles
    ws = torch.zeros(1, 8, 16)
    noise = G.latents([0]).noise
    with torch.no_grad():
        still = G.network.synthesis(ws, noise)
        for layer, A in enumerate(read):
            *_, V = torch.linalg.svd(A)
            rank = int(torch.linalg.matrix_rank(A))
            if rank < 16:  # what no matrix reads moves nothing
                moved = ws.clone()
                moved[0, layer] = V[rank]
                torch.testing.assert_close(G.network.synthesis(moved, noise), still, atol=1e-4, rtol=1e-4)


def test_random_directions_are_as_long_as_the_principal_axes_where_they_point(spread):
    for direction in random(spread, ALL, num=5, seed=0):
        u = spread.axes @ direction.vector.double() / spread.variances.sqrt()
        assert float(u.norm()) == pytest.approx(1, rel=1e-4)
    one, other = (random(spread, ALL, num=1, seed=seed)[0].vector for seed in (0, 1))
    assert not one.allclose(other)


def test_moving_adds_up_and_touches_its_layers_alone(G):
    a = Direction("a", torch.full((16,), 1.0), range(2), 0)
    b = Direction("b", torch.full((16,), 0.5), range(1, 8), 0)
    added = offset(G, [a, b], [2.0, -1.0])
    torch.testing.assert_close(added[:, 0], torch.tensor([2.0, 1.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5]))
    z, noise = G.latents([4])
    ws = G.styles(z, G.encoded([4])) + added
    np.testing.assert_array_equal(G.images([4], offset=added), G.draw(ws, noise))
    np.testing.assert_array_equal(G.images([4], offset=torch.zeros(8, 16)), G.images([4]))


def test_a_contragan_has_directions_too():
    G = tiny(model="contragan", conditional=True)
    spread = Spread(G)
    for direction in [*pca(spread, range(1), num=2), *sefa(G, spread, range(1), num=2)]:
        moved = G.images([0], offset=offset(G, [direction], [3.0]))
        assert abs(moved.astype(int) - G.images([0])).max() > 0


def test_the_effect_of_a_known_direction_is_measured_and_told(bands):
    known, none = effects(bands, [axis(0), axis(1)], even(20, seed=0), seeds=range(24))
    share = next(effect for effect in known if effect.quantity.name == "area_fraction")
    assert share.value == pytest.approx(1 / 8, abs=0.01)  # 8 of 64 px
    assert share.low <= share.value <= share.high
    assert share.is_told
    assert "area fraction +1" in tell(known)
    assert tell(none) == "nothing that chance does not"


def test_what_any_direction_does_is_not_told(bands):
    told = 0
    for seed in range(4):
        chance, fresh = even(20, seed=seed), even(10, seed=100 + seed)
        measured = effects(bands, fresh, chance, seeds=range(12))
        told += any(effect.is_told for row in measured for effect in row)
    assert told <= 1  # though seeds alone would tell nearly all of them


def test_places_are_even_along_the_axes_and_the_mean_is_in_the_middle(spread):
    assert spread.places(spread.mean[None].float()).abs().max() < 1e-5
    moved = (
        spread.mean + 2 * spread.variances[0].sqrt() * spread.axes[0] - 3 * spread.variances[1].sqrt() * spread.axes[1]
    )
    np.testing.assert_allclose(spread.places(moved[None].float()), [[2, -3]], atol=1e-4)


def test_many_places_vary_by_one_standard_deviation_and_not_together(G, spread):
    z = torch.randn(5000, 16, generator=torch.Generator().manual_seed(3))
    places = spread.places(G.styles(z, torch.zeros(len(z), 0))[:, 0]).numpy()
    np.testing.assert_allclose(np.cov(places.T), np.eye(2), atol=0.1)


def test_who_is_told_of_each_direction_can_end_the_measurement(bands):
    told = []

    def stop_at_the_third(done, total):
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        effects(bands, [axis(0)], even(8, seed=0), seeds=range(8), on_direction=stop_at_the_third)
    assert told == [(0, 9), (1, 9), (2, 9)]


def test_too_few_are_refused(bands):
    with pytest.raises(ConfigError, match="7 seeds and 20 random directions came: expected at least 8 of each"):
        effects(bands, [axis(0)], even(20, seed=0), seeds=range(7))


@pytest.fixture
def folder(G, spread, tmp_path):
    found = pca(spread, range(2, 6), num=2)
    measured = effects(G, found, random(spread, ALL, num=8, seed=0), seeds=range(8))
    save_directions(tmp_path / "d", G, found, measured, seeds=range(8), condition=None, settings={"by_chance": 8})
    return tmp_path / "d"


def test_directions_come_back_from_their_folder(G, spread, folder):
    for direction, expected in zip(load_directions(folder, G), pca(spread, range(2, 6), num=2), strict=True):
        assert (direction.name, direction.layers) == (expected.name, expected.layers)
        torch.testing.assert_close(direction.vector, expected.vector, rtol=0, atol=0)
    assert {path.name for path in folder.iterdir()} == {
        "directions.safetensors", "directions.json", "effects.csv", "pca-1.png", "pca-2.png",
    }  # fmt: skip
    about = json.loads((folder / "directions.json").read_text())
    assert all(math.isfinite(e["value"]) for d in about["directions"] for e in d["effects"].values())


def test_a_folder_tells_whose_it_is_and_what_each_direction_does(G, folder):
    owner, told = read_told(folder)
    assert owner == G.hash
    about = json.loads((folder / "directions.json").read_text())
    assert told == {entry["name"]: entry["one_sd"] for entry in about["directions"]}
    with pytest.raises(WeightsError, match="holds no directions"):
        read_told(folder.parent)


def test_directions_of_another_generator_are_refused(folder):
    other = tiny(size=64)
    with pytest.raises(ConfigError, match="directions of another generator"):
        load_directions(folder, other)


def test_a_folder_without_directions_is_refused(G, folder):
    with pytest.raises(WeightsError, match="holds no directions"):
        load_directions(folder.parent, G)
    (folder / "directions.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="holds no directions"):
        load_directions(folder, G)


def test_an_unknown_direction_names_those_there_are(spread):
    with pytest.raises(ConfigError, match="'pca-7' is not known: choose from pca-1, pca-2"):
        by_name(pca(spread, ALL, num=2), "pca-7")

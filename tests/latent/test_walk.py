import numpy as np
import pytest
import torch

from sorby.errors import ConfigError
from sorby.latent.geometry import angle_between
from sorby.latent.walk import Stop, Walk, stops
from tests.latent.tiny import tiny


def picture(G, point):
    return G.draw(point.ws[None], tuple(layer[None] for layer in point.noise))[0].astype(int)


def seen_at(walk, t):
    return picture(walk.generator, walk.at(t))


def near(a, b):
    return abs(a.astype(int) - b.astype(int)).max() <= 1


@pytest.mark.parametrize("network", [{}, {"layout": "random"}, {"model": "contragan"}], ids=str)
@pytest.mark.parametrize("way", ["slerp", "linear", "w"])
def test_at_its_stops_a_walk_shows_the_pictures_of_the_seeds(way, network):
    G = tiny(**network)
    walk = Walk(G, stops(G, [3, 5, 4]), way=way)
    expected = G.images([3, 5, 4])
    assert all(near(seen_at(walk, t), image) for t, image in zip((0.0, 0.5, 1.0), expected, strict=True))
    assert not near(seen_at(walk, 0.25), expected[0])


def test_a_closed_walk_ends_where_it_began_and_leaves_the_last_frame_out():
    G = tiny()
    walk = Walk(G, stops(G, [0, 1]), closed=True)
    assert near(seen_at(walk, 1.0), G.images([0])[0])
    assert near(seen_at(walk, 0.5), G.images([1])[0])
    assert walk.times(4) == [0, 0.25, 0.5, 0.75]
    assert Walk(G, stops(G, [0, 1])).times(5) == [0, 0.25, 0.5, 0.75, 1]


def test_a_circle_passes_the_second_seed_and_comes_back():
    G = tiny(layout="random")
    a, b = stops(G, [0, 1])
    walk = Walk(G, [a, b], way="circle", noise="hold")
    t = angle_between(a.origin.z, b.origin.z) / (2 * np.pi)
    torch.testing.assert_close(walk.at(t).ws, b.ws, rtol=1e-4, atol=1e-4)  # z is normalised: its length does not matter
    torch.testing.assert_close(walk.at(1.0).ws, a.ws, rtol=1e-4, atol=1e-4)
    assert walk.times(2) == [0, 0.5]


def test_numbers_go_along_their_scale_and_classes_along_a_line_in_w():
    G = tiny(conditional=True)
    cold, hot = {"phase": "ferrite", "temperature": 800}, {"phase": "ferrite", "temperature": 1000}
    walk = Walk(G, stops(G, [2], conditions=[cold, hot]))
    halfway = G.images([2], condition={"phase": "ferrite", "temperature": 900})[0]
    assert near(seen_at(walk, 0.5), halfway)

    other = {"phase": "pearlite", "temperature": 800}
    a, b = stops(G, [2], conditions=[cold, other])
    torch.testing.assert_close(Walk(G, [a, b]).at(0.25).ws, 0.75 * a.ws + 0.25 * b.ws)


def test_without_a_condition_each_seed_has_its_own():
    G = tiny(conditional=True)
    walk = Walk(G, stops(G, [0, 1, 2, 3]))
    assert near(seen_at(walk, 1 / 3), G.images([1])[0])


def test_truncation_goes_evenly_between_stops():
    G = tiny()
    walk = Walk(G, stops(G, [7], truncations=[0, 1]))
    assert near(seen_at(walk, 0.5), G.images([7], truncation=0.5)[0])
    torch.testing.assert_close(walk.at(0).ws, G.network.w_mean.expand_as(walk.at(0).ws))


def test_noise_may_be_held_or_go_around():
    G = tiny()
    held = Walk(G, stops(G, [0, 1]), noise="hold")
    torch.testing.assert_close(held.at(0.7).noise, held.at(0.0).noise)
    around = Walk(G, stops(G, [0]), noise="loop")
    torch.testing.assert_close(around.at(1.0).noise, around.at(0.0).noise, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(around.at(0.5).noise, tuple(-layer for layer in around.at(0.0).noise))
    torch.testing.assert_close(around.at(0.3).ws, around.at(0.0).ws)


def test_noise_on_the_way_is_as_strong_as_at_the_stops():
    G = tiny()
    walk = Walk(G, stops(G, [0, 1]))
    largest = [float(walk.at(t).noise[-1].norm()) for t in (0.0, 0.5, 1.0)]
    assert largest[1] == pytest.approx((largest[0] + largest[2]) / 2, rel=1e-4)


def test_a_place_known_in_w_alone_is_walked_to_in_w():
    G = tiny()
    a, b = stops(G, [0, 1])
    projected = Stop("micrograph", b.ws, b.noise)
    torch.testing.assert_close(Walk(G, [a, projected], way="w").at(1.0).ws, b.ws)
    with pytest.raises(ConfigError, match="in w alone: walk with way w"):
        Walk(G, [a, projected])


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        ([0], {}, "1 stop came, a walk needs two"),
        ([0, 1, 2], {"way": "circle"}, "3 stops came for a circle"),
    ],
)
def test_what_is_no_walk_is_refused(seeds, options, message):
    G = tiny()
    with pytest.raises(ConfigError, match=message):
        Walk(G, stops(G, seeds), **options)


def test_lists_of_stops_go_in_step():
    with pytest.raises(ConfigError, match="2 truncations came for a walk of 3 stops: give 1 or 3"):
        stops(tiny(), [0, 1, 2], truncations=[0.5, 1])


def test_a_walk_tells_where_it_leads():
    G = tiny(conditional=True)
    walk = Walk(G, stops(G, [2], conditions=[{"phase": "ferrite", "temperature": t} for t in (800, 900)]))
    start, end = (f"seed 2, phase ferrite, temperature {t} °C" for t in (800, 900))
    assert walk.describe() == f"slerp from {start} to {end}; noise follow"

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.latent.geometry import angle_between, circle, lerp, slerp

entries = st.floats(-10, 10, width=32).filter(lambda x: abs(x) > 1e-3)
vectors = st.lists(entries, min_size=4, max_size=4).map(torch.tensor)
shares = st.floats(0, 1)


@settings(deadline=None)
@given(vectors, vectors)
def test_every_way_meets_its_ends(a, b):
    for way in (lerp, slerp):
        torch.testing.assert_close(way(a, b, 0.0), a, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(way(a, b, 1.0), b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(circle(a, b, 0.0), a)
    torch.testing.assert_close(circle(a, b, 1.0), a, rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(vectors, vectors, shares)
def test_the_length_goes_evenly_from_one_end_to_the_other(a, b, t):
    expected = (1 - t) * a.norm() + t * b.norm()
    torch.testing.assert_close(slerp(a, b, t).norm(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(circle(a, b, t).norm(), a.norm(), rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(vectors, vectors, shares)
def test_slerp_goes_by_the_great_circle_at_even_speed(a, b, t):
    whole = angle_between(a, b)
    here = slerp(a, b, t)
    assert angle_between(a, here) == pytest.approx(t * whole, abs=2e-3)
    assert angle_between(here, b) == pytest.approx((1 - t) * whole, abs=2e-3)  # so it lies in the plane of both


@settings(deadline=None)
@given(vectors, vectors, shares)
def test_backwards_is_the_same_way(a, b, t):
    if 1e-3 < angle_between(a, b) < math.pi - 1e-3:
        torch.testing.assert_close(slerp(a, b, t), slerp(b, a, 1 - t), rtol=1e-3, atol=1e-3)


def test_between_vectors_at_right_angles_it_is_cosine_and_sine():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    torch.testing.assert_close(slerp(a, b, 1 / 3), 3 * torch.tensor([math.cos(math.pi / 6), 0.5]))
    torch.testing.assert_close(circle(a, b, 0.25), b)
    torch.testing.assert_close(circle(a, b, 0.5), -a)


@settings(deadline=None)
@given(vectors, shares)
def test_from_a_vector_to_itself_nothing_moves(a, t):
    torch.testing.assert_close(slerp(a, a, t), a)
    torch.testing.assert_close(slerp(a, 2 * a, t), a * (1 + t))


@settings(deadline=None)
@given(vectors)
def test_opposite_vectors_are_met_half_way_at_right_angles(a):
    half = slerp(a, -a, 0.5)
    assert angle_between(a, half) == pytest.approx(math.pi / 2, abs=1e-3)
    assert float(half.norm()) == pytest.approx(float(a.norm()), rel=1e-4)
    torch.testing.assert_close(half, slerp(a, -a, 0.5))  # chosen, but always the same


def test_many_gaussian_vectors_keep_their_length_by_slerp_and_lose_it_on_the_line():
    z = torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0))
    assert float(slerp(*z, 0.5).norm()) == pytest.approx(100, rel=0.02)
    assert float(lerp(*z, 0.5).norm()) == pytest.approx(100 / math.sqrt(2), rel=0.02)


def test_shapes_are_kept():
    a, b = torch.randn(2, 3, 4, 4)
    assert slerp(a, b, 0.3).shape == (3, 4, 4)


def test_the_zero_vector_ends_nowhere_else():
    assert torch.isfinite(slerp(torch.zeros(3), torch.ones(3), 0.5)).all()

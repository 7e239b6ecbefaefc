import json

import pytest
import torch

from sorby.augment import AdaState, observe

SURE = torch.ones(64)


def run(state, scores, *, num_images, **settings):
    for _ in range(num_images // scores.numel()):
        state = observe(state, scores, target=0.6, **settings)
    return state


def test_p_goes_from_0_to_1_in_500_kimg_of_complete_overfitting():
    half = run(AdaState(), SURE, num_images=250_112)
    assert half.p == pytest.approx(250_112 / 500_000, abs=1e-9)
    assert run(AdaState(), SURE, num_images=499_712).p == pytest.approx(499_712 / 500_000, abs=1e-9)
    assert run(AdaState(), SURE, num_images=500_224).p == 1.0


def test_pace_does_not_depend_on_the_batch_size_nor_the_interval():
    for batch, interval in ((8, 4), (32, 2), (128, 1)):
        state = run(AdaState(), torch.ones(batch), num_images=25_600, interval=interval, ada_kimg=100)
        assert state.p == pytest.approx(0.256, abs=1e-9)


@pytest.mark.parametrize(("start", "scores", "end"), [(0.999, SURE, 1.0), (0.001, -SURE, 0.0)])
def test_p_never_leaves_0_to_1(start, scores, end):
    state = AdaState(p=start)
    for _ in range(100):
        state = observe(state, scores, target=0.6)
        assert 0 <= state.p <= 1
    assert state.p == end


def test_p_moves_only_after_the_interval():
    state = run(AdaState(), SURE, num_images=3 * 64)
    assert (state.p, state.r_t, state.num_images) == (0, None, 192)
    state = observe(state, SURE, target=0.6)
    assert state == AdaState(p=256 / 500_000, r_t=1.0)


def test_r_t_is_the_mean_sign_over_the_interval():
    state = AdaState(p=0.5)
    for positive in (64, 48, 32, 16):  # of 64: signs add up to 64, 32, 0, -32
        scores = torch.cat([torch.full((positive,), 3.0), torch.full((64 - positive,), -0.1)])
        state = observe(state, scores, target=0.6)
    assert state.r_t == 64 / 256
    assert state.p == 0.5 - 256 / 500_000


def test_p_rests_where_r_t_meets_its_target():
    scores = torch.tensor([1.0, 1.0, 1.0, -1.0])
    assert run(AdaState(p=0.3), scores, num_images=16).p != 0.3
    state = AdaState(p=0.3)
    for _ in range(4):
        state = observe(state, scores, target=0.5)
    assert (state.p, state.r_t) == (0.3, 0.5)


def test_a_state_resumes_exactly_from_json_between_adjustments():
    scores = torch.randn(100, 16, generator=torch.Generator().manual_seed(0)) + 0.7
    straight = stopped = AdaState()
    for batch in scores:
        straight = observe(straight, batch, target=0.5)
        stopped = observe(stopped, batch, target=0.5)
        stopped = AdaState(**json.loads(json.dumps(stopped.numbers())))
        assert stopped == straight


def test_the_pace_is_that_of_images_however_many_scores_an_image_has():
    four_each = torch.tensor([[1.0, 1.0, 1.0, -1.0]]).repeat(16, 1)
    state = AdaState()
    for _ in range(4):
        state = observe(state, four_each, target=0.4)
    assert state == AdaState(p=64 / 500_000, r_t=0.5)

import math

import torch

from sorby.config import NetworkConfig
from sorby.models.conditioning import REACH, ConditionFeatures, ConditionVector
from sorby.models.stylegan2 import GeneratorNetwork, Mapping, score


def test_features_of_two_conditions_agree_as_a_gaussian_of_their_distance():
    """Rahimi & Recht 2007, for the Gaussian kernel."""
    torch.manual_seed(0)
    features = ConditionFeatures(3, 100_000)
    conditions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 1], [-2, 0.5, 0]])
    distances = torch.cdist(conditions, conditions)
    products = features(conditions) @ features(conditions).T / 100_000
    torch.testing.assert_close(products, torch.exp(-distances.square() / (2 * REACH**2)), rtol=0, atol=0.02)


def test_a_vector_of_a_condition_has_the_size_asked_for():
    torch.manual_seed(0)
    vectors = ConditionVector(2, 4000, gain=0.5)(torch.randn(8, 2) * 3)
    torch.testing.assert_close(vectors.square().mean(1).sqrt(), torch.full((8,), 0.5), rtol=0.2, atol=0)


def test_how_much_of_one_condition_is_asked_for_matters_and_not_its_sign_alone():
    """A single number, made into a vector by a linear layer and normalised, would keep only its sign."""
    torch.manual_seed(0)
    network = Mapping(z_dim=8, condition_dim=1, w_dim=8, num_layers=2)
    z = torch.randn(1, 8)
    low, high = (network(z, torch.tensor([[value]])) for value in (0.5, 1.5))
    assert (low - high).square().mean().sqrt() > 0.1


def test_a_condition_half_a_reach_away_changes_w_less_than_another_latent():
    torch.manual_seed(0)
    G = GeneratorNetwork(NetworkConfig(size=32, z_dim=64, w_dim=64, channel_base=256, channel_max=16, condition_dim=2))
    z, conditions = torch.randn(2, 256, 64), torch.randn(256, 2)
    w, other, shifted = G.mapping(z[0], conditions), G.mapping(z[1], conditions), G.mapping(z[0], conditions + 0.7)
    assert (w - shifted).square().mean() < 0.2 * (w - other).square().mean()


def test_a_score_is_one_output_and_the_product_of_the_others_with_the_condition():
    outputs = torch.cat([torch.tensor([[3.0]]), torch.arange(64.0)[None]], 1)
    vector = torch.zeros(1, 64)
    vector[0, 10] = 2
    assert score(outputs, vector).item() == 3 + 2 * 10 / math.sqrt(64)
    assert score(outputs[:, :1], None).item() == 3
